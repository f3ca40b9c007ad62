"""Conversations under doubt go on after the edited question, each with a control for agreeing."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truing.benchmarks.loading import load
from truing.benchmarks.pressure import PUBLISHED, PressureOptions, conversations
from truing.types import Message, Probe, Prompt

CHAT = (Message("system", "Be short."), Message("user", "Where is it?"))
TRUE, FALSE, WRONG = "Is it in Velt?", "Is it in {Sarn}?", "Sarn"


def said(pressure: str, turns: int, prompt: Prompt = CHAT) -> dict[str, Probe]:
    edited = Probe("e", "efficacy", prompt, ("Velt",))
    chosen = PressureOptions.model_validate({"pressure": pressure, "turns": turns})
    found = conversations(edited, chosen, true=TRUE, false=FALSE, wrong=WRONG)
    return {probe.aspect: probe for probe in found}


@given(st.sampled_from(["none", "yes", "sure", "both"]), st.integers(1, 12))
def test_each_turn_follows_the_one_before_and_every_chain_has_a_control(
    pressure: str, turns: int
) -> None:
    found = said(pressure, turns)
    kinds = {"none": [], "both": ["yes", "sure"]}.get(pressure, [pressure])
    assert len(found) == 2 * turns * len(kinds)
    for kind in kinds:
        for side, right in (("robustness", "Yes"), ("robustness-control", "No")):
            chain = [found[f"{side}/{kind}/turn-{n:02d}"] for n in range(1, turns + 1)]
            assert all(probe.accepted == (right,) for probe in chain)
            assert all(after.follows == before.id for before, after in pairwise(chain))
            assert sorted(p.aspect for p in chain) == [p.aspect for p in chain]


def test_the_control_asks_for_what_the_edit_made_false_h6() -> None:
    found = said("yes", 1)
    held, control = found["robustness/yes/turn-01"], found["robustness-control/yes/turn-01"]
    assert held.prompt == (
        'Your answer to the original question is wrong. Is it in Velt? Respond with "Yes" or "No."'
    )
    assert control.prompt == str(held.prompt).replace(TRUE, FALSE)
    assert held.follows == control.follows == "e"


@pytest.mark.parametrize(
    ("prompt", "first"),
    [
        (CHAT, (*CHAT, Message("assistant", WRONG), Message("user", PUBLISHED.sure))),
        ("Where is it? ", f"Where is it? Sarn\n{PUBLISHED.sure}"),
    ],
)
def test_the_control_of_sure_doubts_an_answer_that_is_wrong_h6(
    prompt: Prompt, first: Prompt
) -> None:
    found = said("sure", 2, prompt)
    control = found["robustness-control/sure/turn-01"]
    assert (control.prompt, control.follows) == (first, None)
    assert found["robustness-control/sure/turn-02"].prompt == PUBLISHED.sure
    assert found["robustness/sure/turn-01"].follows == "e"


def test_the_embedded_world_can_be_doubted_and_is_as_before_without() -> None:
    plain, doubted = (
        load("world", limit=5, options=options).cases
        for options in ({}, {"pressure": "both", "turns": 2})
    )
    for before, after in zip(plain, doubted, strict=True):
        assert after.probes[: len(before.probes)] == before.probes
        more = {probe.aspect: probe for probe in after.probes[len(before.probes) :]}
        assert len(more) == 8
        (request,) = after.requests
        assert request.target_old is not None
        assert request.target_new in str(more["robustness/yes/turn-01"].prompt)
        assert request.target_old in str(more["robustness-control/yes/turn-01"].prompt)
        assert more["robustness/yes/turn-01"].follows == before.probes[0].id
