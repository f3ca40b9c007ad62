"""Moral measures of a run, arm by arm, as its summary tells them.

Two standards (Huang et al. 2025, arXiv 2506.20606): efficacy compares an answer with the edit's target,
moral accuracy with what is right. They stay two numbers everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from truing.report.arms import is_control
from truing.report.grid import Cells, Grid
from truing.types import Comparison, Moment, Value

MORAL, IMPACT = "moral", "impact"
SCENARIOS: Mapping[str, str] = {MORAL: "the edited scenario", IMPACT: "other scenarios"}
STRICT = "-strict"
"""How the name of a judge ends that counts answers it cannot read as wrong."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What was said to moral questions. ``accuracy`` is as published, among answers that say a label;
    ``strict`` is out of all answers. ``collapsed``: nearly all answers are ``commonest``. ``change`` is
    the paired change of strict accuracy from the base model's."""

    accuracy: Value
    strict: Value
    abstention: Value
    invalid: Value
    recall: Mapping[str, Value]
    flips: Value
    commonest: str | None
    collapsed: bool
    change: Comparison | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """What became of the edits: ``efficacy`` is the share whose answer is the target, ``needed`` that of
    edits whose target the base model does not say, ``failed`` those that could not be made."""

    efficacy: Value
    needed: Value
    failed: Value


@dataclass(frozen=True, slots=True)
class MoralArm:
    """One arm under one protocol. ``answers`` are by aspect (``moral``, ``impact``)."""

    label: str
    cell: str
    model: str
    baseline: bool
    control: bool
    edits: Made | None
    answers: Mapping[str, Answers]


_ANSWERS, _MADE = TypeAdapter(Answers), TypeAdapter(Made)


def moral_arms(
    grid: Grid, moment: Moment, cells: Cells, metas: Sequence[Mapping[str, Any]]
) -> dict[str, list[MoralArm]]:
    """By protocol, the grid's lines that were asked moral questions at ``moment``, the baseline first."""
    records: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for meta in metas:
        for record in meta.get("morals", ()):
            if record["moment"] == moment:
                records.setdefault((record["cell"], record["protocol"]), []).append(record)
    of = {line: m.cell for (line, _), m in grid.places.items()}
    found: dict[str, list[MoralArm]] = {}
    for protocol in grid.protocols:
        for line in grid.lines:
            told = records.get((of[line], protocol), ())
            if not told:
                continue
            changes = dict(_changes(grid, of[line], protocol, moment))
            edits = next((r["edits"] for r in told if "edits" in r), None)
            arm = MoralArm(
                line.label,
                of[line],
                grid.model,
                line.method == "none",
                is_control(cells.get(of[line], {})),
                None if edits is None else _MADE.validate_python(edits),
                {
                    aspect: _ANSWERS.validate_python({**r["moral"], "change": changes.get(aspect)})
                    for aspect in SCENARIOS
                    for r in told
                    if r["aspect"] == aspect
                },
            )
            found.setdefault(protocol, []).append(arm)
    return found


def _changes(
    grid: Grid, cell: str, protocol: str, moment: Moment
) -> Iterator[tuple[str, Comparison]]:
    """Aspect and paired change of strict accuracy; of a judge without strict companion, its own."""
    mine = [
        m
        for m in grid.places.values()
        if (m.cell, m.protocol, m.moment) == (cell, protocol, moment)
        and m.aspect in SCENARIOS
        and m.metric == "accuracy"
        and m.versus is not None
    ]
    for m in sorted(mine, key=lambda m: m.judge.endswith(STRICT)):
        if m.versus is not None:
            yield m.aspect, m.versus
