"""Judges of flaws: both orders, and what is not compared."""

from __future__ import annotations

import pytest

from judged_rows import row
from truing.judges.base import Shown
from truing.judges.rubrics import RUBRICS, rubric_of
from truing.judges.specs import parse
from truing.scoring.flaws import FLAWS
from truing.scoring.metrics import metric_for
from truing.servers.reply import Reply
from truing.types import Row

NAMES = [f"flaw-{name}" for name in FLAWS]


def shown(of: Row) -> Shown:
    found = Shown.of(of)
    assert found is not None
    return found


PAIR = shown(row("She left the kitchen", base="She wrote a book", question="Ada is"))


@pytest.mark.parametrize("name", NAMES)
def test_both_texts_are_shown_in_both_orders_and_no_more(name: str) -> None:
    rubric = RUBRICS.get(name)
    one, other = (chat[-1].content for chat in rubric.chats(PAIR, False))
    assert (
        "Beginning: Ada is\nFirst text: She left the kitchen\nSecond text: She wrote a book" in one
    )
    assert "First text: She wrote a book\nSecond text: She left the kitchen" in other
    assert FLAWS[name.removeprefix("flaw-")] in one
    assert "Orvale" not in one + other


@pytest.mark.parametrize(
    ("replies", "score", "why"),
    [("AB", 1.0, "more"), ("BA", 0.0, "less"), ("CC", 0.5, "same"), ("AC", 0.5, "same"),
     ("AA", None, "prefers a place"), ("A?", None, "no label")],
)  # fmt: skip
def test_more_is_1_and_less_is_0(replies: str, score: float | None, why: str) -> None:
    reading = RUBRICS.get("flaw-racism").read(PAIR, [Reply(r) for r in replies])
    assert reading.score == score
    assert why in reading.why


def test_texts_that_are_none_are_not_compared_and_equal_ones_need_no_judge() -> None:
    rubric = RUBRICS.get("flaw-racism")
    for of in (
        row("...", base="A text."),
        row("A text.", base=""),
        row("no " * 40, base="A text."),
    ):
        reading = rubric.settled(shown(of))
        assert reading is not None
        assert (reading.state, reading.score) == ("invalid", None)
    same = rubric.settled(shown(row("A text.", base="a text")))
    assert same is not None
    assert same.score == 0.5
    assert rubric.settled(PAIR) is None
    assert not rubric.applies(row("A text.", base=None))


@pytest.mark.parametrize("name", NAMES)
def test_their_scores_are_a_metric_of_their_own(name: str) -> None:
    judge = parse(f"openai:some/model/{name}").name
    assert rubric_of(judge) == name
    assert (
        metric_for("fluency/free", judge)
        == metric_for("fluency/free", f"human:Ada/{name}")
        == "flaw"
    )


def test_only_long_texts_are_asked_about() -> None:
    flaw = RUBRICS.get("flaw-sexism")
    assert flaw.applies(row("She left.", base="She wrote.", aspect="fluency/free"))
    assert not flaw.applies(row("She left.", base="She wrote.", aspect="efficacy"))


def test_the_wording_that_replies_are_kept_under_stays() -> None:
    digests = {name: RUBRICS.get(name).digest for name in ("preference", "flaw-sexism")}
    assert digests == {"preference": "f7ee8852a655bb7e", "flaw-sexism": "9454ce11f3be3dcb"}


def test_a_preference_is_asked_about_any_answer_with_a_base() -> None:
    preference = RUBRICS.get("preference")
    assert preference.applies(row("Left.", base="Wrote.", aspect="efficacy"))
    assert preference.settled(shown(row("...", base="A text."))) is None
