"""The words of a question to a judge, and what its reply says."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass

from truing.judges.base import Shown
from truing.scoring import health, normalise, parse
from truing.servers.reply import Reply
from truing.types import Chat, Message

VERSION = "replies-1"
"""Of the rules by which replies are read."""
LEAST_SHARE = 0.1
"""A judge that gives all labels together less probability than this does not answer in them."""

_NUMBERS = ("zero", "one", "two", "three", "four", "five")
_RANGE = re.compile(r"\b\d\s*(?:-|–|to|or)\s*\d\b", re.IGNORECASE)
_DIGIT = re.compile(rf"(?<![\w.-])(\d|{'|'.join(_NUMBERS)})(?!\w|\.\d)", re.IGNORECASE)
_RATING = re.compile(r"\brating\W*(?=\w)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Wording:
    """One question. ``user`` may hold ``{question}``, ``{answer}``, ``{gold}``, ``{base}`` and
    ``{text}``; ``strict`` is added when a reply could not be read, and may be empty."""

    system: str
    user: str
    labels: tuple[str, ...]
    strict: str = ""

    @property
    def digest(self) -> str:
        """16 hex digits of the words and of the version of the reading rules."""
        text = json.dumps([VERSION, LEAST_SHARE, *astuple(self)])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def needs_gold(self) -> bool:
        return "{gold}" in self.user

    def chat(self, values: Mapping[str, str], strict: bool) -> Chat:
        """The question about ``values``. Each is put on one line, so that no answer can pretend to
        be a part of the question."""
        asked = self.user.format_map({k: " ".join(v.split()) for k, v in values.items()})
        asked = f"{asked}\n{self.strict}" if strict and self.strict else asked
        system = (Message("system", self.system),) if self.system else ()
        return (*system, Message("user", asked))


def values_of(shown: Shown) -> dict[str, str]:
    """What a wording can name. The gold is every accepted answer, or the base model's where none
    is accepted."""
    gold = usable(shown.accepted) or ((shown.base,) if shown.base else ())
    return {
        "question": shown.question,
        "answer": shown.answer,
        "gold": "; or: ".join(gold),
        "base": shown.base or "",
        "text": shown.text or shown.answer,
    }


def usable(accepted: Sequence[str]) -> tuple[str, ...]:
    """The accepted answers that say anything."""
    return tuple(a for a in accepted if normalise.normalise(a) and not health.is_empty(a))


@dataclass(frozen=True, slots=True)
class Heard:
    """What one reply says. ``label`` is ``None`` where it cannot be read. ``shares`` are the
    probabilities of the labels, which add up to 1, where the speaker tells them."""

    label: str | None
    shares: tuple[float, ...] | None
    why: str


def heard(reply: Reply, labels: Sequence[str], said_in: Callable[[str], str | None]) -> Heard:
    """The label of ``reply``: the likeliest, where likelihoods are told, else what the text says.

    The two are compared and ``why`` tells when they differ.
    """
    if reply.text is None:
        return Heard(None, None, f"no reply: {reply.error or 'nothing came back'}")
    said = said_in(reply.text)
    shares = shares_of(reply.label_logprobs)
    if shares is None:
        return Heard(said, None, "the reply names no label" if said is None else f"says {said}")
    share, likely = max(zip(shares, labels, strict=True), key=lambda pair: pair[0])
    told = f"{likely} by likelihood ({share:.2f} of the labels)"
    if said == likely:
        return Heard(likely, shares, f"says {told}")
    other = "names no label" if said is None else f"says {said}"
    return Heard(likely, shares, f"{told}, but the text {other}")


def shares_of(logprobs: Sequence[float] | None) -> tuple[float, ...] | None:
    """Probabilities of the labels among themselves; ``None`` where they are not known or so small
    together that the judge does not answer in labels."""
    if not logprobs:
        return None
    raw = [math.exp(x) for x in logprobs]
    whole = math.fsum(raw)
    return tuple(x / whole for x in raw) if whole >= LEAST_SHARE else None


def letter_in(letters: str) -> Callable[[str], str | None]:
    """Reads the one letter that a reply chooses."""
    return lambda text: parse.letter(text.strip("*_`# \n"), letters).value


def digit_in(low: int, high: int) -> Callable[[str], str | None]:
    """Reads a rating: the first number after the last "rating", else the first of the reply.

    Numbers may be words. Ranges ("1 to 5"), decimals and longer numbers are none; of "4/5" it is 4.
    A first number outside the scale makes the reply unreadable.
    """

    def read(text: str) -> str | None:
        text = _RANGE.sub(" ", text)
        match = _DIGIT.search(_RATING.split(text)[-1])
        if match is None:
            return None
        word = match[1].lower()
        number = _NUMBERS.index(word) if word in _NUMBERS else int(word)
        return str(number) if low <= number <= high else None

    return read


def exactly(labels: Sequence[str]) -> Callable[[str], str | None]:
    """Reads a reply that is one of the labels and nothing else, as published code does."""
    return lambda text: text if text in labels else None
