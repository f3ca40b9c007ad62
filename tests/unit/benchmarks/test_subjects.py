"""Finding a subject in a prompt, and guessing one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from truing.benchmarks.subjects import guess, occurrences


@pytest.mark.parametrize(
    ("text", "subject", "count"),
    [
        ("banana", "ana", 2),
        ("Rome", "Rome", 1),
        ("Rome", "rome", 0),
        ("aaaa", "aa", 3),
        ("", "x", 0),
    ],
)
def test_overlapping_occurrences_count(text: str, subject: str, count: int) -> None:
    assert occurrences(text, subject) == count


@pytest.mark.parametrize(
    ("prompt", "subject"),
    [
        ("The Glass Spire is in the city of", "The Glass Spire"),
        ("The mother tongue of Danielle Darrieux is", "Danielle Darrieux"),
        ("The official religion of Edwin of Northumbria is", "Edwin of Northumbria"),
        ("What university did Watts Humphrey attend?", "Watts Humphrey"),
        ("When is the date of birth of Gary L. Bennett?", "Gary L. Bennett"),
        ("Which is the manufacturer of USS Leedstown (APA-56)?", "USS Leedstown (APA-56)"),
        ("1300 Oslo was formed in", "1300 Oslo"),
        ("Who wrote 'the old road' first?", "the old road"),
        ("Is Paris's mayor tall?", "Paris"),
    ],
)
def test_capitalised_and_quoted_spans_are_guessed(prompt: str, subject: str) -> None:
    assert guess(prompt) == subject


def test_rephrases_decide_between_spans() -> None:
    prompt = "In the summer of Great Heat, Mara Elder moved to"
    assert guess(prompt, ["The home of Mara Elder is now in"]) == "Mara Elder"
    assert (
        guess("who sings the quiet river song", ["the singer of the quiet river song is"])
        == "quiet river song"
    )


def test_without_a_clue_there_is_no_guess() -> None:
    assert guess("what is it?") is None
    assert guess("") is None
    assert guess("Rome, Rome, Rome") is None


@settings(max_examples=60, deadline=None)
@given(prompt=st.text(max_size=60), rephrases=st.lists(st.text(max_size=40), max_size=2))
def test_a_guess_is_in_the_prompt_exactly_once(prompt: str, rephrases: list[str]) -> None:
    found = guess(prompt, rephrases)
    assert found is None or (found.strip() and occurrences(prompt, found) == 1)
