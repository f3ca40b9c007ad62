"""When a model counts as broken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truing.scoring.collapse import BOUNDS, Signs, collapsed

NATS = st.floats(-20, 20)


def test_what_was_not_measured_breaks_nothing() -> None:
    assert collapsed(Signs()) == ()


@pytest.mark.parametrize(
    ("signs", "word"),
    [
        (Signs(neutral=5.0), "neutral text"),
        (Signs(promotion=-3.0, suppression=4.0), "both texts"),
        (Signs(fluent=-0.5), "empty or looping"),
    ],
)
def test_each_sign_is_enough_and_is_told(signs: Signs, word: str) -> None:
    [reason] = collapsed(signs)
    assert word in reason


@given(NATS, NATS)
def test_both_texts_must_fall_beyond_the_bound(promotion: float, suppression: float) -> None:
    broken = -promotion > BOUNDS.fall and suppression > BOUNDS.fall
    assert bool(collapsed(Signs(promotion=promotion, suppression=suppression))) == broken


@given(st.floats(0, 20), st.floats(0, 20))
def test_more_side_effect_is_never_healthier(one: float, other: float) -> None:
    less, more = sorted((one, other))
    assert len(collapsed(Signs(neutral=less))) <= len(collapsed(Signs(neutral=more)))
