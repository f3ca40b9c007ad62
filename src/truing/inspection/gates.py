"""What an edit must reach to be let through: ``success=.9,locality=.98,capability_drop=.01``.

A gate is met when the *mean* meets its bound; the interval is told beside it and decides nothing, so that
a handful of probes can pass what a larger set would not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from truing.errors import BadInput, UnknownName
from truing.inspection.answers import Answered, claims_of, said
from truing.inspection.differences import EXAMPLES, Example, of_answers
from truing.inspection.questions import Compared, Questions, of_aspect
from truing.scoring.observations import Observation
from truing.scoring.stats import value_of
from truing.seeds import Seeds
from truing.types import Case, Value

REQUIRABLE: Mapping[str, str] = {
    "success": "share of edits that are answered as requested, at least",
    "generalization": "share of rephrased edits that are answered as requested, at least",
    "locality": "share of locality questions that are answered as the base model does, at least",
    "capability_drop": "share of right answers to the capability questions that is lost, at most",
}


@dataclass(frozen=True, slots=True)
class Requirement:
    """``name`` is one of :data:`REQUIRABLE`, ``bound`` a share in [0, 1]."""

    name: str
    bound: float


@dataclass(frozen=True, slots=True)
class Gate:
    """A requirement and what was measured. ``failing``: answers that speak against it."""

    requirement: Requirement
    value: Value
    met: bool
    failing: tuple[Example, ...]

    @property
    def told(self) -> tuple[str, str, str, str]:
        """Its name, what was measured, what is required, and whether it is met."""
        sign = "at most" if self.requirement.name == "capability_drop" else "at least"
        bound = f"{sign} {100 * self.requirement.bound:g} %"
        return self.requirement.name, said(self.value), bound, "met" if self.met else "NOT met"

    def __str__(self) -> str:
        name, measured, bound, verdict = self.told
        return f"{name} {measured}, required {bound}: {verdict}"


def parse(text: str) -> tuple[Requirement, ...]:
    """``"success=.9,locality=.98"``. Raises ``BadInput`` (``UnknownName`` for a name)."""
    found: dict[str, Requirement] = {}
    for part in text.split(","):
        name, equals, given = (piece.strip() for piece in part.partition("="))
        if not equals:
            raise BadInput(
                f"--require {part.strip()!r} is not name=share", "For example success=.9."
            )
        if name not in REQUIRABLE:
            raise UnknownName("requirement", name, REQUIRABLE)
        if name in found:
            raise BadInput(f"--require has {name} twice", "Keep one of them.")
        try:
            bound = float(given)
        except ValueError:
            bound = math.nan
        if not 0 <= bound <= 1:
            raise BadInput(f"--require {name}={given}: no share", "Give a number from 0 to 1.")
        found[name] = Requirement(name, bound)
    return tuple(found.values())


def questions(
    requirements: Sequence[Requirement], cases: Sequence[Case], capability: Questions
) -> dict[str, Questions]:
    """What must be asked for each requirement. Raises ``BadInput`` where ``cases`` have no such question."""
    found = {}
    for name in (requirement.name for requirement in requirements):
        if name == "capability_drop":
            found[name] = capability
            continue
        if not cases:
            raise BadInput(
                f"{name} is required, and no edit is claimed", "Give a file of facts with --claims."
            )
        probes = claims_of(cases) if name == "success" else of_aspect(cases, name)
        if not probes:
            field = "rephrases" if name == "generalization" else name
            raise BadInput(
                f"{name} is required, and no record has such a question", f"Add {field} to them."
            )
        found[name] = Questions("gate", name, probes)
    return found


def gate(requirement: Requirement, told: Compared, seeds: Seeds) -> Gate:
    """Whether what both models answered meets ``requirement``. Nothing measured is not met."""
    if requirement.name == "capability_drop":
        value = _drop(told, seeds)
        met = value.mean is not None and value.mean <= requirement.bound + 1e-9
        failing = [a for a in told.each if a.before and a.now is False]
    else:
        kept = {a.id: not a.changed if requirement.name == "locality" else a.now for a in told.each}
        value = _share(kept, told.units, seeds.child(requirement.name))
        met = value.mean is not None and value.mean >= requirement.bound - 1e-9
        failing = [a for a in told.each if not kept[a.id]]
    return Gate(requirement, value, met, tuple(_example(a) for a in failing[:EXAMPLES]))


def _drop(told: Compared, seeds: Seeds) -> Value:
    c = of_answers(told, seeds).compared
    low, high = (None if bound is None else -bound for bound in (c.high, c.low))
    mean = None if c.delta is None else 0.0 - c.delta
    said_as = "" if low is None else "95% paired, base minus edited"
    return Value(c.n_pairs, mean, low, high, said_as, c.n_pairs)


def _share(scores: Mapping[str, bool | None], units: Mapping[str, str], seeds: Seeds) -> Value:
    return value_of(
        [
            Observation((id, ""), units[id], None if x is None else float(x),
                        "invalid" if x is None else "correct" if x else "wrong")
            for id, x in scores.items()
        ],
        seeds=seeds,
    )  # fmt: skip


def _example(answered: Answered) -> Example:
    return Example(answered.question, answered.base, answered.edited)
