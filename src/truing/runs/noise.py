"""The noise floor: the base model asked a second time, in other batches and without the cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from truing.interventions.intervention import Intervention
from truing.runs.asking import Answer
from truing.runs.measuring import Measuring
from truing.runs.schedule import Sheet
from truing.seeds import Seeds
from truing.types import Case, Probe, Response, Row

TOGETHER = 3
"""Cases per batch; small, so that batches differ from those of the run itself."""


def sample(cases: Sequence[Case], probes: int, seeds: Seeds) -> list[Case]:
    """Cases cut down to ``probes`` probes in all: locality first, one per case, cases drawn by id."""
    drawn = sorted(cases, key=lambda case: seeds.child("noise").child(case.id).number)
    picked: dict[str, list[Probe]] = {}
    rounds = max((len(case.probes) for case in drawn), default=0)
    taken = 0
    for number in range(rounds):
        for case in drawn:
            ordered = sorted(case.probes, key=lambda probe: bool(probe.accepted))
            if number < len(ordered) and taken < probes:
                picked.setdefault(case.id, []).append(ordered[number])
                taken += 1
    return [replace(c, probes=tuple(picked[c.id])) for c in drawn if c.id in picked]


def noise_sheets(cases: Sequence[Case]) -> list[Sheet]:
    return [Sheet(case, "base", 0, "") for case in cases]


def noise_rows(measuring: Measuring, sheets: Sequence[Sheet]) -> list[Row]:
    """Rows whose ``response`` is a second answer of the base model to the question that ``base``
    answers."""
    first = measuring.rows(sheets, [Intervention()] * len(sheets))
    again: dict[str, Answer] = {}
    with measuring.model.uncached():
        for at in range(0, len(sheets), TOGETHER):
            again |= measuring.unedited(list(reversed(sheets[at : at + TOGETHER])))
    return [_again(row, again[row.key]) for row in first]


def _again(row: Row, second: Answer) -> Row:
    return replace(row, response=second if isinstance(second, Response) else None, seconds=None)
