"""The parts of a judge that must be asked, and the two protocols that join them.

A *rubric* says what is asked and what a reply means; a *speaker* replies. Any rubric works with any
speaker: ``local:truing/pocket`` and ``openai:some-model`` are speakers, ``correctness`` is a rubric.
Other judges (a classifier, a person's decisions) are :class:`AskedJudge` without either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from truing.protocols.protocol import parse
from truing.scoring.judge import answer_of
from truing.servers.reply import Reply
from truing.types import Chat, Row, State, Verdict


def askable(row: Row) -> bool:
    """Whether asking a judge about ``row`` makes sense: the model answered in its own words (or
    failed to), and not merely to see how much batching moves its answers."""
    return row.moment != "base" and not parse(row.protocol).forced


@dataclass(frozen=True, slots=True)
class Shown:
    """What a judge is shown of a row. Nothing in it tells which model or method answered.

    ``answer`` is what counts as the answer under the row's protocol, ``text`` all that was written;
    ``base`` is the unedited model's answer, for rubrics that compare the two.
    """

    row: str
    aspect: str
    question: str
    answer: str
    accepted: tuple[str, ...]
    base: str | None
    text: str = ""

    @classmethod
    def of(cls, row: Row) -> Shown | None:
        """What is shown of ``row``, or ``None`` where it has no response."""
        if row.response is None:
            return None
        base = None if row.base is None else answer_of(row, row.base)
        answer = answer_of(row, row.response)
        question, text = row.question or row.prompt, row.response.text.strip()
        return cls(row.key, row.aspect, question, answer, row.accepted, base, text)


@dataclass(frozen=True, slots=True)
class Reading:
    """What replies mean. ``score`` in [0, 1], or ``None``, as in :class:`truing.types.Verdict`."""

    state: State
    score: float | None
    why: str


class Rubric(Protocol):
    """What is asked about an answer, and what replies mean."""

    @property
    def name(self) -> str: ...

    @property
    def digest(self) -> str:
        """Hash of the wording and of the rules of reading: verdicts of equal digests compare."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The replies asked for, where they can be listed."""

    def applies(self, row: Row) -> bool:
        """Whether the rubric has a question about ``row``. Rows without one get no verdict."""

    def settled(self, shown: Shown) -> Reading | None:
        """What can be said without asking, ``None`` where the judge must be asked."""

    def chats(self, shown: Shown, strict: bool) -> tuple[Chat, ...]:
        """What to ask: one chat, or two for a pair in both orders. ``strict`` asks again after a
        reply that could not be read; where that gives the same chats, nothing is asked again."""

    def read(self, shown: Shown, replies: Sequence[Reply]) -> Reading:
        """One reply per chat, in their order. ``invalid`` where they cannot be read."""


class Speaker(Protocol):
    """Who replies."""

    @property
    def name(self) -> str: ...

    @property
    def facts(self) -> Mapping[str, Any]:
        """Everything that decides a reply, JSON-like and without secrets: part of the cache key."""

    def replies(self, chats: Sequence[Chat], labels: Sequence[str]) -> Iterator[tuple[int, Reply]]:
        """``(index of the chat, its reply)`` as they come, each index once, in any order.

        A chat that cannot be answered gets a reply with an error. Raises ``TruingError`` only where
        no further chat can be answered (a budget that is spent, a server that is gone); what was
        yielded before stays good.
        """


class AskedJudge(Protocol):
    """Turns many rows into verdicts, in any order."""

    @property
    def name(self) -> str:
        """The column: equal names mean equal judgement."""

    def judge_all(self, rows: Sequence[Row], done: Callable[[Verdict], None]) -> None:
        """Hand every row's verdict to ``done`` as soon as it is there; a row that the judge has no
        question about gets none. Raises ``TruingError`` where it cannot go on; verdicts handed over
        before stay good."""
