"""The comparison as terminal tables, and as plain records for ``--json``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from truing.report import words
from truing.report.grid import (
    Cells,
    Column,
    Grid,
    Kind,
    Line,
    column_of,
    grids,
    variants,
    whole_aspects,
)
from truing.types import Measure

NO_EDITS = "none"
Record = dict[str, str | int | float | bool | list[str] | None]
NAMES: dict[Kind, str] = {
    "score": "columns of scores",
    "part": "columns of parts of aspects",
    "reading": "columns of readings",
    "compatibility": "compatibility columns",
}
TITLES: dict[Kind, str] = {
    "score": "",
    "part": "Parts of aspects",
    "reading": "Readings of the answers",
    "compatibility": "Compatibility: published scoring, kept to compare with papers only",
}


def comparison(
    measures: Iterable[Measure],
    cells: Cells | None = None,
    *,
    width: int = 100,
    kinds: Sequence[Kind] = ("score",),
    costs: Mapping[str, Mapping[str, Any]] | None = None,
) -> Group:
    """Tables of methods against (aspect x protocol), one set per model, benchmark and regime.

    ``cells`` is the manifest's description of the cells (tells apart settings of one method).
    ``width`` is the terminal's width in characters; wide comparisons continue in further tables.
    ``kinds`` chooses among scores, readings and compatibility columns; each kind has tables of its
    own. ``costs`` (:func:`truing.runs.summary.costs`, by cell) adds what making the edits took.
    Raises ``BadInput`` where two results would
    have to share a place.
    """
    held = list(measures)
    parts: list[RenderableType] = []
    for grid in grids(held, cells):
        for moment in grid.moments:
            for kind in kinds:
                columns = grid.select(kind, moment)
                if not columns:
                    continue
                names = (grid.title, words.moment(moment), TITLES[kind])
                parts.append(Text(" · ".join(n for n in names if n), style="bold"))
                parts += [_table(grid, chunk) for chunk in _chunks(grid, columns, width)]
                parts.append(Text(""))
        if (table := _costs(grid, costs or {})) is not None:
            parts += [table, Text("")]
    parts.append(Text(_caption(held), style="dim"))
    if rest := _left_out(held, kinds):
        parts.append(Text(rest, style="dim"))
    return Group(*parts)


def records(measures: Iterable[Measure], cells: Cells | None = None) -> list[Record]:
    """Every measure as one flat record; shares stay in [0, 1], missing numbers are ``None``."""
    held = list(measures)
    lines = variants(held, cells or {})
    return [_record(m, lines[m.cell]) for m in held]


def _record(m: Measure, line: Line) -> Record:
    v, c = m.value, m.versus
    return {
        "model": m.model,
        "method": m.method,
        "variant": line.variant,
        "benchmark": m.benchmark,
        "regime": m.regime,
        "moment": m.moment,
        "step": m.step,
        "protocol": m.protocol,
        "aspect": m.aspect,
        "metric": m.metric,
        "judge": m.judge,
        "compatibility": m.compatibility,
        "mean": v.mean,
        "low": v.low,
        "high": v.high,
        "interval": v.interval,
        "n": v.n,
        "clusters": v.clusters,
        "abstain": v.abstain,
        "invalid": v.invalid,
        "degenerate": v.degenerate,
        "missing": v.missing,
        "against": c.against if c else None,
        "delta": c.delta if c else None,
        "delta_low": c.low if c else None,
        "delta_high": c.high if c else None,
        "p": c.p if c else None,
        "p_adjusted": c.p_adjusted if c else None,
        "test": c.test if c else None,
        "n_pairs": c.n_pairs if c else None,
        "effect": c.effect if c else None,
        "detectable": c.detectable if c else None,
        "flags": list(m.flags),
        "cell": m.cell,
    }


def _caption(measures: Sequence[Measure]) -> str:
    intervals = words.join(sorted({m.value.interval for m in measures if m.value.low is not None}))
    against = words.join(sorted({m.versus.against for m in measures if m.versus})) or "none"
    return (
        f"Mean{f' with {intervals}' if intervals else ''}; n counts scored answers. "
        f"Differs from {against}: * p < .05, ** p < .01, *** p < .001, corrected. "
        "⚑ flagged: do not average."
    )


def _left_out(measures: Sequence[Measure], kinds: Sequence[Kind]) -> str:
    columns = {column_of(m) for m in measures if m.moment != "step"}
    whole = whole_aspects(columns)
    names = [
        f"{n} {name}"
        for kind, name in NAMES.items()
        if kind not in kinds and (n := len([c for c in columns if c.kind(whole) == kind]))
    ]
    return f"Not shown: {words.join(names)}; the page and --json have them." if names else ""


def _table(grid: Grid, columns: Sequence[Column]) -> Table:
    table = Table(header_style="bold", padding=(0, 1))
    table.add_column("method", no_wrap=True)
    for column in columns:
        table.add_column(_header(grid, column), justify="right", no_wrap=True)
    for line in grid.lines:
        table.add_row(Text(line.label), *(_cell(grid.at(line, c)) for c in columns))
    return table


def _costs(grid: Grid, costs: Mapping[str, Mapping[str, Any]]) -> Table | None:
    """Seconds and memory per edit of the grid's methods; the baseline makes no edits."""
    rows = []
    for line in grid.lines:
        measure = next((m for c in grid.columns if (m := grid.at(line, c)) is not None), None)
        if measure is not None and measure.cell in costs and line.method != NO_EDITS:
            rows.append((line, costs[measure.cell]))
    if not rows:
        return None
    table = Table(header_style="bold", padding=(0, 1))
    table.add_column("method", no_wrap=True)
    for name in ("edits", "failed", "seconds per edit", "peak memory"):
        table.add_column(name, justify="right", no_wrap=True)
    for line, cost in rows:
        seconds, peak = cost.get("seconds_per_edit"), cost.get("peak_bytes")
        table.add_row(
            Text(line.label),
            str(cost["edits"]),
            str(cost["failed"]),
            "·" if seconds is None else f"{seconds:.3g}",
            "·" if peak is None else f"{peak / 2**20:,.0f} MiB",
        )
    return table


