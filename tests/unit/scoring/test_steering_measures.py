"""Promotion and suppression: two numbers, whatever their sum says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scored_rows import row

from truing.errors import BadInput
from truing.protocols.protocol import LIKELIHOOD
from truing.scoring.readings import READINGS, SHIFTS, readings_for
from truing.scoring.steering import (
    SHARES,
    Shift,
    Sides,
    pres_max,
    pres_table4,
    shift_of,
    steering,
)
from truing.seeds import Seeds
from truing.types import Choice, Response, Row

SEEDS = Seeds(0)
SCORES = st.lists(
    st.tuples(*[st.floats(-9, -0.1).map(lambda x: round(x, 3))] * 4), min_size=4, max_size=12
)


def shift(
    base_wanted: list[float],
    base_unwanted: list[float],
    wanted: list[float],
    unwanted: list[float],
) -> Shift:
    return Shift(
        Sides(np.array(base_wanted), np.array(base_unwanted)),
        Sides(np.array(wanted), np.array(unwanted)),
        tuple(str(i) for i in range(len(wanted))),
    )


def of(scores: list[tuple[float, ...]]) -> Shift:
    return shift(*([s[k] for s in scores] for k in range(4)))


def compared(*choices: tuple[float, int]) -> Response:
    return Response("", choices=tuple(Choice(str(i), p, n) for i, (p, n) in enumerate(choices)))


def pair(case: str, base: Response | None, now: Response | None) -> Row:
    return row(None, protocol="likelihood", case=case, base=base, response=now)


def readings(of_row: Row) -> dict[str, float | None]:
    return {r.metric: r.of(of_row) for r in readings_for(LIKELIHOOD, of_row)}


def test_readings_are_per_token_and_apart() -> None:
    found = readings(pair("a", compared((-6, 3), (-8, 2)), compared((-3, 3), (-10, 2))))
    assert found["promotion"] == pytest.approx(1.0)
    assert found["suppression"] == pytest.approx(1.0)
    assert found["margin-shift"] == pytest.approx(2.0)
    assert found["anti-steered-rate"] == 0.0


def test_a_model_that_became_worse_at_both_shows_it() -> None:
    found = readings(pair("a", compared((-4, 2), (-4, 2)), compared((-8, 2), (-8, 2))))
    assert found["promotion"] == -2.0
    assert found["suppression"] == 2.0
    assert found["margin-shift"] == 0.0
    assert found["anti-steered-rate"] == 0.0


def test_what_cannot_be_read_is_none_and_never_zero() -> None:
    two = compared((-4, 2), (-4, 2))
    for now in (None, compared((-4, 2), (-1, 0)), compared((-4, 2), (math.nan, 1))):
        found = readings(pair("a", two, now))
        assert [found[name] for name in SHIFTS] == [None] * len(SHIFTS)


def test_more_than_two_choices_have_a_margin_and_no_shift() -> None:
    three = compared((-4, 2), (-4, 2), (-5, 2))
    assert set(readings(pair("a", three, three))) == {"likelihood-margin"}
    assert set(readings(pair("a", None, compared((-4, 2), (-4, 2))))) == {"likelihood-margin"}
    assert all(READINGS[name].of(pair("a", three, three)) is None for name in SHIFTS)


def test_rows_become_pairs_and_what_is_left_out_is_counted() -> None:
    base = compared((-6, 3), (-8, 2))
    rows = [
        pair("a", base, compared((-3, 3), (-10, 2))),
        pair("b", base, compared((-6, 3), (-8, 2))),
        pair("c", base, None),
    ]
    found = shift_of(rows)
    assert found.promotion_N.tolist() == [1.0, 0.0]
    assert found.suppression_N.tolist() == [1.0, 0.0]
    assert (found.clusters, found.left_out) == (("a", "b"), 1)
    measured = steering(found, seeds=SEEDS)
    assert (measured.promotion.now.n, measured.promotion.now.invalid) == (2, 1)
    assert measured.promotion.difference.n_pairs == 2
    assert measured.promotion.difference.delta == 0.5


def test_no_pairs_have_no_numbers() -> None:
    measured = steering(shift_of([pair("c", compared((-6, 3), (-8, 2)), None)]), seeds=SEEDS)
    assert measured.margin.difference.delta is None
    assert measured.preference.now.mean is None
    assert measured.separation.now.mean is None
    assert measured.anti_steered.invalid == 1


def test_flips_of_the_preference_are_counted_both_ways() -> None:
    measured = steering(
        shift(
            [-2, -2, -1, -1, -3], [-1, -1, -2, -2, -1], [-1, -1, -1, -3, -3], [-2, -2, -2, -2, -1]
        ),
        seeds=SEEDS,
    )
    assert (measured.gained, measured.lost) == (2, 1)
    assert measured.preference.base.mean == 0.4
    assert measured.preference.now.mean == 0.6
    assert measured.preference.difference.test == "exact McNemar"
    assert measured.preference.difference.p == 1.0
    assert measured.anti_steered.mean == 0.2


def test_the_effect_size_is_mean_over_spread_of_the_margins_change() -> None:
    measured = steering(shift([-3.0] * 3, [-2.0] * 3, [-3, -2, -1], [-2.0] * 3), seeds=SEEDS)
    assert measured.margin.difference.effect == pytest.approx(1.0)
    assert measured.suppression.difference.delta == 0.0


def test_a_separation_that_is_complete_stays_within_a_share() -> None:
    wanted = [-1.0, -1.1, -1.2, -2.9]
    measured = steering(shift(wanted, [-3.0] * 4, wanted, [-2.0, -3.0, -3.0, -3.0]), seeds=SEEDS)
    area = measured.separation
    assert area.base.mean == 1.0
    assert area.now.mean == pytest.approx(15 / 16)
    assert area.now.high is not None
    assert area.now.high <= 1.0


@settings(max_examples=20, deadline=None)
@given(SCORES)
def test_the_separation_is_how_often_any_wanted_text_is_above_any_other(
    scores: list[tuple[float, ...]],
) -> None:
    found = of(scores)
    wins = [
        1.0 if w > u else 0.5 if w == u else 0.0
        for w in found.now.wanted_N
        for u in found.now.unwanted_N
    ]
    assert steering(found, seeds=SEEDS).separation.now.mean == pytest.approx(np.mean(wins))


@settings(max_examples=20, deadline=None)
@given(SCORES)
def test_the_margin_moves_by_both_together_and_turning_the_sides_turns_its_sign(
    scores: list[tuple[float, ...]],
) -> None:
    found = of(scores)
    turned = Shift(
        Sides(found.base.unwanted_N, found.base.wanted_N),
        Sides(found.now.unwanted_N, found.now.wanted_N),
        found.clusters,
    )
    here, there = steering(found, seeds=SEEDS), steering(turned, seeds=SEEDS)
    promotion, suppression = here.promotion.difference.delta, here.suppression.difference.delta
    assert promotion is not None
    assert suppression is not None
    assert here.margin.difference.delta == pytest.approx(promotion + suppression)
    assert there.margin.difference.delta == pytest.approx(-(promotion + suppression))
    assert there.promotion.difference.delta == pytest.approx(-suppression)


def test_the_published_numbers_by_hand() -> None:
    found = shift([-4, -3, -2, -1], [-5, -4, -3, -2], [-2, -2, -2, -2], [-6, -6, -6, -6])
    first, *_, last = pres_table4(found)
    assert (first.share, first.n, last.n) == (0.25, 1, 4)
    # base: -(max unwanted -2 + min wanted -4) / 2 = 3; now: -(-6 - 2) / 2 = 4
    assert first.promote == round(-2 / 4 + 4 / 3, 4)
    assert first.suppress == round(-2 / 3 + 6 / 4, 4)
    assert last.promote == round(-2 / 4 + 2.5 / 3, 4)
    # by the largest score: base 1, now 2
    assert pres_max(found)[0].promote == round(-2 / 2 + 4 / 1, 4)
    assert pres_max(found)[-1].suppress == round(-3.5 / 1 + 6 / 2, 4)


@settings(max_examples=20, deadline=None)
@given(SCORES, st.floats(0.25, 4.0))
def test_the_published_numbers_cannot_see_a_model_that_became_worse_at_everything(
    scores: list[tuple[float, ...]], factor: float
) -> None:
    found = of(scores)
    worse = Shift(
        found.base,
        Sides(factor * found.base.wanted_N, factor * found.base.unwanted_N),
        found.clusters,
    )
    for published in (pres_table4, pres_max):
        assert [(h.promote, h.suppress) for h in published(worse)] == [(0.0, 0.0)] * len(SHARES)
    ours = steering(worse, seeds=SEEDS).promotion.difference.delta
    assert ours == pytest.approx((factor - 1) * float(found.base.wanted_N.mean()))


def test_too_few_pairs_and_scores_that_are_no_log_probabilities_are_refused() -> None:
    with pytest.raises(BadInput, match="3 pairs"):
        pres_table4(shift([-1.0] * 3, [-2.0] * 3, [-1.0] * 3, [-2.0] * 3))
    with pytest.raises(BadInput, match="rescaled"):
        pres_max(shift([0.5] * 4, [-2.0] * 4, [-1.0] * 4, [-2.0] * 4))
