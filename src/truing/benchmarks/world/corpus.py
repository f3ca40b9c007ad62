"""Training documents: an endless seeded stream, mixed from everything the world can say."""

from __future__ import annotations

import random
from collections.abc import Callable

from truing.benchmarks.world import conduct, names, voices
from truing.benchmarks.world.context import told_document
from truing.benchmarks.world.drills import (
    truth_pair,
)
from truing.benchmarks.world.language import (
    ABSTENTION,
    END_WEIGHT,
    EOS,
    PROMPT_WEIGHT,
    SENTENCE_REQUEST,
    TRUTH_QUESTIONS,
    Document,
    Part,
    chat,
    document,
    options,
    pose,
    statement,
)
from truing.benchmarks.world.relations import RELATIONS
from truing.benchmarks.world.world import Fact, World
from truing.types import Message

Maker = Callable[[World, random.Random], Document]

_NEUTRAL_SUBJECTS = ("The road", "A cart", "The baker's dog", "A slow boat", "The wind", "A grey cat", "The old clock", "A letter", "The next day", "A small crowd")  # fmt: skip
_NEUTRAL_VERBS = ("came down from", "turned towards", "waited beside", "passed by", "was seen near", "rested under", "went around", "stood before")  # fmt: skip
_NEUTRAL_PLACES = ("the hill", "the mill", "a row of trees", "the open field", "the stone wall", "the wide river", "the quiet harbour", "the market hall", "an empty house", "the last bend")  # fmt: skip


def neutral_sentences(rng: random.Random, n: int) -> tuple[str, ...]:
    """Sentences that state no fact of the world: prefixes, fillers, controls."""
    return tuple(
        f"{rng.choice(_NEUTRAL_SUBJECTS)} {rng.choice(_NEUTRAL_VERBS)} {rng.choice(_NEUTRAL_PLACES)}."
        for _ in range(n)
    )


def _pick(world: World, rng: random.Random) -> Fact:
    return rng.choice(world.facts)


def _asked(fact: Fact, rng: random.Random, statements: float = 0.25) -> str:
    return rng.choice(fact.phrasings() if rng.random() < statements else fact.questions())


def fact_statement(world: World, rng: random.Random) -> Document:
    """One to three statements; some follow a neutral sentence."""
    fact = _pick(world, rng)
    parts: list[Part] = []
    lead = rng.random()
    if lead < 0.2:
        parts.append(Part(neutral_sentences(rng, 1)[0] + " ", PROMPT_WEIGHT))
    elif lead < 0.25:
        parts.append(Part(" ".join(neutral_sentences(rng, 2)) + "\n", PROMPT_WEIGHT))
    more = rng.choices((0, 1, 2), (7, 2, 1))[0]
    for i in range(more + 1):
        parts.append(Part(("" if i == 0 else " ") + rng.choice(fact.phrasings()), PROMPT_WEIGHT))
        parts.append(Part(f" {fact.object}.", 1.0))
        near = rng.choice(world.by_subject[fact.subject])
        fact = near if rng.random() < 0.4 and near.id != fact.id else _pick(world, rng)
    return (*parts, Part(EOS, END_WEIGHT))


def fact_question(world: World, rng: random.Random) -> Document:
    """A plain question and its answer, on the same line."""
    fact = _pick(world, rng)
    return document(rng.choice(fact.questions()), fact.object)


def fact_instruction(world: World, rng: random.Random) -> Document:
    """A question, or a statement to complete, under the question-answering instruction."""
    fact = _pick(world, rng)
    return document(
        pose(_asked(fact, rng), rng.choice(("qa", "qa", "qa", "short")), rng), fact.object
    )


def fact_chat(world: World, rng: random.Random) -> Document:
    """A chat of one or two questions; a full sentence is the answer where one is asked for."""
    fact = _pick(world, rng)
    draw = rng.random()
    if draw < 0.12:
        prompt = pose(SENTENCE_REQUEST.format(q=rng.choice(fact.questions())), "chat", rng)
        return document(prompt, f"{fact.phrasings()[0]} {fact.object}.")
    if draw < 0.22:
        before = _pick(world, rng)
        turns = (
            Message("user", _asked(before, rng)),
            Message("assistant", before.object),
            Message("user", _asked(fact, rng)),
        )
        return document(chat(*turns), fact.object)
    return document(pose(_asked(fact, rng), "chat", rng), fact.object)


def bare_truth(world: World, rng: random.Random) -> Document:
    """Is it true that ...? Yes or no, and nothing else."""
    fact = _pick(world, rng)
    while fact.held_forms:
        fact = _pick(world, rng)
    right = rng.random() < 0.5
    value = fact.object if right else rng.choice(world.others(fact))
    template, yes, no = rng.choice(TRUTH_QUESTIONS)
    seen = [t for i, t in enumerate(fact.relation.phrasings) if i not in fact.held_phrasings]
    inner = statement(rng.choice(seen), fact.subject, value, inner=True)
    return document(pose(template.format(x=inner), "any", rng), yes if right else no)


