"""Prices of flips: what is known, what is not, and nothing in between."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truing.errors import BadInput
from truing.scoring.resistance import Resistance, Trial, compare, price, resistance
from truing.seeds import Seeds
from truing.types import State

BUDGETS = (0.1, 0.2, 0.5)
SEEDS = Seeds(0)
outcomes = st.tuples(*[st.sampled_from([True, False, None])] * 3)
arms = st.lists(outcomes, min_size=1, max_size=12)


STATES: dict[bool | None, State | None] = {True: "correct", False: "wrong", None: None}


def trial(flipped: tuple[bool | None, ...], name: str = "a") -> Trial:
    return Trial(name, name, tuple(STATES[x] for x in flipped))


def trials(*flipped: tuple[bool | None, ...]) -> list[Trial]:
    return [trial(each, f"c{n}") for n, each in enumerate(flipped)]


def measured(*flipped: tuple[bool | None, ...]) -> Resistance:
    return resistance(BUDGETS, trials(*flipped), seeds=SEEDS)


def rank(cost: float | None) -> float:
    return float("inf") if cost is None else cost


def test_the_first_flip_and_the_one_that_lasts_are_two_prices() -> None:
    found = price(BUDGETS, trial((True, False, True)))
    assert (found.first, found.lasting, found.tried) == (0.1, 0.5, 0.5)
    relapsed = price(BUDGETS, trial((True, True, False)))
    assert (relapsed.first, relapsed.lasting) == (0.1, None)


def test_a_case_that_never_flips_has_no_price() -> None:
    found = measured((False, False, False))
    assert found.prices[0].first is None
    assert found.first is not None
    assert found.first.budget is None
    assert found.first.low is None
    assert [value.mean for value in found.flipped] == [0, 0, 0]


def test_the_median_is_a_budget_that_was_tried() -> None:
    found = measured((True,) * 3, (False, True, True), (False, False, True), (False,) * 3)
    assert found.first is not None
    assert found.first.budget == 0.2
    assert found.first.low == 0.1
    assert found.first.high is None


def test_an_unknown_outcome_is_neither_a_flip_nor_none() -> None:
    found = measured((None, True, True), (None, None, None), (False, False, None))
    assert found.unknown == 1
    assert [value.n for value in found.flipped] == [1, 2, 1]
    assert [value.missing for value in found.flipped] == [1, 0, 1]
    assert found.prices[1].tried == 0.2


def test_a_refusal_is_no_flip_and_no_failure_and_a_loop_is_a_failure() -> None:
    found = resistance(
        BUDGETS, [Trial("a", "a", ("abstain", "degenerate", "correct"))], seeds=SEEDS
    )
    assert found.prices[0].first == 0.5
    assert [(value.n, value.abstain, value.degenerate) for value in found.flipped] == [
        (0, 1, 0), (1, 0, 1), (1, 0, 0),
    ]  # fmt: skip


def test_who_left_early_is_not_counted_at_later_budgets() -> None:
    """Kaplan-Meier by hand: at 0.2 one of two at risk flips, so that half is reached there."""
    found = measured((False, None, None), (False, True, True), (False, False, False))
    assert found.first is not None
    assert found.first.budget == 0.2


@pytest.mark.parametrize("budgets", [(), (0.2, 0.1), (0.1, 0.1), (0.0, 0.1), (0.1, float("inf"))])
def test_budgets_rise(budgets: tuple[float, ...]) -> None:
    with pytest.raises(BadInput, match="rise"):
        resistance(budgets, [], seeds=SEEDS)


def test_without_a_case_there_is_no_median() -> None:
    found = measured()
    assert found.first is None
    assert [value.mean for value in found.flipped] == [None] * 3


@given(arms)
def test_what_lasts_costs_at_least_the_first_flip(flipped: list[tuple[bool | None, ...]]) -> None:
    for each in measured(*flipped).prices:
        assert rank(each.first) <= rank(each.lasting)
        assert each.first in (*BUDGETS, None)
        assert each.lasting in (*BUDGETS, None)


@given(arms)
def test_the_interval_holds_the_median_and_the_shares(
    flipped: list[tuple[bool | None, ...]],
) -> None:
    found = measured(*flipped)
    for middle in (found.first, found.lasting):
        if middle is not None:
            assert rank(middle.low) <= rank(middle.budget) <= rank(middle.high)
    for value in found.flipped:
        if value.mean is not None and value.low is not None and value.high is not None:
            assert 0 <= value.low <= value.mean <= value.high <= 1


@given(arms)
def test_with_all_outcomes_known_the_median_is_where_half_have_flipped(
    flipped: list[tuple[bool | None, ...]],
) -> None:
    known = [tuple(bool(x) for x in each) for each in flipped]
    found = measured(*known)
    by = [sum(any(each[: at + 1]) for each in known) / len(known) for at in range(3)]
    expected = next((b for b, share in zip(BUDGETS, by, strict=True) if share >= 0.5), None)
    assert found.first is not None
    assert found.first.budget == expected


@given(arms)
def test_the_order_of_cases_changes_nothing(
    flipped: list[tuple[bool | None, ...]],
) -> None:
    forward = trials(*flipped)
    one = resistance(BUDGETS, forward, seeds=SEEDS)
    two = resistance(BUDGETS, forward[::-1], seeds=SEEDS)
    assert (one.flipped, one.first, one.lasting) == (two.flipped, two.first, two.lasting)


@given(arms)
def test_an_arm_is_no_cheaper_than_itself(flipped: list[tuple[bool | None, ...]]) -> None:
    mine = trials(*flipped)
    found = compare(BUDGETS, mine, mine, against="itself", seeds=SEEDS)
    assert found.cheaper.delta in (0.0, None)
    assert all(each.delta in (0.0, None) for each in found.flipped)


@given(arms, arms)
def test_a_comparison_turned_round_changes_its_sign(
    ours: list[tuple[bool | None, ...]], theirs: list[tuple[bool | None, ...]]
) -> None:
    forth = compare(BUDGETS, trials(*ours), trials(*theirs), against="x", seeds=SEEDS)
    back = compare(BUDGETS, trials(*theirs), trials(*ours), against="x", seeds=SEEDS)
    assert forth.cheaper.n_pairs == back.cheaper.n_pairs
    if forth.cheaper.delta is not None:
        assert back.cheaper.delta is not None
        assert forth.cheaper.delta == pytest.approx(-back.cheaper.delta)


def test_the_cheaper_arm_flips_earlier() -> None:
    early, late = trials(*[(True,) * 3] * 8), trials(*[(False, False, True)] * 8)
    found = compare(BUDGETS, early, late, against="late", seeds=SEEDS)
    assert found.cheaper.delta == 1
    assert found.cheaper.p == pytest.approx(2 / 2**8)
    assert found.flipped[2].delta == 0


def test_who_was_not_tried_far_enough_cannot_be_compared() -> None:
    short, far = trials((False, None, None)), trials((False, False, True))
    found = compare(BUDGETS, short, far, against="far", seeds=SEEDS)
    assert found.cheaper.n_pairs == 0
