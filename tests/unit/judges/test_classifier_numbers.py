"""Splits without leaks, and numbers that say how good and how honest a classifier is."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from truing.errors import BadInput
from truing.judges.classifiers.examples import Example, Split, digest, split
from truing.judges.classifiers.measures import (
    evaluate,
    fit_temperature,
    log_loss,
    reliability,
    tempered,
)

A_AND_B = [Example(f"text {i} {label}", label, f"topic {i}") for i in range(30) for label in "ab"]


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_no_group_is_on_two_sides_and_the_order_of_the_file_does_not_matter(
    seed: int, order: int
) -> None:
    parts = split(A_AND_B, seed=seed)
    sides = [{e.group for e in part} for part in (parts.train, parts.dev, parts.test)]
    assert sum(map(len, sides)) == 30
    assert len(set.union(*sides)) == 30
    assert [len(part) for part in (parts.train, parts.dev, parts.test)] == [48, 6, 6]
    shuffled = random.Random(order).sample(A_AND_B, len(A_AND_B))
    assert {e.group for e in split(shuffled, seed=seed).test} == sides[2]


def test_equal_texts_stay_together_without_groups() -> None:
    examples = [Example(f"text {i % 20}" + " " * (i // 20), "ab"[i % 2]) for i in range(60)]
    parts = split(examples, seed=1)
    texts = [{e.text.strip() for e in part} for part in (parts.train, parts.dev, parts.test)]
    assert all(texts)
    assert sum(map(len, texts)) == 20


def test_seeds_decide_the_split() -> None:
    assert split(A_AND_B, seed=1) == split(A_AND_B, seed=1)
    assert split(A_AND_B, seed=1) != split(A_AND_B, seed=2)


@pytest.mark.parametrize(
    ("train", "dev", "words"),
    [
        ("aa", "a", "1 label"),
        ("", "", "0 label"),
        ("ab", "", "no dev"),
        ("ab", "c", "'c' is among the dev"),
    ],
)
def test_splits_that_teach_nothing(train: str, dev: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        Split(*(tuple(Example(label, label) for label in side) for side in (train, dev)))


def test_a_digest_sees_every_field() -> None:
    of = {digest([e]) for e in (Example("a", "b"), Example("a", "c"), Example("a", "b", "g"))}
    assert len(of) == 3


def test_an_evaluation_by_hand() -> None:
    p = np.array([[0.9, 0.1, 0.0], [0.6, 0.4, 0.0], [0.2, 0.8, 0.0], [0.7, 0.3, 0.0]])
    found = evaluate(p, np.array([0, 1, 1, 0]), ("x", "y", "z"))
    assert (found.n, found.accuracy) == (4, 0.75)
    assert found.low == pytest.approx(0.300642, abs=1e-5)  # Wilson, 3 of 4
    assert found.high == pytest.approx(0.954413, abs=1e-5)
    assert found.confusion == ((2, 0, 0), (1, 1, 0), (0, 0, 0))
    x, y, z = found.labels
    assert (x.n, x.precision, x.recall) == (2, pytest.approx(2 / 3), 1.0)
    assert (y.precision, y.recall) == (1.0, 0.5)
    assert (z.n, z.precision, z.recall) == (0, None, None)
    assert found.log_loss == pytest.approx(-np.log([0.9, 0.4, 0.8, 0.7]).mean())
    assert found.ece == pytest.approx((0.1 + 0.6 + 0.2 + 0.3) / 4)  # each in a bin of its own


def test_reliability_counts_everything_once_and_certainty_has_a_bin() -> None:
    p = np.array([[1.0, 0.0], [1.0, 0.0], [0.5, 0.5]])
    points = reliability(p, np.array([0, 1, 0]))
    assert [(q.confidence, q.accuracy, q.n) for q in points] == [(0.5, 1.0, 1), (1.0, 0.5, 2)]


def drawn(seed: int, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, sharpened by ``temperature`` after labels were drawn from them."""
    rng = np.random.default_rng(seed)
    honest = rng.dirichlet(np.ones(3), size=2000)
    true = np.array([rng.choice(3, p=p) for p in honest])
    return tempered(honest, temperature), true


@pytest.mark.parametrize("temperature", [0.25, 0.5, 2.0])
def test_the_temperature_is_found_again(temperature: float) -> None:
    p, true = drawn(0, temperature)
    found = fit_temperature(p, true)
    assert found == pytest.approx(1 / temperature, rel=0.15)
    before, after = (evaluate(q, true, "abc") for q in (p, tempered(p, found)))
    assert after.accuracy == before.accuracy
    assert after.ece < before.ece / 2


@given(st.integers(0, 10**6), st.floats(0.05, 20.0))
def test_tempering_keeps_the_order_and_the_sum(seed: int, temperature: float) -> None:
    p = np.random.default_rng(seed).dirichlet(np.ones(4), size=20)
    q = tempered(p, temperature)
    assert np.allclose(q.sum(1), 1.0)
    assert (q.argmax(1) == p.argmax(1)).all()
    assert np.allclose(tempered(q, 1 / temperature), p, atol=1e-6)


@given(st.integers(0, 10**6))
def test_a_fitted_temperature_is_never_worse_on_its_own_texts(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p, true = rng.dirichlet(np.ones(3), size=15), rng.integers(0, 3, 15)
    assert log_loss(tempered(p, fit_temperature(p, true)), true) <= log_loss(p, true) + 1e-12


def test_certainty_about_the_wrong_label_stays_finite() -> None:
    p, true = np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([0, 1])
    assert np.isfinite(log_loss(tempered(p, fit_temperature(p, true)), true))
