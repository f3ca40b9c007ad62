"""AxBench's arithmetic: factors are chosen on one half and reported on the other, nothing unread is 0."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truing.errors import BadInput
from truing.scoring.axbench import (
    FACTORS,
    Graded,
    choose,
    ease,
    fit,
    mean_score,
    standing,
    strength,
    win_rate,
)
from truing.seeds import Seeds

SEEDS = Seeds(0)


def grid(scores: dict[float, list[float | None]], concept: int = 0) -> list[Graded]:
    """Scores by factor, in the order of the instructions."""
    return [Graded(concept, i, f, x) for f, row in scores.items() for i, x in enumerate(row)]


def test_the_grid_is_the_papers() -> None:
    assert len(FACTORS) == 14
    assert (FACTORS[0], FACTORS[-1]) == (0.2, 5.0)
    assert list(FACTORS) == sorted(set(FACTORS))


def test_the_factor_is_chosen_on_the_first_half_and_reported_on_the_other() -> None:
    (found,) = choose(grid({1.0: [0.9, 0.9, 0.1, 0.1], 2.0: [0.2, 0.2, 1.0, 1.0]}), 4)
    assert found.factor == 1.0
    assert [(g.instruction, g.score) for g in found.reported] == [(2, 0.1), (3, 0.1)]
    assert mean_score([found], seeds=SEEDS).mean == pytest.approx(0.1)


def test_of_equal_factors_the_smallest_is_chosen() -> None:
    (found,) = choose(grid({5.0: [0.5, 0.0], 0.2: [0.5, 1.0]}), 2)
    assert found.factor == 0.2


def test_a_grade_that_is_missing_is_not_0() -> None:
    (found,) = choose(grid({1.0: [0.8, None, None, 0.6], 2.0: [0.5, 0.5, 1.0, 1.0]}), 4)
    assert found.factor == 1.0
    assert [(at.mean, at.n, at.missing) for at in found.table] == [(0.8, 1, 1), (0.5, 2, 0)]
    value = mean_score([found], seeds=SEEDS)
    assert (value.mean, value.n, value.invalid) == (pytest.approx(0.6), 1, 1)


def test_a_concept_without_any_selecting_grade_reports_nothing_and_is_counted() -> None:
    found = choose([*grid({1.0: [None, 0.9]}), *grid({1.0: [0.5, 0.5]}, concept=1)], 2)
    assert [each.factor for each in found] == [None, 1.0]
    value = mean_score(found, seeds=SEEDS)
    assert (value.mean, value.n, value.missing) == (0.5, 1, 1)


@pytest.mark.parametrize("highest", [None, float("nan"), float("inf"), 0.0, -3.0])
def test_an_unknown_largest_activation_is_an_error_and_never_1(highest: float | None) -> None:
    with pytest.raises(BadInput, match=r"activation of caa for concept 3 .* no unit"):
        strength(1.0, highest, "caa for concept 3")
    assert strength(2.5, 4.0, "caa for concept 3") == 10.0


def test_one_instruction_cannot_be_halved() -> None:
    with pytest.raises(BadInput, match="two halves"):
        choose(grid({1.0: [0.5]}), 1)


def test_ties_are_half_a_win_and_pairs_without_a_score_are_left_out() -> None:
    ours = choose(grid({1.0: [0.5, 0.5, 0.5, 0.9, 0.5, 0.1, None, 0.4]}), 8)
    theirs = choose(grid({1.0: [0.5, 0.5, 0.5, 0.5, 0.5, 0.2, 0.3, None]}), 8)
    value = win_rate(ours, theirs, seeds=SEEDS)
    assert (value.n, value.invalid) == (2, 2)
    assert value.mean == pytest.approx(0.25)


scores = st.lists(st.sampled_from([None, 0.0, 0.25, 0.5, 1.0]), min_size=6, max_size=6)
grids = st.dictionaries(st.sampled_from(FACTORS), scores, min_size=1, max_size=4)


@given(grids)
def test_what_is_reported_never_decides_the_factor(scored: dict[float, list[float | None]]) -> None:
    rows = grid(scored)
    turned = [replace(g, score=1.0 if g.instruction >= 3 else g.score) for g in rows]
    (before,), (after,) = choose(rows, 6), choose(turned, 6)
    assert (before.factor, before.table) == (after.factor, after.table)
    assert all(g.instruction >= 3 for g in before.reported)


@given(grids, grids)
def test_wins_of_one_are_losses_of_the_other(
    one: dict[float, list[float | None]], two: dict[float, list[float | None]]
) -> None:
    ours, theirs = choose(grid(one), 6), choose(grid(two), 6)
    there, back = win_rate(ours, theirs, seeds=SEEDS), win_rate(theirs, ours, seeds=SEEDS)
    assert there.n == back.n
    if there.mean is not None and back.mean is not None:
        assert there.mean + back.mean == pytest.approx(1)


finite = st.floats(-100, 0)


@given(finite, finite, st.lists(finite, min_size=1, max_size=9))
def test_standings_lie_between_0_and_1_and_rise(x: float, y: float, among: list[float]) -> None:
    low, high = sorted((x, y))
    for rank in (standing, fit, ease):
        assert 0 <= rank(low, among) <= rank(high, among) <= 1


def test_a_text_that_fits_any_instruction_alike_fits_none() -> None:
    assert fit(-1.0, [-1.0, -1.0]) == 0
    assert fit(-1.0, [-2.0, -3.0]) == 1
    assert ease(-2.0, [-3.0, -2.0, -1.0]) == 1
    with pytest.raises(BadInput, match="compare"):
        standing(1.0, [])