def _header(grid: Grid, column: Column) -> Text:
    share = all(words.is_share(m) for m in (grid.at(line, column) for line in grid.lines) if m)
    text = Text(words.aspect_title(column.aspect) + (" %" if share else ""))
    text.append(f"\n{words.protocol(column.protocol)}", style="not bold cyan")
    what = words.metric_title(column.metric) if column.kind() == "reading" else column.judge
    text.append(f"\n{what}", style="not bold dim")
    return text


def _cell(measure: Measure | None) -> Text:
    if measure is None:
        return Text("·", style="dim")
    share, value = words.is_share(measure), measure.value
    stars = words.mark(measure.versus)
    text = Text(words.number(value.mean, share=share), style="dim" if measure.flags else "")
    text.append(f" {stars}" if stars else "", style="bold")
    text.append(" ⚑" if measure.flags else "", style="yellow")
    text.append(f"\n{words.interval(value, share=share)} n{value.n}", style="dim")
    for part in (*words.states(value), *measure.flags):
        text.append(f"\n{part}", style="yellow")
    return text


def _chunks(grid: Grid, columns: Sequence[Column], width: int) -> list[list[Column]]:
    """Split ``columns`` so that each table fits ``width``; an aspect's columns stay together if they can."""
    first = max((len(line.label) for line in grid.lines), default=6) + 4
    chunks: list[list[Column]] = []
    room = 0
    groups = [list(group) for _, group in groupby(columns, key=lambda c: c.aspect)]
    wide = {id(g) for g in groups if sum(_width(grid, c) for c in g) > width - first}
    for together in (part for g in groups for part in ([[c] for c in g] if id(g) in wide else [g])):
        need = sum(_width(grid, column) for column in together)
        if not chunks or need > room:
            chunks.append([])
            room = width - first
        chunks[-1] += together
        room -= need
    return chunks


def _width(grid: Grid, column: Column) -> int:
    texts = [_header(grid, column), *(_cell(grid.at(line, column)) for line in grid.lines)]
    return max(len(part) for text in texts for part in text.plain.split("\n")) + 3
