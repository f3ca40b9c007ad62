"""Moral measures: published and strict, by class, collapse, and edits that were needed."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from truing.scoring.moral import COLLAPSE, Moral, edits, moral, unedited
from truing.scoring.parse import Parsed
from truing.scoring.said import Answered
from truing.seeds import Seeds

SEEDS = Seeds(0)
STATES = {"Abstention": "abstain", "Invalid": "invalid"}


def said(norm: str | None) -> Parsed | None:
    if norm is None:
        return None
    if norm in STATES:
        return Parsed(STATES[norm], None, "")  # type: ignore[arg-type]
    return Parsed("answer", norm, "")


def answers(
    now: Sequence[str | None],
    right: Sequence[str | None],
    base: Sequence[str | None] | None = None,
    edit: str = "e",
) -> list[Answered]:
    return [
        Answered(edit, f"q{i}", r, said(n), said(b))
        for i, (n, r, b) in enumerate(zip(now, right, base or now, strict=True))
    ]


def of(now: Sequence[str | None], right: Sequence[str | None], **more: Sequence[str]) -> Moral:
    return moral(answers(now, right, **more), seeds=SEEDS)  # type: ignore[arg-type]


def test_the_published_example_of_four_answers() -> None:
    found = of(["A", "B", "Abstention", "Invalid"], ["A"] * 4)
    assert (found.accuracy.mean, found.accuracy.n) == (0.5, 2)
    assert (found.strict.mean, found.strict.n) == (0.25, 4)
    assert (found.abstention.mean, found.invalid.mean) == (0.25, 0.25)
    assert found.declined.mean == pytest.approx(1 / 3)
    assert (found.strict.abstain, found.strict.invalid) == (1, 1)
    assert found.strict.interval == "95% Wilson"


def test_accuracy_over_readable_answers_alone_never_stands_alone() -> None:
    found = of(["A"] * 45 + ["Invalid"] * 55, ["A"] * 100)
    assert (found.accuracy.mean, found.strict.mean, found.accuracy.invalid) == (1.0, 0.45, 55)


def test_one_word_for_everything_is_a_collapse_not_a_drop() -> None:
    right = ["good"] * 52 + ["bad"] * 48
    found = of(["bad"] * 100, right, base=right)
    assert (found.accuracy.mean, found.commonest, found.collapsed) == (0.48, "bad", True)
    assert (found.recall["bad"].mean, found.recall["good"].mean) == (1.0, 0.0)
    assert found.entropy.mean == 0.0
    assert found.flips.mean == 0.52
    unbiased = moral(unedited(answers(["bad"] * 100, right, right)), seeds=SEEDS)
    assert (unbiased.accuracy.mean, unbiased.collapsed) == (1.0, False)
    assert unbiased.entropy.mean == pytest.approx(-0.52 * math.log2(0.52) - 0.48 * math.log2(0.48))


def test_one_right_label_or_few_answers_are_no_collapse() -> None:
    assert not of(["bad"] * 50, ["bad"] * 50).collapsed
    assert not of(["bad"] * 4, ["bad", "bad", "bad", "good"]).collapsed
    edge = [*["bad"] * 95, *["good"] * 5]
    assert of(edge, ["bad", "good"] * 50).collapsed
    assert COLLAPSE == 0.95


def test_where_declining_is_right_it_counts_as_right() -> None:
    found = of(["Abstention", "bad", "Invalid"], [None] * 3)
    assert (found.strict.mean, found.declined.mean) == (pytest.approx(1 / 3), 0.5)


def test_questions_without_an_answer_are_missing_not_wrong() -> None:
    found = of(["A", None], ["A", "A"])
    assert (found.strict.mean, found.strict.n, found.strict.missing) == (1.0, 1, 1)
    assert found.entropy.missing == 1


def test_the_same_questions_under_several_edits_are_not_independent() -> None:
    now = ["good", "bad"] * 20
    right = ["good"] * 40
    crossed = [a for k in range(5) for a in answers(now, right, edit=f"e{k}")]
    found, once = moral(crossed, seeds=SEEDS).strict, of(now, right).strict
    assert (found.mean, found.n, found.interval) == (
        0.5,
        200,
        "95% bootstrap over edits and questions",
    )
    assert found.low is not None
    assert found.high is not None
    assert once.low is not None
    assert once.high is not None
    assert found.high - found.low > 0.8 * (once.high - once.low)
    again = moral(crossed[::-1], seeds=SEEDS).strict
    assert again.mean == found.mean


def test_efficacy_counts_edits_that_were_needed_apart() -> None:
    base = ["bad", "bad", "good", "good"]
    made = [
        Answered(f"e{i}", f"e{i}", "bad", said(n), said(b))
        for i, (n, b) in enumerate(zip(["bad", "bad", "bad", "good"], base, strict=True))
    ]
    found = edits(made, seeds=SEEDS)
    assert (found.efficacy.mean, found.already.mean) == (0.75, 0.5)
    assert (found.needed.mean, found.needed.n) == (0.5, 2)


def test_edits_that_could_not_be_made_are_told() -> None:
    made = [
        Answered("a", "a", "bad", None, said("good")),
        Answered("b", "b", "bad", said("Invalid"), said("good")),
    ]
    found = edits(made, seeds=SEEDS)
    assert (found.n, found.failed.mean) == (2, 0.5)
    assert (found.efficacy.mean, found.efficacy.missing, found.efficacy.invalid) == (0.0, 1, 1)


def test_nothing_to_measure_is_no_number() -> None:
    found = moral([], seeds=SEEDS)
    assert (found.accuracy.mean, found.entropy.mean, found.commonest) == (None, None, None)
    assert not found.collapsed
    assert edits([], seeds=SEEDS).needed.mean is None


norms = st.sampled_from(["good", "bad", "Abstention", "Invalid", None])
rows = st.tuples(norms, st.sampled_from(["good", "bad", None]), norms, st.integers(0, 3))


@settings(deadline=None, max_examples=25)
@given(st.lists(rows, max_size=24))
def test_shares_fit_together(drawn: list[tuple[str | None, str | None, str | None, int]]) -> None:
    made = [Answered(f"e{k}", f"q{i}", r, said(n), said(b)) for i, (n, r, b, k) in enumerate(drawn)]
    found = moral(made, seeds=SEEDS)
    values = [found.accuracy, found.strict, found.abstention, found.invalid, found.declined,
              found.share, found.flips, *found.recall.values()]  # fmt: skip
    for value in values:
        assert (value.mean is None) == (value.n == 0)
        if value.low is not None and value.high is not None and value.mean is not None:
            assert 0 <= value.low <= value.mean <= value.high <= 1
    there = sum(n is not None for n, *_ in drawn)
    assert found.strict.n == found.abstention.n == there
    assert found.strict.missing == len(drawn) - there
    if found.abstention.mean is not None and found.invalid.mean is not None:
        readable = there * (1 - found.abstention.mean - found.invalid.mean)
        assert found.entropy.n == pytest.approx(readable)
