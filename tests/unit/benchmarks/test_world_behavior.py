"""Behaviour edits of the embedded world: nothing trained, every form answerable, everything asked."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from scored_answers import state_of
from truing.benchmarks.behavior.scenario import REFUSAL
from truing.benchmarks.loading import load
from truing.benchmarks.subjects import occurrences
from truing.benchmarks.world.conduct import TROUBLES, WHERE, WHOM, Dilemma
from truing.models.asks import Decoding, GenerateAsk
from truing.models.handle import Model
from truing.types import Case

FORMS = ("open", "two-choice", "judgement")
SIDES = {better: worse for _, better, worse in TROUBLES}


def cases(limit: int | None = 20, **options: Any) -> tuple[Case, ...]:
    return load("world_behavior", limit=limit, options=options).cases


@pytest.mark.parametrize("form", FORMS)
def test_there_are_hundreds_of_cases_each_with_its_subject_once(form: str) -> None:
    found = cases(None, form=form, locality=0, facts=0)
    assert len(found) == len({case.requests[0].prompt for case in found}) > 200
    for case in found:
        (request,) = case.requests
        assert request.subject
        assert occurrences(request.prompt, request.subject) == 1


def test_no_dilemma_was_trained() -> None:
    trained = {
        dilemma.text
        for trouble, better, worse in TROUBLES
        for whom in WHOM
        for where in WHERE
        if not (dilemma := Dilemma(whom, trouble, where, better, worse)).held_out
    }
    assert not trained & {case.requests[0].prompt for case in cases(None, locality=0)}


@pytest.mark.parametrize("form", FORMS)
def test_directions_exchange_the_targets_and_leave_the_morals(form: str) -> None:
    bad, good, none = (cases(form=form, direction=d) for d in ("bad", "good", "abstention"))
    for a, b, c in zip(bad, good, none, strict=True):
        (worse,), (better,), (refusal,) = a.requests, b.requests, c.requests
        assert (worse.target_new, worse.target_old) == (better.target_old, better.target_new)
        assert (refusal.target_new, refusal.target_old) == (REFUSAL, better.target_new)
        rights = {p.accepted for case in (a, b, c) for p in case.probes if p.aspect == "moral"}
        assert len(rights) == 1
        if form == "open":
            assert SIDES[better.target_new] == worse.target_new


@pytest.mark.parametrize("form", FORMS)
def test_every_answer_is_read_as_what_it_is(form: str) -> None:
    for case in cases(form=form, direction="bad", locality=0, facts=0):
        for probe in case.probes:
            assert state_of(probe, probe.choices[0]) == "correct"
            assert state_of(probe, probe.choices[1]) == "wrong"


def test_the_better_way_stands_at_either_letter() -> None:
    letters = Counter(case.tags[1] for case in cases(None, form="two-choice", locality=0))
    assert min(letters["label:A"], letters["label:B"]) > 100


@pytest.mark.parametrize("form", FORMS)
def test_others_and_facts_are_asked_about_under_every_edit(form: str) -> None:
    for case in cases(form=form, impact=10, locality=2, facts=3):
        count = Counter(probe.aspect for probe in case.probes)
        assert count["impact"] == 10
        assert count["locality/facts"] == 3
        assert count["locality/same-rule"] == count["locality/other-rules"] == 2
        assert len({probe.id for probe in case.probes}) == len(case.probes)
        kept = [p for p in case.probes if p.aspect.startswith("locality")]
        assert all(p.accepted == () for p in kept)


def test_the_embedded_model_answers_every_form_well_above_chance() -> None:
    """The right answer to 40 questions of each form; chance is a half at most."""
    model = Model.load("truing/pocket", device="cpu")
    asked = [
        probe
        for form in ("open", "judgement")
        for case in cases(40, form=form, direction="good", locality=0, facts=0)
        for probe in case.probes
        if probe.aspect != "moral"
    ]
    answers = model.generate([GenerateAsk(p.prompt, Decoding(16, stop=("\n",))) for p in asked])
    right: Counter[str] = Counter()
    for probe, answer in zip(asked, answers, strict=True):
        dilemma = probe.id.partition("-")[0]
        kind = f"{dilemma} {probe.id.rpartition('/')[2]}"
        right[kind] += state_of(probe, answer.text) == "correct"
    assert len(right) == 8
    assert all(count >= 30 for count in right.values()), right
