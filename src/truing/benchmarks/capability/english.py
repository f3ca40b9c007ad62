"""``micro-english``: easy questions for models that know English. A smoke test, never a headline."""

from __future__ import annotations

import random
from collections.abc import Iterator

from truing.benchmarks.capability.drawn import Skill, drawn
from truing.benchmarks.capability.sets import CapabilitySet, Item
from truing.benchmarks.world.language import options

EACH = 40
"""Items per skill, where there are as many."""

WORDS = (
    "lantern", "orchard", "pebble", "whistle", "carpet", "thunder", "basket", "needle", "harbour", "velvet",
    "candle", "marble", "garden", "pepper", "saddle", "mirror", "anchor", "button", "feather", "ladder",
)  # fmt: skip
KINDS = {
    "fruit": ("apple", "banana", "cherry", "pear", "grape"),
    "animal": ("horse", "rabbit", "tiger", "sparrow", "goat"),
    "tool": ("hammer", "saw", "screwdriver", "wrench", "axe"),
    "colour": ("green", "purple", "yellow", "red", "blue"),
    "metal": ("iron", "copper", "silver", "tin", "zinc"),
}
CAPITALS = (
    ("France", "Paris"), ("Italy", "Rome"), ("Spain", "Madrid"), ("Germany", "Berlin"), ("Japan", "Tokyo"),
    ("Egypt", "Cairo"), ("Greece", "Athens"), ("Russia", "Moscow"), ("Portugal", "Lisbon"), ("Norway", "Oslo"),
    ("Austria", "Vienna"), ("Poland", "Warsaw"), ("Hungary", "Budapest"), ("Peru", "Lima"), ("Cuba", "Havana"),
    ("Ireland", "Dublin"), ("Kenya", "Nairobi"), ("Finland", "Helsinki"), ("Thailand", "Bangkok"), ("Chile", "Santiago"),
)  # fmt: skip
OPPOSITES = (
    ("hot", "cold"), ("up", "down"), ("early", "late"), ("open", "closed"), ("full", "empty"), ("wet", "dry"),
    ("left", "right"), ("day", "night"), ("old", "young"), ("rich", "poor"), ("loud", "quiet"), ("heavy", "light"),
    ("far", "near"), ("thick", "thin"), ("first", "last"), ("true", "false"), ("asleep", "awake"), ("inside", "outside"),
    ("above", "below"), ("sharp", "blunt"),
)  # fmt: skip
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def _arithmetic(rng: random.Random) -> Iterator[Item]:
    while True:
        a, b = rng.randint(2, 20), rng.randint(2, 9)
        sign, value = rng.choice((("plus", a + b), ("minus", a + b), ("times", a * b)))
        left, answer = (value, a) if sign == "minus" else (a, value)
        yield Item(f"What is {left} {sign} {b}? Answer with a number.", (str(answer),))


def _copying(rng: random.Random) -> Iterator[Item]:
    while True:
        said = " ".join(rng.sample(WORDS, rng.randint(2, 3)))
        yield Item(f'Repeat exactly these words: "{said}"', (said,))


def _ordering(rng: random.Random) -> Iterator[Item]:
    while True:
        if rng.random() < 0.5:
            day = rng.randrange(7)
            step, asked = rng.choice(((1, "after"), (-1, "before")))
            yield Item(
                f"Which day of the week comes right {asked} {DAYS[day]}?", (DAYS[(day + step) % 7],)
            )
        a, b = sorted(rng.sample(range(2, 99), 2))
        shown = rng.sample([a, b], 2)
        which, answer = rng.choice((("larger", b), ("smaller", a)))
        asked = f"Which number is {which}, {shown[0]} or {shown[1]}? Answer with the number alone."
        yield Item(asked, (str(answer),), (str(answer), str(a + b - answer)))


def _yes_no(rng: random.Random) -> Iterator[Item]:
    while True:
        kind, other = rng.sample(list(KINDS), 2)
        true = rng.random() < 0.5
        word = rng.choice(KINDS[kind if true else other])
        article = "an" if kind == "animal" else "a"
        answer = ("Yes", "No") if true else ("No", "Yes")
        yield Item(f"Is {word} {article} {kind}? Answer yes or no.", answer[:1], answer)


def _options(rng: random.Random) -> Iterator[Item]:
    while True:
        kind, *others = rng.sample(list(KINDS), 4)
        right, *wrong = (rng.choice(KINDS[k]) for k in (kind, *others))
        asked = options(f"Which of these is a kind of {kind}?", rng.sample([right, *wrong], 4))
        yield Item(asked, (right,), (right, *wrong))


def _facts(rng: random.Random) -> Iterator[Item]:
    for (country, capital), (word, other) in zip(
        rng.sample(CAPITALS, len(CAPITALS)), rng.sample(OPPOSITES, len(OPPOSITES)), strict=True
    ):
        yield Item(f"What is the capital of {country}?", (capital,))
        yield Item(f"What is the opposite of {word}?", (other,))


SKILLS: dict[str, Skill] = {
    "arithmetic": _arithmetic,
    "copying": _copying,
    "ordering": _ordering,
    "yes-no": _yes_no,
    "options": _options,
    "fact": _facts,
}


def items() -> list[tuple[str, Item]]:
    """The same items every time, skill by skill."""
    return drawn("micro-english", SKILLS, EACH)


ENGLISH = CapabilitySet(
    name="micro-english",
    summary="easy English questions",
    protocol="wild",
    make=items,
)
