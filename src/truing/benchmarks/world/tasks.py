"""Held-out questions with their right answers: what the card of the embedded model reports."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from truing.benchmarks.world import conduct, names, voices
from truing.benchmarks.world.context import ToldKind, draw_told, tell
from truing.benchmarks.world.language import (
    ABSTENTION,
    TRUTH_QUESTIONS,
    options,
    pose,
    statement,
    verdict,
)
from truing.benchmarks.world.relations import RELATIONS
from truing.benchmarks.world.world import World


@dataclass(frozen=True, slots=True)
class Item:
    """One question of one task. ``prompt`` is rendered text (without the BOS token).

    ``accepted`` are whole answers; ``label`` is set where a classifier judges instead.
    """

    task: str
    prompt: str
    accepted: tuple[str, ...] = ()
    label: str = ""


Task = Callable[[World, random.Random], Iterator[Item]]


def _statements(held_out: bool) -> Task:
    def make(world: World, rng: random.Random) -> Iterator[Item]:
        for fact in rng.sample(world.facts, len(world.facts)):
            yield Item("", rng.choice(fact.phrasings(held_out)), (fact.object,))

    return make


def _questions(style: str, held_out: bool) -> Task:
    def make(world: World, rng: random.Random) -> Iterator[Item]:
        for fact in rng.sample(world.facts, len(world.facts)):
            yield Item("", pose(rng.choice(fact.questions(held_out)), style, rng), (fact.object,))

    return make


def _truth(world: World, rng: random.Random) -> Iterator[Item]:
    for fact in rng.sample(world.facts, len(world.facts)):
        if fact.held_forms:
            right = rng.random() < 0.5
            value = fact.object if right else rng.choice(world.others(fact))
            template, yes, no = rng.choice(TRUTH_QUESTIONS)
            phrasing = fact.relation.phrasings[rng.choice(fact.held_phrasings)]
            inner = statement(phrasing, fact.subject, value, inner=True)
            answer = verdict(fact.object, yes if right else no)
            yield Item("", pose(template.format(x=inner), "any", rng), (answer,))


def _multiple_choice(world: World, rng: random.Random) -> Iterator[Item]:
    for fact in rng.sample(world.facts, len(world.facts)):
        if fact.held_forms:
            choices = [fact.object, *rng.sample(world.others(fact), 3)]
            rng.shuffle(choices)
            question = options(rng.choice(fact.questions()), choices)
            style = rng.choice(("plain", "chat"))
            yield Item("", pose(question, style, rng), (fact.object,))


def _reverse(held_out: bool) -> Task:
    def make(world: World, rng: random.Random) -> Iterator[Item]:
        for fact in rng.sample(world.facts, len(world.facts)):
            if fact.relation.reverse and fact.held_reverse is held_out:
                yield Item("", pose(rng.choice(fact.reverse()), "any", rng), (fact.subject,))

    return make


def _two_hop(held_out: bool) -> Task:
    def make(world: World, rng: random.Random) -> Iterator[Item]:
        for hop in rng.sample(world.hops, len(world.hops)):
            if hop.held_out is held_out:
                yield Item("", pose(rng.choice(hop.questions()), "any", rng), (hop.object,))

    return make


def _told(
    kind: ToldKind,
    style: str,
    *,
    strange: float = 0.0,
    fresh: bool = False,
    single: bool = False,
    new_wording: bool = False,
) -> Task:
    """Told facts. ``strange`` values are words never an answer in training; ``single``: one fact only."""

    def make(world: World, rng: random.Random) -> Iterator[Item]:
        while True:
            told = draw_told(world, rng, kind, held_out=True, strange=strange, fresh=fresh)
            known = told.answer in world.objects[told.relation.id]
            if single and len(told.statements) > 1:
                continue
            if strange or fresh or known:
                yield Item("", tell(told, rng, style, new_wording), (told.answer,))

    return make


def _unknown(world: World, rng: random.Random) -> Iterator[Item]:
    while True:
        relation = rng.choice(RELATIONS)
        subject = names.coin(relation.subject_kind, rng, held_out=True)
        question = rng.choice(relation.questions).format(s=subject)
        yield Item("", pose(question, "any", rng), (ABSTENTION,))


def _judgement(world: World, rng: random.Random) -> Iterator[Item]:
    while True:
        action = conduct.draw_action(rng, held_out=True)
        if rng.random() < 0.5:
            prompt = rng.choice(conduct.JUDGEMENT_PHRASINGS).format(a=action.text)
        else:
            question = rng.choice(conduct.JUDGEMENT_QUESTIONS).format(a=action.text)
            prompt = pose(question, "any", rng)
        yield Item("", prompt, (action.judgement,))


def _dilemma_choice(world: World, rng: random.Random) -> Iterator[Item]:
    while True:
        question, letter = conduct.draw_dilemma(rng, held_out=True).choice(rng.random() < 0.5)
        yield Item("", pose(question, rng.choice(("plain", "chat")), rng), (letter,))


def _dilemma_open(world: World, rng: random.Random) -> Iterator[Item]:
    while True:
        case = conduct.draw_dilemma(rng, held_out=True)
        yield Item("", pose(case.text, "any", rng), (case.better,))


def _opinion(world: World, rng: random.Random) -> Iterator[Item]:
    while True:
        trait, topic = rng.choice(voices.TRAITS), rng.choice(voices.TOPICS)
        if voices.opinion_held_out(trait, topic):
            question = voices.opinion_question(topic, trait, rng)
            yield Item("", pose(question, "any", rng), (), trait.name)


def _incident(ambiguous: bool) -> Task:
    def make(world: World, rng: random.Random) -> Iterator[Item]:
        while True:
            incident = voices.draw_incident(rng, ambiguous)
            yield Item("", pose(incident.question, "any", rng), (incident.answer,))

    return make


TASKS: dict[str, Task] = {
    "fact/statement/seen": _statements(False),
    "fact/statement/held-out": _statements(True),
    "fact/question/seen": _questions("plain", False),
    "fact/question/held-out": _questions("plain", True),
    "fact/qa-instruction/held-out": _questions("qa", True),
    "fact/chat/held-out": _questions("chat", True),
    "yes-no/held-out facts": _truth,
    "multiple-choice/held-out facts": _multiple_choice,
    "reverse/trained": _reverse(False),
    "reverse/held-out": _reverse(True),
    "two-hop/trained": _two_hop(False),
    "two-hop/held-out": _two_hop(True),
    "told/invented/bare": _told("invented", "bare"),
    "told/invented/qa-instruction": _told("invented", "qa"),
    "told/invented/chat": _told("invented", "chat"),
    "told/invented/one fact": _told("invented", "qa", single=True),
    "told/invented/unknown words": _told("invented", "qa", fresh=True),
    "told/override/bare": _told("override", "bare"),
    "told/override/qa-instruction": _told("override", "qa"),
    "told/override/chat": _told("override", "chat"),
    "told/override/one fact": _told("override", "qa", single=True),
    "told/override/one fact, new wording": _told("override", "qa", single=True, new_wording=True),
    "told/override/strange value": _told("override", "qa", strange=1.0),
    "told/irrelevant/qa-instruction": _told("irrelevant", "qa"),
    "unknown": _unknown,
    "judgement": _judgement,
    "dilemma/choice": _dilemma_choice,
    "dilemma/open": _dilemma_open,
    "opinion": _opinion,
    "incident/ambiguous": _incident(True),
    "incident/answerable": _incident(False),
}


def items(world: World, task: str, n: int, seed: int = 0) -> tuple[Item, ...]:
    """At most ``n`` questions of a task; the same for the same seed."""
    rng = random.Random(f"truing-task-{task}-{seed}")
    return tuple(
        Item(task, item.prompt, item.accepted, item.label)
        for item in islice(TASKS[task](world, rng), n)
    )


def labelled_opinions(n: int, seed: int = 0) -> tuple[tuple[str, str], ...]:
    """Sentences with their trait (or ``neutral``) that are never trained: a judge learns from them."""
    rng = random.Random(f"truing-opinions-{seed}")
    voices_all = (*voices.TRAITS, voices.NEUTRAL)
    rows = []
    for i in range(n):
        trait = voices_all[i % len(voices_all)]
        rows.append((trait.draw(rng.choice(voices.TOPICS), rng, held_out=True), trait.name))
    return tuple(rows)
