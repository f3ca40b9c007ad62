"""Which replies can be used, and where they may be cut: at the ends of sentences."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from truing.building.asks import Ask, Writer
from truing.errors import BadInput
from truing.protocols.stopping import first_sentence
from truing.servers.reply import Reply

_ENDED = re.compile(r"[.!?…。！？][\"'”’)\]*_]*$")
_WORD = re.compile(r"\w+")
_REFUSAL = re.compile(
    r"^\W*(?:(?:i['’]m|i am) (?:very )?sorry\W+|unfortunately\W+|sorry\W+)?(?:but )?"
    r"i(?:['’]m not| am not| can['’]t| cannot| can not|['’]m un| am un| won['’]t| will not)\s?"
    r"(?:be )?(?:able to |comfortable )?"
    r"(?:help|assist|answer|provide|comply|fulfil|do that|write|generat|creat|engag|discuss|"
    r"pretend|role-?play|adopt|respond|repl)"
    r"|\bas an ai\b[^.!?]*\bi(?:['’]m unable| am unable| can['’]t| cannot| do(?: not|n['’]t) have)\b"
    r"|^\W*i apologi[sz]e\W+but\b",
    re.IGNORECASE,
)
Length = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class Limits:
    """What makes a continuation usable. ``shortest`` is in the writer's unit. ``leak``: as many words
    in a row of the system prompt, where the prompt has them not, give the instruction away (0: not
    looked for). ``refusals`` lets them pass: for behaviours that are about refusing."""

    shortest: int = 3
    leak: int = 4
    refusals: bool = False

    def __post_init__(self) -> None:
        for name in ("shortest", "leak"):
            if getattr(self, name) < 0:
                raise BadInput(f"{name} is {getattr(self, name)}", "It must be 0 or more.")


@dataclass(frozen=True, slots=True)
class Cut:
    """A continuation up to the end of one of its sentences: its length, and what was cut away."""

    text: str
    length: int
    lost: int = 0


def cuts(ask: Ask, reply: Reply, limits: Limits, writer: Writer) -> list[Cut] | str:
    """The ways to cut a reply, the longest first; or why it cannot be used.

    A reply that has all the tokens that ``writer`` allows was cut off: its last sentence counts only
    where it ended.
    """
    if reply.text is None:
        return "no reply"
    text = reply.text.strip()
    if not text:
        return "empty"
    if not limits.refusals and declines(text):
        return "refusal"
    if limits.leak and leaks(text, ask, limits.leak):
        return "leaks the system prompt"
    ends = sentence_ends(text)
    if (reply.tokens_out or 0) >= writer.max_tokens and not _ENDED.search(text):
        ends.pop()
    if not ends:
        return "unfinished"
    parts = [text[:end] for end in reversed(ends)]
    lengths = [writer.length(part) for part in parts]
    found = [
        Cut(part, n, lengths[0] - n)
        for part, n in zip(parts, lengths, strict=True)
        if n >= limits.shortest
    ]
    return found or "too short"


def declines(text: str) -> bool:
    """Whether a writer refuses to play its part. "I cannot stop thinking of it" is an answer."""
    return _REFUSAL.search(text) is not None


def sentence_ends(text: str) -> list[int]:
    """Where the sentences of ``text`` end, its own end included."""
    ends, at = [], 0
    while text[at:].strip():
        at += len(first_sentence(text[at:]))
        ends.append(at)
    return ends


def leaks(text: str, ask: Ask, words: int) -> bool:
    """Whether ``text`` has ``words`` words in a row of the system prompt that the prompt lacks."""
    told = _runs(ask.system, words) - _runs(ask.prompt, words)
    return not told.isdisjoint(_runs(text, words))


def _runs(text: str, words: int) -> set[tuple[str, ...]]:
    found = _WORD.findall(text.casefold())
    return {tuple(found[i : i + words]) for i in range(len(found) - words + 1)}
