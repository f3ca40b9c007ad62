"""What a writer is asked, who a writer is, and the replies that a build keeps.

Every reply is on disk before the next one counts, under a key that hashes all that decides it: a
build that was killed goes on where it stopped, and one with more prompts asks only about those.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from pydantic import TypeAdapter

from truing.runs.lines import Appender, read
from truing.servers.reply import Reply
from truing.servers.spending import Estimate
from truing.types import Chat, Message

REPLIES = "replies.jsonl"
Watch = Callable[[int, int], None]
"""Gets the number of replies that are there, and of those wanted."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One text that is wanted: ``prompt`` answered under ``system`` (``""``: under none). Equal
    seeds of different asks draw independently where the writer can."""

    prompt: str
    system: str = ""
    seed: int = 0

    @property
    def chat(self) -> Chat:
        user = Message("user", self.prompt)
        return (Message("system", self.system), user) if self.system else (user,)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How texts are drawn. ``temperature`` 0 is greedy; ``top_k`` is for local writers only."""

    max_tokens: int = 100
    temperature: float = 0.8
    top_k: int = 50


class Writer(Protocol):
    """Who writes. ``unit`` says what :meth:`length` counts."""

    @property
    def name(self) -> str: ...

    @property
    def unit(self) -> str: ...

    @property
    def max_tokens(self) -> int:
        """Tokens that a reply may have."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """Everything about the writer that decides a reply, JSON-like and without secrets."""

    def length(self, text: str) -> int: ...

    def estimate(self, asks: Sequence[Ask]) -> Estimate:
        """What asking would take. Asks nobody."""

    def replies(
        self, asks: Sequence[Ask], known: Container[int]
    ) -> Iterator[Sequence[tuple[int, Reply]]]:
        """``(index, reply)`` of all asks whose index is not ``known``, in portions as they come.

        An ask without a reply gets one with an error. Raises ``TruingError`` only where nothing
        further can be asked; what was yielded before stays good.
        """


@dataclass(frozen=True, slots=True)
class _Kept:
    key: str
    reply: Reply


_KEPT = TypeAdapter(_Kept)


def key_of(facts: Mapping[str, Any], ask: Ask) -> str:
    """The key of one reply: who is asked, and what."""
    text = json.dumps([dict(facts), asdict(ask)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def kept(folder: Path, writer: Writer, asks: Sequence[Ask]) -> dict[int, Reply]:
    """The replies that are on disk, by the index of their ask. Raises ``StoreError``."""
    path = folder / REPLIES
    if not path.exists():
        return {}
    found, facts = {line.key: line.reply for line in read(path, _KEPT)}, writer.facts
    keys = {i: key_of(facts, ask) for i, ask in enumerate(asks)}
    return {i: found[key] for i, key in keys.items() if key in found}


def collect(folder: Path, writer: Writer, asks: Sequence[Ask], watch: Watch) -> list[Reply]:
    """A reply to each ask, in their order: those kept, and the others from ``writer``.

    Replies without a text are not kept: they are asked for again next time. Raises ``StoreError``
    and what the writer raises.
    """
    there = kept(folder, writer, asks)
    watch(len(there), len(asks))
    if len(there) == len(asks):
        return [there[i] for i in range(len(asks))]
    known, facts = frozenset(there), writer.facts
    file = Appender(folder / REPLIES)
    try:
        for portion in writer.replies(asks, known):
            new = {i: reply for i, reply in portion if i not in known}
            told = ((key_of(facts, asks[i]), r) for i, r in new.items() if r.text is not None)
            file.append(_line(key, reply) for key, reply in told)
            there |= new
            watch(len(there), len(asks))
    finally:
        file.close()
    return [there[i] for i in range(len(asks))]


def answered(folder: Path, writer: Writer, asks: Sequence[Ask]) -> list[Reply]:
    """As :func:`collect`, but asks nobody: what is not kept has no text. Raises ``StoreError``."""
    there = kept(folder, writer, asks)
    return [there.get(i, Reply(None, error="no reply is kept")) for i in range(len(asks))]


def _line(key: str, reply: Reply) -> str:
    return json.dumps(asdict(_Kept(key, reply)), ensure_ascii=False)
