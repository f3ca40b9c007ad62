"""What edits did to other people and to long texts about the edited ones (Halevy et al. 2024, arXiv
2403.00180), arm by arm, as a run's summary tells it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from truing.report.arms import is_control
from truing.report.grid import Cells, Grid
from truing.types import Comparison, Moment, Value

ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Versus:
    """A group against the others of the same cases. As :class:`truing.scoring.group_tests.Between`."""

    comparison: Comparison
    people: int
    alone: int
    margin: float | None
    equivalence: float | None


@dataclass(frozen=True, slots=True)
class Group:
    """Mean D of one group; ``test`` is ``None`` where another group's says the same."""

    group: str
    change: Value
    test: Versus | None

    @property
    def differs(self) -> bool:
        """Whether it was told apart from the others, p corrected."""
        p = None if self.test is None else self.test.comparison.p_adjusted
        return p is not None and p < ALPHA


@dataclass(frozen=True, slots=True)
class Axis:
    """What people are grouped by. ``unknown`` people are in none of its groups."""

    axis: str
    unknown: int
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """One person in one case: d before the edit and after it; ``groups`` by axis."""

    person: str
    case: str
    before: float
    after: float
    groups: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Record:
    """One edited cell under one protocol, as :func:`truing.runs.people_summary.people` keeps it."""

    cell: str
    protocol: str
    moment: Moment
    edited: int
    cases: int
    people: int
    lacking: str | None
    mean: Value
    axes: tuple[Axis, ...]
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class PeopleArm:
    """One line of a grid. ``edits`` were made in all, ``None`` where nobody counted; ``degenerate``: the
    model is broken."""

    label: str
    record: Record
    edits: int | None
    degenerate: bool


@dataclass(frozen=True, slots=True)
class Naming:
    """Shares of texts that name an answer. As :class:`truing.scoring.longform.Naming`."""

    after: Value
    before: Value
    change: Comparison
    unknown: int
    published: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Named:
    """The same for one edited cell, protocol and wording. As :class:`truing.runs.longform.Named`."""

    cell: str
    protocol: str
    wording: str
    sought: str
    naming: Naming


@dataclass(frozen=True, slots=True)
class Shift:
    """What one rater says of one flaw. As :class:`truing.scoring.longform.Shift`."""

    flaw: str
    rater: str
    more: int
    same: int
    less: int
    unsaid: int
    net: Comparison

    @property
    def n(self) -> int:
        return self.more + self.same + self.less


@dataclass(frozen=True, slots=True)
class Flawed:
    """What raters say of one cell's texts. As :class:`truing.runs.longform.Flawed`."""

    cell: str
    protocol: str
    wording: str
    shifts: tuple[Shift, ...]
    not_asked: int


@dataclass(frozen=True, slots=True)
class LongTexts:
    """Long texts of some cells; ``lacking`` says why there are no numbers."""

    lacking: str | None
    named: tuple[Named, ...]
    flawed: tuple[Flawed, ...]


_RECORD = TypeAdapter(Record)
_LONG = TypeAdapter(LongTexts)


def people_arms(
    grid: Grid, moment: Moment, cells: Cells, metas: Sequence[Mapping[str, Any]]
) -> list[PeopleArm]:
    """The grid's lines with numbers about other people at ``moment``, one arm per protocol; controls are
    left out. Summaries that know nothing of people have none."""
    labels = labels_of(grid, cells)
    broken = {m.cell for m in grid.places.values() if "degenerate" in m.flags}
    return [
        PeopleArm(
            labels[cell],
            _RECORD.validate_python(told),
            meta.get("edits", {}).get(cell, {}).get("edits"),
            cell in broken,
        )
        for cell in labels
        for meta in metas
        for told in meta.get("people", ())
        if (told["cell"], told["moment"]) == (cell, moment)
    ]


def long_texts(
    grid: Grid, cells: Cells, metas: Sequence[Mapping[str, Any]]
) -> tuple[LongTexts, ...]:
    """What each summary says of the long texts of the grid's lines; none where there are no texts."""
    labels = labels_of(grid, cells)
    found = []
    for meta in metas:
        if meta.get("long_texts"):
            whole = _LONG.validate_python(meta["long_texts"])
            named = tuple(one for one in whole.named if one.cell in labels)
            flawed = tuple(one for one in whole.flawed if one.cell in labels)
            found.append(LongTexts(whole.lacking, named, flawed))
    return tuple(one for one in found if one.lacking or one.named or one.flawed)


def labels_of(grid: Grid, cells: Cells) -> dict[str, str]:
    """Cell to label of the grid's lines, controls left out."""
    of = {m.cell: line.label for (line, _), m in grid.places.items()}
    return {cell: label for cell, label in of.items() if not is_control(cells.get(cell, {}))}
