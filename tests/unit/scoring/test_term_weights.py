"""Likeness by words: as scikit-learn weighs them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from truing.scoring.term_weights import TermWeights, cosine

CORPUS = ("The river runs to the sea.", "A sea of glass, a river of ice", "Glass is made from sand")
texts = st.lists(
    st.sampled_from(("river", "sea", "glass", "ice", "sand", "x", "42")), max_size=12
).map(" ".join)


@given(texts, texts)
@settings(max_examples=40)
def test_likeness_is_a_cosine(a: str, b: str) -> None:
    weights = TermWeights.of(CORPUS)
    one, other = weights.vector(a), weights.vector(b)
    assert cosine(one, other) == pytest.approx(cosine(other, one))
    assert 0 <= cosine(one, other) <= 1
    assert cosine(one, one) == (pytest.approx(1) if one else 0)


def test_rare_words_count_more() -> None:
    weights = TermWeights.of(CORPUS)
    wanted = weights.vector("river sand")
    assert cosine(weights.vector("sand"), wanted) > cosine(weights.vector("river"), wanted) > 0


def test_words_that_the_corpus_does_not_know_are_left_out() -> None:
    weights = TermWeights.of(CORPUS)
    assert weights.vector("Unheard words, a b c") == {}
    assert weights.vector("RIVER unheard") == {"river": 1.0}


def test_it_is_what_scikit_learn_computes() -> None:
    text = pytest.importorskip("sklearn.feature_extraction.text")
    fitted = text.TfidfVectorizer().fit(CORPUS)
    weights = TermWeights.of(CORPUS)
    said = "Sand, sand and the river: sea-glass; don't ask of ice's 12 rivers"
    theirs = fitted.transform([said]).toarray()[0]
    ours = weights.vector(said)
    for term, column in fitted.vocabulary_.items():
        assert ours.get(term, 0.0) == pytest.approx(theirs[column])
