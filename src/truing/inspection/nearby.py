"""Facts close to the claimed ones, which an edit should leave alone: same subject, same relation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from truing.benchmarks.world import Fact, World
from truing.inspection.questions import Questions, of_aspect
from truing.types import Case, Probe

NEARBY = "facts nearby"


def in_world(cases: Sequence[Case], limit: int) -> tuple[Questions, ...]:
    """Facts of the embedded model's world around those that ``cases`` claim to be edited; a claim in other
    words than the world's has none."""
    world = World.build(0)
    asked = {text: fact for fact in world.facts for text in _wordings(fact)}
    claimed = [
        asked[request.prompt]
        for case in cases
        for request in case.requests
        if request.prompt in asked
    ]
    edited = {fact.id for fact in claimed}
    same_subject = [f for fact in claimed for f in world.by_subject[fact.subject]]
    same_relation = [f for fact in claimed for f in world.by_relation[fact.relation.id]]
    known = {fact.id for fact in same_subject}
    return _without_empty(
        Questions(NEARBY, "same subject", _probes(same_subject, edited)[:limit]),
        Questions(NEARBY, "same relation", _probes(same_relation, edited | known)[:limit]),
    )


def of_claims(cases: Iterable[Case], limit: int) -> tuple[Questions, ...]:
    """The locality questions of ``cases`` whose answer is given."""
    probes = [
        replace(probe, accepted=(probe.reference,), group=probe.id)
        for probe in of_aspect(cases, "locality")
        if probe.reference is not None
    ]
    return _without_empty(Questions(NEARBY, "locality of the claims", tuple(probes[:limit])))


def of_facts(cases: Iterable[Case], limit: int) -> tuple[Questions, ...]:
    """Facts of a file, each with its true answer in place of the target."""
    probes = [
        Probe(f"near/{case.id}", "locality", request.prompt, (request.target_new,))
        for case in cases
        for request in case.requests
    ]
    return _without_empty(Questions(NEARBY, "given facts", tuple(probes[:limit])))


def _wordings(fact: Fact) -> Iterable[str]:
    for held_out in (False, True):
        yield from fact.phrasings(held_out)
        yield from fact.questions(held_out)


def _probes(facts: Iterable[Fact], without: Iterable[str]) -> tuple[Probe, ...]:
    left_out = frozenset(without)
    each = {fact.id: fact for fact in facts if fact.id not in left_out}
    return tuple(
        Probe(f"near/{fact.id}", "locality", fact.questions()[0], (fact.object,))
        for fact in each.values()
    )


def _without_empty(*sets: Questions) -> tuple[Questions, ...]:
    return tuple(each for each in sets if each.probes)
