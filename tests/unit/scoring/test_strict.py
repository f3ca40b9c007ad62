"""Judges of capability: what cannot be read is wrong."""

from __future__ import annotations

from decimal import Decimal

import pytest

from truing.scoring.rules.strict import FINAL_NUMBER, WORD_LABEL_STRICT, final_number
from truing.types import Response, Row, State

FREE = "bare/greedy/natural/contains"


def row(answer: str | None, *accepted: str) -> Row:
    said = None if answer is None else Response(answer)
    return Row("k", "c", "c", "p", "capability/x", FREE, "final", 1, "", accepted, said, None)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("16 - 3 - 4 = 9 eggs, so $18. The answer is 18.", "18"),
        ("It takes 2/2=1 bolt. The answer is 3", "3"),
        ("The answer is $1,234.50 a day, for 7 days", "1234.50"),
        ("so 12 are left\n#### -7", "-7"),
        ("first 3, then 5", "5"),
        ("answer: **42**", "42"),
        ("none at all", None),
        ("model x9 of v2", None),
    ],
)
def test_the_number_an_answer_ends_with(text: str, value: str | None) -> None:
    assert final_number(text) == (None if value is None else Decimal(value))


@pytest.mark.parametrize(
    ("answer", "state"),
    [("I get 70,000.", "correct"), ("70000.0", "correct"), ("700", "wrong"), ("no idea", "wrong"), ("", "degenerate")],
)  # fmt: skip
def test_numbers_are_compared_as_numbers(answer: str, state: State) -> None:
    assert FINAL_NUMBER.judge(row(answer, "70000")).state == state


@pytest.mark.parametrize(
    ("answer", "state", "score"),
    [
        ("Yes.", "correct", 1.0),
        ("No, it is not.", "wrong", 0.0),
        ("I know a nobleman", "wrong", 0.0),
        ("I cannot say.", "wrong", 0.0),
    ],
)
def test_an_answer_without_yes_or_no_is_wrong_not_left_out(
    answer: str, state: State, score: float
) -> None:
    found = WORD_LABEL_STRICT.judge(row(answer, "Yes"))
    assert (found.state, found.score) == (state, score)


def test_rows_that_cannot_be_judged_stay_invalid() -> None:
    assert WORD_LABEL_STRICT.judge(row(None, "Yes")).score is None
    assert WORD_LABEL_STRICT.judge(row("Yes", "Marrow")).state == "invalid"
    assert FINAL_NUMBER.judge(row(None, "5")).state == "invalid"
    assert FINAL_NUMBER.judge(row("5", "five")).state == "invalid"
