"""What a regime edits when, and what is measured at each point. Pure; no model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from truing.runs.keys import requests_in_force
from truing.runs.regime import Regime
from truing.types import Case, EditRequest, Moment


@dataclass(frozen=True, slots=True)
class Sheet:
    """One case to be measured at one moment. ``made_from`` identifies the requests in force,
    ``step`` counts them (edits that failed included)."""

    case: Case
    moment: Moment
    step: int
    made_from: str


@dataclass(frozen=True, slots=True)
class Stage:
    """The state of the model after edit ``number`` (from 1), which takes ``cases`` (by index)."""

    number: int
    cases: range
    step: int
    made_from: str


def stages(regime: Regime, cases: Sequence[Case]) -> list[Stage]:
    """The edits in order. In independent regimes each starts from the untouched model."""
    found: list[Stage] = []
    made_from, step = "", 0
    for number, chunk in enumerate(regime.chunks(len(cases)), 1):
        requests = requests_of(cases, chunk)
        if regime.independent:
            made_from, step = "", 0
        made_from, step = requests_in_force(made_from, requests), step + len(requests)
        found.append(Stage(number, chunk, step, made_from))
    return found


def requests_of(cases: Sequence[Case], chunk: Sequence[int]) -> list[EditRequest]:
    return [request for i in chunk for request in cases[i].requests]


def own_sheets(cases: Sequence[Case], stage: Stage) -> list[Sheet]:
    """The stage's own cases, right after their edit."""
    return [Sheet(cases[i], "immediate", stage.step, stage.made_from) for i in stage.cases]


def moments_at(regime: Regime, stage: Stage, last: bool) -> list[Moment]:
    """The moments at which a chain is measured at ``stage``: its own cases first, then all so far."""
    found: list[Moment] = ["immediate"] if "immediate" in regime.moments else []
    if last and "final" in regime.moments:
        found.append("final")
    elif regime.steps_after(stage.number, last):
        found.append("step")
    return found


def portions(
    regime: Regime,
    cases: Sequence[Case],
    stage: Stage,
    last: bool,
    at_once: int,
    beside: Sequence[Case] = (),
) -> list[list[Sheet]]:
    """What is measured at ``stage`` of a chain, in portions of at most ``at_once`` cases.

    ``beside`` are cases that no edit is about; they are asked at every later moment.
    """
    found: list[list[Sheet]] = []
    for moment in moments_at(regime, stage, last):
        own, others = (
            (stage.cases, ()) if moment == "immediate" else (range(stage.cases.stop), beside)
        )
        asked = [*(cases[i] for i in own), *others]
        sheets = [Sheet(case, moment, stage.step, stage.made_from) for case in asked]
        found += [sheets[at : at + at_once] for at in range(0, len(sheets), at_once)]
    return found


def count(regime: Regime, cases: Sequence[Case], rows_of: Sequence[int], beside: int = 0) -> int:
    """How many rows a cell has. ``rows_of`` is how many each case gives at one moment, ``beside`` how
    many the cases that no edit is about."""
    course = stages(regime, cases)
    if regime.independent:
        return sum(rows_of)
    so_far = [0, *accumulate(rows_of)]
    total = 0
    for stage in course:
        moments = moments_at(regime, stage, stage is course[-1])
        total += sum(
            so_far[stage.cases.stop]
            + (-so_far[stage.cases.start] if moment == "immediate" else beside)
            for moment in moments
        )
    return total
