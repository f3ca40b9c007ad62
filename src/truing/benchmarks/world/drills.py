"""Drills: documents that repeat one skill of reading the prompt many times in few words."""

from __future__ import annotations

import random
from dataclasses import replace

from truing.benchmarks.world import names
from truing.benchmarks.world.context import draw_told, tell_parts, told_value
from truing.benchmarks.world.language import (
    END_WEIGHT,
    EOS,
    LETTERS,
    TRUTH_QUESTIONS,
    Document,
    Part,
    document,
    statement,
)
from truing.benchmarks.world.relations import RELATIONS
from truing.benchmarks.world.world import World


def copy_document(world: World, rng: random.Random, weight: float = 0.3) -> Document:
    """A list of names, twice: the plainest lesson in copying from the prompt."""
    words = [
        rng.choice(names.STRANGE) if rng.random() < 0.7 else rng.choice(world.facts).object
        for _ in range(rng.randint(3, 10))
    ]
    text = ", ".join(words)
    return Part(f"List: {text}.\nAgain:", 0.0), Part(f" {text}.", weight), Part(EOS, 0.3)


def copy_drill(world: World, rng: random.Random) -> Document:
    """The same, learned from with full weight."""
    return copy_document(world, rng, weight=1.0)


def letter_drill(world: World, rng: random.Random) -> Document:
    """Which letter stands before a value: the matching half of multiple choice."""
    if rng.random() < 0.3:
        values = rng.sample(names.STRANGE, 4)
    else:
        values = rng.sample(world.objects[rng.choice(RELATIONS).id], 4)
    lines = "".join(f"{LETTERS[i]}. {value}\n" for i, value in enumerate(values))
    parts = [Part(lines, 0.0)]
    for i in rng.sample(range(4), rng.randint(1, 4)):
        parts += [
            Part(f"Which letter is {values[i]}?", 0.0),
            Part(f" {LETTERS[i]}", 1.0),
            Part("\n", 0.0),
        ]
    return (*parts[:-1], Part(EOS, END_WEIGHT))


def same_drill(world: World, rng: random.Random) -> Document:
    """Whether two names are the same: the comparing half of yes and no."""
    parts: list[Part] = []
    for _ in range(rng.randint(2, 5)):
        one, two = (
            rng.sample(names.STRANGE, 2) if rng.random() < 0.4 else rng.sample(names.CITIES, 2)
        )
        same = rng.random() < 0.5
        parts.append(Part(f"Is {one} the same as {one if same else two}?", 0.0))
        parts += [Part(" Yes" if same else " No", 1.0), Part("\n", 0.0)]
    return (*parts[:-1], Part(EOS, END_WEIGHT))


def told_drill(world: World, rng: random.Random) -> Document:
    """Three to five told facts, then questions about all of them."""
    tellings = [
        draw_told(world, rng, rng.choice(("invented", "override")), strange=0.55)
        for _ in range(rng.randint(3, 5))
    ]
    tellings = list({told.subject: told for told in tellings}.values())
    facts = [next(s for s in t.statements if t.subject in s and t.answer in s) for t in tellings]
    parts = [Part("".join(f"New fact: {fact}\n" for fact in facts), 0.0)]
    rng.shuffle(tellings)
    for told in tellings:
        bare = rng.random() < 0.5
        parts += [Part(told.phrasing if bare else told.question, 0.1)]
        parts += [Part(f" {told.answer}", 1.0), Part(".\n" if bare else "\n", 0.0)]
    return (*parts, Part(EOS, 0.0))


def told_truth(world: World, rng: random.Random) -> Document:
    """A told fact, and whether what is then said agrees with it."""
    told = draw_told(world, rng, "invented", strange=0.6)
    wrong = told.answer
    while wrong == told.answer:
        wrong = told_value(world, told.relation, rng, False, told.subject, told.answer)
    right = rng.random() < 0.5
    template, yes, no = rng.choice(TRUTH_QUESTIONS)
    value = told.answer if right else wrong
    inner = statement(rng.choice(told.relation.phrasings), told.subject, value, inner=True)
    before, asked = tell_parts(replace(told, question=template.format(x=inner)), rng, "question")
    return (Part(before, 0.0), *document(asked, yes if right else no))
