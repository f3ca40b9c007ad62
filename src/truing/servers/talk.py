"""Many chats asked of one server at once: asking again, waiting, giving up, stopping."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from urllib.parse import urlsplit

from truing.errors import NotPossible, TruingError
from truing.seeds import Seeds
from truing.servers import completions, pace, post, spending
from truing.servers.completions import Dialect, Unreadable
from truing.servers.reply import Reply
from truing.servers.settings import OpenAISettings, key_for, without
from truing.types import Chat

AGAIN = frozenset({408, 409, 425, 429})
THIS_CHAT = frozenset({"context_length_exceeded", "content_filter", "content_policy_violation"})
FAILURES_IN_A_ROW = 3
KEPT = "What was answered is kept: start it again when the server is well, or check base_url."


class _Again(Exception):
    """This attempt brought no reply. ``seconds``: what the server asks to wait."""

    def __init__(self, why: str, seconds: float | None = None, *, gone: bool = False) -> None:
        self.why, self.seconds, self.gone = why, seconds, gone
        super().__init__(why)


class Talk:
    """The requests of one call of ``replies``, shared by its threads."""

    def __init__(
        self,
        model: str,
        settings: OpenAISettings,
        purse: spending.Purse,
        labels: Sequence[str],
        dialect: Dialect,
    ) -> None:
        self._model, self._settings, self._purse, self._labels = model, settings, purse, labels
        self.dialect = dialect
        self._url = settings.base_url.rstrip("/") + "/chat/completions"
        self._server = urlsplit(settings.base_url).netloc
        self._asked = {
            name: getattr(settings, name) for name in ("max_tokens", "temperature", "seed")
        }
        self._pace = pace.Pace()
        self._lock = threading.Lock()
        self._failures = 0

    def halt(self) -> None:
        self._pace.halt()

    def reply(self, index: int, chat: Chat) -> Reply:
        """The reply to one chat. Raises ``NotPossible`` where no further chat can be answered, and
        ``Halted`` for every chat after that."""
        try:
            return self._reply(index, chat)
        except TruingError:
            self._pace.halt()
            raise

    def _reply(self, index: int, chat: Chat) -> Reply:
        draw = Seeds(self._settings.seed or 0).child(f"chat-{index}").random()
        for attempt in count():
            try:
                reply = self._attempt(chat)
            except Unreadable as trouble:
                reply = Reply(None, error=trouble.why)
            except _Again as trouble:
                if attempt + 1 < self._settings.attempts:
                    self._wait(pace.own_wait(attempt, self._settings.first_wait_s, draw), trouble)
                    continue
                if trouble.gone:
                    raise self._stop(f"cannot be reached: {trouble.why}", KEPT) from None
                return self._no_reply(trouble.why)
            with self._lock:
                self._failures = 0
            return reply
        raise AssertionError("the count has no end")

    def _attempt(self, chat: Chat) -> Reply:
        """One request, or more where the server wants to be asked in another way."""
        while True:
            self._pace.turn()
            with self._lock:
                dialect = self.dialect
            key = key_for(self._settings)
            answer = self._send(chat, dialect, key)
            if answer.status in (400, 422, 501):
                other = dialect.after(answer.text, self._settings.dispensable)
                if other is not None:
                    with self._lock:
                        self.dialect = other if self.dialect == dialect else self.dialect
                    continue
            if answer.status != 200:
                raise self._refused(answer)
            wait = pace.limit_wait(answer.headers)
            if wait is not None and wait <= pace.LONGEST_OWN_WAIT_S:
                self._pace.hold(wait)
            try:
                reply = completions.read(answer.text, self._labels)
            except Unreadable as trouble:
                raise (_Again(trouble.why) if trouble.again else trouble) from None
            return replace(reply, left_out=dialect.left_out)

    def _send(self, chat: Chat, dialect: Dialect, key: str) -> post.Answered:
        """One request, paid for. Nothing of the key is left in what comes back."""
        body = completions.request(self._model, chat, self._asked, dialect, self._labels)
        aside = (spending.most_tokens(chat), self._settings.max_tokens)
        self._purse.set_aside(*aside, rest=self._pace.sleep)
        used = (0, 0)
        try:
            answer = post.post(self._url, body, key, self._settings.timeout_s)
            if answer.status == 200:
                used = _used(answer.text, aside)
        except post.NoAnswer as trouble:
            used = (0, 0) if trouble.gone else aside
            raise _Again(without(key, trouble.why), gone=trouble.gone) from None
        finally:
            self._purse.settle(aside, used)
        return post.Answered(answer.status, answer.headers, without(key, answer.text))

    def _refused(self, answer: post.Answered) -> Exception:
        """What an answer other than 200 means: ask again, give this chat up, or stop."""
        status = answer.status
        code, message = completions.complaint(answer.text)
        told = f"HTTP {status}" + (f": {message}" if message else "")
        if status == 429 and code == "insufficient_quota":
            return self._stop(f"has no credit left for this key ({told})", "Add credit there.")
        if status in AGAIN or (status >= 500 and status != 501):
            return _Again(told, pace.asked_wait(answer.headers, datetime.now(UTC)))
        if status == 413 or code in THIS_CHAT or "maximum context length" in message:
            return Unreadable(told, again=False)
        if status == 401:
            return self._stop(
                "refused the key (HTTP 401)",
                f"Set {self._settings.key_variable or 'key_variable'} to a key of this server.",
            )
        if status == 403:
            return self._stop(
                f"does not let this key use '{self._model}' ({told})",
                "Check the rights of the key, and the model's name.",
            )
        if status == 404:
            return self._stop(
                f"has no model '{self._model}' or no chat completions here ({told})",
                f"Check the model's name and base_url {self._settings.base_url} (it often ends in /v1).",
            )
        if 300 <= status < 400:
            return self._stop(f"sends elsewhere ({told})", "Give the new address as base_url.")
        return self._stop(
            f"refused the request ({told})",
            "Check the model and the settings; temperature and seed are not sent where they are None.",
        )

    def _wait(self, own: float, trouble: _Again) -> None:
        """As long as the server asks, for all threads; where it does not, ``own`` seconds."""
        if not trouble.seconds:
            self._pace.sleep(own)
            return
        if trouble.seconds > self._settings.longest_wait_s:
            raise self._stop(
                f"asks to wait {trouble.seconds:.0f} s ({trouble.why})",
                "What was answered is kept: go on later, or allow it with longest_wait_s.",
            )
        self._pace.hold(trouble.seconds)

    def _no_reply(self, why: str) -> Reply:
        """The reply to a chat that stays without one. Raises where that is so chat after chat."""
        with self._lock:
            self._failures += 1
            over = self._failures >= FAILURES_IN_A_ROW
        attempts = self._settings.attempts
        if over:
            raise self._stop(
                f"gave no reply to {FAILURES_IN_A_ROW} chats in a row ({attempts} attempts each): {why}",
                KEPT,
            )
        return Reply(None, error=f"{why} ({attempts} attempts)")

    def _stop(self, what: str, then: str) -> NotPossible:
        return NotPossible(f"{self._server} {what}", then)


def _used(text: str, most: tuple[int, int]) -> tuple[int, int]:
    """What an answer says that it used; where it does not say, the most."""
    try:
        tokens_in, tokens_out = completions.used(json.loads(text))
    except (ValueError, RecursionError):
        return most
    return (
        most[0] if tokens_in is None else tokens_in,
        most[1] if tokens_out is None else tokens_out,
    )
