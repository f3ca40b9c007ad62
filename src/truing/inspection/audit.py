"""What an edit by anyone, with any tool, changed: weights, claims, and tested differences in what is asked.

Three things are findings: a tested difference that is *found* (:mod:`truing.inspection.differences`), a
claim that does not hold, and a change of the model that no claim speaks of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Literal

from truing.inspection import findings, groups, questions, weights
from truing.inspection.activations import Reading, Reads
from truing.inspection.answers import Answered
from truing.inspection.differences import (
    ALPHA,
    Difference,
    Example,
    Numbers,
    corrected,
    difference,
    of_answers,
)
from truing.inspection.findings import Findings, Observed, Task
from truing.inspection.gates import Gate, Requirement, gate
from truing.inspection.groups import Favour, Groups
from truing.inspection.questions import Compared, Questions
from truing.interventions.intervention import Intervention
from truing.methods.neutral import NEUTRAL
from truing.models.handle import Model
from truing.scoring.health import is_empty, looping
from truing.seeds import Seeds
from truing.types import Probe, Response

Kind = Literal["difference", "claim", "unclaimed change"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is looked at. ``capability`` and ``sets`` are tested; ``claims`` and ``gates`` (by the name of
    their requirement) are not. ``groups``: ``None`` where none are known. ``untested``: what is not
    looked at, and why."""

    capability: Questions
    sets: tuple[Questions, ...] = ()
    claims: tuple[Probe, ...] = ()
    groups: Groups | None = None
    texts: tuple[str, ...] = NEUTRAL
    requirements: tuple[Requirement, ...] = ()
    gates: Mapping[str, Questions] = field(default_factory=dict)
    untested: tuple[str, ...] = ()
    seed: int = 0

    @property
    def task(self) -> Task:
        """The part that an inspection looks at."""
        asked = self.capability
        return Task(asked.probes, asked.protocol, self.texts, self.claims, seed=self.seed)


