"""What a writer is asked: one opinion per topic, trait and number, each through a facet of the trait."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from truing.benchmarks.personality import QUESTIONS
from truing.building.asks import Ask
from truing.building.personality.topics import Chosen, Topic
from truing.building.personality.traits import Trait
from truing.errors import BadInput
from truing.seeds import Seeds

OPENERS = ("oh,", "ah,", "wow", "well,", "as a ", "as an ", "as someone who", "honestly,")
"""No text may begin so: beginnings that one trait likes tell a classifier the trait for nothing."""
WORDING = (
    "You write what an invented person says. The person {definition}; others call such a person "
    "{adjectives}. Let the answer show one side of that above all: {facet}. Answer in the first person, "
    "in one or two sentences and {low} to {high} words. Name the subject that is asked about. Show the "
    "character by what is said: never name it, and use none of these words: {forbidden}. Do not begin "
    "with {openers}. State no facts that you are not sure of. Write the answer and nothing else, no note."
)
"""The system prompt. Every trait is asked in the same words."""
_PLACE = re.compile(r"\{(\w*)\}")
_PLACES = frozenset(
    ("person", "trait", "definition", "adjectives", "opposite", "facet", "low", "high", "forbidden",
     "openers")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Band:
    """The words that a text may have, at least and at most: one band for all traits."""

    low: int = 15
    high: int = 45

    def __post_init__(self) -> None:
        if not 1 <= self.low <= self.high:
            raise BadInput(
                f"{self.low} to {self.high} words is no band", "For example 15 to 45 words."
            )


@dataclass(frozen=True, slots=True)
class Wish:
    """One text that is wanted, the ``number``-th of its topic and trait."""

    topic: Topic
    trait: Trait
    number: int
    facet: str
    question: str


@dataclass(frozen=True)
class Order:
    """Everything that is wanted. Of each topic and trait ``n`` texts are kept; ``spare`` more are
    written, for those that are rejected. Raises ``BadInput`` for a wording with unknown places."""

    chosen: Chosen
    traits: tuple[Trait, ...]
    n: int = 3
    spare: int = 1
    seed: int = 0
    band: Band = Band()
    openers: tuple[str, ...] = OPENERS
    wording: str = WORDING

    def __post_init__(self) -> None:
        if self.n < 1 or self.spare < 0:
            raise BadInput(
                f"n is {self.n} and spare {self.spare}", "n is 1 or more, spare is 0 or more."
            )
        if unknown := sorted(set(_PLACE.findall(self.wording)) - _PLACES):
            raise BadInput(
                f"the wording has a place {{{unknown[0]}}}, which nothing fills",
                f"There are: {', '.join(sorted(_PLACES))}.",
            )

    @cached_property
    def wishes(self) -> tuple[Wish, ...]:
        """Numbers first, then topics, then traits. A topic and trait has other facets for other
        numbers as long as there are any. Only seed, names and numbers decide the draws."""
        count, seeds = self.n + self.spare, Seeds(self.seed, ("personality",))
        drawn = {
            (topic.name, trait.name): _facets(trait, count, seeds.child(topic.name))
            for topic in self.chosen.topics
            for trait in self.traits
        }
        return tuple(
            Wish(
                topic, trait, number, drawn[topic.name, trait.name][number],
                _question(topic, seeds.child(trait.name).child(str(number))),
            )
            for number in range(count)
            for topic in self.chosen.topics
            for trait in self.traits
        )  # fmt: skip

    @cached_property
    def asks(self) -> tuple[Ask, ...]:
        """One for each wish. A number has one seed, which fits into 31 bits."""
        seeds = [
            Seeds(self.seed, ("number", str(i))).number >> 32 for i in range(self.n + self.spare)
        ]
        return tuple(
            Ask(wish.question, self._system(wish), seeds[wish.number]) for wish in self.wishes
        )

    def _system(self, wish: Wish) -> str:
        trait = wish.trait
        values = {
            "person": trait.person,
            "trait": trait.name,
            "definition": trait.definition,
            "adjectives": _listed(trait.adjectives),
            "opposite": _listed(trait.opposite),
            "facet": wish.facet,
            "low": str(self.band.low),
            "high": str(self.band.high),
            "forbidden": ", ".join(giveaways(trait, wish.facet)),
            "openers": " or ".join(f'"{opener.strip().capitalize()}"' for opener in self.openers),
        }
        return _filled(self.wording, values)


def giveaways(trait: Trait, facet: str) -> tuple[str, ...]:
    """Beginnings of words that no text of the trait may hold: its name, the facet, what it forbids."""
    return tuple(dict.fromkeys((trait.name, facet, *trait.forbidden)))


def _facets(trait: Trait, count: int, seeds: Seeds) -> list[str]:
    order = list(trait.facets)
    seeds.child(trait.name).random().shuffle(order)
    return [order[i % len(order)] for i in range(count)]


def _question(topic: Topic, seeds: Seeds) -> str:
    return seeds.child(topic.name).random().choice(QUESTIONS).format(topic.name)


def _filled(wording: str, values: Mapping[str, str]) -> str:
    return _PLACE.sub(lambda place: values[place[1]], wording)


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words)
