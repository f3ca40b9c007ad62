"""Paired comparisons and corrections."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from scored_rows import seen

from truing.errors import BadInput, UnknownName
from truing.scoring.observations import Observation
from truing.scoring.paired import (
    benjamini_hochberg,
    cohens_h,
    compare,
    correct,
    holm,
    mcnemar,
    pair,
    sign_flip,
    standardised,
)
from truing.seeds import Seeds
from truing.types import Comparison

SEEDS = Seeds(0)


def side(scores: list[float | None], probes: int = 1) -> list[Observation]:
    return [
        seen(
            f"c{i // probes:03d}", s, probe=str(i % probes), state=None if s is None else "correct"
        )
        for i, s in enumerate(scores)
    ]


def against(
    ours: list[Observation], theirs: list[Observation], *, bounded: bool = True
) -> Comparison:
    return compare(ours, theirs, against="none", seeds=SEEDS, bounded=bounded, resamples=400)


def test_mcnemar_against_the_binomial_test() -> None:
    ours = side([1.0] * 9 + [0.0] * 2 + [1.0] * 5)
    theirs = side([0.0] * 9 + [1.0] * 2 + [1.0] * 5)
    c = against(ours, theirs)
    assert c.test == "exact McNemar"
    assert c.p == pytest.approx(scipy_stats.binomtest(9, 11).pvalue)
    assert c.delta == pytest.approx(7 / 16)
    assert c.n_pairs == 16
    assert c.p_adjusted is None


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=12))
def test_sign_flips_and_mcnemar_agree_for_single_binary_pairs(
    drawn: list[tuple[bool, bool]],
) -> None:
    ours, theirs = side([float(a) for a, _ in drawn]), side([float(b) for _, b in drawn])
    pairs = pair(ours, theirs)
    flipped = sign_flip(pairs.cluster_sums()[0], rng=np.random.default_rng(0))
    assert flipped == pytest.approx(mcnemar(pairs))


def test_sign_flips_by_hand() -> None:
    """Sums 1, 2, 3: of 8 sign patterns only all plus and all minus reach 6."""
    assert sign_flip(np.array([1.0, 2.0, 3.0]), rng=np.random.default_rng(0)) == 2 / 8
    assert sign_flip(np.array([0.0, 0.0]), rng=np.random.default_rng(0)) == 1.0


def test_random_flips_are_close_to_all_flips() -> None:
    x = np.round(np.random.default_rng(3).normal(0.4, 1, 16), 1)
    every = [abs(float(np.dot(s, np.abs(x)))) for s in itertools.product((-1, 1), repeat=16)]
    exact = float(np.mean(np.array(every) >= abs(x.sum()) - 1e-9))
    padded = np.concatenate([x, [1e-12]])
    drawn = sign_flip(padded, rng=np.random.default_rng(0), flips=20_000)
    assert sign_flip(x, rng=np.random.default_rng(0)) == pytest.approx(exact)
    assert drawn == pytest.approx(exact, abs=0.02)


def test_a_random_permutation_p_is_never_zero() -> None:
    assert 0 < sign_flip(np.ones(60), rng=np.random.default_rng(0), flips=1000) <= 1 / 1000


def test_graded_scores_are_permuted_over_cases() -> None:
    ours = side([0.9, 0.8, 1.0, 0.7, 0.9, 1.0, 0.6, 0.8], probes=2)
    theirs = side([0.1, 0.2, 0.3, 0.0, 0.5, 0.2, 0.1, 0.4], probes=2)
    c = against(ours, theirs)
    assert c.test == "sign-flip permutation over cases"
    assert c.p == 2 / 2**4
    assert c.n_pairs == 8


def test_only_probes_scored_on_both_sides_are_compared() -> None:
    c = against(side([1.0, None, 1.0, 0.0]), side([0.0, 1.0, None, 0.0]))
    assert (c.n_pairs, c.delta) == (2, 0.5)


def test_no_pairs_is_no_comparison() -> None:
    c = against(side([1.0]), [seen("other", 1.0)])
    assert (c.delta, c.low, c.high, c.p, c.n_pairs, c.test) == (
        None,
        None,
        None,
        None,
        0,
        "none: no pairs",
    )


def test_one_case_has_a_difference_but_neither_interval_nor_p() -> None:
    c = against(side([1.0, 0.5], probes=2), side([0.0, 0.5], probes=2))
    assert (c.delta, c.low, c.p, c.test) == (0.5, None, None, "none: one case")


def test_equal_sides_differ_by_nothing_with_an_interval() -> None:
    c = against(side([1.0, 0.0] * 10), side([1.0, 0.0] * 10))
    assert (c.delta, c.p) == (0.0, 1.0)
    assert c.low is not None
    assert c.high is not None
    assert c.low < 0 < c.high


def test_from_all_wrong_to_all_right_is_not_certain() -> None:
    c = against(side([1.0] * 20), side([0.0] * 20))
    assert c.delta == c.high == 1.0
    assert c.low is not None
    assert 0.7 < c.low < 0.9
    assert c.p == pytest.approx(2 * 0.5**20)


def test_unbounded_numbers_that_all_move_alike_get_no_interval() -> None:
    c = against(side([3.0, 4.0, 5.0]), side([2.0, 3.0, 4.0]), bounded=False)
    assert (c.delta, c.low, c.high) == (1.0, None, None)
    assert c.p == 0.25


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=4, max_size=24),
    st.integers(1, 3),
)
def test_a_comparison_holds_its_difference_and_turns_round(
    drawn: list[tuple[float, float]], probes: int
) -> None:
    a, b = side([x for x, _ in drawn], probes), side([y for _, y in drawn], probes)
    c, back = against(a, b), against(b, a)
    assert c.delta is not None
    assert back.delta is not None
    assert c.delta == pytest.approx(-back.delta)
    assert c.p == pytest.approx(back.p, abs=0.02)
    if c.low is not None and c.high is not None:
        assert -1 <= c.low <= c.delta <= c.high <= 1


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=12), st.data())
def test_the_order_of_pairs_decides_nothing(
    drawn: list[tuple[float, float]], data: st.DataObject
) -> None:
    a, b = side([x for x, _ in drawn]), side([y for _, y in drawn])
    shuffled = data.draw(st.permutations(a))
    assert against(shuffled, b) == against(a, b)


def test_probes_scored_twice_are_refused() -> None:
    with pytest.raises(BadInput, match="scored twice"):
        against([seen("a", 1.0), seen("a", 1.0)], side([1.0]))


def test_a_comparison_under_the_null_is_rarely_significant() -> None:
    rng = np.random.default_rng(7)
    found = 0
    for _ in range(200):
        level = rng.random(15)
        draw = [
            (rng.random((15, 2)) < level[:, None]).astype(float).ravel().tolist() for _ in range(2)
        ]
        p = against(side(draw[0], 2), side(draw[1], 2)).p
        assert p is not None
        found += p < 0.05
    assert found / 200 <= 0.08


def test_the_smallest_detectable_difference_comes_from_the_paired_error() -> None:
    base = [float(i % 2) for i in range(20)]
    better = [*base[:18], 1.0, 1.0]
    error = np.std([0] * 19 + [1], ddof=1) / np.sqrt(20)
    assert against(side(better), side(base)).detectable == pytest.approx(2.8016 * error, rel=1e-4)
    assert against(side(base), side(base)).detectable is None


def test_the_detectable_difference_is_found_four_times_out_of_five() -> None:
    rng = np.random.default_rng(3)
    noise = 0.1 * rng.standard_normal((150, 40))
    least = 2.8016 * 0.1 / np.sqrt(40)
    found = [
        against(side((0.5 + least + row).tolist()), side([0.5] * 40)).p or 1.0 for row in noise
    ]
    assert np.mean(np.array(found) < 0.05) == pytest.approx(0.8, abs=0.06)


def test_effect_sizes_by_hand() -> None:
    h = cohens_h(pair(side([1.0, 1.0, 1.0, 0.0]), side([0.0, 0.0, 1.0, 0.0])))
    assert h == pytest.approx(2 * np.arcsin(np.sqrt(0.75)) - 2 * np.arcsin(np.sqrt(0.25)))
    assert standardised(np.array([1.0, 2.0, 3.0])) == pytest.approx(2.0)
    assert standardised(np.array([0.5, 0.5])) is None


# --- families


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), max_size=20))
def test_benjamini_hochberg_agrees_with_scipy(ps: list[float]) -> None:
    wanted = scipy_stats.false_discovery_control(ps).tolist() if ps else []
    assert benjamini_hochberg(ps) == pytest.approx(wanted)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), max_size=20))
def test_adjusted_ps_are_no_smaller_and_keep_their_order(ps: list[float]) -> None:
    for adjusted in (holm(ps), benjamini_hochberg(ps)):
        assert all(p <= q + 1e-12 and q <= 1 for p, q in zip(ps, adjusted, strict=True))
        order = sorted(range(len(ps)), key=lambda i: ps[i])
        assert all(adjusted[a] <= adjusted[b] + 1e-12 for a, b in itertools.pairwise(order))


def test_a_family_counts_only_real_tests() -> None:
    def tested(p: float | None) -> Comparison:
        return Comparison("none", 0.1, 0.0, 0.2, p, None, "exact McNemar", 10)

    family = [tested(0.01), None, tested(None), tested(0.04)]
    adjusted = correct(family)
    assert [None if c is None else c.p_adjusted for c in adjusted] == [
        pytest.approx(0.02),
        None,
        None,
        0.04,
    ]
    assert family[0] == tested(0.01)
    assert correct([]) == []
    with pytest.raises(UnknownName):
        correct(family, "bonferoni")
