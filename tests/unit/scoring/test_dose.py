"""How margins follow strength: what must hold for any pairs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from truing.errors import BadInput
from truing.scoring.dose import Dose, dose
from truing.seeds import Seeds

SEEDS = Seeds(0, ("test",))
STRENGTHS = st.lists(st.integers(-20, 20).filter(bool), min_size=2, max_size=5, unique=True)
SLOPES = st.lists(st.integers(-8, 8), min_size=2, max_size=8)


def of(strengths: list[int], shifts: NDArray[np.float64]) -> Dose:
    names = [f"pair {i}" for i in range(len(shifts))]
    return dose([float(s) for s in strengths], shifts, names, seeds=SEEDS)


@settings(max_examples=30, deadline=None)
@given(STRENGTHS, SLOPES)
def test_straight_lines_have_their_slopes(strengths: list[int], slopes: list[int]) -> None:
    found = of(strengths, np.outer(slopes, strengths).astype(float))
    assert found.slope.mean == pytest.approx(np.mean(slopes))
    assert found.rising.mean == pytest.approx(np.mean([s > 0 for s in slopes]))
    moved = [np.sign(s) for s in slopes if s]
    assert found.spearman.n == len(moved)
    if moved:
        assert found.spearman.mean == pytest.approx(np.mean(moved))


@settings(max_examples=30, deadline=None)
@given(STRENGTHS, SLOPES, st.randoms())
def test_the_order_of_strengths_does_not_matter(
    strengths: list[int], slopes: list[int], random: object
) -> None:
    shifts = np.outer(slopes, np.abs(strengths)).astype(float)
    turned = of(strengths[::-1], shifts[:, ::-1])
    assert turned == of(strengths, shifts)
    assert list(turned.strengths) == sorted({0.0, *map(float, strengths)})


@settings(max_examples=30, deadline=None)
@given(STRENGTHS, st.lists(st.integers(1, 8), min_size=2, max_size=8))
def test_ranks_and_steps_do_not_see_how_large_a_step_is(
    strengths: list[int], slopes: list[int]
) -> None:
    straight = np.outer(slopes, strengths).astype(float)
    one, other = of(strengths, straight), of(strengths, straight**3)
    assert one.rising == other.rising
    assert other.spearman.mean == pytest.approx(one.spearman.mean)


def test_a_rise_of_the_mean_is_not_a_rise_of_every_pair() -> None:
    found = of([1, 2], np.array([[2.0, 4.0], [1.0, -0.5], [0.0, 0.0]]))
    assert found.rising.mean == pytest.approx(1 / 3)
    assert found.slope.mean == pytest.approx((2.0 - 0.25 + 0.0) / 3)
    assert found.spearman.n == 2
    assert found.spearman.invalid == 1


@pytest.mark.parametrize("strengths", [[1], [2, 2]])
def test_one_strength_is_no_dose_response(strengths: list[int]) -> None:
    with pytest.raises(BadInput, match="different strengths"):
        of(strengths, np.zeros((3, len(strengths))))
