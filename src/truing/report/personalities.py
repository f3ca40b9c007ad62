"""Personality edits of a run, arm by arm, as its summary tells them.

Two kinds of numbers that need not agree (Mao et al. 2024, arXiv 2310.02168): which traits answers show,
as a judge hears them, and how likely opinions are that somebody else wrote.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from truing.report.arms import is_control
from truing.report.grid import Cells, Grid
from truing.types import Measure, Moment, Value

EFFICACY, LEAKAGE = "efficacy", "leakage"
SUCCESS, DRAWDOWN, LOCALITY = "preference/es", "drawdown", "locality"
LIKELY = ("es", "z-per", "z-per-shift", "z-topic", "pairs-ranked", "drawdown")
"""Metrics that are read off the likelihood of given opinions."""
PAPER = "paper"
"""The gate of the published numbers: n-gram entropy of 3.5 bits in both answers."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a classifier heard in the answers of one arm: all pairs with the unedited model
    (``gate`` is ``None``), or the coherent ones. As :class:`truing.scoring.traits.Shown`."""

    gate: str | None
    n: int
    coherent: int
    accuracy: Value
    base_accuracy: Value
    strict: Value
    recall: Mapping[str, Value]
    confusion: Mapping[str, Mapping[str, int]]
    chance: float | None
    majority: float | None
    tpei: Value
    tpei_uncalibrated: Value
    bounded: Value


@dataclass(frozen=True, slots=True)
class Rated:
    """What a judge that rates said. As :class:`truing.scoring.traits.Rated`."""

    gate: str | None
    n: int
    coherent: int
    pae: Value
    excluded: int


@dataclass(frozen=True, slots=True)
class Correlation:
    """Spearman's rho of two metrics over ``n`` cases."""

    a: str
    b: str
    n: int
    rho: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """One judge on one aspect under one protocol; ``shown`` or ``rated`` by gate, one of them empty.
    ``unpaired`` answers have none of the unedited model beside them."""

    aspect: str
    protocol: str
    judge: str
    unpaired: int
    shown: Mapping[str | None, Shown]
    rated: Mapping[str | None, Rated]


@dataclass(frozen=True, slots=True)
class PersonaArm:
    """One arm. ``measures`` are the grid's at the same moment; ``heard`` is empty for the unedited
    model, which is what the others are paired with."""

    label: str
    cell: str
    baseline: bool
    control: bool
    measures: tuple[Measure, ...]
    heard: tuple[Heard, ...]
    correlations: tuple[Correlation, ...]

    def measure(self, aspect: str, metric: str, judge: str | None = None) -> Measure | None:
        """The first of its measures; under one protocol, if the run asked under one."""
        return next(
            (
                m
                for m in self.measures
                if (m.aspect, m.metric) == (aspect, metric) and judge in (None, m.judge)
                and not m.compatibility
            ),
            None,
        )  # fmt: skip

    def at(self, aspect: str, protocol: str, judge: str) -> Heard | None:
        wanted = (aspect, protocol, judge)
        return next((h for h in self.heard if (h.aspect, h.protocol, h.judge) == wanted), None)


_SHOWN = TypeAdapter(list[Shown])
_RATED = TypeAdapter(list[Rated])
_CORRELATIONS = TypeAdapter(tuple[Correlation, ...])


def persona_arms(
    grid: Grid, moment: Moment, cells: Cells, metas: Sequence[Mapping[str, Any]]
) -> list[PersonaArm]:
    """The grid's lines, the unedited one first; none where no opinion was measured at ``moment``."""
    measures: dict[str, list[Measure]] = {}
    for m in grid.places.values():
        if m.moment == moment:
            measures.setdefault(m.cell, []).append(m)
    records = [
        record
        for meta in metas
        for record in meta.get("personality", ())
        if record["moment"] == moment and record["cell"] in measures
    ]
    of = {line: m.cell for (line, _), m in grid.places.items()}
    arms = [
        PersonaArm(
            line.label,
            of[line],
            line.method == "none",
            is_control(cells.get(of[line], {})),
            tuple(measures.get(of[line], ())),
            tuple(_heard(records, of[line])),
            next((_correlations(r) for r in records if _is_of(r, of[line])), ()),
        )
        for line in grid.lines
    ]
    known = records or any(arm.measure(SUCCESS, "es") is not None for arm in arms)
    return sorted(arms, key=lambda arm: not arm.baseline) if known else []


def _is_of(record: Mapping[str, Any], cell: str) -> bool:
    return record["cell"] == cell and "correlations" in record


def _correlations(record: Mapping[str, Any]) -> tuple[Correlation, ...]:
    return _CORRELATIONS.validate_python(record["correlations"])


def _heard(records: Sequence[Mapping[str, Any]], cell: str) -> Iterator[Heard]:
    for record in records:
        if record["cell"] == cell and "judge" in record:
            shown = _SHOWN.validate_python(record.get("shown", ()))
            rated = _RATED.validate_python(record.get("rated", ()))
            yield Heard(
                record["aspect"],
                record["protocol"],
                record["judge"],
                record["unpaired"],
                {each.gate: each for each in shown},
                {each.gate: each for each in rated},
            )
