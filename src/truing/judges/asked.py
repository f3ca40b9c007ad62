"""A judge that speaks: rows become questions, replies become verdicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from truing.judges.base import Reading, Rubric, Shown, Speaker, askable
from truing.judges.cache import Replies, key_of
from truing.scoring import health
from truing.scoring.judge import no_response
from truing.servers.reply import Reply
from truing.types import Chat, Row, Verdict

BETWEEN = "\n---\n"
"""Stands between the replies of one verdict."""


@dataclass(frozen=True, slots=True)
class LanguageJudge:
    """``rubric`` asked of ``speaker``.

    Empty and looping answers are degenerate and not asked about. A reply that cannot be read is
    asked for once more, strictly; if that cannot be read either, the verdict is ``invalid`` and
    holds it. What was replied before comes from ``cache``.
    """

    speaker: Speaker
    rubric: Rubric
    cache: Replies

    @property
    def name(self) -> str:
        return f"{self.speaker.name}/{self.rubric.name}"

    def judge_all(self, rows: Sequence[Row], done: Callable[[Verdict], None]) -> None:
        """As :class:`truing.judges.base.AskedJudge`."""
        open_: list[Shown] = []
        for row in rows:
            if not concerns(self.rubric, row):
                continue
            shown = Shown.of(row)
            if shown is None:
                done(no_response(row, self.name))
            elif (reading := unasked(self.rubric, shown)) is not None:
                done(self._verdict(shown, reading, ()))
            else:
                open_.append(shown)
        unclear = self._ask(open_, False, done)
        self._ask(unclear, True, done)

    def _ask(
        self, asked: Sequence[Shown], strict: bool, done: Callable[[Verdict], None]
    ) -> list[Shown]:
        """Verdicts of ``asked``; those whose replies should be asked for again are returned."""
        if not asked:
            return []
        exchange = _Exchange(self.speaker, self.rubric, self.cache)
        unclear: list[Shown] = []

        def close(shown: Shown, replies: tuple[Reply, ...]) -> None:
            reading = self.rubric.read(shown, replies)
            answered = all(reply.text is not None for reply in replies)
            again = reading.state == "invalid" and answered and not strict
            if again and self.rubric.chats(shown, True) != self.rubric.chats(shown, False):
                unclear.append(shown)
            else:
                done(self._verdict(shown, reading, replies))

        exchange.run([(shown, self.rubric.chats(shown, strict)) for shown in asked], close)
        return unclear

    def _verdict(self, shown: Shown, reading: Reading, replies: Sequence[Reply]) -> Verdict:
        texts = [reply.text for reply in replies if reply.text is not None]
        raw = BETWEEN.join(texts) if texts else None
        return Verdict(shown.row, self.name, reading.state, reading.score, reading.why, raw)


@dataclass(frozen=True, slots=True)
class _Exchange:
    """Chats and their replies. Equal chats are asked once."""

    speaker: Speaker
    rubric: Rubric
    cache: Replies

    def run(
        self,
        wanted: Sequence[tuple[Shown, tuple[Chat, ...]]],
        close: Callable[[Shown, tuple[Reply, ...]], None],
    ) -> None:
        """``close`` gets each row with its replies as soon as all of them are there."""
        facts, digest, labels = self.speaker.facts, self.rubric.digest, self.rubric.labels
        keyed = [[key_of(facts, digest, labels, chat) for chat in chats] for _, chats in wanted]
        chat_of = {
            key: chat
            for keys, (_, chats) in zip(keyed, wanted, strict=True)
            for key, chat in zip(keys, chats, strict=True)
        }
        waiting: dict[str, list[int]] = {}
        for i, keys in enumerate(keyed):
            for key in dict.fromkeys(keys):
                waiting.setdefault(key, []).append(i)
        known = self.cache.get(list(chat_of))

        def close_ready(among: Sequence[int]) -> None:
            for i in among:
                if all(key in known for key in keyed[i]):
                    close(wanted[i][0], tuple(known[key] for key in keyed[i]))

        open_ = [key for key in chat_of if key not in known]
        close_ready(range(len(wanted)))
        if not open_:
            return
        for index, reply in self.speaker.replies([chat_of[key] for key in open_], labels):
            key = open_[index]
            self.cache.put(key, reply)
            known[key] = reply
            close_ready(waiting[key])


def concerns(rubric: Rubric, row: Row) -> bool:
    """Whether ``row`` gets a verdict by ``rubric``."""
    return askable(row) and rubric.applies(row)


def unasked(rubric: Rubric, shown: Shown) -> Reading | None:
    """What ``rubric`` says of an answer without asking, ``None`` where somebody must be asked."""
    settled = rubric.settled(shown)
    if settled is not None and settled.state == "invalid":
        return settled
    if health.is_empty(shown.answer):
        return Reading("degenerate", 0.0, "empty answer")
    if health.looping(shown.answer):
        return Reading("degenerate", 0.0, "the answer repeats itself")
    return settled
