"""What the page says around the numbers: what was run, with which settings, what went wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from truing.report import words
from truing.report.cases import browsable
from truing.report.grid import ordered_protocols
from truing.report.load import Run
from truing.runs.store import EditRecord

LISTED = 12
APART = ("cells", "warnings", "quarantined")


@dataclass(frozen=True, slots=True)
class Setting:
    """One method with one configuration, and where it was used."""

    method: str
    config: tuple[tuple[str, str], ...]
    cost: str


def strip(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """The facts under the headline: (label, text)."""
    measures = [
        m for run in runs for m in run.measures if not run.cells.get(m.cell, {}).get("control_of")
    ]

    def several(name: str) -> str:
        return words.join(list(dict.fromkeys(str(getattr(m, name)) for m in measures)))

    return [
        ("Model", several("model")),
        ("Benchmark", several("benchmark")),
        ("Methods", several("method")),
        ("Protocols", words.join([words.protocol(p) for p in protocols(runs)])),
        ("Regimes", several("regime")),
        ("Cases", f"{sum(run.cases_total for run in runs):,}"),
        ("Answers", f"{sum(run.rows_total for run in runs):,}"),
    ]


def when(runs: Sequence[Run]) -> str:
    """``Run of 2 March 2026 · 17 min``: when the first run began and how long all took."""
    times = [
        (_time(run.manifest.get("created")), _time(run.manifest.get("finished"))) for run in runs
    ]
    started = [begin for begin, _ in times if begin]
    if not started:
        return "Report"
    first = min(started)
    seconds = sum((end - begin).total_seconds() for begin, end in times if begin and end)
    text = f"Run of {first.day} {first:%B %Y}"
    return f"{text} · {_duration(seconds)}" if seconds else text


def shown(runs: Sequence[Run], cases_per_cell: int) -> str:
    """Which part of the rows can be browsed."""
    kept = sum(len(browsable(run)) for run in runs)
    total = sum(run.rows_total for run in runs)
    if kept == total:
        return f"All {words.plural(total, 'answer')} are here."
    parts = []
    moments = {r.moment for run in runs for r in run.rows}
    asides = {"step": "at intermediate steps", "base": "of the noise check"}
    if aside := [text for moment, text in asides.items() if moment in moments]:
        parts.append(f"answers {words.join(aside)} are left out")
    if any(run.cases_total > cases_per_cell for run in runs):
        parts.append(f"of each cell the first {words.plural(cases_per_cell, 'case')} are kept")
    return (
        f"{kept:,} of {words.plural(total, 'answer')} are here: {words.join(parts)}. "
        "Every number on this page comes from all of them; the run folder holds the rest."
    )


def methods(runs: Sequence[Run]) -> list[Setting]:
    """Every method with every configuration that was used, once, and what its edits took; controls,
    whose settings are those of what they copy, left out."""
    found: dict[tuple[str, tuple[tuple[str, str], ...]], list[EditRecord]] = {}
    for run in runs:
        edits: dict[str, list[EditRecord]] = {}
        for edit in run.edits:
            edits.setdefault(edit.cell, []).append(edit)
        arms = {k: v for k, v in run.cells.items() if not v.get("control_of")}
        for ident, cell in arms.items():
            config = tuple(flatten(cell.get("config") or {}))
            found.setdefault((str(cell.get("method", "?")), config), []).extend(
                edits.get(ident, [])
            )
    return [Setting(method, config, _cost(edits)) for (method, config), edits in found.items()]


def _cost(edits: Sequence[EditRecord]) -> str:
    requests = sum(edit.requests for edit in edits)
    seconds = sum(edit.seconds for edit in edits)
    if not requests:
        return ""
    failed = sum(len(edit.failed) for edit in edits)
    each = seconds / requests
    text = (
        f"{words.plural(requests, 'edit')}, {each:.2f} s each"
        if each >= 0.005
        else words.plural(requests, "edit")
    )
    return f"{text}; {failed} failed" if failed else text


def protocols(runs: Sequence[Run]) -> list[str]:
    """The ids of the protocols that were used, teacher-forced ones first."""
    return ordered_protocols(m.protocol for run in runs for m in run.measures)


def provenance(run: Run) -> Mapping[str, Any]:
    """The manifest without the parts that have sections of their own, and how numbers were made."""
    kept = {k: v for k, v in run.manifest.items() if k not in APART}
    return {**kept, "statistics": run.meta} if run.meta else kept


def warnings(runs: Sequence[Run]) -> list[str]:
    """What a reader must know before trusting a number."""
    found: list[str] = []
    for run in runs:
        if "finished" in run.manifest and run.manifest["finished"] is None:
            found.append(f"{run.name} has not finished: its numbers come from the answers so far")
        found += [_told(w) for w in run.manifest.get("warnings", [])]
        for m in run.measures:
            for flag in m.flags:
                meaning = words.FLAG_MEANINGS.get(flag, "")
                found.append(
                    f"{m.method}, {m.regime}, {words.protocol(m.protocol)}, {m.aspect}: {flag}"
                    + (f" ({meaning})" if meaning else "")
                )
        broken = [(e, why) for e in run.edits for why in e.failed.values()]
        if broken:
            why = words.join(list(dict.fromkeys(reason for _, reason in broken))[:3])
            found.append(f"{words.plural(len(broken), 'edit')} could not be made: {why}")
        failed = [r for r in run.rows if r.error]
        if failed:
            errors = words.join(list(dict.fromkeys(str(r.error) for r in failed))[:3])
            found.append(f"{words.plural(len(failed), 'question')} without an answer: {errors}")
    return list(dict.fromkeys(found))


def quarantined(runs: Sequence[Run]) -> list[dict[str, str]]:
    """Records that did not enter the run, with where and why."""
    return [
        {k: str(record.get(k, "")) for k in ("record", "where", "field", "reason")}
        for run in runs
        for record in run.manifest.get("quarantined", [])
    ]


def flatten(value: Any, path: str = "") -> list[tuple[str, str]]:
    """Nested settings as (dotted path, text) pairs."""
    return list(_walk(value, path))


def _time(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def _walk(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _walk(inner, f"{path} › {key}" if path else str(key))
    elif isinstance(value, (list, tuple)) and any(isinstance(v, Mapping) for v in value):
        for number, inner in enumerate(value, 1):
            yield from _walk(inner, f"{path} {number}")
    else:
        yield path, _told(value)


def _told(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        more = f" and {len(value) - LISTED:,} more" if len(value) > LISTED else ""
        return ", ".join(_told(v) for v in value[:LISTED]) + more or "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{k}: {_told(v)}" for k, v in value.items()) or "none"
    return str(value)
