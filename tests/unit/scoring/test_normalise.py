"""Texts made comparable, with the published rule's test vectors."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from truing.scoring.normalise import contains, equal, normalise


@pytest.mark.parametrize(
    ("prediction", "gold", "same"),
    [
        ("The Old Betsy.", "Old Betsy", True),
        ("Robert C", "Robert C. Newton", False),
        (" 17 May, 1909", "17 May 1909", True),
        ("U.S.", "US", True),
        ("Stone's Corner", "Stones Corner", True),
        ("“Paris”", "Paris", False),
        ("", "THE", True),
        ("", ")", True),
        ("anthem", "them", False),
        ("a  b", "B", True),
    ],
)
def test_published_vectors(prediction: str, gold: str, same: bool) -> None:
    assert equal(prediction, gold) is same


@settings(deadline=None)
@given(st.text())
def test_normalised_text_has_single_spaces_and_no_ascii_punctuation(text: str) -> None:
    out = normalise(text)
    assert out == " ".join(out.split())
    assert not set(out) & set("!.,;:'\"()[]{}?-_")


@pytest.mark.parametrize(
    ("answer", "gold", "held"),
    [
        ("It is in Rome, Italy.", "Rome", True),
        ("the Romeo", "Rome", False),
        ("“Rome”", "Rome", True),
        ("Rome—the capital", "Rome", True),
        ("Paris/Rome", "Rome", True),
        ("the U.S. Navy", "US", True),
        ("Saint Denis", "Saint-Denis", True),
        ("Stone’s Corner", "Stone's Corner", True),
        ("It is not here", "Rome", False),
        ("anything", "", False),
        ("anything", ")", False),
        ("the", "the", False),
        ("", "Rome", False),
        ("ROME", "rome", True),
    ],
)
def test_containment_is_of_whole_words(answer: str, gold: str, held: bool) -> None:
    assert contains(answer, gold) is held


@settings(deadline=None)
@given(st.text(), st.text(), st.text())
def test_a_gold_between_spaces_is_held(before: str, gold: str, after: str) -> None:
    if normalise(gold):
        assert contains(f"{before} {gold} {after}", gold)
