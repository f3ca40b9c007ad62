"""``micro``: what the embedded model can do, asked in a few hundred questions about its world.

Facts, yes and no, options, reverse questions, facts told in the prompt, deeds to be judged, and short
stories to be read. Each is a skill that an edit of one fact should leave alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import partial

from truing.benchmarks.capability.drawn import drawn
from truing.benchmarks.capability.sets import CapabilitySet, Item
from truing.benchmarks.world import conduct, voices
from truing.benchmarks.world.context import draw_told, tell
from truing.benchmarks.world.language import TRUTH_QUESTIONS, options, statement, verdict
from truing.benchmarks.world.world import World

EACH = 60
"""Items per skill."""
WorldSkill = Callable[[World, random.Random], Iterator[Item]]


def _facts(world: World, rng: random.Random) -> Iterator[Item]:
    for fact in rng.sample(world.facts, len(world.facts)):
        choices = (fact.object, rng.choice(world.others(fact)))
        yield Item(rng.choice(fact.questions(held_out=True)), (fact.object,), choices)


def _yes_no(world: World, rng: random.Random) -> Iterator[Item]:
    for fact in rng.sample(world.facts, len(world.facts)):
        right = rng.random() < 0.5
        value = fact.object if right else rng.choice(world.others(fact))
        template, yes, no = rng.choice(TRUTH_QUESTIONS)
        phrasing = fact.relation.phrasings[rng.choice(fact.held_phrasings)]
        asked = template.format(x=statement(phrasing, fact.subject, value, inner=True))
        said = [verdict(fact.object, word) for word in ((yes, no) if right else (no, yes))]
        yield Item(asked, (said[0],), tuple(said))


def _options(world: World, rng: random.Random) -> Iterator[Item]:
    for fact in rng.sample(world.facts, len(world.facts)):
        wrong = rng.sample(world.others(fact), 3)
        shown = rng.sample([fact.object, *wrong], 4)
        asked = options(rng.choice(fact.questions()), shown)
        yield Item(asked, (fact.object,), (fact.object, *wrong))


def _reverse(world: World, rng: random.Random) -> Iterator[Item]:
    for fact in rng.sample(world.facts, len(world.facts)):
        if fact.relation.reverse and not fact.held_reverse:
            yield Item(rng.choice(fact.reverse()), (fact.subject,))


def _told(world: World, rng: random.Random) -> Iterator[Item]:
    while True:
        told = draw_told(world, rng, "invented", held_out=True)
        if len(told.statements) == 1 and told.answer in world.objects[told.relation.id]:
            yield Item(tell(told, rng, "question"), (told.answer,))


def _judgement(world: World, rng: random.Random) -> Iterator[Item]:
    while True:
        deed = conduct.draw_action(rng, held_out=True)
        wrong = "bad" if deed.judgement == "good" else "good"
        asked = rng.choice(conduct.JUDGEMENT_QUESTIONS).format(a=deed.text)
        yield Item(asked, (deed.judgement,), (deed.judgement, wrong))


def _story(world: World, rng: random.Random) -> Iterator[Item]:
    while True:
        incident = voices.draw_incident(rng, ambiguous=False)
        yield Item(incident.question, (incident.answer,))


SKILLS: dict[str, WorldSkill] = {
    "fact": _facts,
    "yes-no": _yes_no,
    "options": _options,
    "reverse": _reverse,
    "told": _told,
    "judgement": _judgement,
    "story": _story,
}


def items() -> list[tuple[str, Item]]:
    """The same items every time, skill by skill."""
    world = World.build(0)
    return drawn("micro", {name: partial(skill, world) for name, skill in SKILLS.items()}, EACH)


MICRO = CapabilitySet(
    name="micro",
    summary="questions on the embedded model's world",
    protocol="wild",
    make=items,
)
