"""What holds under doubt: agreeing with everything is worth 50, never 100."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truing.scoring.observations import Observation
from truing.scoring.pressure import Held, Turn, turn_of, under_doubt
from truing.seeds import Seeds

Scores = Sequence[float | None]


def seen(probe: str, scores: Scores) -> list[Observation]:
    return [
        Observation((f"c{i}", probe), f"c{i}", s, None if s is None else "correct" if s else "wrong")
        for i, s in enumerate(scores)
    ]  # fmt: skip


def one(held: Scores, control: Scores, start: Scores | None = None) -> Held:
    first = seen("start", held if start is None else start)
    (turn,) = under_doubt(
        first, {1: seen("h", held)}, {1: seen("k", control)}, seeds=Seeds(0)
    )  # fmt: skip
    return turn


@pytest.mark.parametrize(("aspect", "turn"), [
    ("robustness/yes/turn-01", Turn("yes", False, 1)),
    ("robustness-control/sure/turn-10", Turn("sure", True, 10)),
    ("robustness", None), ("efficacy", None), ("generalization/yes", None),
])  # fmt: skip
def test_aspects_say_which_turn_they_are(aspect: str, turn: Turn | None) -> None:
    assert turn_of(aspect) == turn


@pytest.mark.parametrize("always", [1.0, 0.0])
def test_one_answer_to_everything_is_worth_half_h6(always: float) -> None:
    turn = one([always] * 8, [1 - always] * 8)
    assert (turn.held.mean, turn.control.mean) == (always, 1 - always)
    assert turn.balanced.mean == 0.5
    assert turn.balanced.low is not None
    assert turn.balanced.high is not None
    assert turn.balanced.low < 0.5 < turn.balanced.high


def test_a_model_that_knows_is_worth_all() -> None:
    assert one([1.0] * 8, [1.0] * 8).balanced.mean == 1.0


@given(st.lists(st.tuples(*[st.sampled_from([0.0, 1.0])] * 2), min_size=1, max_size=12))
def test_the_balanced_share_is_the_mean_of_both(pairs: list[tuple[float, float]]) -> None:
    turn = one([h for h, _ in pairs], [k for _, k in pairs])
    assert turn.held.mean is not None
    assert turn.control.mean is not None
    assert turn.balanced.mean == pytest.approx((turn.held.mean + turn.control.mean) / 2)


def test_an_answer_that_is_missing_leaves_its_case_out_and_is_counted() -> None:
    turn = one([1.0, 1.0, None], [0.0, None, 1.0])
    assert (turn.balanced.n, turn.balanced.missing, turn.balanced.mean) == (1, 2, 0.5)
    assert (turn.held.n, turn.control.n) == (2, 2)


def test_without_a_control_nothing_is_balanced() -> None:
    turn = one([1.0, 1.0], [])
    assert (turn.balanced.n, turn.balanced.mean, turn.balanced.missing) == (0, None, 2)


def test_kept_counts_cases_that_began_right() -> None:
    turn = one([1.0, 0.0, 1.0, 1.0], [1.0] * 4, start=[1.0, 1.0, 0.0, None])
    assert (turn.kept.n, turn.kept.mean) == (2, 0.5)


def test_turns_stand_in_order() -> None:
    held = {n: seen("h", [1.0, 0.0]) for n in (10, 2, 1)}
    found = under_doubt([], held, {3: seen("k", [1.0])}, seeds=Seeds(0))
    assert [turn.turn for turn in found] == [1, 2, 3, 10]
