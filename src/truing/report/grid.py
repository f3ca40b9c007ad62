"""Measures laid out as lines (what was done) and columns (what was asked and how).

Two measures never share a place: protocols, scorers and moments have their own columns, and a
second measure for a place that is taken is refused instead of averaged.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from truing.errors import BadInput
from truing.report import words
from truing.types import Measure, Moment

Kind = Literal["score", "part", "reading", "compatibility"]
KINDS: tuple[Kind, ...] = ("score", "part", "reading", "compatibility")
MOMENTS: tuple[Moment, ...] = ("immediate", "final", "base")


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a table. ``variant`` tells apart cells of one method (settings, seed)."""

    method: str
    variant: str = ""

    @property
    def label(self) -> str:
        return f"{self.method} ({self.variant})" if self.variant else self.method


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: everything that must agree before numbers may stand under each other."""

    aspect: str
    protocol: str
    moment: Moment
    metric: str
    judge: str
    compatibility: bool = False

    def kind(self, whole: Collection[str] = ()) -> Kind:
        """Judged scores, readings (lengths, rates, entropies), and columns kept to compare with papers.

        ``whole`` names aspects that stand for all their parts: the score of ``locality/near`` is a
        ``part`` when ``locality`` is one of them.
        """
        if self.compatibility:
            return "compatibility"
        if not words.is_score(self.metric):
            return "reading"
        head, _, part = self.aspect.partition("/")
        return "part" if part and head in whole else "score"


@dataclass(frozen=True, slots=True)
class Grid:
    """The results of one model on one benchmark in one regime."""

    model: str
    benchmark: str
    regime: str
    lines: tuple[Line, ...]
    columns: tuple[Column, ...]
    places: Mapping[tuple[Line, Column], Measure]

    def at(self, line: Line, column: Column) -> Measure | None:
        """The measure at this place, if it was taken."""
        return self.places.get((line, column))

    @property
    def title(self) -> str:
        return f"{self.model} · {self.benchmark} · {self.regime}"

    @property
    def protocols(self) -> list[str]:
        """Protocol ids, teacher-forced ones first."""
        return ordered_protocols(c.protocol for c in self.columns)

    @property
    def moments(self) -> list[Moment]:
        """The moments that have columns; what was measured before any edit stands last."""
        held = {c.moment for c in self.columns}
        return [m for m in MOMENTS if m in held]

    def select(self, kind: Kind, moment: Moment) -> tuple[Column, ...]:
        """The columns of one kind at one moment."""
        whole = self.whole
        return tuple(c for c in self.columns if c.moment == moment and c.kind(whole) == kind)

    @property
    def whole(self) -> frozenset[str]:
        """Aspects that were measured over all their parts."""
        return whole_aspects(self.columns)

    @property
    def edited_moments(self) -> list[Moment]:
        """The moments at which edits were in force."""
        return [m for m in self.moments if m != "base"]


Cells = Mapping[str, Mapping[str, Any]]


def grids(measures: Iterable[Measure], cells: Cells | None = None) -> tuple[Grid, ...]:
    """One grid per (model, benchmark, regime), in order of appearance.

    ``cells`` maps a cell id to its description in the manifest; it names what differs between two
    cells of one method. Intermediate moments (``step``) are curves, not columns, and are left out.
    Raises ``BadInput`` where two measures would stand in one place.
    """
    groups: dict[tuple[str, str, str], list[Measure]] = {}
    for m in measures:
        if m.moment != "step":
            groups.setdefault((m.model, m.benchmark, m.regime), []).append(m)
    return tuple(_grid(key, group, cells or {}) for key, group in groups.items())


def ordered_protocols(found: Iterable[str]) -> list[str]:
    """Teacher-forced ones first, free ones last, otherwise as they appear."""
    families = ("synthetic", "likelihood", "wild")
    return sorted(dict.fromkeys(found), key=lambda p: families.index(words.family(p)))


def setting_title(grid: Grid, among: Sequence[Grid]) -> str:
    """``Single edits``; with the model and the benchmark where ``among`` has several of them."""
    parts = [words.regime(grid.regime)]
    parts += [
        str(getattr(grid, name))
        for name in ("benchmark", "model")
        if len({getattr(g, name) for g in among}) > 1
    ]
    return " · ".join(parts)


def variants(measures: Sequence[Measure], cells: Cells) -> dict[str, Line]:
    """Cell id to line. A method with one setting is its name; otherwise what differs is named."""
    by_method: dict[str, dict[str, dict[str, str]]] = {}
    for m in measures:
        facts = _facts(cells.get(m.cell), m.cell)
        by_method.setdefault(m.method, {})[m.cell] = facts
    lines: dict[str, Line] = {}
    for method, of_cell in by_method.items():
        names = sorted({name for facts in of_cell.values() for name in facts})
        differing = [n for n in names if len({facts.get(n) for facts in of_cell.values()}) > 1]
        for cell, facts in of_cell.items():
            told = ", ".join(f"{n} {facts[n]}" for n in differing if n in facts)
            lines[cell] = Line(method, told)
    return lines


def column_of(m: Measure) -> Column:
    """The column in which a measure stands."""
    return Column(m.aspect, m.protocol, m.moment, m.metric, m.judge, m.compatibility)


def whole_aspects(columns: Iterable[Column]) -> frozenset[str]:
    """Scored aspects without a slash: they cover their parts."""
    return frozenset(c.aspect for c in columns if c.kind() == "score" and "/" not in c.aspect)


def _facts(cell: Mapping[str, Any] | None, ident: str) -> dict[str, str]:
    """What may differ between two cells of a method within one grid, protocol aside."""
    if cell is None:
        return {}
    facts = {str(k): str(v) for k, v in dict(cell.get("config") or {}).items()}
    if cell.get("seed") is not None:
        facts["seed"] = str(cell["seed"])
    return facts


def _grid(key: tuple[str, str, str], measures: Sequence[Measure], cells: Cells) -> Grid:
    line_of = variants(measures, cells)
    places: dict[tuple[Line, Column], Measure] = {}
    for m in measures:
        column = column_of(m)
        place = (line_of[m.cell], column)
        if place in places:
            other = places[place]
            raise BadInput(
                f"two results for {place[0].label}, {m.aspect}, {m.metric}, {m.protocol}, {m.judge}, {m.moment} "
                f"(cells {other.cell} and {m.cell}) cannot share one place of a table",
                "Report them in separate pages, or give the runs different settings to tell them apart.",
            )
        places[place] = m
    lines = tuple(dict.fromkeys(line for line, _ in places))
    protocols = ordered_protocols(c.protocol for _, c in places)
    judges = list(dict.fromkeys(c.judge for _, c in places))
    columns = sorted(
        {c for _, c in places},
        key=lambda c: (
            KINDS.index(c.kind()),
            words.aspect_order(c.aspect),
            MOMENTS.index(c.moment),
            protocols.index(c.protocol),
            judges.index(c.judge),
            c.metric,
        ),
    )
    baseline_first = sorted(lines, key=lambda line: line.method != "none")
    return Grid(*key, tuple(baseline_first), tuple(columns), places)
