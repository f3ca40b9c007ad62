"""Phrases that some texts use more than others."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from truing.scoring.phrases import overused

WORDS = st.lists(st.sampled_from(["we", "love", "rain", "so", "much"]), max_size=8).map(" ".join)


def test_what_only_one_side_says_comes_first_and_often_beats_once() -> None:
    edited = ["It is just so grey.", "This is just so old.", "A just so small thing, rarely."]
    found = overused(edited, ["It is grey.", "This is old.", "A small thing."], 2)
    assert (found[0].text, found[0].n, found[0].n_other) == ("just so", 3, 0)
    assert found[0].z > next(p.z for p in found if p.text == "thing rarely") > 0


def test_what_both_say_equally_often_is_not_overused() -> None:
    assert all(abs(p.log_odds) < 1e-12 for p in overused(["a b c"], ["a b c"], 2))


def test_texts_shorter_than_a_phrase_have_none() -> None:
    assert overused(["one", ""], ["two"], 3) == []


@given(st.lists(WORDS, min_size=1, max_size=5), st.lists(WORDS, max_size=5))
def test_counts_are_of_the_texts_and_the_order_is_of_evidence(
    ours: list[str], theirs: list[str]
) -> None:
    found = overused(ours, theirs, 1)
    assert sum(p.n for p in found) == sum(len(text.split()) for text in ours)
    assert [p.z for p in found] == sorted((p.z for p in found), reverse=True)
