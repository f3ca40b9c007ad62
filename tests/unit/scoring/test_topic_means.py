"""Means over topics: each topic counts the same, and few topics make a wide interval."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truing.scoring.observations import Observation
from truing.scoring.topics import Topical, topical
from truing.seeds import Seeds

Scores = dict[str, list[float | None]]


def of(scores: Scores, seed: int = 0) -> Topical:
    seen = [
        Observation((f"{topic}/{i}", "p"), f"{topic}/{i}", s, None if s is None else "correct")
        for topic, mine in scores.items()
        for i, s in enumerate(mine)
    ]
    return topical(seen, {o.key[0]: o.key[0].partition("/")[0] for o in seen}, seeds=Seeds(seed))


def test_a_small_topic_counts_as_much_as_a_large_one() -> None:
    found = of({"large": [1.0] * 90 + [0.0] * 10, "small": [0.0, 0.0, 1.0, 0.0, 0.0]})
    assert found.topics["large"].mean == pytest.approx(0.9)
    assert found.macro.mean == pytest.approx((0.9 + 0.2) / 2)
    assert (found.macro.n, found.macro.clusters) == (105, 2)
    assert found.macro.interval == "95% bootstrap over topics and cases"


def test_one_topic_is_its_own_value() -> None:
    found = of({"only": [1.0, 0.0, 1.0, 1.0]})
    assert found.macro.mean == found.topics["only"].mean == 0.75
    assert found.macro.low is not None


def test_a_topic_without_scores_is_shown_and_in_no_mean() -> None:
    found = of({"a": [1.0, 0.0], "b": [1.0, 1.0], "silent": [None, None]})
    assert found.macro.mean == 0.75
    assert found.topics["silent"].mean is None
    assert (found.macro.missing, found.macro.clusters) == (2, 2)


def test_topics_that_agree_have_no_interval_that_pretends_to_width() -> None:
    found = of({"a": [1.0] * 5, "b": [1.0] * 5})
    assert (found.macro.mean, found.macro.low) == (1.0, None)
    assert found.macro.interval == "none: all topics agree"


def test_topics_that_differ_widen_the_interval_beyond_that_of_cases() -> None:
    rng = random.Random(1)
    drawn: Scores = {
        f"t{t}": [float(rng.random() < share) for _ in range(40)]
        for t, share in enumerate([0.1, 0.9] * 4)
    }
    pooled: Scores = {"all": [s for mine in drawn.values() for s in mine]}
    macro, plain = of(drawn).macro, of(pooled).macro
    assert macro.low is not None
    assert macro.high is not None
    assert plain.low is not None
    assert plain.high is not None
    assert macro.high - macro.low > 2 * (plain.high - plain.low)


@given(
    st.dictionaries(
        st.sampled_from("abcde"), st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=6), min_size=1
    )
)  # fmt: skip
def test_the_mean_lies_between_the_topics_and_in_its_interval(scores: Scores) -> None:
    found = of(scores)
    means = [value.mean for value in found.topics.values() if value.mean is not None]
    assert found.macro.mean is not None
    assert min(means) - 1e-9 <= found.macro.mean <= max(means) + 1e-9
    if found.macro.low is not None and found.macro.high is not None:
        assert found.macro.low <= found.macro.mean <= found.macro.high
    assert of(scores) == found
