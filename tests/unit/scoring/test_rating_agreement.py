"""A judge beside people: by hand, against scipy, and what must not decide it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy import stats

from truing.scoring.rating_agreement import BothRated, Coefficient, Sides, rating_agreement
from truing.seeds import Seeds

SEEDS = Seeds(0)
RATING = some.integers(1, 5).map(float)
SIDES = some.builds(Sides, RATING, RATING)
PAIRS = some.lists(
    some.builds(BothRated, some.sampled_from("abcdefgh"), SIDES, SIDES), min_size=1, max_size=20
)


def pair(case: str, judge: tuple[float, float], people: tuple[float, float]) -> BothRated:
    return BothRated(case, Sides(*judge), Sides(*people))


FIVE = [
    pair("a", (3, 4), (3, 5)),
    pair("b", (3, 3), (2, 4)),
    pair("c", (2, 5), (1, 5)),
    pair("d", (4, 4), (4, 3)),
    pair("e", (3, 5), (3, 5)),
]


def test_five_pairs_by_hand() -> None:
    found = rating_agreement(FIVE, seeds=SEEDS)
    assert (found.pairs, found.cases) == (5, 5)
    assert (found.judge.unedited.mean, found.judge.edited.mean) == (3.0, 4.2)
    assert (found.judge.pae.mean, found.people.pae.mean) == (pytest.approx(1.2), pytest.approx(1.8))
    assert found.bias.mean == pytest.approx(-0.6)
    assert found.bias.low is not None
    assert found.bias.low < -0.6
    gaps = [-1, -2, -1, 1, 0]
    spread = 1.959964 * stats.tstd(gaps)
    assert found.limits == pytest.approx((-0.6 - spread, -0.6 + spread))


def test_correlations_and_kappa_are_the_usual_ones() -> None:
    found = rating_agreement(FIVE, seeds=SEEDS)
    a, b = [p.judge.pae for p in FIVE], [p.people.pae for p in FIVE]
    assert found.pae.pearson.value == pytest.approx(stats.pearsonr(a, b).statistic)
    assert found.pae.spearman.value == pytest.approx(stats.spearmanr(a, b).statistic)
    judge = [x for p in FIVE for x in (p.judge.unedited, p.judge.edited)]
    people = [x for p in FIVE for x in (p.people.unedited, p.people.edited)]
    assert found.ratings.spearman.value == pytest.approx(stats.spearmanr(judge, people).statistic)
    assert found.ratings.pearson.n == 10
    seen = sum((x - y) ** 2 for x, y in zip(judge, people, strict=True)) / 10
    chance = sum((x - y) ** 2 for x in judge for y in people) / 100
    assert found.kappa.value == pytest.approx(1 - seen / chance)


def test_a_constant_bias_leaves_correlations_alone() -> None:
    shifted = [pair(p.case, (p.people.unedited, p.people.edited - 1), (p.people.unedited, p.people.edited))
               for p in FIVE]  # fmt: skip
    found = rating_agreement(shifted, seeds=SEEDS)
    assert found.pae.pearson.value == pytest.approx(1)
    assert (found.bias.mean, found.limits) == (-1.0, (-1.0, -1.0))
    assert found.bias.interval == "none: all cases agree"


def test_too_few_cases_have_no_correlation() -> None:
    for pairs in (FIVE[:3], [pair("a", (3, 4), (3, 5))] * 9, []):
        found = rating_agreement(pairs, seeds=SEEDS)
        assert found.pae.pearson == Coefficient(len(pairs))
    assert found.limits is None
    assert found.bias.mean is None


def test_pairs_of_one_case_are_one_independent_thing() -> None:
    loose = rating_agreement(
        [BothRated(f"{p.case}{i}", p.judge, p.people) for p in FIVE for i in range(6)], seeds=SEEDS
    )
    tied = rating_agreement(FIVE * 6, seeds=SEEDS)
    assert tied.pae.pearson.value == pytest.approx(loose.pae.pearson.value)
    assert _width(tied.ratings.pearson) > 1.5 * _width(loose.ratings.pearson)
    assert tied.kappa.interval == "95% bootstrap over clusters"


def _width(found: Coefficient) -> float:
    assert found.low is not None
    assert found.high is not None
    return found.high - found.low


@settings(max_examples=30, deadline=None)
@given(PAIRS, some.randoms(use_true_random=False))
def test_order_decides_nothing_and_raters_change_places(pairs: list[BothRated], rng) -> None:  # type: ignore[no-untyped-def]
    found = rating_agreement(pairs, seeds=SEEDS, resamples=20)
    mixed = rng.sample(pairs, len(pairs))
    assert rating_agreement(mixed, seeds=SEEDS, resamples=20) == found
    turned = [BothRated(p.case, p.people, p.judge) for p in pairs]
    other = rating_agreement(turned, seeds=SEEDS, resamples=20)
    assert other.bias.mean == pytest.approx(-(found.bias.mean or 0))
    assert (other.judge.pae.mean, other.people.pae.mean) == (
        found.people.pae.mean,
        found.judge.pae.mean,
    )
    for one in (found.pae.pearson, found.pae.spearman, found.ratings.spearman):
        assert one.value is None or -1 <= (one.low or -1) <= one.value <= (one.high or 1) <= 1
