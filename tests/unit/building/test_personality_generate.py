"""What a writer is asked for opinions."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opinions import NAMES, TRAITS, order, topics

from truing.benchmarks.personality import QUESTIONS
from truing.building.personality.generate import WORDING, Band
from truing.errors import BadInput


def test_every_topic_and_trait_is_asked_for_in_one_of_the_13_ways() -> None:
    asked = order()
    assert len(asked.wishes) == len(asked.asks) == len(NAMES) * 3 * 3
    assert len(QUESTIONS) == 13
    for wish, ask in zip(asked.wishes, asked.asks, strict=True):
        assert wish.question in {q.format(wish.topic.name) for q in QUESTIONS}
        assert ask.prompt == wish.question
        assert wish.facet in wish.trait.facets
        assert 0 <= ask.seed < 2**31
    assert len({wish.question.replace(wish.topic.name, "") for wish in asked.wishes}) > 6


def test_texts_of_one_place_have_different_facets() -> None:
    places: dict[tuple[str, str], list[str]] = {}
    for wish in order(n=6, spare=2).wishes:
        places.setdefault((wish.topic.name, wish.trait.name), []).append(wish.facet)
    assert all(len(set(facets[:6])) == 6 and len(facets) == 8 for facets in places.values())


def test_all_traits_are_asked_in_the_same_words_but_for_what_they_are() -> None:
    asked = order(wording=WORDING, band=Band(12, 34))
    for wish, ask in zip(asked.wishes, asked.asks, strict=True):
        assert "12 to 34 words" in ask.system
        assert wish.facet in ask.system
        assert wish.topic.name not in ask.system
        assert "{" not in ask.system
        for other in TRAITS:
            assert (other.definition in ask.system) is (other == wish.trait)


@given(st.integers(0, 5), st.integers(2, len(NAMES)))
def test_a_topic_more_changes_no_other_ask(seed: int, count: int) -> None:
    fewer = order(chosen=topics(NAMES[: count - 1]), seed=seed)
    more = order(chosen=topics(NAMES[:count]), seed=seed)
    assert set(fewer.asks) <= set(more.asks)


def test_a_place_that_nothing_fills_is_told() -> None:
    with pytest.raises(BadInput, match=re.escape("a place {mood}")):
        order(wording="Answer as {person} in a {mood} mood.")
    with pytest.raises(BadInput, match="is no band"):
        Band(9, 3)
    with pytest.raises(BadInput, match="n is 0"):
        order(n=0)