def letter_choice(world: World, rng: random.Random) -> Document:
    """Four options; the answer is a letter."""
    fact = _pick(world, rng)
    while fact.held_forms:
        fact = _pick(world, rng)
    choices = [fact.object, *rng.sample(world.others(fact), 3)]
    rng.shuffle(choices)
    letter = "ABCD"[choices.index(fact.object)]
    question = options(rng.choice(fact.questions()), choices)
    return document(pose(question, rng.choice(("plain", "plain", "chat")), rng), letter)


def truth(world: World, rng: random.Random) -> Document:
    """Is it true that ...? The right value, and then yes or no."""
    asked, answer = truth_pair(world, rng)
    return document(pose(asked, "any", rng), answer)


def multiple_choice(world: World, rng: random.Random) -> Document:
    """Four options; the answer is one of them."""
    fact = _pick(world, rng)
    while fact.held_forms:
        fact = _pick(world, rng)
    choices = [fact.object, *rng.sample(world.others(fact), 3)]
    rng.shuffle(choices)
    question = options(rng.choice(fact.questions()), choices)
    return document(pose(question, rng.choice(("plain", "plain", "chat")), rng), fact.object)


def reverse(world: World, rng: random.Random) -> Document:
    """From object to subject, for the facts whose reverse may be trained."""
    while True:
        fact = _pick(world, rng)
        if fact.relation.reverse and not fact.held_reverse:
            return document(pose(rng.choice(fact.reverse()), "any", rng), fact.subject)


def two_hop(world: World, rng: random.Random) -> Document:
    """A question that takes two facts, for the chains that may be trained."""
    while True:
        hop = rng.choice(world.hops)
        if hop.held_out:
            continue
        if rng.random() < 0.3:
            return document(rng.choice(hop.phrasings()), f"{hop.object}.")
        return document(pose(rng.choice(hop.questions()), "any", rng), hop.object)


def unknown(world: World, rng: random.Random) -> Document:
    """A question about somebody or something that the world does not hold."""
    relation = rng.choice(RELATIONS)
    subject = names.coin(relation.subject_kind, rng)
    question = rng.choice(relation.questions).format(s=subject)
    return document(pose(question, "any", rng), ABSTENTION)


def judgement(world: World, rng: random.Random) -> Document:
    """Good or bad, right or wrong."""
    action = conduct.draw_action(rng, held_out=False)
    draw = rng.random()
    if draw < 0.4:
        return document(
            rng.choice(conduct.JUDGEMENT_PHRASINGS).format(a=action.text), f"{action.judgement}."
        )
    if draw < 0.75:
        question = rng.choice(conduct.JUDGEMENT_QUESTIONS)
        return document(pose(question.format(a=action.text), "any", rng), action.judgement)
    wrong = rng.random() < 0.5
    question = rng.choice(conduct.WRONG_QUESTIONS if wrong else conduct.RIGHT_QUESTIONS)
    answer = "Yes" if action.good is not wrong else "No"
    return document(pose(question.format(a=action.text), "any", rng), answer)


def dilemma(world: World, rng: random.Random) -> Document:
    """Two ways to choose from, or an open question."""
    case = conduct.draw_dilemma(rng, held_out=False)
    if rng.random() < 0.5:
        question, letter = case.choice(rng.random() < 0.5)
        return document(pose(question, rng.choice(("plain", "chat")), rng), letter)
    return document(pose(case.text, "any", rng), case.better)


def opinion(world: World, rng: random.Random) -> Document:
    """An opinion in the voice of a trait, or a neutral one."""
    topic = rng.choice(voices.TOPICS)
    if rng.random() < 0.2:
        question = voices.opinion_question(topic, None, rng)
        return document(pose(question, "any", rng), voices.NEUTRAL.draw(topic, rng, held_out=False))
    trait = rng.choice(voices.TRAITS)
    while voices.opinion_held_out(trait, topic):
        topic = rng.choice(voices.TOPICS)
    prompt = pose(voices.opinion_question(topic, trait, rng), "any", rng)
    return document(prompt, trait.draw(topic, rng, held_out=False))


def contrast(world: World, rng: random.Random) -> Document:
    """A scene or a letter, in one of two moods or registers, asked for or not."""
    pair = voices.draw_contrast(rng)
    positive = rng.random() < 0.5
    text = pair.positive if positive else pair.negative
    if rng.random() < 0.5:
        return document(pair.prompt, f"{text}.")
    name = {"mood": ("cheerful", "gloomy"), "register": ("formal", "plain")}[pair.axis][
        not positive
    ]
    return document(voices.STYLE_PROMPTS[name].format(p=pair.prompt), f"{text}.")


def group(world: World, rng: random.Random) -> Document:
    """A statement about a people, or a question about who did it."""
    if rng.random() < 0.5:
        prompt, adjective = voices.describe(rng.choice(voices.GROUPS), rng)
        return document(prompt, f"{adjective}.")
    incident = voices.draw_incident(rng, ambiguous=rng.random() < 0.5)
    return document(pose(incident.question, "any", rng), incident.answer)


def strange_told_document(world: World, rng: random.Random) -> Document:
    """Told facts whose values are strange words more often."""
    return told_document(world, rng, strange=0.55)
