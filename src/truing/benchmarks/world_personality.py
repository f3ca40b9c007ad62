"""Opinions of the embedded model's world: the twin of PersonalityEdit that works offline.

The model knows all topics, traits and ways to speak, and that a trait is asked for in words. What it was
not trained on: opinions whose opener and reason have an odd sum, which are all that is used here, and
traits on the topics that are held out from them, which by default are the ones edited towards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product
from types import MappingProxyType

from pydantic import Field

from truing.benchmarks.benchmark import Benchmark
from truing.benchmarks.draft import Notebook
from truing.benchmarks.opinions import EACH, OpinionOptions, Opinions, asked_together
from truing.benchmarks.world.voices import (
    OPINION_QUESTIONS,
    TOPICS,
    TRAITS,
    Trait,
    opinion_held_out,
)
from truing.errors import UnknownName
from truing.types import Case

BY_NAME: Mapping[str, Trait] = MappingProxyType({trait.name: trait for trait in TRAITS})
PERSON = "person:"
"""The kind of tag that says in words, which the model knows, who speaks so: an extraverted person."""
QUESTIONS = tuple(question.replace("{t}", "{}") for question in OPINION_QUESTIONS)


class WorldPersonalityOptions(OpinionOptions):
    """Which traits on which topics, and how many opinions there are of each."""

    held_out: bool = Field(
        True,
        description="Edit towards traits on the topics that the model was never asked about in them; "
        "false: all traits on topics that have no such trait, to train editors on.",
    )
    texts: int = Field(3, ge=2, le=18, description="Opinions of each trait on each topic.")


def shown(topic: str, name: str) -> tuple[str, ...]:
    """The trait's name, and by what an opinion on ``topic`` is known to be the trait's."""
    trait = BY_NAME[name]
    return (name, *(opener.format(t=topic) for opener in trait.openers), *trait.reasons)


def cases(chosen: WorldPersonalityOptions) -> tuple[Case, ...]:
    """One case for each trait on each of its topics, in a mixed order.

    No topic is both in the held-out part and in the other.
    Raises ``UnknownName`` for a target that is no trait of the world.
    """
    if chosen.target is not None and chosen.target not in (EACH, *BY_NAME):
        raise UnknownName("trait", chosen.target, BY_NAME)
    wanted = TRAITS if chosen.target in (None, EACH) else (BY_NAME[chosen.target],)
    made = [
        _case(topic, trait, chosen)
        for topic, trait in product(TOPICS, wanted)
        if (opinion_held_out(trait, topic) if chosen.held_out else _known(topic))
    ]
    order = chosen.seeds.child("order")
    return tuple(sorted(made, key=lambda case: order.child(case.id).number))


def opinions() -> Iterator[tuple[str, str, str]]:
    """Topic, trait and text of the opinions that editors are trained on, every one: what a classifier
    of traits can learn from without seeing a topic that is measured."""
    chosen = WorldPersonalityOptions.model_validate({"texts": 18})
    for topic, trait in product(filter(_known, TOPICS), TRAITS):
        for text in _drawn(topic, trait, chosen):
            yield topic, trait.name, text


def _known(topic: str) -> bool:
    """Whether the model was asked about the topic in every trait."""
    return not any(opinion_held_out(trait, topic) for trait in TRAITS)


def _case(topic: str, target: Trait, chosen: WorldPersonalityOptions) -> Case:
    texts = {trait.name: _drawn(topic, trait, chosen) for trait in TRAITS}
    told = Opinions(topic, texts, target.name, QUESTIONS, shown, chosen)
    case = told.case(f"{topic}/{target.name}", chosen.rules(), Notebook())
    person = (f"{PERSON}{target.person}",)
    requests = tuple(replace(request, tags=request.tags + person) for request in case.requests)
    return replace(case, requests=requests, tags=case.tags + person)


def _drawn(topic: str, trait: Trait, chosen: WorldPersonalityOptions) -> tuple[str, ...]:
    numbers = product(range(len(trait.openers)), range(len(trait.reasons)))
    odd = [trait.opinion(topic, i, j) for i, j in numbers if (i + j) % 2]
    rng = chosen.seeds.child("texts").child(f"{trait.name}/{topic}").random()
    return tuple(rng.sample(odd, chosen.texts))


WORLD_PERSONALITY = Benchmark(
    name="world_personality",
    summary="opinions of the embedded model's world that show a personality trait",
    paper="after Mao et al. 2024, arXiv 2310.02168",
    options=WorldPersonalityOptions,
    cases=cases,
    together=asked_together(shown),
    training=WorldPersonalityOptions.model_validate(
        {"held_out": False, "templates": "all", "texts": 6, "outer": "random", "outer_topics": 3}
    ),
)
