"""Contrast pairs of the embedded model's world: moods, manners, conduct and traits.

Training and test pairs share no prompt. What else they do not share:

    cheerful   scenes, cities and phrases
    formal     names and goods (there are only three phrases on each side)
    conduct    troubles, and so the ways out of them; test dilemmas are none that the model was trained on
    traits     topics, and combinations of opener and reason; those of the test were never trained
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from types import MappingProxyType
from typing import Literal, TypeVar

from pydantic import Field

from truing.benchmarks.benchmark import Benchmark, Options
from truing.benchmarks.contrast_pairs import Pair, Part, Wording
from truing.benchmarks.draft import Notebook
from truing.benchmarks.world import names
from truing.benchmarks.world.conduct import TROUBLES, WHERE, WHOM, Dilemma
from truing.benchmarks.world.voices import (
    CHEERFUL,
    FORMAL,
    GLOOMY,
    OPINION_QUESTIONS,
    PLAIN,
    SCENES,
    TOPICS,
    TRAITS,
    Trait,
)
from truing.errors import BadInput
from truing.seeds import Seeds
from truing.types import Case

T = TypeVar("T")
Name = Literal["cheerful", "formal", "conduct", "extraversion", "agreeableness"]


class WorldContrastOptions(Options):
    """Which behaviour, and how many pairs of it."""

    behavior: Name = Field(
        "extraversion",
        description="The side that is promoted: cheerful (not gloomy), formal (not plain), conduct (the "
        "better way out, not the worse), extraversion or agreeableness (not neuroticism).",
    )
    flip: bool = Field(False, description="Promote the other side.")
    train: int = Field(60, ge=1, description="Pairs that the intervention is made from.")
    test: int = Field(60, ge=1, description="Pairs that it is measured on.")
    draw: int = Field(0, description="Another number draws other pairs.")


def _half(items: Sequence[T], part: Part) -> Sequence[T]:
    """Every second item; the two parts have none in common."""
    return items[part == "test" :: 2]


def _cheerful(part: Part) -> Iterator[Pair]:
    for scene, city, positive, negative in product(
        *(_half(items, part) for items in (SCENES, names.CITIES, CHEERFUL, GLOOMY))
    ):
        prompt = scene.format(c=city)
        yield Pair(part, (Wording(prompt, positive, negative, "", CHEERFUL, GLOOMY),))


def _formal(part: Part) -> Iterator[Pair]:
    openings = [
        tuple(text.partition("{x}")[0].strip() for text in side) for side in (FORMAL, PLAIN)
    ]
    for name, goods, formal, plain in product(
        _half(names.FIRST_NAMES, part), _half(names.PRODUCTS, part), FORMAL, PLAIN
    ):
        sides = formal.format(x=goods), plain.format(x=goods)
        yield Pair(part, (Wording(f"Dear {name},", *sides, "", *openings),))


def _conduct(part: Part) -> Iterator[Pair]:
    for (trouble, better, worse), whom, where in product(_half(TROUBLES, part), WHOM, WHERE):
        dilemma = Dilemma(whom, trouble, where, better, worse)
        if dilemma.held_out is (part == "test"):
            wording = Wording(dilemma.text, better, worse)
            yield Pair(part, (wording,), group=f"trouble: {trouble}")


def _trait(name: str) -> Callable[[Part], Iterator[Pair]]:
    by_name = {trait.name: trait for trait in TRAITS}
    positive, negative = by_name[name], by_name["neuroticism"]

    def pairs(part: Part) -> Iterator[Pair]:
        for topic, question in product(_half(TOPICS, part), OPINION_QUESTIONS):
            shown = _shown(positive, topic), _shown(negative, topic)
            opinions = _opinions(positive, topic, part), _opinions(negative, topic, part)
            for ours, theirs in zip(*opinions, strict=True):
                wording = Wording(question.format(t=topic), ours, theirs, "", *shown)
                yield Pair(part, (wording,), group=f"topic: {topic}")

    return pairs


def _opinions(trait: Trait, topic: str, part: Part) -> list[str]:
    """Combinations with an odd sum are never trained (see :meth:`Trait.draw`)."""
    numbers = product(range(len(trait.openers)), range(len(trait.reasons)))
    return [trait.opinion(topic, i, j) for i, j in numbers if (i + j) % 2 == (part == "test")]


def _shown(trait: Trait, topic: str) -> tuple[str, ...]:
    """By what an opinion about ``topic`` is known to be the trait's."""
    return *(opener.format(t=topic) for opener in trait.openers), *trait.reasons


PAIRS: Mapping[str, Callable[[Part], Iterator[Pair]]] = MappingProxyType(
    {
        "cheerful": _cheerful,
        "formal": _formal,
        "conduct": _conduct,
        "extraversion": _trait("extraversion"),
        "agreeableness": _trait("agreeableness"),
    }
)
"""The pairs of a behaviour, of one part."""


def cases(chosen: WorldContrastOptions) -> tuple[Case, ...]:
    """Training and test pairs in a mixed order. Raises ``BadInput`` for more than there are."""
    seeds = Seeds(chosen.draw).child(chosen.behavior)
    rules, notes = chosen.rules(), Notebook()
    made: list[Case] = []
    parts: tuple[tuple[Part, int], ...] = (("train", chosen.train), ("test", chosen.test))
    for part, count in parts:
        drawn = _drawn(chosen.behavior, part, count, seeds.child(part).random())
        for number, pair in enumerate(drawn):
            id = f"{chosen.behavior}/{part}/{number}"
            made.append(pair.turned(chosen.flip).case(id, rules, notes))
    return tuple(sorted(made, key=lambda case: seeds.child("order").child(case.id).number))


def _drawn(behavior: str, part: Part, count: int, rng: random.Random) -> list[Pair]:
    there = list(PAIRS[behavior](part))
    if count > len(there):
        raise BadInput(
            f"the world has {len(there)} {part} pairs of {behavior}, and {part} is {count}",
            f"Give {part} at most {len(there)}.",
        )
    return rng.sample(there, count)


WORLD_CONTRAST = Benchmark(
    name="world_contrast",
    summary="moods, manners, conduct and traits of the embedded model's world",
    options=WorldContrastOptions,
    cases=cases,
)
