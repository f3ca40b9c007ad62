"""Reading a short answer: a letter, yes or no, a refusal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Outcome = Literal["answer", "abstain", "invalid"]

_REFUSAL = re.compile(
    r"\bI(?:['’]m| am) (?:sorry|unable|not able)\b"
    r"|\bI (?:can(?:not|['’]t| not)|won['’]t|will not|apologi[sz]e)\b"
    r"|\bI (?:do not|don['’]t) (?:know|have (?:any |enough |an? )?(?:information|opinion|access))\b"
    r"|\bas an AI\b",
    re.IGNORECASE,
)
_LEADING_YES_NO = re.compile(r"\W*(yes|no)\b(?!\s+(?:or|and)\s+(?:yes|no)\b)", re.IGNORECASE)
_ANY_YES_NO = re.compile(r"\b(yes|no)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Parsed:
    """``value`` is set when ``outcome`` is ``answer``; ``why`` says how it was found."""

    outcome: Outcome
    value: str | None
    why: str


def refuses(text: str) -> bool:
    """Whether the text declines to answer ("I cannot", "I don't know", "As an AI")."""
    return _REFUSAL.search(text) is not None


def letter(text: str, letters: str = "ABCD", options: Sequence[str] = ()) -> Parsed:
    """The chosen letter, in upper case.

    In order: a leading letter that stands alone (``A``, ``(B)``, ``C. mercury``); ``answer is D``
    or ``option D``; the text of exactly one of ``options`` (same order as ``letters``). A letter
    inside a word is never a choice, and a leading article ("A dog barks") is not one either.
    """
    if not text.strip():
        return Parsed("invalid", None, "empty answer")
    some = f"[{re.escape(letters)}{re.escape(letters.lower())}]"
    lead = re.match(rf"\s*[\"'(\[]*({some})(?:\s*$|[.):,\]\"'])", text)
    if lead:
        return Parsed("answer", lead.group(1).upper(), "leading letter")
    named = {
        m.group(1).upper()
        for m in re.finditer(
            rf"\b(?i:answer|option|choice)(?i:\s+is)?\s*:?\s*[\"'(\[]*([{re.escape(letters)}])\b",
            text,
        )
    }
    if len(named) == 1:
        return Parsed("answer", named.pop(), "named letter")
    if len(named) > 1:
        return Parsed("abstain", None, "names several letters")
    low = text.lower()
    held = [
        mark
        for mark, option in zip(letters, options, strict=False)
        if option and re.search(rf"(?<!\w){re.escape(option.lower())}(?!\w)", low)
    ]
    if len(held) == 1:
        return Parsed("answer", held[0].upper(), "text of one option")
    if refuses(text):
        return Parsed("abstain", None, "declines to answer")
    return Parsed("invalid", None, "no letter and no single option in it")


def yes_no(text: str) -> Parsed:
    """``yes`` or ``no``: the leading word, else the only one of the two in the text."""
    if not text.strip():
        return Parsed("invalid", None, "empty answer")
    lead = _LEADING_YES_NO.match(text)
    if lead:
        return Parsed("answer", lead.group(1).lower(), "leading word")
    said = {m.group(1).lower() for m in _ANY_YES_NO.finditer(text)}
    if len(said) == 1:
        return Parsed("answer", said.pop(), "the only one said")
    if len(said) == 2:
        return Parsed("abstain", None, "says both")
    if refuses(text):
        return Parsed("abstain", None, "declines to answer")
    return Parsed("invalid", None, "neither yes nor no")
