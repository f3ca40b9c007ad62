"""Reference tables: what papers report, read from the CSV files that come with their data.

Behaviour editing: Huang et al. 2025, arXiv 2506.20606. HalluEditBench: Huang et al. 2024, arXiv
2410.16251. The numbers stay in the files; this module knows their columns and what they mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from truing.benchmarks import files
from truing.errors import BadInput, UnknownName

EDITING = "Huang et al. 2025, arXiv 2506.20606"
HALLUCINATION = "Huang et al. 2024, arXiv 2410.16251"
OPTIONAL = "variant"
"""The column that may be empty throughout."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """One number of a table. ``before`` and ``after`` are columns, ``None`` where the table has none;
    ``aspect`` is what a run measures for it, ``moral`` which of its moral measures (see
    :class:`truing.scoring.moral.Moral`), empty for the mean score. ``toward`` lists the directions in
    which both count the same answer as right; empty: all."""

    name: str
    before: str | None
    after: str | None
    aspect: str = ""
    moral: str = ""
    toward: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReferenceTable:
    """A published table: its file and columns. ``keys`` gives the column of each of ``dataset``,
    ``model``, ``method``, ``variant``, ``direction``; ``count`` that of the number of questions.
    ``differs`` says in words how our measurement is another one."""

    paper: str
    file: str
    keys: Mapping[str, str]
    count: str
    quantities: tuple[Quantity, ...]
    differs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """One published number, as a share. ``None``: the table does not give it."""

    dataset: str
    direction: str
    model: str
    method: str
    variant: str
    quantity: Quantity
    n: int
    before: float | None
    after: float | None


def _pair(name: str, aspect: str = "", moral: str = "", toward: tuple[str, ...] = ()) -> Quantity:
    column = name.replace("-", "_")
    return Quantity(name, f"{column}_pre", f"{column}_post", aspect, moral, toward)


_OF_EDITS = {
    "dataset": "dataset", "model": "model", "method": "method", "variant": "variant",
    "direction": "direction",
}  # fmt: skip
_OF_IMPACT = {**_OF_EDITS, "dataset": "eval_dataset"}
_IMPACT = (
    Quantity("as published", "acc_pre", "acc_post", "impact", "accuracy"),
    Quantity("strict", "strict_acc_pre", "strict_acc_post", "impact", "strict"),
    _pair("abstention", "impact", "abstention"),
    _pair("invalid", "impact", "invalid"),
)
_OF_MODELS = {"model": "model", "method": "method"}
_FREE = (
    "Published answers are as long as the target and are searched for it as a substring; ours end by "
    "themselves and are read as what they say."
)
_POOLED = "Published numbers are means over topics; ours here are over all cases of the run."
_CONTAINS = (
    "Published answers of 16 tokens count where they contain the label or are part of it (for letters "
    "too), else by a language model."
)
TABLES: Mapping[str, ReferenceTable] = MappingProxyType(
    {
        "behaviorbench:efficacy": ReferenceTable(
            EDITING, "scenario_specific.csv", _OF_EDITS, "n",
            (_pair("efficacy", "efficacy"),),
            (_FREE, "Published is every edit, also one whose target the model says already."),
        ),
        "behaviorbench:impact-table": ReferenceTable(
            EDITING, "impact.csv", _OF_IMPACT, "n_rows", _IMPACT,
            (
                "Published are up to four edits that succeeded; ours are all edits, failed ones too.",
                "Published ICE puts an instruction or another scenario's answer before every question.",
                "Toward abstention both numbers as published are the share that declines among valid answers.",
            ),
        ),
        "behaviorbench:api": ReferenceTable(
            EDITING, "impact_api.csv", _OF_IMPACT, "n_rows", _IMPACT,
            (
                "Published is one instruction for all questions, asked five times at temperature 0.",
                "The share of edits that hold for these models is in behaviorbench:efficacy.",
            ),
        ),
        "behaviorbench:generalization": ReferenceTable(
            EDITING, "generalization.csv",
            {name: column for name, column in _OF_EDITS.items() if name != "variant"}, "n",
            (
                _pair("efficacy", "efficacy"),
                _pair("rephrase", "generalization/rephrase"),
                *(_pair(kind, f"generalization/{kind}", toward=("2good",)) for kind in ("yes", "no", "two-choice", "open")),
            ),
            (
                _FREE,
                "Published yes, no, two-choice and open count the moral answer, ours the edit's target: they "
                "stand side by side toward good alone.",
            ),
        ),
        "behaviorbench:capability": ReferenceTable(
            EDITING, "general_capability.csv",
            {"dataset": "task", **_OF_MODELS, "direction": "direction"}, "n_questions",
            (Quantity("accuracy", "acc_pre", "acc_post", "capability"),),
            (
                "Published are five edits; ours as many as the run made.",
                "Published GSM8K shows the solution and BoolQ no passage, as do our sets whose names end in "
                "-published; others are used where those were not asked.",
            ),
        ),
        "hallueditbench:overall": ReferenceTable(
            HALLUCINATION, "overall.csv", _OF_MODELS, "n_cases",
            (
                _pair("efficacy", "efficacy"),
                *(_pair(kind, f"generalization/{kind}") for kind in ("rephrase", "yes", "no", "multiple-choice", "reversed")),
                Quantity("locality", None, "locality_post", "locality"),
            ),
            (_CONTAINS, _POOLED, "Published GRACE is asked without a chat template."),
        ),
        "hallueditbench:by-topic": ReferenceTable(
            HALLUCINATION, "by_topic.csv", {"dataset": "topic", **_OF_MODELS}, "n",
            (
                *(_pair(kind) for kind in ("efficacy", "rephrase", "yes", "no", "multiple-choice", "reversed")),
                Quantity("locality", None, "locality_post"),
            ),
            (_CONTAINS, "A run's summary has no numbers by topic."),
        ),
        "hallueditbench:multi-hop": ReferenceTable(
            HALLUCINATION, "multi_hop.csv", _OF_MODELS, "n_topics",
            tuple(
                Quantity(f"{n}-hop", f"hop{n}_pre", f"hop{n}_post", f"portability/{n}-hop")
                for n in range(2, 7)
            ),
            (_CONTAINS, _POOLED, "n counts topics."),
        ),
        "hallueditbench:multi-turn": ReferenceTable(
            HALLUCINATION, "multi_turn_yes.csv", _OF_MODELS, "n_topics",
            (
                Quantity("turn 0", None, "turn0", "efficacy"),
                *(Quantity(f"turn {n}", None, f"turn{n}", f"robustness/yes/turn-{n:02d}") for n in range(1, 11)),
            ),
            (
                _CONTAINS, _POOLED, "n counts topics.",
                "“Yes” is right at every published turn; see robustness-control in your run's report.",
            ),
        ),
    }
)  # fmt: skip
"""Published tables by the name that ``truing reproduce`` takes."""


def table(name: str) -> ReferenceTable:
    """One of them. Raises ``UnknownName``."""
    if name not in TABLES:
        raise UnknownName("reference table", name, TABLES)
    return TABLES[name]


def read(wanted: ReferenceTable, data: Path) -> list[Reference]:
    """The table's numbers, in the order of its file, which is ``data`` or lies below it.

    Raises ``BadInput`` where the file is missing, is there twice, lacks a column or holds a cell that
    is no per cent.
    """
    found = [data] if data.is_file() else sorted(data.rglob(wanted.file))
    if len(found) != 1:
        raise BadInput(
            f"{data} holds {len(found) or 'no'} files named {wanted.file}",
            "Pass the folder that holds the paper's reference tables once.",
        )
    contents = files.read(found[0])
    quantities = [c for q in wanted.quantities for c in (q.before, q.after) if c is not None]
    needed = {*wanted.keys.values(), wanted.count, *quantities} - {OPTIONAL}
    lacking = sorted(needed - {name for record in contents.records for name in record.fields})
    if lacking:
        raise BadInput(
            f"{found[0]} has no column {', '.join(lacking)}",
            "Pass the reference tables as they are.",
        )
    return [r for record in contents.records for r in _references(wanted, record)]


def _references(wanted: ReferenceTable, record: files.Record) -> Iterator[Reference]:
    told = {name: str(record.fields.get(column, "")) for name, column in wanted.keys.items()}
    n = _number(record, wanted.count, upper=None)
    for quantity in wanted.quantities:
        before, after = (
            None if column is None else _number(record, column, upper=100.0)
            for column in (quantity.before, quantity.after)
        )
        yield Reference(
            told.get("dataset", ""),
            told.get("direction", ""),
            told["model"],
            told["method"],
            told.get("variant", ""),
            quantity,
            0 if n is None else int(n),
            None if before is None else before / 100,
            None if after is None else after / 100,
        )


def _number(record: files.Record, column: str, upper: float | None) -> float | None:
    """A number from 0 on; ``None`` where the cell is empty."""
    text = str(record.fields.get(column, "")).strip()
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= (upper or float("inf")):
        raise BadInput(
            f"{record.where}: {column} is {text!r}, no number"
            + ("" if upper is None else f" from 0 to {upper:g}"),
            "Pass the reference tables as they are.",
        )
    return number


def chosen(
    found: Sequence[Reference], like: str | None, methods: Sequence[str] | None
) -> list[Reference]:
    """Those of the paper's model ``like`` and of ``methods`` (our names or the paper's); of all where
    none is given. Raises ``UnknownName``."""
    models = {r.model for r in found}
    if like is not None and like not in models:
        raise UnknownName("model of the paper", like, models)
    names = None if methods is None else {METHODS.get(m, m) for m in methods}
    theirs = {r.method for r in found}
    for name in sorted(names or ()):
        if name not in theirs:
            raise UnknownName("method of the paper", name, theirs)
    return [
        r
        for r in found
        if (like is None or r.model == like) and (names is None or r.method in names)
    ]


METHODS: Mapping[str, str] = MappingProxyType(
    {
        "ft_m": "FT-M", "ft_l": "FT-L", "rome": "ROME", "memit": "MEMIT", "lora": "LoRA",
        "grace": "GRACE", "ice": "ICE",
    }
)  # fmt: skip
"""Our names of the papers' methods."""
