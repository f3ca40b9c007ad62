"""Chat completions: what is sent and what the answer means. Works for any server of the API."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from truing.servers.reply import Reply
from truing.types import Chat

VERSION = "completions-1"
TOP_LOGPROBS = (20, 5, 0)
"""How many alternatives per token to ask for: servers differ in the most that they give."""
SLACK = 0.01
"""The most of a label's probability that may lie in what a server does not show."""
LEAST = 1e-12


class Unreadable(Exception):
    """An answer that holds no reply. ``again``: asking again may help."""

    def __init__(self, why: str, *, again: bool) -> None:
        self.why, self.again = why, again
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How this server wants to be asked, as it told by refusing."""

    limit_field: str = "max_tokens"
    top_logprobs: int = TOP_LOGPROBS[0]
    left_out: tuple[str, ...] = ()

    def after(self, refusal: str, dispensable: Sequence[str] = ()) -> Dialect | None:
        """What to try next; ``None`` where the refusal is about something else. ``dispensable``
        settings are left out where a refusal names them."""
        if self.limit_field == "max_tokens" and "max_completion_tokens" in refusal:
            return replace(self, limit_field="max_completion_tokens")
        if self.top_logprobs and "logprobs" in refusal:
            fewer = next(n for n in TOP_LOGPROBS if n < self.top_logprobs)
            return replace(self, top_logprobs=fewer)
        for name in dispensable:
            if name in refusal and name not in self.left_out:
                return replace(self, left_out=(*self.left_out, name))
        return None


def request(
    model: str, chat: Chat, settings: Mapping[str, Any], dialect: Dialect, labels: Sequence[str]
) -> bytes:
    """The body. ``settings``: max_tokens, temperature, seed; what is ``None`` is not sent."""
    asked: dict[str, Any] = {
        "model": model,
        "messages": [{"role": m.role, "content": m.content} for m in chat],
        dialect.limit_field: settings["max_tokens"],
    }
    sent = [k for k in ("temperature", "seed") if k not in dialect.left_out]
    asked |= {k: settings[k] for k in sent if settings[k] is not None}
    if labels and dialect.top_logprobs:
        asked |= {"logprobs": True, "top_logprobs": dialect.top_logprobs}
    return json.dumps(asked, ensure_ascii=False).encode()


def read(text: str, labels: Sequence[str]) -> Reply:
    """The reply in an answer. Raises :class:`Unreadable`."""
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        raise Unreadable("the answer is not JSON", again=True) from None
    tokens_in, tokens_out = used(whole)
    choice = _get(_get(whole, "choices"), 0)
    message = _get(choice, "message")
    said = _get(message, "content") or _get(message, "refusal")
    if not isinstance(said, str) or not said.strip():
        raise _nothing(whole, choice)
    content = _get(_get(choice, "logprobs"), "content")
    likely = label_logprobs(content, labels) if labels and isinstance(content, list) else None
    ended = _get(choice, "finish_reason")
    return Reply(
        said,
        likely,
        None,
        tokens_in,
        tokens_out,
        ended if isinstance(ended, str) else None,
        _answered_by(whole),
    )


def _answered_by(whole: Any) -> str | None:
    """The model that an answer names, with the fingerprint of what it runs on."""
    named = [_get(whole, key) for key in ("model", "system_fingerprint")]
    return " ".join(part for part in named if isinstance(part, str) and part) or None


def used(whole: Any) -> tuple[int | None, int | None]:
    """Tokens in and out as the server counted them; ``None`` where it does not say."""
    usage = _get(whole, "usage")
    counts = [_get(usage, name) for name in ("prompt_tokens", "completion_tokens")]
    tokens_in, tokens_out = (
        n if isinstance(n, int) and not isinstance(n, bool) and n >= 0 else None for n in counts
    )
    return tokens_in, tokens_out


def complaint(text: str) -> tuple[str, str]:
    """``(code, message)`` of an answer that refuses; the message is one line of 200 characters."""
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        whole = None
    error = _get(whole, "error")
    named = error if isinstance(error, dict) else whole
    code = _get(named, "code") or _get(named, "type")
    message = next(
        (
            m
            for m in (error, *(_get(named, k) for k in ("message", "detail")), text)
            if isinstance(m, str)
        ),
        "",
    )
    line = " ".join(message.split())
    return str(code or ""), line if len(line) <= 200 else line[:199] + "…"


def label_logprobs(content: Sequence[Any], labels: Sequence[str]) -> tuple[float, ...] | None:
    """Natural-log probability that the reply begins with each of ``labels`` (as a whole word, after
    blanks), from a reply's tokens and the alternatives to each.

    Along the reply, a token or an alternative that completes a label adds its probability. An
    alternative that only begins one, and what is not among the alternatives, may hide some: where
    that could be more than :data:`SLACK` for any label, or no label is seen, it is ``None``. A label
    that is not seen gets the most that it can have.
    """
    seen, hidden = [0.0] * len(labels), [0.0] * len(labels)
    path, p_path = "", 1.0
    for position in content:
        said, options = _options(position)
        if not options:
            return None
        unfinished = [i for i, label in enumerate(labels) if _may_become(path, label)]
        if not unfinished:
            break
        tail = min(max(0.0, 1.0 - sum(options.values())), min(options.values()))
        for i in unfinished:
            ends = sum(p for t, p in options.items() if _begins(path + t, labels[i]))
            parts = [t for t in options if _may_become(path + t, labels[i])]
            seen[i] += p_path * ends
            hidden[i] += p_path * sum(options[t] for t in parts if t != said)
            hidden[i] += p_path * tail if not ends and not parts else 0.0
        p_path *= options[said]
        path += said
    else:
        for i, label in enumerate(labels):
            hidden[i] += p_path if _may_become(path, label) else 0.0
    if max(hidden, default=1.0) > SLACK or not any(seen):
        return None
    return tuple(math.log(s or max(h, LEAST)) for s, h in zip(seen, hidden, strict=True))


def _options(position: Any) -> tuple[str, dict[str, float]]:
    """The token of a reply, and probabilities of it and of its alternatives; empty: unreadable."""
    listed = _get(position, "top_logprobs")
    options: dict[str, float] = {}
    for entry in [*(listed if isinstance(listed, list) else []), position]:
        token, logprob = _get(entry, "token"), _get(entry, "logprob")
        if not isinstance(token, str) or not isinstance(logprob, (int, float)) or logprob > 1e-3:
            return "", {}
        options[token] = math.exp(min(logprob, 0.0))
    return str(_get(position, "token")), options


def _begins(text: str, label: str) -> bool:
    text = text.lstrip()
    return text.startswith(label) and not text[len(label) : len(label) + 1].isalnum()


def _may_become(text: str, label: str) -> bool:
    text = text.lstrip()
    return len(text) < len(label) and label.startswith(text)


def _nothing(whole: Any, choice: Any) -> Unreadable:
    why = _get(choice, "finish_reason")
    if choice is None:
        told = _get(_get(whole, "error"), "message")
        return Unreadable("no choice in the answer" + (f": {told}" if told else ""), again=True)
    if why == "length":
        return Unreadable("max_tokens were used up before the reply began", again=False)
    if why == "content_filter":
        return Unreadable("the server's content filter held the reply back", again=False)
    return Unreadable("the reply is empty", again=True)


def _get(value: Any, key: str | int) -> Any:
    """``value[key]``, or ``None`` where there is no such thing."""
    if isinstance(value, dict):
        return value.get(key)
    if isinstance(value, list) and isinstance(key, int):
        return value[key] if key < len(value) else None
    return None
