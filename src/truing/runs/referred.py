"""A paper's reference numbers beside those of a run: same model, method, data and direction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from truing.runs.references import METHODS, Reference
from truing.runs.store import Summary, read_manifest
from truing.runs.summary import load_or_summarise
from truing.scoring.metrics import metric_for
from truing.types import Value

MODELS: Mapping[str, str] = MappingProxyType(
    {
        "Llama-2-7b-chat-hf": "llama2-7b", "Meta-Llama-3-8B-Instruct": "llama3-8b",
        "Mistral-7B-Instruct-v0.3": "mistral-7b", "Qwen3-8B": "qwen3-8b",
        "OLMo-2-1124-7B-Instruct": "olmo2-7b", "gpt-j-6b": "gpt-j-6b",
        "DeepSeek-R1-Distill-Qwen-7B": "deepseek-7b", "gemma-1.1-7b-it": "gemma-7b",
    }
)  # fmt: skip
"""The behaviour paper's short names, by the last part of the model's id."""
_ETHICS = {
    "commonsense-short": "ethics-short", "commonsense-long": "ethics-long", "commonsense": "ethics",
    "hard-short": "ethics-hard-short", "hard-long": "ethics-hard-long",
}  # fmt: skip
_SETS = {
    "BoolQ": ("boolq-published", "boolq"),
    "NLI": ("nli-published", "nli"),
    "NaturalQuestions": ("natural-questions-published", "natural-questions"),
    "GSM8K": ("gsm8k-published", "gsm8k"),
}
_STRICT = "-strict"
OF_SETS = ("that of the set",)


@dataclass(frozen=True, slots=True)
class Beside:
    """One published number and ours. ``arm`` and ``protocol`` name ours; empty where the run has none
    for a method of the paper. ``comparable``: both count the same answers as right."""

    reference: Reference
    arm: str
    cell: str
    protocol: str
    before: Value | None
    after: Value | None
    comparable: bool


def dataset_of(data: Mapping[str, Any]) -> str:
    """The behaviour paper's name for what a run's benchmark read (the manifest's account of it);
    empty where the paper has no such data."""
    options = data.get("options", {})
    file = PurePosixPath(str(data.get("path") or "")).name
    match data.get("benchmark"):
        case "moralchoice":
            level = next((level for level in ("low", "high") if level in file), "")
            return f"moralchoice-{options.get('form')}-{level}-ambiguity" if level else ""
        case "ethics":
            subset = str(options.get("subset"))
            return _ETHICS.get(subset, f"ethics-{subset}")
        case "social_chemistry":
            return "socialchemistry-100"
        case "jiminy" if file.endswith(".json"):
            return "jiminy-subset"
        case "jiminy":
            return "jiminy-neutral" if options.get("neutral") else "jiminy"
        case _:
            return ""


def beside(references: Sequence[Reference], folder: Path, like: str | None) -> list[Beside]:
    """Every reference of the run's models, data and directions with the run's own numbers.

    ``like`` is the paper's model to compare with, whatever model was run; without it the same one.
    Ours count answers that cannot be read as wrong. Raises ``StoreError`` for a folder that is no run.
    """
    manifest = read_manifest(folder)
    numbers = _Numbers(load_or_summarise(folder), manifest.get("cells", []))
    data = manifest.get("data", {})
    found: list[Beside] = []
    for reference in references:
        about = [
            cell
            for cell in numbers.cells
            if _fits(reference, cell, data.get(cell["benchmark"], {}), like)
        ]
        same = [c for c in about if METHODS.get(c["registered"]) == reference.method]
        comparable = reference.direction in reference.quantity.toward or not (
            reference.quantity.toward
        )
        ours = [
            Beside(
                reference, cell["method"], cell["id"], protocol,
                *(numbers.of(cell, protocol, reference) if comparable else (None, None)),
                comparable,
            )
            for cell in same
            for protocol in _protocols(cell, reference)
        ]  # fmt: skip
        if about:
            found += ours or [Beside(reference, "", "", "", None, None, comparable)]
    return found


def _protocols(cell: Mapping[str, Any], reference: Reference) -> Sequence[str]:
    """Capability items are asked as their set says, whatever the edits are asked under."""
    return OF_SETS if reference.dataset in _SETS else cell.get("protocols", ())


def told(found: Iterable[Beside]) -> dict[str, list[str]]:
    """By cell of a run, its published numbers as lines: ``impact, strict: 93.0 → 62.3 %``."""
    lines: dict[str, list[str]] = {}
    for b in found:
        if b.cell:
            q = b.reference.quantity
            name = q.name if q.aspect in ("", q.name) else f"{q.aspect}, {q.name}"
            name += f" ({b.reference.variant})" if b.reference.variant else ""
            line = f"{name}: {percents(b.reference)}"
            if line not in lines.setdefault(b.cell, []):
                lines[b.cell].append(line)
    return lines


def percents(reference: Reference) -> str:
    """``93.0 → 62.3 %``; a dash for a number that the table does not give."""
    after = "—" if reference.after is None else f"{100 * reference.after:.1f}"
    if reference.quantity.before is None:
        return f"{after} %"
    before = "—" if reference.before is None else f"{100 * reference.before:.1f}"
    return f"{before} → {after} %"


def _fits(
    reference: Reference, cell: Mapping[str, Any], data: Mapping[str, Any], like: str | None
) -> bool:
    if cell.get("registered") == "none":
        return False
    model = str(cell["model"]).rpartition("/")[2].rpartition(":")[2]
    if data.get("benchmark") == "hallueditbench":
        name = model.replace("-", "_").lower()
        return not reference.direction and (like or name) == reference.model
    if (like or MODELS.get(model, model)) != reference.model:
        return False
    direction = data.get("options", {}).get("direction")
    if direction is None or f"2{direction}" != reference.direction:
        return False
    return reference.dataset in _SETS or dataset_of(data) == reference.dataset


class _Numbers:
    """The values of one run: right after each edit where that was measured, else after all."""

    def __init__(self, summary: Summary, cells: Sequence[Mapping[str, Any]]) -> None:
        self.cells = cells
        self._means: dict[tuple[str, str, str], Value] = {}
        self._moral: dict[tuple[str, str, str], Mapping[str, Any]] = {}
        scores = [
            m
            for m in summary.measures
            if m.moment in ("immediate", "final")
            and m.metric == metric_for(m.aspect, m.judge)
            and (not m.compatibility or m.judge.endswith(_STRICT))
        ]
        for m in sorted(scores, key=lambda m: (m.moment == "immediate", m.judge.endswith(_STRICT))):
            self._means[m.cell, m.protocol, m.aspect] = m.value
        records = [
            r for r in summary.meta.get("morals", ()) if r["moment"] in ("immediate", "final")
        ]
        for r in sorted(records, key=lambda r: bool(r["moment"] == "immediate")):
            self._moral[r["cell"], r["protocol"], r["aspect"]] = r["moral"]

    def of(
        self, cell: Mapping[str, Any], protocol: str, reference: Reference
    ) -> tuple[Value | None, Value | None]:
        """Before (the baseline's cell) and after."""
        base = next(
            (
                c
                for c in self.cells
                if c.get("registered") == "none"
                and all(c.get(k) == cell.get(k) for k in ("model", "benchmark", "regime", "seed"))
            ),
            None,
        )
        q = reference.quantity
        away = reference.direction == "2abstention" and q.moral == "accuracy"
        measure = "declined" if away else q.moral
        aspects = [f"{q.aspect}/{name}" for name in _SETS.get(reference.dataset, ())] or [q.aspect]
        for aspect in aspects:
            after = self._value(cell["id"], protocol, aspect, measure)
            if after is not None:
                before = (
                    None if base is None else self._value(base["id"], protocol, aspect, measure)
                )
                return before, after
        return None, None

    def _value(self, cell: str, protocol: str, aspect: str, measure: str) -> Value | None:
        if not measure:
            return next(self._mean(cell, protocol, aspect), None)
        record = self._moral.get((cell, protocol, aspect))
        return None if record is None else Value(**record[measure])

    def _mean(self, cell: str, protocol: str, aspect: str) -> Iterator[Value]:
        for (of, under, about), value in self._means.items():
            if (of, about) == (cell, aspect) and protocol in (under, *OF_SETS):
                yield value
