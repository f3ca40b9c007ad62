"""Several judges as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judged_rows import row
from truing.errors import BadInput
from truing.judges.panel import Panel, RuleJudge
from truing.types import Row, State, Verdict

SCORES: dict[State, float | None] = {
    "correct": 1.0, "wrong": 0.0, "degenerate": 0.0, "abstain": None, "invalid": None,
}  # fmt: skip


@dataclass(frozen=True)
class Fixed:
    """Says the same of every row; ``None``: has no question about any."""

    name: str
    state: State | None

    def judge_all(self, rows: Sequence[Row], done: Callable[[Verdict], None]) -> None:
        for each in rows if self.state else ():
            assert self.state is not None
            done(Verdict(each.key, self.name, self.state, SCORES[self.state], "so"))


def decided(*states: State | None, quorum: int | None = None) -> Verdict | None:
    members = tuple(Fixed(f"local:{i}", state) for i, state in enumerate(states))
    found: list[Verdict] = []
    Panel(members, quorum).judge_all([row("x")], found.append)
    return found[0] if found else None


@pytest.mark.parametrize(
    ("states", "state"),
    [
        (("correct", "correct", "wrong"), "correct"),
        (("wrong", "wrong", "correct"), "wrong"),
        (("correct", "wrong"), "abstain"),
        (("correct", "wrong", "abstain"), "abstain"),
        (("correct", "invalid", "correct"), "correct"),
        (("correct", "invalid", "wrong"), "abstain"),
        (("correct", "invalid", "invalid"), "invalid"),
        (("abstain", "abstain", "correct"), "abstain"),
        (("correct", None, "correct"), "correct"),
    ],
)
def test_the_majority_of_those_who_vote_decides(
    states: tuple[State | None, ...], state: State
) -> None:
    verdict = decided(*states)
    assert verdict is not None
    assert verdict.state == state
    assert verdict.score == SCORES[state]


def test_disagreement_is_told() -> None:
    verdict = decided("correct", "correct", "wrong")
    assert verdict is not None
    assert "2 of 3 say correct" in verdict.why
    assert "local:2: wrong (so)" in verdict.why


def test_a_quorum_must_vote() -> None:
    few = decided("correct", "invalid", "invalid", quorum=1)
    assert few is not None
    assert few.state == "correct"
    many = decided("correct", "correct", "invalid", quorum=3)
    assert many is not None
    assert (many.state, many.score) == ("invalid", None)


def test_a_row_that_no_member_has_a_question_about_gets_no_verdict() -> None:
    assert decided(None, None) is None


@given(st.lists(st.sampled_from(list(SCORES)), min_size=2, max_size=6))
def test_the_order_of_members_does_not_matter(states: list[State]) -> None:
    one, other = decided(*states), decided(*reversed(states))
    assert one is not None
    assert other is not None
    assert (one.state, one.score) == (other.state, other.score)


@pytest.mark.parametrize("quorum", [0, 3])
def test_a_panel_needs_two_judges_and_a_quorum_that_can_be_met(quorum: int) -> None:
    one, two = Fixed("a", "wrong"), Fixed("b", "wrong")
    with pytest.raises(BadInput, match="two different"):
        Panel((one, one))
    with pytest.raises(BadInput, match="quorum"):
        Panel((one, two), quorum)


def test_rules_can_sit_in_a_panel() -> None:
    panel = Panel((RuleJudge("contains"), RuleJudge("exact-match"), Fixed("local:x", "correct")))
    found: list[Verdict] = []
    panel.judge_all([row(f"It is Orvale {i}", key=str(i)) for i in range(100)], found.append)
    assert [v.row for v in found] == [str(i) for i in range(100)]
    assert {v.state for v in found} == {"correct"}
    assert panel.name == "panel:contains,exact-match,local:x"


@dataclass(frozen=True)
class Graded:
    """Gives every row the same grade; only the highest is called correct."""

    name: str
    score: float

    def judge_all(self, rows: Sequence[Row], done: Callable[[Verdict], None]) -> None:
        for each in rows:
            state: State = "correct" if self.score == 1 else "wrong"
            done(Verdict(each.key, self.name, state, self.score))


@pytest.mark.parametrize(
    ("grades", "score"),
    [((0.5, 0.5, 0), 0.5), ((0.5, 0, 0), 0), ((1, 0.5, 0), 0.5), ((1, 0.5, 0.5), 0.5), ((1, 1, 0), 1)],
)  # fmt: skip
def test_grades_of_one_state_do_not_pull_the_score_down(
    grades: tuple[float, ...], score: float
) -> None:
    members = tuple(Graded(f"local:{i}", grade) for i, grade in enumerate(grades))
    found: list[Verdict] = []
    Panel(members).judge_all([row("x")], found.append)
    assert [verdict.score for verdict in found] == [score]


@given(st.lists(st.sampled_from(list(SCORES)), min_size=2, max_size=7))
def test_right_and_wrong_get_the_score_of_the_majority(states: list[State]) -> None:
    verdict = decided(*states)
    assert verdict is not None
    if verdict.state not in ("invalid", "abstain"):
        assert verdict.score == SCORES[verdict.state]
    else:
        assert verdict.score is None
