"""Of many tests, what is found is there; of nothing, nothing is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from truing.inspection.answers import Answered
from truing.inspection.differences import (
    Difference,
    Numbers,
    Unit,
    corrected,
    difference,
    of_answers,
    too_few,
)
from truing.inspection.questions import Compared, Questions
from truing.seeds import Seeds
from truing.types import Probe


def paired(before: list[float], now: list[float], unit: Unit = "share") -> Difference:
    sides = [{str(i): float(x) for i, x in enumerate(side)} for side in (before, now)]
    return difference("part", "name", Numbers(unit, sides[0], sides[1], {}), (), Seeds(0))


def of(before: list[bool | None], now: list[bool | None]) -> Difference:
    each = tuple(
        Answered(str(i), f"q{i}", ("x",), str(a), str(b), a is not b, a, b)
        for i, (a, b) in enumerate(zip(before, now, strict=True))
    )
    probes = tuple(Probe(a.id, "efficacy", a.question, a.accepted) for a in each)
    return of_answers(Compared(Questions("part", "name", probes), each), Seeds(0))


def test_chance_is_found_in_at_most_one_audit_of_twenty() -> None:
    """Each audit: eight sets of answers and eight groups, all of which change by chance alone."""
    false = 0
    for seed in range(200):
        draw = np.random.default_rng(seed)
        tests = []
        for _ in range(8):
            before = (draw.random(100) < 0.8).astype(float)
            swapped = draw.random(100) < 0.3
            now = np.where(swapped, (draw.random(100) < 0.8).astype(float), before)
            tests.append(paired(list(before), list(now)))
            lean = draw.normal(size=11)
            tests.append(paired(list(lean), list(lean + draw.normal(size=11)), "nats"))
        false += any(each.found for each in corrected(tests))
    assert false <= 10


def test_a_real_loss_is_found_among_tests_of_nothing() -> None:
    real = of([True] * 60, [False] * 20 + [True] * 40)
    nothing = [of([True] * 60, [True] * 60) for _ in range(15)]
    first, *others = corrected([real, *nothing])
    assert first.found
    assert first.compared.delta == pytest.approx(-1 / 3)
    assert not any(each.found for each in others)
    assert [e.question for e in first.examples] == ["q0", "q1", "q2", "q3", "q4"]
    assert "100.0 % to 66.7 %" in str(first)


def test_what_is_significant_and_tiny_is_not_found() -> None:
    [tiny] = corrected([paired([0.0] * 30, [0.01 + 0.0001 * i for i in range(30)], "nats")])
    assert tiny.compared.p_adjusted is not None
    assert tiny.compared.p_adjusted < 0.001
    assert not tiny.found


def test_too_few_pairs_are_no_test_and_cost_the_others_nothing() -> None:
    few, real = of([True] * 3, [False] * 3), of([True] * 30, [False] * 6 + [True] * 24)
    assert too_few(few, 1)
    [alone] = corrected([real])
    small, beside = corrected([few, real])
    assert small.compared.p_adjusted is None
    assert not small.found
    assert beside.compared.p_adjusted == alone.compared.p_adjusted


def test_an_answer_that_cannot_be_judged_is_no_pair() -> None:
    told = of([True, None, True], [False, True, None])
    assert told.compared.n_pairs == 1
    assert (told.before, told.now) == (1, 0)
    none = of([None], [None])
    assert none.compared.delta is None
    assert none.numbers == "no pairs"


@settings(max_examples=40)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=8, max_size=40))
def test_turned_round_the_difference_is_the_opposite(pairs: list[tuple[bool, bool]]) -> None:
    one = of([a for a, _ in pairs], [b for _, b in pairs]).compared
    other = of([b for _, b in pairs], [a for a, _ in pairs]).compared
    assert one.delta == pytest.approx(-(other.delta or 0.0))
    assert one.p == pytest.approx(other.p)
