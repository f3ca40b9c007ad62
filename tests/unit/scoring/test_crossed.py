"""What is independent when edits and questions cross."""

from __future__ import annotations

import pytest

from truing.scoring.crossed import Design, mean_of
from truing.scoring.observations import Observation
from truing.seeds import Seeds


@pytest.mark.parametrize(
    ("edits", "questions", "units"),
    [
        ("aaaa", "wxyz", ["questions"]),
        ("abcd", "wxyz", ["edits"]),
        ("abcd", "wwww", ["edits"]),
        ("abcd", "wwxx", ["questions"]),
        ("aabb", "wxyz", ["edits"]),
        ("aabb", "wxwx", ["edits", "questions"]),
    ],
)
def test_what_is_resampled(edits: str, questions: str, units: list[str]) -> None:
    assert list(Design(tuple(edits), tuple(questions)).units) == units


def crossed(by_edit: dict[str, float], questions: int) -> list[Observation]:
    return [
        Observation((edit, f"q{i}"), "", score, "correct")
        for edit, score in by_edit.items()
        for i in range(questions)
    ]


def test_many_questions_do_not_make_few_edits_certain() -> None:
    by_edit = {"a": 1.0, "b": 0.0, "c": 1.0, "d": 0.0}
    few, many = (mean_of(crossed(by_edit, n), seeds=Seeds(0)) for n in (10, 200))
    assert many.n == 800
    assert many.mean == few.mean == 0.5
    for value in (few, many):
        assert value.low is not None
        assert value.high is not None
        assert value.high - value.low > 0.5
    assert many.interval == "95% bootstrap over edits and questions"


def test_left_out_answers_weigh_nothing() -> None:
    seen = crossed({"a": 1.0, "b": 1.0, "c": 0.0}, 4)
    lost = [Observation(("a", "q9"), "", None, "invalid"), Observation(("b", "q9"), "", None, None)]
    value = mean_of([*seen, *lost], seeds=Seeds(0))
    assert (value.n, value.invalid, value.missing) == (12, 1, 1)
    assert value.mean == pytest.approx(2 / 3)
    assert value == mean_of([*seen, *lost], seeds=Seeds(0))
