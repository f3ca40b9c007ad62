"""Answers to a questionnaire: keyed, by domain, reliability and change."""

from __future__ import annotations

import math

import numpy as np
import pytest

from truing.scoring.questionnaire import alpha, domains, keyed, said
from truing.seeds import Seeds

SEEDS = Seeds(0)


def test_reversed_items_are_turned_round() -> None:
    assert keyed(np.array([[1.0, 1.0, 4.5]]), [False, True, True]).tolist() == [[1.0, 5.0, 1.5]]


def test_the_expected_answer_is_between_the_options() -> None:
    assert said({0: 0.0, 4: 0.0}) == pytest.approx(3)
    assert said({4: -900.0, 0: -1000.0}) == pytest.approx(5)
    assert said({0: math.log(0.75), 1: math.log(0.25)}) == pytest.approx(1.25)


def test_alpha_of_three_respondents_by_hand() -> None:
    answers_R_I = np.array([[1.0, 2.0], [3.0, 3.0], [5.0, 4.0]])
    found = alpha(answers_R_I)
    assert found.value == pytest.approx(2 * (1 - (4 + 1) / 9))
    assert found.low is not None
    assert found.high is not None
    assert found.value is not None
    assert found.low < found.value < found.high


def test_respondents_who_do_not_differ_have_no_alpha() -> None:
    assert alpha(np.full((4, 3), 3.0)).value is None
    assert alpha(np.ones((1, 3))).value is None


def test_a_change_is_paired_by_item_and_none_is_exactly_zero() -> None:
    rng = np.random.default_rng(0)
    before = rng.uniform(1, 5, (4, 6))
    names = ["a", "b"] * 3
    same = domains(before, names, before_R_I=before, seeds=SEEDS)
    assert [d.shift.mean for d in same if d.shift] == [0.0, 0.0]
    moved = domains(before + np.array([0.5, 0] * 3), names, before_R_I=before, seeds=SEEDS)
    first, second = moved
    assert first.shift is not None
    assert first.shift.mean == pytest.approx(0.5)
    assert second.shift is not None
    assert second.shift.mean == pytest.approx(0)
    assert (first.name, first.items, first.shift.n) == ("a", 3, 3)
    assert domains(before, names, seeds=SEEDS)[0].shift is None
