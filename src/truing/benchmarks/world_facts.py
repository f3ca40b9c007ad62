"""Counterfactual edits of the embedded model's world.

Each fact of the world is given another object of its relation. What should follow is asked (held-out
phrasings, questions, yes/no, multiple choice, two hops, backwards), and what should not: the same
relation of other subjects, other facts about the same subject. Under pressure the answer is doubted too.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Literal

from pydantic import Field

from truing.benchmarks.benchmark import Benchmark
from truing.benchmarks.draft import Draft, Notebook, Query, Rules, check
from truing.benchmarks.pressure import PressureOptions, Wording, conversations
from truing.benchmarks.world import Fact, Hop, World
from truing.benchmarks.world.language import (
    SENTENCE_REQUEST,
    TRUTH_QUESTIONS,
    options,
    statement,
    verdict,
)
from truing.benchmarks.world.relations import RELATIONS
from truing.seeds import Seeds
from truing.types import Case, Probe

DOUBT = Wording("That is wrong.", "", "Are you sure? Is it true?")
"""In words that the embedded model knows."""


class WorldOptions(PressureOptions):
    """Which world, in which words the edit is requested, and how much is asked around it."""

    world: int = Field(0, description="Seed of the world; the embedded model knows world 0.")
    request: Literal["statement", "question"] = Field(
        "statement", description="The edit prompt: a statement to complete, or a question."
    )
    relation: str | None = Field(
        None, description=f"Only facts of this relation: {', '.join(r.id for r in RELATIONS)}."
    )
    neighbors: int = Field(
        4,
        ge=0,
        description="Facts of the same relation about other subjects, half with the same object.",
    )
    same_subject: int = Field(2, ge=0, description="Other facts about the same subject.")


@lru_cache(maxsize=2)
def cases(chosen: WorldOptions) -> tuple[Case, ...]:
    """One case for each fact, in an order that mixes subjects and relations. Remembered: a search or an
    audit loads the same ones many times.

    Raises ``UnknownName`` for a relation that the world does not have.
    """
    from truing.errors import UnknownName

    world = World.build(chosen.world)
    if chosen.relation is not None and chosen.relation not in world.by_relation:
        raise UnknownName("relation", chosen.relation, world.by_relation)
    facts = world.facts if chosen.relation is None else world.by_relation[chosen.relation]
    seeds = Seeds(chosen.world).child("edits")
    ordered = sorted(facts, key=lambda fact: seeds.child("order").child(fact.id).number)
    rules, notes = Rules(max_chars=chosen.max_chars), Notebook()
    found = []
    for fact in ordered:
        draft = _draft(world, fact, chosen, seeds.child(fact.id).random())
        case = check(draft, fact.id, rules, notes)
        found.append(replace(case, probes=(*case.probes, *_doubted(case, fact, chosen))))
    return tuple(found)


def _doubted(case: Case, fact: Fact, chosen: WorldOptions) -> Iterator[Probe]:
    """The conversations in which the answer to the edited question is doubted."""
    (request,) = case.requests
    ask, held = TRUTH_QUESTIONS[0][0], fact.relation.phrasings[fact.held_phrasings[0]]
    true, false = (
        ask.format(x=statement(held, fact.subject, value, inner=True))
        for value in (request.target_new, fact.object)
    )
    return conversations(
        case.probes[0], chosen, true=true, false=false, wrong=fact.object, wording=DOUBT
    )


def _draft(world: World, fact: Fact, chosen: WorldOptions, rng: random.Random) -> Draft:
    new = _new_object(world, fact, rng)
    phrasing, question = rng.choice(fact.phrasings()), rng.choice(fact.questions())
    asked = phrasing if chosen.request == "statement" else question
    other = question if chosen.request == "statement" else phrasing
    return Draft(
        prompt=asked,
        target_new=new,
        target_old=fact.object,
        subject=fact.subject,
        rephrases=(*fact.phrasings(held_out=True), *fact.questions(held_out=True), other),
        locality=(
            *_neighbors(world, fact, new, chosen.neighbors, rng),
            *_same_subject(world, fact, chosen.same_subject, rng),
        ),
        portability=tuple(_consequences(world, fact, new, rng)),
        open_prompts=(_open(world, fact, rng),),
        tags=(f"relation:{fact.relation.id}",),
    )


def _open(world: World, fact: Fact, rng: random.Random) -> str:
    """A request for a whole sentence about the subject, beside the edited fact where that is possible."""
    siblings = [f for f in world.by_subject[fact.subject] if f.id != fact.id] or [fact]
    return SENTENCE_REQUEST.format(q=rng.choice(rng.choice(siblings).questions()))


def _new_object(world: World, fact: Fact, rng: random.Random) -> str:
    """Another object of the relation; one that changes every two-hop answer, if there is one."""
    others = [o for o in world.others(fact) if o != fact.subject]
    hops = world.hops_from(fact)
    telling = [o for o in others if all(_moved(world, hop, o) != hop.object for hop in hops)]
    return rng.choice(telling or others)


def _moved(world: World, hop: Hop, new: str) -> str:
    """The answer of a two-hop question once its first fact has the object ``new``."""
    return world.fact(hop.chain.second, new).object


def _neighbors(
    world: World, fact: Fact, new: str, count: int, rng: random.Random
) -> Iterator[Query]:
    near = [f for f in world.neighbours(fact, same_object=True) if f.subject != new]
    far = [f for f in world.neighbours(fact, same_object=False) if new not in (f.object, f.subject)]
    first = rng.sample(near, min(len(near), count // 2))
    for other in (*first, *rng.sample(far, min(len(far), count - len(first)))):
        prompt = rng.choice(other.phrasings())
        yield Query(prompt, (other.object,), "neighborhood", (other.object, new))


def _same_subject(world: World, fact: Fact, count: int, rng: random.Random) -> Iterator[Query]:
    siblings = [f for f in world.by_subject[fact.subject] if f.id != fact.id]
    for other in rng.sample(siblings, min(len(siblings), count)):
        wrong = rng.choice(world.others(other))
        yield Query(
            rng.choice(other.phrasings()), (other.object,), "same-subject", (other.object, wrong)
        )


def _consequences(world: World, fact: Fact, new: str, rng: random.Random) -> Iterator[Query]:
    for hop in world.hops_from(fact):
        answer = _moved(world, hop, new)
        yield Query(rng.choice(hop.questions()), (answer,), "two-hop", (answer, hop.object))
    held = [fact.relation.phrasings[i] for i in fact.held_phrasings]
    for value, right in ((new, True), (fact.object, False)):
        template, yes, no = rng.choice(TRUTH_QUESTIONS)
        said = statement(rng.choice(held), fact.subject, value, inner=True)
        now = verdict(new, yes if right else no)
        before = verdict(fact.object, no if right else yes)
        yield Query(template.format(x=said), (now,), "yes-no", (now, before))
    shown = [new, fact.object]
    rest = [o for o in world.others(fact) if o not in (new, fact.subject)]
    shown += rng.sample(rest, min(len(rest), 2))
    rng.shuffle(shown)
    text = options(rng.choice(fact.questions()), shown)
    right_first = (new, *(o for o in sorted(shown) if o != new))
    yield Query(text, (new,), "multiple-choice", right_first)
    if fact.relation.reverse:
        holder = next(f.subject for f in world.by_relation[fact.relation.id] if f.object == new)
        backwards = rng.choice(fact.relation.reverse).format(o=new)
        yield Query(backwards, (fact.subject,), "reverse", (fact.subject, holder))


WORLD = Benchmark(
    name="world",
    summary="counterfactual edits of the embedded model's world",
    options=WorldOptions,
    cases=cases,
)