@dataclass(frozen=True)
class Seen:
    """What one model showed of a plan: ``sets`` in its order, ``gates`` by name."""

    observed: Observed
    sets: Sequence[Mapping[str, Response]]
    gates: Mapping[str, Mapping[str, Response]]
    favour: Favour


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that the audit found, in a sentence."""

    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class Audit:
    """Everything as data. ``differences`` are all tests, found or not; ``untested`` says what no test
    could show."""

    inspected: Findings
    differences: tuple[Difference, ...]
    findings: tuple[Finding, ...]
    gates: tuple[Gate, ...]
    untested: tuple[str, ...]
    alpha: float = ALPHA

    @property
    def tests(self) -> int:
        """How many differences were tested, those with too few pairs left out."""
        return sum(each.compared.p_adjusted is not None for each in self.differences)

    @property
    def passed(self) -> bool:
        """Whether all gates are met."""
        return all(each.met for each in self.gates)


def audit(model: Model, edited: str, iv: Intervention, plan: Plan) -> Audit:
    """``model`` with and without ``iv``, which is called ``edited``, one after the other."""
    before = see(model, plan)
    with model.using(iv):
        after = see(model, plan)
    return conclude(model.name, edited, weights.compare(model.arch, iv), before, after, plan)


def see(model: Model, plan: Plan) -> Seen:
    """What ``model`` shows of ``plan``, with what is in force."""
    gates = {n: q for n, q in plan.gates.items() if q != plan.capability}
    answered = questions.asked(model, [*plan.sets, *gates.values()])
    return Seen(
        findings.observe(model, plan.task),
        answered[: len(plan.sets)],
        dict(zip(gates, answered[len(plan.sets) :], strict=True)),
        {} if plan.groups is None else groups.favour(model, plan.groups),
    )


def conclude(
    base: str, edited: str, found: weights.Weights, before: Seen, after: Seen, plan: Plan
) -> Audit:
    """What both models showed, as one audit. Needs no model."""
    seeds = Seeds(plan.seed, ("audit",))
    seen = findings.together(base, edited, found, before.observed, after.observed, plan.task)
    capability = questions.compared(
        plan.capability, before.observed.answers, after.observed.answers
    )
    sets = [
        questions.compared(*each)
        for each in zip(plan.sets, before.sets, after.sets, strict=True)
    ]  # fmt: skip
    tests = [of_answers(told, seeds) for told in (*sets, capability)]
    tests += _fluency(before.observed.reads, after.observed.reads, plan.texts, capability, seeds)
    if plan.groups is not None:
        tests += groups.differences(plan.groups, before.favour, after.favour, seeds)
    differences = corrected(tests)
    gates = tuple(
        gate(each, _gated(each, capability, before, after, plan), seeds)
        for each in plan.requirements
    )
    untested = (*plan.untested, *_powerless(differences))
    return Audit(seen, differences, _findings(seen, differences), gates, untested)


def _gated(
    asked: Requirement, capability: Compared, before: Seen, after: Seen, plan: Plan
) -> Compared:
    if asked.name not in before.gates:
        return capability
    name = asked.name
    return questions.compared(plan.gates[name], before.gates[name], after.gates[name])


def _fluency(
    before: Reads, now: Reads, texts: Sequence[str], told: Compared, seeds: Seeds
) -> list[Difference]:
    """How likely neutral text is, and how many free answers are neither empty nor looping."""
    likely = [
        {
            text: _likelihood(reading, len(read.ids))
            for text, read, reading in zip(texts, before.texts, side.texts, strict=True)
        }
        for side in (before, now)
    ]
    base = {a.id: float(_healthy(a.base)) for a in told.each}
    edited = {a.id: float(_healthy(a.edited)) for a in told.each}
    broken = [
        Example(a.question, a.base, a.edited) for a in told.each if base[a.id] != edited[a.id]
    ]
    text = Numbers("nats", likely[0], likely[1], {})
    answers = Numbers("share", base, edited, {})
    return [
        difference("fluency", "likelihood of neutral text per token", text, (), seeds),
        difference("fluency", "answers neither empty nor looping", answers, broken, seeds),
    ]


def _likelihood(reading: Reading, last: int) -> float | None:
    """Mean log-probability in nats of all but the first of the ``last`` tokens."""
    ids, expected_T_V = reading.ids[-last:], reading.expected[-last:]
    if len(ids) < 2:
        return None
    told = [float(row_V[id]) for row_V, id in zip(expected_T_V[:-1], ids[1:], strict=True)]
    return fmean(told)


def _healthy(text: str) -> bool:
    return not is_empty(text) and not looping(text)


def _powerless(differences: Sequence[Difference]) -> tuple[str, ...]:
    return tuple(
        f"{d.part}, {d.name}: {d.compared.n_pairs} pairs are too few for a finding, whatever they show"
        for d in differences
        if d.compared.p_adjusted is None
    )


def _findings(seen: Findings, differences: Sequence[Difference]) -> tuple[Finding, ...]:
    weights, claims = seen.weights, seen.claims
    found: list[Finding] = []
    if claims is None and (weights.elsewhere or weights.pattern not in ("nothing", "rounding")):
        parts = [f"{n} {kind}" for kind, n in weights.elsewhere.items()]
        beside = f"; not in the weights: {', '.join(parts)}" if parts else ""
        found.append(Finding("unclaimed change", f"{weights}{beside}"))
    for each in () if claims is None else claims.each:
        if each.now is not True:
            found.append(Finding("claim", _unheld(each)))
    found += [Finding("difference", str(each)) for each in differences if each.found]
    return tuple(found)


def _unheld(claim: Answered) -> str:
    wanted = " or ".join(claim.accepted)
    return (
        f"'{claim.question}' is claimed to be answered {wanted}, and is answered '{claim.edited}'"
    )
