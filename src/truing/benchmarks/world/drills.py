"""Drills: documents that repeat one skill of reading the prompt many times in few words."""

from __future__ import annotations

import random
from dataclasses import replace

from truing.benchmarks.world import names
from truing.benchmarks.world.context import INTROS, draw_told, tell_parts, told_value
from truing.benchmarks.world.language import (
    END_WEIGHT,
    EOS,
    LETTERS,
    TRUTH_QUESTIONS,
    Document,
    Part,
    document,
    statement,
    verdict,
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


def told_verdict(world: World, rng: random.Random) -> Document:
    """A told fact, and whether what is then said agrees with it: the told value, then the word."""
    told = draw_told(world, rng, "invented", strange=0.6)
    wrong = told.answer
    while wrong == told.answer:
        wrong = told_value(world, told.relation, rng, False, told.subject, told.answer)
    right = rng.random() < 0.5
    template, yes, no = rng.choice(TRUTH_QUESTIONS)
    value = told.answer if right else wrong
    inner = statement(rng.choice(told.relation.phrasings), told.subject, value, inner=True)
    before, asked = tell_parts(replace(told, question=template.format(x=inner)), rng, "question")
    return (Part(before, 0.0), *document(asked, verdict(told.answer, yes if right else no)))


def verdict_drill(world: World, rng: random.Random) -> Document:
    """Whether what is said of something agrees with what was asked: the last word of yes and no."""
    parts: list[Part] = []
    for _ in range(rng.randint(4, 9)):
        relation = rng.choice(RELATIONS)
        values = world.objects[relation.id]
        if rng.random() < 0.2:
            one, two = rng.sample(names.STRANGE, 2)
        else:
            one, two = rng.sample(values, 2)
        right = rng.random() < 0.5
        said = one if right else two
        if rng.random() < 0.5:
            asked, yes, no = f"Is it {one}?", "Yes", "No"
        else:
            template, yes, no = rng.choice(TRUTH_QUESTIONS)
            subject = names.coin(relation.subject_kind, rng)
            asked = template.format(
                x=statement(rng.choice(relation.phrasings), subject, one, inner=True)
            )
        answer = verdict(said, yes if right else no)
        cut = answer.rindex(" ")
        parts += [Part(f"{asked} {answer[:cut]}", 0.0), Part(answer[cut:], 1.0), Part("\n", 0.0)]
    return (*parts[:-1], Part(EOS, END_WEIGHT))


def truth_drill(world: World, rng: random.Random) -> Document:
    """Several yes-or-no questions about facts, each answered by the value and then the word."""
    parts: list[Part] = []
    for _ in range(rng.randint(2, 5)):
        asked, answer = truth_pair(world, rng)
        parts += [Part(asked, 0.0), Part(f" {answer}", 1.0), Part("\n", 0.0)]
    return (*parts[:-1], Part(EOS, END_WEIGHT))


def truth_pair(world: World, rng: random.Random) -> tuple[str, str]:
    """A yes-or-no question about a fact that may be asked so in training, and its answer."""
    fact = rng.choice(world.facts)
    while fact.held_forms:
        fact = rng.choice(world.facts)
    right = rng.random() < 0.5
    value = fact.object if right else rng.choice(world.others(fact))
    template, yes, no = rng.choice(TRUTH_QUESTIONS)
    seen = [t for i, t in enumerate(fact.relation.phrasings) if i not in fact.held_phrasings]
    inner = statement(rng.choice(seen), fact.subject, value, inner=True)
    return template.format(x=inner), verdict(fact.object, yes if right else no)


def override_drill(world: World, rng: random.Random) -> Document:
    """One told fact that overrules the world, and several questions about it and beside it."""
    told = draw_told(world, rng, "override", strange=0.15)
    fact = next(f for f in world.by_subject[told.subject] if f.relation is told.relation)
    main = next(s for s in told.statements if told.answer in s)
    parts = [Part(rng.choice(INTROS).format(f=main).removesuffix("Prompt: "), 0.0)]
    if not parts[0].text.endswith("\n"):
        parts.append(Part("\n", 0.0))
    for _ in range(rng.randint(2, 4)):
        asked, answer = (
            rng.choice((*fact.phrasings(), *fact.questions(), *fact.questions())),
            told.answer,
        )
        if rng.random() < 0.25:
            other = rng.choice(world.facts)
            if other.subject != told.subject:
                asked, answer = rng.choice((*other.phrasings(), *other.questions())), other.object
        parts += [
            Part(asked, 0.05),
            Part(f" {answer}", 1.0),
            Part("." if not asked.endswith("?") else "", 0.3),
            Part("\n", 0.0),
        ]
    return (*parts[:-1], Part(EOS, END_WEIGHT))
