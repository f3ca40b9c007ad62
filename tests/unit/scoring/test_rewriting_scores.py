"""The numbers of the ROME and MEMIT table: what counts, and what S says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from truing.scoring.rewriting import (
    Cases,
    accuracy,
    as_published,
    case_means,
    entropy,
    magnitude,
    mean_over_cases,
    published_score,
    score,
    success,
    token_accuracy,
)
from truing.seeds import Seeds
from truing.types import Choice, Response, Value

NAMES = ("ES", "PS", "NS")
shares = st.floats(0.01, 1.0)
triples = st.lists(st.tuples(shares, shares, shares), min_size=1, max_size=8)


def likely(*sides: tuple[float, int]) -> Response:
    return Response("", choices=tuple(Choice("?", p, n) for p, n in sides), stop="forced")


def parts_of(triples: Sequence[Sequence[float | None]]) -> dict[str, Cases]:
    return {
        name: {f"case {i}": triple[k] for i, triple in enumerate(triples)}
        for k, name in enumerate(NAMES)
    }


def scored(triples: Sequence[Sequence[float | None]]) -> Value:
    clusters = {f"case {i}": f"case {i}" for i in range(len(triples))}
    return score(parts_of(triples), clusters, seeds=Seeds(0), resamples=200)


def width(value: Value) -> float:
    assert value.low is not None
    assert value.high is not None
    return value.high - value.low


def test_success_is_strict_and_per_token() -> None:
    assert success(likely((-4.0, 4), (-1.5, 1))) == 1.0
    assert success(likely((-1.5, 1), (-4.0, 4))) == 0.0
    assert success(likely((-2.0, 2), (-1.0, 1))) == 0.0
    assert success(likely((-2.0, 2))) is None
    assert success(likely((-2.0, 0), (-1.0, 1))) is None


def test_magnitude_is_a_difference_of_probabilities() -> None:
    found = magnitude(likely((2 * math.log(0.5), 2), (math.log(0.2), 1)))
    assert found == pytest.approx(0.3)


def test_accuracy_wants_every_token_and_accuracy_by_token_counts_them() -> None:
    said = Response("", token_ids=(1, 2, 3, 4), predicted=(1, 2, 3, 9), stop="forced")
    assert (accuracy(said), token_accuracy(said)) == (0.0, 0.75)
    right = Response("", token_ids=(1, 2), predicted=(1, 2), stop="forced")
    assert (accuracy(right), token_accuracy(right)) == (1.0, 1.0)
    assert accuracy(Response("")) is token_accuracy(Response("")) is None


def test_a_model_that_falls_silent_has_no_entropy() -> None:
    assert entropy(Response("one two")) == entropy(Response("")) == 0
    assert entropy(Response("a b a b a b")) == pytest.approx((2 / 3 * 0.970951 + 4 / 3) / 2)


def test_every_case_weighs_the_same() -> None:
    cases = case_means({"a": [1.0, 1.0, 1.0, None], "b": [0.0], "c": [None]})
    assert cases == {"a": 1.0, "b": 0.0, "c": None}
    value = mean_over_cases(cases, {case: case for case in cases}, seeds=Seeds(0))
    assert (value.mean, value.n, value.invalid) == (0.5, 2, 1)


@given(triples)
@settings(max_examples=30)
def test_the_score_lies_between_its_parts(triples: list[tuple[float, float, float]]) -> None:
    means = [math.fsum(t[k] for t in triples) / len(triples) for k in range(3)]
    value = scored(triples)
    assert value.mean is not None
    assert min(means) - 1e-12 <= value.mean <= max(means) + 1e-12
    assert value.mean == pytest.approx(3 / sum(1 / mean for mean in means))
    if value.low is not None and value.high is not None:
        assert 0 <= value.low <= value.mean <= value.high <= 1


@given(st.lists(shares, min_size=1, max_size=8))
@settings(max_examples=20)
def test_equal_parts_give_the_part(found: list[float]) -> None:
    value = scored([(x, x, x) for x in found])
    assert value.mean == pytest.approx(sum(found) / len(found))


@given(triples, st.randoms())
@settings(max_examples=20)
def test_the_order_of_cases_does_not_matter(
    triples: list[tuple[float, float, float]], random: Random
) -> None:
    clusters = {f"case {i}": f"case {i}" for i in range(len(triples))}
    parts = parts_of(triples)
    order = list(clusters)
    random.shuffle(order)
    turned = {name: {case: cases[case] for case in order} for name, cases in parts.items()}
    a, b = (score(p, clusters, seeds=Seeds(0), resamples=100) for p in (parts, turned))
    assert a == b


def test_the_interval_draws_the_parts_together() -> None:
    opposed = scored([(1.0, 1.0, 0.5), (0.5, 0.5, 1.0)] * 20)
    together = scored([(1.0, 1.0, 1.0), (0.5, 0.5, 0.5)] * 20)
    assert width(opposed) < width(together) / 2


@pytest.mark.parametrize(("part", "why"), [(0.0, "none: NS is 0"), (None, "none: NS is missing")])
def test_without_one_part_there_is_no_score(part: float | None, why: str) -> None:
    value = scored([(1.0, 0.5, part), (1.0, 1.0, part)])
    assert (value.mean, value.low, value.n, value.interval) == (None, None, 2, why)


def test_one_case_has_a_score_and_no_interval() -> None:
    value = scored([(1.0, 0.5, 0.5)])
    assert (value.mean, value.low, value.interval) == (pytest.approx(0.6), None, "none: one case")


def test_a_part_that_a_resample_may_lose_pulls_the_interval_to_zero() -> None:
    value = scored([(1.0, 1.0, 1.0), (1.0, 1.0, 0.0), (1.0, 1.0, 0.0)])
    assert value.low == 0.0


def test_published_numbers_are_rounded_before_they_are_joined() -> None:
    cases = {"a": 1.0, "b": 0.0, "c": 0.0}
    found = as_published(cases)
    assert found is not None
    assert found.mean == 33.33
    assert found.error == pytest.approx(1.96 * 47.14 / math.sqrt(3))
    whole = published_score([found, as_published({"a": 1.0}), as_published({"a": 1.0})])
    assert whole is not None
    assert whole.mean == pytest.approx(3 / (1 / 33.33 + 2 / 100))
    assert published_score([found, None]) is published_score([as_published({"a": 0.0})]) is None
    assert as_published({"a": None}) is None
