"""Rows become questions, replies become verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judged_rows import Say, ScriptedSpeaker, row
from truing.errors import NotPossible, TruingWarning
from truing.judges.asked import LanguageJudge
from truing.judges.cache import Replies, key_of
from truing.judges.rubrics import RUBRICS
from truing.protocols.protocol import SYNTHETIC
from truing.servers.reply import Reply
from truing.types import Message, Row, Verdict


def judge(speaker: ScriptedSpeaker, path: Path, rubric: str = "correctness") -> LanguageJudge:
    return LanguageJudge(speaker, RUBRICS.get(rubric), Replies(path / "replies.sqlite3"))


def said(of: LanguageJudge, rows: Sequence[Row]) -> dict[str, Verdict]:
    found: list[Verdict] = []
    of.judge_all(rows, found.append)
    assert len({v.row for v in found}) == len(found)
    return {v.row: v for v in found}


def by_gold(text: str) -> str:
    return "A" if "Given answer: Orvale" in text else "B"


def test_verdicts_carry_the_judge_what_was_read_and_the_reply(tmp_path: Path) -> None:
    found = said(
        judge(ScriptedSpeaker(by_gold), tmp_path),
        [row("Orvale", key="a"), row("Velt", key="b")],
    )
    assert found["a"] == Verdict("a", "local:scripted/correctness", "correct", 1.0, "says A", "A")
    assert (found["b"].state, found["b"].score, found["b"].raw) == ("wrong", 0.0, "B")


def test_what_needs_no_judge_is_not_asked_about(tmp_path: Path) -> None:
    speaker = ScriptedSpeaker(by_gold)
    rows = [row(None, key="none"), row("...", key="empty"), row("Orvale " * 9, key="loop"),
            row("Orvale", key="bare", accepted=(), base=None)]  # fmt: skip
    found = said(judge(speaker, tmp_path), rows)
    assert {k: (v.state, v.score) for k, v in found.items()} == {
        "none": ("invalid", None), "empty": ("degenerate", 0.0), "loop": ("degenerate", 0.0),
        "bare": ("invalid", None),
    }  # fmt: skip
    assert "edit failed" in found["none"].why
    assert speaker.asked == []


def test_rows_that_raise_no_question_get_no_verdict(tmp_path: Path) -> None:
    rows = [row("Orvale", protocol=SYNTHETIC.id), row("Orvale", moment="base"),
            row("Once upon a time.", aspect="fluency")]  # fmt: skip
    assert said(judge(ScriptedSpeaker(by_gold), tmp_path), rows) == {}


def test_a_reply_that_cannot_be_read_is_asked_for_once_more_strictly(tmp_path: Path) -> None:
    def say(text: str) -> str:
        return "A" if "nothing else" in text else "hm"

    speaker = ScriptedSpeaker(say)
    assert said(judge(speaker, tmp_path), [row("Orvale")])["r"].state == "correct"
    assert len(speaker.asked) == 2


def test_what_cannot_be_read_twice_is_invalid_and_kept(tmp_path: Path) -> None:
    speaker = ScriptedSpeaker(lambda text: "hm")
    verdict = said(judge(speaker, tmp_path), [row("Orvale")])["r"]
    assert (verdict.state, verdict.score, verdict.raw) == ("invalid", None, "hm")
    assert len(speaker.asked) == 2


def test_a_failed_reply_is_invalid_says_why_and_is_not_remembered(tmp_path: Path) -> None:
    speaker = ScriptedSpeaker(lambda text: Reply(None, error="too long"))
    for count in (1, 2):
        verdict = said(judge(speaker, tmp_path), [row("Orvale")])["r"]
        assert (verdict.state, verdict.why) == ("invalid", "no reply: too long")
        assert len(speaker.asked) == count


def test_nothing_is_asked_twice(tmp_path: Path) -> None:
    rows = [row("Orvale", key="a"), row("Orvale", key="b"), row("Velt", key="c")]
    first = ScriptedSpeaker(by_gold)
    once = said(judge(first, tmp_path), rows)
    assert len(first.asked) == 2
    second = ScriptedSpeaker(by_gold)
    assert said(judge(second, tmp_path), rows) == once
    assert second.asked == []


def test_another_speaker_or_rubric_is_asked_anew(tmp_path: Path) -> None:
    said(judge(ScriptedSpeaker(by_gold), tmp_path), [row("Orvale")])
    other = ScriptedSpeaker(by_gold, name="local:other")
    said(judge(other, tmp_path), [row("Orvale")])
    behavior = ScriptedSpeaker(by_gold)
    said(judge(behavior, tmp_path, "behavior"), [row("Orvale")])
    assert len(other.asked) == len(behavior.asked) == 1


def test_where_the_speaker_stops_the_verdicts_before_stand(tmp_path: Path) -> None:
    rows = [row(f"Orvale {i}", key=str(i)) for i in range(5)]
    found: list[Verdict] = []
    with pytest.raises(NotPossible, match="budget"):
        judge(ScriptedSpeaker(by_gold, stop_after=3), tmp_path).judge_all(rows, found.append)
    assert len(found) == 3
    rest = ScriptedSpeaker(by_gold)
    assert len(said(judge(rest, tmp_path), rows)) == 5
    assert len(rest.asked) == 2


def test_pairs_wait_for_both_replies(tmp_path: Path) -> None:
    def say(text: str) -> str:
        return "A" if "First answer: Orvale" in text else "B"

    verdict = said(judge(ScriptedSpeaker(say), tmp_path, "preference"), [row("Orvale")])["r"]
    assert (verdict.state, verdict.score, verdict.raw) == ("correct", 1.0, "A\n---\nB")


def test_a_damaged_cache_is_set_aside_and_the_judging_goes_on(tmp_path: Path) -> None:
    (tmp_path / "replies.sqlite3").write_bytes(b"not a database at all" * 100)
    with pytest.warns(TruingWarning):
        found = said(judge(ScriptedSpeaker(by_gold), tmp_path), [row("Orvale")])
    assert found["r"].state == "correct"


def test_an_entry_that_cannot_be_read_is_as_if_it_were_not_there(tmp_path: Path) -> None:
    replies = Replies(tmp_path / "replies.sqlite3")
    replies._texts.put({"k": "no json", "l": '{"text": 3}'})
    assert replies.get(["k", "l"]) == {}


@settings(max_examples=25)
@given(st.text(), st.lists(st.floats(-50, 0), min_size=2, max_size=2))
def test_a_cached_reply_is_the_reply(text: str, logs: list[float]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        replies, reply = Replies(Path(folder) / "r.sqlite3"), Reply(text, tuple(logs), None, 3, 1)
        replies.put("k", reply)
        assert replies.get(["k", "other"]) == {"k": reply}


def test_everything_that_decides_a_reply_is_in_its_key() -> None:
    chat = (Message("user", "x"),)
    keys = {
        key_of({"m": 1}, "d", "AB", chat), key_of({"m": 2}, "d", "AB", chat),
        key_of({"m": 1}, "e", "AB", chat), key_of({"m": 1}, "d", "ABC", chat),
        key_of({"m": 1}, "d", "AB", (Message("system", "x"),)),
    }  # fmt: skip
    assert len(keys) == 5


def test_a_scripted_reply_may_be_anything(tmp_path: Path) -> None:
    """Whatever a judge says, every row gets exactly one verdict, and only readable ones score."""
    texts = ["A", "B", "C", "", "AB", "I refuse", "Ａ", "\x00", "A\nB", "🙂", "answer: A or B"]
    for number, text in enumerate(texts):
        reply: Say = lambda _, text=text: text  # noqa: E731
        verdict = said(
            judge(ScriptedSpeaker(reply, name=f"local:{number}"), tmp_path), [row("Orvale")]
        )["r"]
        assert (verdict.score is None) == (verdict.state in ("abstain", "invalid"))
