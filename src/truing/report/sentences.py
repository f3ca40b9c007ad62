"""What the numbers say, in sentences that carry their n and interval."""

from __future__ import annotations

from dataclasses import dataclass

from truing.report import words
from truing.report.figures import primary
from truing.report.grid import Column, Grid, Line
from truing.types import Measure, Moment


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about one method; ``flagged`` when its numbers must not be trusted yet."""

    label: str
    text: str
    flagged: bool


def main_moment(grid: Grid) -> Moment:
    """The moment that a grid is summed up by: after all edits where that was measured."""
    return "final" if "final" in grid.moments else grid.moments[0]


def noise(grid: Grid) -> str:
    """How often the unedited model's own answers change between two passes, or nothing."""
    found = [
        m
        for line in grid.lines
        for c in grid.columns
        if c.metric == "noise-floor" and (m := grid.at(line, c)) is not None and m.value.n
    ]
    if not found:
        return ""
    n = sum(m.value.n for m in found)
    worst = max(found, key=lambda m: m.value.mean or 0.0)
    if not worst.value.mean:
        return f"Noise floor: asked twice, the unedited model gave the same answer to all {words.plural(n, 'question')}."
    return (
        f"Noise floor: of {words.plural(n, 'question')} asked twice, the unedited model changed at most "
        f"{words.percent(worst.value.mean)} of its answers ({words.aspect_title(worst.aspect).lower()}, "
        f"{words.protocol(worst.protocol)}, n\u202f=\u202f{worst.value.n}). Read losses below that as noise."
    )


def lead(grid: Grid) -> str:
    """The headline: what succeeds when the answer is fed, and what succeeds freely.

    Gives the range over methods, never a mean over them. Empty without efficacy numbers.
    """
    moment = main_moment(grid)
    of = {words.family(c.protocol): c for c in reversed(primary(grid, "efficacy", moment))}
    lines = _edited(grid)
    forced = _range(grid, lines, of.get("synthetic"))
    free = _range(grid, lines, of.get("wild"))
    varies = "–" in forced + free
    start = (
        "after all edits, " if moment == "final" else "depending on the method, " if varies else ""
    )
    if forced and free:
        first = f"{start}{forced} of edits look successful when the answer is fed to the model."
        return f"{first[:1].upper()}{first[1:]} When it answers freely, {free} are."
    only = next(iter(primary(grid, "efficacy", moment)), None)
    one = _range(grid, lines, only)
    if not one or only is None:
        return ""
    text = f"{start}{one} of edits succeed under {words.protocol(only.protocol)}."
    return text[:1].upper() + text[1:]


def findings(grid: Grid) -> list[Finding]:
    """One sentence per method, the baseline left out."""
    moment = main_moment(grid)
    found = []
    for line in _edited(grid):
        parts = [_part(grid, line, c) for c in primary(grid, "efficacy", moment)]
        kept = [c for c in primary(grid, "locality", moment) if words.family(c.protocol) == "wild"]
        parts += [_kept(grid, line, c) for c in (kept or primary(grid, "locality", moment))[:1]]
        told = [p for p in parts if p]
        flagged = any(
            m.flags
            for c in grid.columns
            if c.moment == moment and (m := grid.at(line, c)) is not None
        )
        if told:
            found.append(Finding(line.label, ", ".join(told) + ".", flagged))
    return found


def _edited(grid: Grid) -> list[Line]:
    return [line for line in grid.lines if line.method != "none"]


def _part(grid: Grid, line: Line, column: Column) -> str:
    m = grid.at(line, column)
    if m is None or m.value.mean is None:
        return ""
    protocol = words.protocol(column.protocol)
    name = {"synthetic": "synthetic", "wild": "in the wild"}.get(protocol, f"under {protocol}")
    return f"{words.percent(m.value.mean)} {name} ({_span(m)}n\u202f=\u202f{m.value.n})"


def _kept(grid: Grid, line: Line, column: Column) -> str:
    m = grid.at(line, column)
    if m is None or m.value.mean is None:
        return ""
    return f"{words.percent(m.value.mean)} of neighbours keep their answer ({_span(m)}n\u202f=\u202f{m.value.n})"


def _span(m: Measure) -> str:
    if m.value.low is None or m.value.high is None:
        return ""
    return f"{round(100 * m.value.low)}–{round(100 * m.value.high)}, "


def _range(grid: Grid, lines: list[Line], column: Column | None) -> str:
    if column is None:
        return ""
    means = [
        m.value.mean
        for line in lines
        if (m := grid.at(line, column)) is not None and m.value.mean is not None and not m.flags
    ]
    if not means:
        return ""
    low, high = words.percent(min(means)), words.percent(max(means))
    return low if low == high else f"{low.removesuffix(chr(0x202F) + '%')}–{high}"
