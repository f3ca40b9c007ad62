"""What reading a short answer gives, and what every reader looks for first."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

VERSION = "parse-3"

Outcome = Literal["answer", "abstain", "invalid"]

_REFUSAL = re.compile(
    r"\bI(?:'m| am) (?:sorry|unable|not able)\b"
    r"|\bI (?:can(?:not|'t| not)|won't|will not|apologi[sz]e(?! (?:to|for)\b)"
    r"|(?:refuse|decline)(?! to (?!answer|assist|help|respond|reply|choose|comment|judge|say|engage)))\b"
    r"|\bI (?:do not|don't) (?:know|have (?:any |enough |an? )?(?:information|opinion|access))\b"
    r"|\bI have no (?:idea|opinion|information|way)\b"
    r"|^\W*(?:no idea|cannot assist)\b"
    r"|\bas an AI\b",
    re.IGNORECASE,
)
_HEDGE = re.compile(
    r"\b(?:depends?|neither|ambiguous|uncertain|unclear|neutral|not (?:sure|certain|clear)"
    r"|not (?:necessarily|always|entirely|either)|could be either|hard to say|undecided)\b",
    re.IGNORECASE,
)
_NEGATOR = (
    r"(?:not|never|nothing|cannot|hardly|neither|nor|\w+n't|in no way|no longer|far from"
    r"|(?:refuse|decline)[sd]? to)"
)
_BREAK = r"(?:and|but|or|because|so|just|only|if|whether|to|since|as|that|which|while|more)"
_NEGATED = re.compile(
    rf"\b{_NEGATOR}(?:\s+(?!{_BREAK}\b)(?!\w+ing\b)[\w-]+){{0,4}}\s+[\"'(]*$", re.IGNORECASE
)
_QUOTES = str.maketrans({**dict.fromkeys("‘’‚′", "'"), **dict.fromkeys("“”„″", '"')})


@dataclass(frozen=True, slots=True)
class Parsed:
    """``value`` is set when ``outcome`` is ``answer``; ``why`` says how it was found.

    ``abstain``: the answer declines, hedges or names several; ``invalid``: nothing of the kind is
    in it. Loops are not looked for here: :mod:`truing.scoring.health` finds them.
    """

    outcome: Outcome
    value: str | None
    why: str


EMPTY = Parsed("invalid", None, "empty answer")
DECLINES = Parsed("abstain", None, "declines to answer")


def plain(text: str) -> str:
    """``text`` with straight quotes, without outer whitespace."""
    return text.translate(_QUOTES).strip()


def refuses(text: str) -> bool:
    """Whether the text declines to answer ("I cannot", "I don't know", "As an AI")."""
    return _REFUSAL.search(text.translate(_QUOTES)) is not None


def hedges(text: str) -> bool:
    """Whether the text leaves the choice open ("it depends", "neither", "not sure")."""
    return _HEDGE.search(text) is not None


def negated(text: str, start: int) -> bool:
    """Whether what begins at ``start`` is denied: a negator at most four words before it, with no
    conjunction, ``-ing`` form or mark between ("not morally acceptable", "don't think it is good").
    """
    return _NEGATED.search(text[:start]) is not None
