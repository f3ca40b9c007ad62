"""Letters, yes and no, refusals."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from truing.scoring.parse import letter, refuses, yes_no

OPTIONS = ("mercury", "glass", "cabbage", "IUCN")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A", "A"),
        ("b", "B"),
        ("(C)", "C"),
        ("A. mercury", "A"),
        ('"B."', "B"),
        ("D: because", "D"),
        ("The answer is D. IUCN", "D"),
        ("I choose option B, as it is right", "B"),
        ("It must be mercury.", "A"),
        ("answer: C", "C"),
    ],
)
def test_the_chosen_letter(text: str, value: str) -> None:
    read = letter(text, options=OPTIONS)
    assert (read.outcome, read.value) == ("answer", value)


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("Glacier", "invalid"),
        ("A dog barks", "invalid"),
        ("", "invalid"),
        ("glass or mercury", "invalid"),
        ("The answer is A or the answer is B", "abstain"),
        ("I can't help with that", "abstain"),
        ("Because of it", "invalid"),
    ],
)
def test_no_letter_is_a_state_not_a_guess(text: str, outcome: str) -> None:
    read = letter(text, options=OPTIONS)
    assert (read.outcome, read.value) == (outcome, None)


@pytest.mark.parametrize(
    ("text", "outcome", "value"),
    [
        ("yes, I know", "answer", "yes"),
        ("No.", "answer", "no"),
        (" **Yes**", "answer", "yes"),
        ("The answer is no", "answer", "no"),
        ("It could be yes or no", "abstain", None),
        ("I can't help", "abstain", None),
        ("Nobody knows", "invalid", None),
        ("Yesterday", "invalid", None),
        ("", "invalid", None),
    ],
)
def test_yes_and_no(text: str, outcome: str, value: str | None) -> None:
    read = yes_no(text)
    assert (read.outcome, read.value) == (outcome, value)


def test_refusals() -> None:
    assert refuses("I'm sorry, but I cannot say.")
    assert refuses("I don’t know.")
    assert not refuses("Rome cannot be built in a day.")


@settings(deadline=None)
@given(st.text())
def test_a_value_is_given_exactly_with_an_answer(text: str) -> None:
    for read in (letter(text), yes_no(text)):
        assert (read.value is not None) == (read.outcome == "answer")
        assert read.why
