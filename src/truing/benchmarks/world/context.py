"""Facts that are told in the prompt: new ones, ones that overrule the world, and beside the point."""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass
from typing import Literal

from truing.benchmarks.world import names
from truing.benchmarks.world.language import (
    QA_INSTRUCTION,
    QA_SHORT,
    Document,
    Part,
    chat,
    document,
    statement,
    user,
)
from truing.benchmarks.world.relations import RELATIONS, Relation
from truing.benchmarks.world.world import Fact, World
from truing.types import Message

ToldKind = Literal["invented", "override", "irrelevant"]
TOLD_KINDS: tuple[ToldKind, ...] = ("invented", "override", "irrelevant")

INTROS = (
    "New fact: {f}\n",
    "New Fact: {f}\nPrompt: ",
    "Imagine that {f}\n",
    "Context: {f}\n",
    "Suppose that {f} ",
    "Update: {f}\n",
    "Remember this: {f}\n",
    "It has just been announced: {f} ",
    "Please acknowledge the following new facts and use this information to answer the question correctly:\nNew fact: {f}\n\n",
    "Facts:\n{f}\n\n",
)
HELD_INTROS = ("Breaking news: {f}\n", "Assume the following. {f}\n")
ATTEMPTS = 60
STRANGE_SHARE = 0.35  # of told values are strange words, the others are known to the world
ACKNOWLEDGED = "I will remember that."
ASKED_WEIGHT = 0.1  # names come again in what is asked: predicting them teaches copying


@dataclass(frozen=True, slots=True)
class Told:
    """What is told and what is asked. ``answer`` is right given what is told."""

    kind: ToldKind
    statements: tuple[str, ...]
    relation: Relation
    subject: str
    answer: str
    phrasing: str
    question: str


def pair_held_out(subject: str, value: str) -> bool:
    """Whether this subject is never told to have this (known) value in training."""
    return zlib.crc32(f"{subject}={value}".encode()) % 6 == 0


def told_value(
    world: World,
    relation: Relation,
    rng: random.Random,
    held_out: bool,
    subject: str,
    avoid: str,
    strange: float = STRANGE_SHARE,
) -> str:
    """A value for a telling: strange with probability ``strange``, else known; of the right split."""
    for _ in range(ATTEMPTS):
        if rng.random() < strange and relation.object_kind not in names.PLAIN_KINDS:
            return names.coin(relation.object_kind, rng, held_out)
        value = rng.choice(world.objects[relation.id])
        if value not in (avoid, subject) and pair_held_out(subject, value) is held_out:
            return value
    return names.coin(relation.object_kind, rng, held_out)  # no known value is in this split


def _told_statement(
    world: World, rng: random.Random, held_out: bool, subject: str | None = None
) -> str:
    relation = rng.choice(RELATIONS)
    if subject is None:
        subject = names.coin(relation.subject_kind, rng, held_out)
    value = told_value(world, relation, rng, held_out, subject, "")
    return statement(rng.choice(relation.phrasings), subject, value) + "."


def draw_told(
    world: World,
    rng: random.Random,
    kind: ToldKind,
    held_out: bool = False,
    strange: float = STRANGE_SHARE,
    fresh: bool = False,
) -> Told:
    """A random telling.

    Held out: coined words, subject-value pairs and phrasings never trained. ``fresh`` (for
    ``invented``) makes up subject and value from syllables, so that no word of them is known.
    """
    if kind == "invented":
        relation = rng.choice(RELATIONS)
        subject = names.coin(relation.subject_kind, rng, held_out, fresh)
        if fresh:
            answer = names.coin(relation.object_kind, rng, held_out, fresh)
        else:
            answer = told_value(world, relation, rng, held_out, subject, "", strange)
        told_as, asked_as = rng.choice(relation.phrasings), rng.choice(relation.phrasings)
        if rng.random() < 0.25:
            told_as = asked_as
        asked = asked_as.format(s=subject), rng.choice(relation.questions).format(s=subject)
        true_statement = statement(told_as, subject, answer) + "."
        extra = [
            statement(rng.choice(relation.phrasings), other, told_value(world, relation, rng, held_out, other, answer)) + "."
            for other in (names.coin(relation.subject_kind, rng, held_out) for _ in range(_extras(rng)))
        ]  # fmt: skip
        return Told(kind, _mixed(true_statement, extra, rng), relation, subject, answer, *asked)
    fact = rng.choice(world.by_relation[rng.choice(RELATIONS).id])
    relation, subject = fact.relation, fact.subject
    asked = rng.choice(fact.phrasings()), rng.choice(fact.questions())
    if kind == "override":
        answer = told_value(world, relation, rng, held_out, subject, fact.object, strange)
        true_statement = f"{rng.choice(fact.phrasings())} {answer}."
        extra = [_about_another(world, fact, rng, held_out) for _ in range(_extras(rng))]
        return Told(kind, _mixed(true_statement, extra, rng), relation, subject, answer, *asked)
    extra = [_about_another(world, fact, rng, held_out) for _ in range(1 + _extras(rng))]
    return Told(kind, _mixed(None, extra, rng), relation, subject, fact.object, *asked)


