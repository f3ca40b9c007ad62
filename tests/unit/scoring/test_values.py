"""Means with intervals, and what is left out of them."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from scored_rows import forced, row, seen

from truing.errors import BadInput
from truing.scoring.intervals import bootstrap_ratio, newcombe, ratio_error, wilson
from truing.scoring.observations import Observation, by_key, clusters_of, observe, observe_reading
from truing.scoring.readings import READINGS
from truing.scoring.stats import (
    complement,
    minimum_detectable_effect,
    noise_floor,
    retention,
    standard_error,
    value_of,
)
from truing.seeds import Seeds
from truing.types import Verdict

SEEDS = Seeds(0)
scores = st.one_of(st.none(), st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 1))
observations = st.lists(st.tuples(st.integers(0, 6), scores), min_size=0, max_size=40).map(
    lambda drawn: [seen(f"c{c}", s, probe=str(i)) for i, (c, s) in enumerate(drawn)]
)


@settings(max_examples=60, deadline=None)
@given(observations)
def test_an_interval_holds_its_mean_and_stays_in_range(obs: list[Observation]) -> None:
    value = value_of(obs, seeds=SEEDS, resamples=200)
    scored = [o.score for o in obs if o.score is not None]
    assert value.n == len(scored)
    if not scored:
        assert (value.mean, value.low, value.high, value.interval) == (None, None, None, "")
        return
    assert value.mean == pytest.approx(statistics.fmean(scored))
    assert value.clusters == len({o.cluster for o in obs if o.score is not None})
    if value.clusters == 1:
        assert (value.low, value.high, value.interval) == (None, None, "none: one case")
        return
    assert value.low is not None
    assert value.high is not None
    assert 0 <= value.low <= value.mean <= value.high <= 1
    assert value.low < value.high


@settings(max_examples=40, deadline=None)
@given(observations, st.randoms(use_true_random=False))
def test_the_order_of_observations_decides_nothing(obs: list[Observation], random: object) -> None:
    shuffled = list(obs)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    a, b = (value_of(o, seeds=SEEDS, resamples=100) for o in (obs, shuffled))
    for field in ("mean", "low", "high"):
        assert getattr(a, field) == pytest.approx(getattr(b, field), abs=1e-12)
    assert (a.n, a.clusters, a.interval) == (b.n, b.clusters, b.interval)


def test_nothing_scored_is_no_number() -> None:
    obs = [
        seen("a", None, state="invalid"),
        seen("b", None, state="abstain"),
        seen("c", None, state=None),
    ]
    value = value_of(obs, seeds=SEEDS)
    assert (value.n, value.mean, value.clusters) == (0, None, 0)
    assert (value.invalid, value.abstain, value.missing) == (1, 1, 1)


def test_states_are_counted_and_degenerate_answers_weigh_as_zero() -> None:
    obs = [
        seen("a", 1.0),
        seen("b", 0.0, state="degenerate"),
        seen("c", None, state="invalid"),
        seen("d", None, state=None),
    ]
    value = value_of(obs, seeds=SEEDS)
    assert (value.n, value.mean) == (2, 0.5)
    assert (value.degenerate, value.invalid, value.missing, value.abstain) == (1, 1, 1, 0)


def test_wilson_where_cases_are_independent_and_right_or_wrong() -> None:
    value = value_of([seen(str(i), float(i < 8)) for i in range(10)], seeds=SEEDS)
    wanted = scipy_stats.binomtest(8, 10).proportion_ci(method="wilson")
    assert value.interval == "95% Wilson"
    assert (value.low, value.high) == pytest.approx((wanted.low, wanted.high))


@settings(deadline=None)
@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_agrees_with_scipy(drawn: tuple[int, int]) -> None:
    k, n = drawn
    wanted = scipy_stats.binomtest(k, n).proportion_ci(method="wilson")
    assert wilson(k / n, n, 0.95) == pytest.approx((wanted.low, wanted.high), abs=1e-9)


def test_newcombe_published_example() -> None:
    assert newcombe(56 / 70, 70, 48 / 80, 80, 0.95) == pytest.approx((0.0524, 0.3339), abs=1e-4)
    assert newcombe(1.0, 20, 0.0, 20, 0.95)[1] == 1.0


def test_perfect_scores_still_have_an_interval() -> None:
    one_each = value_of([seen(str(i), 1.0) for i in range(20)], seeds=SEEDS)
    three_each = value_of(
        [seen(str(i), 1.0, probe=str(j)) for i in range(20) for j in range(3)], seeds=SEEDS
    )
    assert one_each.interval == "95% Wilson"
    assert three_each.interval == "95% Wilson over cases"
    assert (
        (one_each.low, one_each.high)
        == (three_each.low, three_each.high)
        == pytest.approx((0.8389, 1), abs=1e-4)
    )


def test_probes_of_one_case_do_not_make_the_interval_narrower() -> None:
    """Ten cases asked five identical questions know no more than ten cases asked one."""
    once = [seen(str(i), float(i % 2)) for i in range(10)]
    five = [seen(str(i), float(i % 2), probe=str(j)) for i in range(10) for j in range(5)]
    a, b = (value_of(o, seeds=SEEDS) for o in (once, five))
    assert b.interval == "95% bootstrap over cases"
    assert a.low is not None
    assert a.high is not None
    assert b.low is not None
    assert b.high is not None
    assert b.high - b.low > 0.9 * (a.high - a.low)


def test_numbers_without_a_range_get_no_interval_when_all_agree() -> None:
    obs = [seen(str(i), 3.5) for i in range(5)]
    value = value_of(obs, seeds=SEEDS, bounded=False)
    assert (value.mean, value.low, value.high, value.interval) == (
        3.5,
        None,
        None,
        "none: all cases agree",
    )


def test_the_seed_decides_the_bootstrap_and_nothing_else_does() -> None:
    rng = np.random.default_rng(1)
    obs = [seen(str(i), float(s)) for i, s in enumerate(rng.normal(5, 2, 30))]
    a, b, other = (value_of(obs, seeds=Seeds(s), bounded=False) for s in (3, 3, 4))
    assert a == b
    assert a.low != other.low
    assert a.low == pytest.approx(other.low, abs=0.2)


def test_the_bootstrap_is_close_to_the_t_interval_for_normal_scores() -> None:
    x = np.random.default_rng(2).normal(5, 2, 25)
    bounds = bootstrap_ratio(
        x, np.ones(25), rng=np.random.default_rng(0), resamples=20_000, confidence=0.95
    )
    wanted = scipy_stats.t.interval(0.95, 24, x.mean(), x.std(ddof=1) / 5)
    assert bounds == pytest.approx(wanted, abs=0.12)


def test_coverage_with_correlated_probes() -> None:
    """The true mean is in the 95% interval in about 95% of simulated studies (12 cases, 3 probes)."""
    rng = np.random.default_rng(5)
    hits, studies = 0, 300
    for _ in range(studies):
        chance = rng.beta(2, 2, 12)
        drawn = rng.random((12, 3)) < chance[:, None]
        obs = [seen(str(i), float(drawn[i, j]), probe=str(j)) for i in range(12) for j in range(3)]
        value = value_of(obs, seeds=Seeds(int(rng.integers(1 << 30))), resamples=300)
        assert value.low is not None
        assert value.high is not None
        hits += value.low <= 0.5 <= value.high
    assert 0.91 <= hits / studies <= 0.99


def test_standard_error_of_independent_scores_is_the_textbook_one() -> None:
    x = [0.0, 1.0, 1.0, 0.5, 0.25]
    error = standard_error([seen(str(i), s) for i, s in enumerate(x)])
    assert error == pytest.approx(statistics.stdev(x) / math.sqrt(5))
    assert standard_error([seen("a", 1.0), seen("a", 0.0, probe="q")]) is None
    assert ratio_error(np.array([2.0, 0.0]), np.array([2.0, 2.0])) == pytest.approx(0.5)


def test_minimum_detectable_effect() -> None:
    assert minimum_detectable_effect(0.01) == pytest.approx(0.0280, abs=1e-4)


# --- what is observed


def test_rows_meet_the_verdicts_of_one_judge() -> None:
    rows = [row(case="a"), row(case="b"), row(case="c")]
    verdicts = [
        Verdict("a/p", "contains", "correct", 1.0),
        Verdict("a/p", "exact-match", "wrong", 0.0),
        Verdict("b/p", "contains", "invalid", None),
    ]
    found = observe(rows, verdicts, "contains")
    assert [(o.key, o.score, o.state) for o in found] == [
        (("a", "p"), 1.0, "correct"),
        (("b", "p"), None, "invalid"),
        (("c", "p"), None, None),
    ]


def test_cases_that_share_a_group_are_one_cluster() -> None:
    rows = [
        row(case="b", group="x"),
        row(case="a", group="x"),
        row(case="c"),
        row(case="a", group="y", probe="q"),
        row(case="d", group="y"),
    ]
    assert clusters_of(rows) == {"a": "a", "b": "a", "d": "a", "c": "c"}


def test_a_probe_scored_twice_is_refused() -> None:
    with pytest.raises(BadInput, match="scored twice"):
        by_key([seen("a", 1.0), seen("a", 0.0)])


def test_readings_without_a_number_are_not_zero() -> None:
    rows = [row("one two three four", case="a"), row("two words", case="b"), row(None, case="c")]
    value = value_of(observe_reading(rows, READINGS["ngram-entropy"]), seeds=SEEDS, bounded=False)
    assert (value.n, value.invalid) == (1, 2)


# --- derived values


def test_retention_counts_only_what_held_before() -> None:
    immediate = [seen("a", 1.0), seen("b", 1.0), seen("c", 0.0, state="wrong"), seen("d", 1.0)]
    final = [seen("a", 1.0), seen("b", 0.0, state="wrong"), seen("c", 1.0)]
    value = retention(immediate, final, seeds=SEEDS)
    assert (value.n, value.mean, value.missing) == (2, 0.5, 1)


def test_retention_of_nothing_is_no_number() -> None:
    assert retention([seen("a", 0.0, state="wrong")], [seen("a", 1.0)], seeds=SEEDS).mean is None


def test_noise_floor_is_the_share_of_flipped_answers() -> None:
    first = [row("Rome", case=str(i)) for i in range(10)]
    second = [row("Rome" if i else "Paris", case=str(i)) for i in range(10)]
    value = noise_floor(first, second, seeds=SEEDS)
    assert (value.n, value.mean) == (10, 0.1)
    same = noise_floor(first, first, seeds=SEEDS)
    assert same.mean == 0
    assert same.high == pytest.approx(0.2775, abs=1e-3)


def test_noise_floor_of_forced_answers_looks_at_first_choices_and_at_missing_ones() -> None:
    a = [row(case="a", response=forced((1, 2), (1, 2))), row(case="b"), row(None, case="c")]
    b = [row(case="a", response=forced((1, 2), (1, 3))), row(None, case="b")]
    value = noise_floor(a, b, seeds=SEEDS)
    assert (value.n, value.mean, value.invalid, value.missing) == (1, 1.0, 1, 1)


def test_drawdown_is_locality_turned_round() -> None:
    value = value_of([seen(str(i), float(i < 8)) for i in range(10)], seeds=SEEDS)
    loss = complement(value)
    assert value.mean is not None
    assert value.low is not None
    assert value.high is not None
    assert (loss.mean, loss.low, loss.high) == pytest.approx(
        (1 - value.mean, 1 - value.high, 1 - value.low)
    )
    assert complement(value_of([], seeds=SEEDS)).mean is None
