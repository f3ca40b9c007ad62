"""``openai:MODEL``: replies of any server that offers OpenAI's chat completions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import Any

from truing.errors import TruingError
from truing.servers import completions, pace, spending
from truing.servers.reply import Reply
from truing.servers.settings import OpenAISettings
from truing.servers.talk import Talk
from truing.types import Chat

__all__ = ["OpenAISettings", "OpenAISpeaker"]


class OpenAISpeaker:
    """A :class:`truing.judges.base.Speaker`. What is spent adds up over all of its replies, and over
    those of other speakers with the same ``purse`` (default: one of its own)."""

    def __init__(
        self, model: str, settings: OpenAISettings, purse: spending.Purse | None = None
    ) -> None:
        self.model, self.settings = model, settings
        self._purse = purse or spending.Purse(settings.prices, settings.budget_usd)
        self._dialect = completions.Dialect()

    @property
    def name(self) -> str:
        return f"openai:{self.model}"

    @property
    def facts(self) -> Mapping[str, Any]:
        asked = self.settings
        return {
            "speaker": completions.VERSION,
            "server": asked.base_url.rstrip("/"),
            "model": self.model,
            "max_tokens": asked.max_tokens,
            "temperature": asked.temperature,
            "seed": asked.seed,
        }

    @property
    def spent(self) -> spending.Spent:
        """What all replies so far took."""
        return self._purse.spent

    def estimate(self, chats: Sequence[Chat]) -> spending.Estimate:
        """What asking ``chats`` would take. Asks nobody."""
        return spending.estimate(chats, self.settings.max_tokens, self.settings.prices)

    def replies(self, chats: Sequence[Chat], labels: Sequence[str]) -> Iterator[tuple[int, Reply]]:
        """As :class:`truing.judges.base.Speaker`. Raises ``NotPossible`` where the key is missing or
        refused, the server is gone or refuses every request, or the budget would be exceeded."""
        talk = Talk(self.model, self.settings, self._purse, labels, self._dialect)
        failure: TruingError | None = None
        with ThreadPoolExecutor(self.settings.concurrency) as pool:
            asked = {pool.submit(talk.reply, i, chat): i for i, chat in enumerate(chats)}
            try:
                for done in as_completed(asked):
                    try:
                        reply = _result(done)
                    except TruingError as error:
                        failure = failure or error
                        continue
                    if reply is not None:
                        yield asked[done], reply
            finally:
                talk.halt()
                self._dialect = talk.dialect
        if failure is not None:
            raise failure


def _result(done: Future[Reply]) -> Reply | None:
    """``None`` where it was not asked because no further replies are wanted."""
    try:
        return done.result()
    except pace.Halted:
        return None