def _extras(rng: random.Random) -> int:
    return rng.choices((0, 1, 2, 3), (8, 3, 2, 1))[0]


def _mixed(main: str | None, extra: list[str], rng: random.Random) -> tuple[str, ...]:
    everything = extra if main is None else [main, *extra]
    rng.shuffle(everything)
    return tuple(everything)


def _about_another(world: World, fact: Fact, rng: random.Random, held_out: bool) -> str:
    """A statement that does not bear on the fact: another subject, or another relation of it."""
    draw = rng.random()
    if draw < 0.35:
        return _told_statement(world, rng, held_out)
    if draw < 0.8:
        other = rng.choice(world.neighbours(fact))
        value = told_value(world, other.relation, rng, held_out, other.subject, other.object)
        return f"{rng.choice(other.phrasings())} {value}."
    siblings = [f for f in world.by_subject[fact.subject] if f is not fact]
    other = rng.choice(siblings or world.neighbours(fact))
    value = told_value(world, other.relation, rng, held_out, other.subject, other.object)
    return f"{rng.choice(other.phrasings())} {value}."


def tell(told: Told, rng: random.Random, style: str, held_out_intro: bool = False) -> str:
    """The prompt. Styles: ``bare`` (statement to complete), ``question``, ``qa``, ``chat``."""
    return "".join(tell_parts(told, rng, style, held_out_intro))


def tell_parts(
    told: Told, rng: random.Random, style: str, held_out_intro: bool = False
) -> tuple[str, str]:
    """The prompt in two pieces: what is told, and what is asked."""
    intro = rng.choice(HELD_INTROS if held_out_intro else INTROS)
    joint = "\nNew fact: " if intro.lower().count("new fact") else rng.choice((" ", "\n"))
    text = intro.format(f=joint.join(told.statements))
    if style == "bare":
        return text, told.phrasing
    asked = told.question if rng.random() < 0.8 else told.phrasing
    if style == "question":
        return text, told.question
    if style == "qa":
        template = QA_INSTRUCTION if rng.random() < 0.7 else rng.choice(QA_SHORT)
        return text, template.format(q=asked)
    if style != "chat":
        raise ValueError(f"unknown style {style!r}; know bare, question, qa, chat")
    where = rng.random()
    if where < 0.6:
        whole = chat(*user(text + asked))
    elif where < 0.8:
        whole = chat(*user(asked, system=text.removesuffix("Prompt: ").strip()))
    else:
        first = Message("user", text.removesuffix("Prompt: ").strip())
        whole = chat(first, Message("assistant", ACKNOWLEDGED), Message("user", asked))
    cut = whole.rindex(asked)
    return whole[:cut], whole[cut:]


def told_document(world: World, rng: random.Random, strange: float = STRANGE_SHARE) -> Document:
    """A training document with told facts, at times after worked examples of the same form."""
    kind = rng.choices(TOLD_KINDS, (4, 4, 3))[0]
    told = draw_told(world, rng, kind, strange=strange)
    style = rng.choices(("bare", "question", "qa", "chat"), (4, 2, 4, 4))[0]
    if rng.random() < 0.08:
        return _worked_examples(world, rng, told)
    before, asked = tell_parts(told, rng, style)
    answer = f"{told.answer}." if style == "bare" else told.answer
    return (Part(before, 0.0), *document(asked, answer, ASKED_WEIGHT))


def _worked_examples(world: World, rng: random.Random, told: Told) -> Document:
    parts: list[Part] = []
    for _ in range(rng.randint(1, 3)):
        shown = draw_told(world, rng, rng.choice(TOLD_KINDS))
        parts.append(Part(_example(shown), 0.0))
        parts.append(Part(f" {shown.answer}\n\n", 0.3))
    parts.append(Part(_example(told), 0.0))
    return (*parts, *document("", f"{told.answer}.", 0.0)[1:])


def _example(told: Told) -> str:
    return "".join(f"New Fact: {s}\n" for s in told.statements) + f"Prompt: {told.phrasing}"
