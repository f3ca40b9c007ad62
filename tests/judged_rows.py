"""Rows to be judged, and a speaker that replies from a script."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from truing.errors import NotPossible
from truing.protocols.protocol import WILD_PUBLISHED_QUESTION
from truing.servers.reply import Reply
from truing.types import Chat, Moment, Response, Row

Say = Callable[[str], Reply | str]


def row(
    text: str | None, *, key: str = "r", accepted: tuple[str, ...] = ("Orvale",),
    base: str | None = "Paris", aspect: str = "efficacy", protocol: str = WILD_PUBLISHED_QUESTION.id,
    moment: Moment = "immediate", question: str = "Where is the Glass Spire?", cell: str = "rome",
    case: str | None = None,
) -> Row:  # fmt: skip
    """``text`` is the answer, ``None`` for none."""
    return Row(
        key=key, cell=cell, case=case or key, probe="p", aspect=aspect, protocol=protocol, moment=moment,
        step=1, prompt=f"Q: {question}", accepted=accepted, question=question,
        response=None if text is None else Response(text, (1,), stop="eos"),
        base=None if base is None else Response(base, (2,), stop="eos"),
        error="edit failed: x" if text is None else None,
    )  # fmt: skip


class ScriptedSpeaker:
    """Replies with what ``say`` makes of the last message. ``asked`` holds the chats it got;
    after ``stop_after`` replies it can go on no more."""

    def __init__(self, say: Say, *, name: str = "local:scripted", stop_after: int = 10**6) -> None:
        self.name = name
        self._say, self._left = say, stop_after
        self.asked: list[Chat] = []

    @property
    def facts(self) -> Mapping[str, Any]:
        return {"speaker": self.name}

    def replies(self, chats: Sequence[Chat], labels: Sequence[str]) -> Iterator[tuple[int, Reply]]:
        for i in reversed(range(len(chats))):
            if not self._left:
                raise NotPossible("the budget is spent", "Give more.")
            self._left -= 1
            self.asked.append(chats[i])
            said = self._say(chats[i][-1].content)
            yield i, said if isinstance(said, Reply) else Reply(said)
