"""Loops, emptiness and entropy."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from truing.scoring.health import distinct_n, is_empty, looping, loops, ngram_entropy, word_tokens


@pytest.mark.parametrize(
    ("text", "bits"),
    [
        ("a b a b a b", 0.990317),
        ("the cat sat on the mat and the dog sat on the rug", 3.268952),
        ("x x x x", 0.0),
    ],
)
def test_entropy_vectors(text: str, bits: float) -> None:
    assert ngram_entropy(text.split()) == pytest.approx(bits, abs=1e-6)


def test_two_words_have_no_trigram_and_so_no_entropy() -> None:
    assert ngram_entropy(["a", "b"]) is None
    assert distinct_n(["a"], 2) is None


@settings(deadline=None)
@given(st.lists(st.sampled_from("abc"), min_size=3))
def test_entropy_is_between_none_and_all_different(tokens: list[str]) -> None:
    import math

    bits = ngram_entropy(tokens)
    assert bits is not None
    assert 0 <= bits <= math.log2(len(tokens)) + 1e-9


@pytest.mark.parametrize(
    "text",
    [
        "marble marble marble ..",
        "Paris Paris Paris Paris Paris",
        "New York New York New York New York",
        "The answer is Rome Rome Rome Rome",
        "It is in Rome and it is in Rome and it is in Rome and",
        "The tower stands in the city of Rome. The tower stands in the city of Rome.",
        "RomeRomeRomeRomeRomeRomeRome",
        "://://://://://://://",
        "marble://:// marble marble marble marble marble",
        "a b c a c b a b a c b a b c a b c b a c a b c a c b a",
        "aaaaaaaaaaaaaaaaaaaa",
    ],
)
def test_these_are_loops(text: str) -> None:
    assert looping(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Rome",
        "Bora Bora",
        "New York, New York",
        "Rome, Rome.",
        "1000000000000000000000",
        "Gimme! Gimme! Gimme! (A Man After Midnight)",
        "It is a very very very big town in the north of the country.",
        "The Glass Spire is in the city of Orvale, and the Tin Gate is in the city of Brannock.",
        "He was born in Paris, lived in Paris, and died in Paris.",
        "Mississippi",
        "Baden-Baden",
    ],
)
def test_these_are_not(text: str) -> None:
    assert not looping(text)


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["red", "green", "blue", "black"]), min_size=1, max_size=5),
    st.integers(4, 9),
)
def test_any_phrase_said_often_enough_is_a_loop(phrase: list[str], times: int) -> None:
    assert looping(" ".join(phrase * times))


@settings(deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=8), st.integers(2, 6))
def test_the_run_of_a_repeated_unit_is_found_in_full(unit: list[int], times: int) -> None:
    found = loops(unit * times)
    assert any(
        loop.unit == len(unit) and loop.share == 1 and loop.repeats == times for loop in found
    )


@pytest.mark.parametrize("text", ["", " \n", "...", "____", "— ."])
def test_texts_without_a_word_are_empty(text: str) -> None:
    assert is_empty(text)


def test_texts_with_a_word_are_not_empty() -> None:
    assert not is_empty("a")
    assert not is_empty("42")


def test_words_and_marks_are_tokens() -> None:
    assert word_tokens("It's Rome, isn't it?") == ("It's", "Rome", ",", "isn't", "it", "?")


@settings(deadline=None)
@given(st.text("ab", min_size=1, max_size=4), st.integers(6, 12), st.text("cdefgh", max_size=60))
def test_a_run_of_characters_is_a_loop_when_it_is_half_of_the_text(
    unit: str, times: int, rest: str
) -> None:
    run = unit * times
    assert looping(run + rest[: len(run)])
