"""``--require`` of ``truing edit``: questions to ask, and what came of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.table import Table

from truing.cli.output import rows_table
from truing.types import Case, EditRequest

if TYPE_CHECKING:
    from truing.inspection.gates import Gate, Requirement
    from truing.inspection.questions import Questions
    from truing.interventions.intervention import Intervention
    from truing.models.handle import Model

LIMIT = 200
"""Capability questions."""


@dataclass(frozen=True, slots=True)
class Required:
    """Requirements, each with its questions."""

    each: tuple[tuple[Requirement, Questions], ...] = ()


def planned(
    text: str | None, model: str, facts: Path | None, requests: Sequence[EditRequest]
) -> Required:
    """What ``--require`` asks for, checked before ``model`` is loaded. Raises ``BadInput`` where the file
    of facts has no such question; a request typed by hand has none beside itself."""
    if text is None:
        return Required()
    from truing.benchmarks.loading import load
    from truing.inspection.gates import parse, questions
    from truing.inspection.questions import capability_of

    requirements = parse(text)
    cases = load("custom", facts).cases if facts is not None else (Case("", tuple(requests), ()),)
    asked = questions(requirements, cases, capability_of(model, LIMIT))
    return Required(tuple((each, asked[each.name]) for each in requirements))


def check(model: Model, iv: Intervention, required: Required) -> tuple[Gate, ...]:
    """``iv`` against what is required of it; nothing is asked where nothing is."""
    if not required.each:
        return ()
    from truing.inspection.gates import gate
    from truing.inspection.questions import with_and_without
    from truing.seeds import Seeds

    told = with_and_without(model, iv, [asked for _, asked in required.each])
    pairs = zip(required.each, told, strict=True)
    return tuple(gate(each, answers, Seeds(0, ("gates",))) for (each, _), answers in pairs)


def gates_table(shown: RenderableType, gates: Sequence[Gate]) -> RenderableType:
    """``shown``, and under it the gates with the answers that speak against them."""
    if not gates:
        return shown
    whole = Table.grid(padding=(0, 0, 1, 0))
    whole.add_row(shown)
    whole.add_row(
        rows_table("required", ("gate", "measured", "required", ""), [g.told for g in gates])
    )
    against = [
        (g.requirement.name, e.question, e.base, e.edited)
        for g in gates
        if not g.met
        for e in g.failing
    ]
    if against:
        columns = ("gate", "asked", "base", "edited")
        whole.add_row(rows_table("answers against it", columns, against))
    return whole
