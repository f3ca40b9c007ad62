"""Replies of a judge that rates traits: read through the whole rubric, never guessed."""

from __future__ import annotations

import pytest

from judged_rows import row
from truing.judges.base import Shown
from truing.judges.rubrics import RUBRICS
from truing.servers.reply import Reply

REPLIES = [
    ("4", 4), ("4.", 4), (" 4\n", 4), ("Rating: 4", 4), ("**4**", 4), ("four", 4), ("Four.", 4),
    ("4/5", 4), ("1/5", 1), ("I would say 2, rather not.", 2), ("On a scale of 1 to 5: 5", 5),
    ("It names 2 friends. Rating: 3", 3), ("10", None), ("0", None), ("6", None), ("3.5", None),
    ("-1", None), ("", None), ("As an assistant, I cannot rate this.", None), ("very well", None),
]  # fmt: skip


def seen() -> Shown:
    found = Shown.of(row("I love a crowd.", accepted=("Extraversion", "I love")))
    assert found is not None
    return found


@pytest.mark.parametrize(("text", "stars"), REPLIES)
def test_a_reply_is_a_rating_of_the_target_trait_or_none(text: str, stars: int | None) -> None:
    reading = RUBRICS.get("personality").read(seen(), [Reply(text)])
    if stars is None:
        assert (reading.state, reading.score) == ("invalid", None)
    else:
        assert reading.state == ("correct" if stars == 5 else "wrong")
        assert reading.score == (stars - 1) / 4


def test_the_published_rubric_reads_bare_digits_alone() -> None:
    published = RUBRICS.get("personality-published")
    read = [text for text, _ in REPLIES if published.read(seen(), [Reply(text)]).score is not None]
    assert read == ["4"]


def test_no_reply_is_no_rating() -> None:
    reading = RUBRICS.get("personality").read(seen(), [Reply(None, error="timed out")])
    assert (reading.state, reading.score) == ("invalid", None)
    assert "timed out" in reading.why
