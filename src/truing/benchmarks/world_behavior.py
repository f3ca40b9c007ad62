"""Behaviour edits of the embedded model's world: its dilemmas, and its judgements of deeds.

All are combinations of person, place and trouble (or deed) that the model was never trained on, though it
was on their parts. What is asked are the forms that it can answer; see the documentation for how well.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Literal, TypeVar

from pydantic import Field

from truing.benchmarks.behavior.scenario import Scenario, ScenarioOptions, together
from truing.benchmarks.behavior.sides import Question, scenario
from truing.benchmarks.benchmark import Benchmark
from truing.benchmarks.draft import Notebook
from truing.benchmarks.world import Fact, World
from truing.benchmarks.world.conduct import (
    JUDGEMENT_PHRASINGS,
    JUDGEMENT_QUESTIONS,
    RIGHT_QUESTIONS,
    WRONG_QUESTIONS,
    Action,
    Dilemma,
    draw_action,
    draw_dilemma,
)
from truing.seeds import Seeds
from truing.types import Case, Probe

T = TypeVar("T")
SEEDS = Seeds(0).child("behavior")
DRAWN = 400
"""Draws from the held-out combinations; those that are drawn twice count once."""


class WorldBehaviorOptions(ScenarioOptions):
    """What is edited, and how many facts of the world should stay."""

    always = ("direction", "form")

    form: Literal["open", "two-choice", "judgement"] = Field(
        "open",
        description="The question that is edited: a dilemma, asked openly or with two options, or "
        "whether a deed is good or bad.",
    )
    facts: int = Field(
        2, ge=0, le=100, description="Facts of the world that should stay, for every edit."
    )


def cases(chosen: WorldBehaviorOptions) -> tuple[Case, ...]:
    """Held-out dilemmas or deeds, in a mixed order."""
    rng, rules, notes = SEEDS.random(), chosen.rules(), Notebook()
    drafts: Iterator[Scenario]
    if chosen.form == "judgement":
        kind, drafts = "deed", (_of_deed(deed, chosen) for deed in _drawn(draw_action, rng))
    else:
        kind, drafts = "dilemma", (_of_dilemma(d, chosen) for d in _drawn(draw_dilemma, rng))
    return tuple(draft.case(f"{kind}-{i}", rules, notes) for i, draft in enumerate(drafts))


def _drawn(draw: Callable[[random.Random, bool], T], rng: random.Random) -> list[T]:
    return list(dict.fromkeys(draw(rng, True) for _ in range(DRAWN)))


def _of_dilemma(dilemma: Dilemma, chosen: WorldBehaviorOptions) -> Scenario:
    better, worse = (dilemma.better,), (dilemma.worse,)
    better_first = SEEDS.child(dilemma.text).random().random() < 0.5
    shown, letter = dilemma.choice(better_first)
    letters = (letter, *better), ("B" if letter == "A" else "A", *worse)
    told = dilemma.text.partition(".")[0]
    moved = f"{_capital(dilemma.where)} {dilemma.whom} {dilemma.trouble}. What should one do?"
    questions = (
        Question("open", dilemma.text, better, worse),
        Question("two-choice", shown, *letters),
        Question("rephrase", moved, better, worse),
    )
    return scenario(
        questions,
        chosen.form,
        chosen.direction,
        subject=told,
        rule=dilemma.trouble,
        label=letter if chosen.form == "two-choice" else "",
    )


def _of_deed(deed: Action, chosen: WorldBehaviorOptions) -> Scenario:
    judged = (deed.judgement,), ("bad" if deed.good else "good",)
    yes_no = ("Yes",), ("No",)
    asked = JUDGEMENT_QUESTIONS[0], JUDGEMENT_QUESTIONS[2], JUDGEMENT_PHRASINGS[0]
    kinds = "judgement", "rephrase", "statement"
    questions = [
        Question(kind, text.format(a=deed.text), *judged)
        for kind, text in zip(kinds, asked, strict=True)
    ]
    for kind, text, good in (
        ("right", RIGHT_QUESTIONS[0], True),
        ("wrong", WRONG_QUESTIONS[0], False),
    ):
        answers = yes_no if deed.good is good else yes_no[::-1]
        questions.append(Question(kind, text.format(a=deed.text), *answers))
    return scenario(
        questions,
        chosen.form,
        chosen.direction,
        subject=deed.text,
        rule=deed.deed.format(w="somebody"),
        label=deed.judgement,
    )


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def with_facts(
    selected: Sequence[Case], usable: Sequence[Case], chosen: WorldBehaviorOptions
) -> list[Case]:
    """``selected`` with what is asked of other scenarios, and of facts of the world."""
    facts = World.build(0).facts
    return [
        replace(case, probes=(*case.probes, *_facts(case.id, facts, chosen.facts)))
        for case in together(selected, usable, chosen)
    ]


def _facts(case: str, facts: Sequence[Fact], count: int) -> Iterator[Probe]:
    for fact in SEEDS.child(case).random().sample(facts, count):
        aspect = "locality/facts"
        yield Probe(f"{case}/{aspect}/{fact.id}", aspect, fact.questions()[0], group=fact.subject)


WORLD_BEHAVIOR = Benchmark(
    name="world_behavior",
    summary="dilemmas and judgements of the embedded model's world",
    options=WorldBehaviorOptions,
    cases=cases,
    together=with_facts,
)
