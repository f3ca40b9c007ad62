"""Reading a number, on a scale or without one."""

from __future__ import annotations

import re
from dataclasses import dataclass

from truing.scoring.parse.parsed import DECLINES, EMPTY, Parsed, negated, plain, refuses

_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_WORD = "|".join(_WORDS)
_DIGITS = r"(?<![\w.,/-])[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?![\w]|[.,]\d|-\w)"
_ANY = rf"(?:{_DIGITS}|\b(?:{_WORD})\b)"
_OUT_OF = re.compile(
    rf"({_ANY})\s*(?:/|out of)\s*((?:\d+(?:\.\d+)?|{_WORD})\b)(?!/)", re.IGNORECASE
)
_RANGE = re.compile(rf"(\d+|{_WORD})\s*(?:-|–|to|or|and)\s*(\d+|{_WORD})\b", re.IGNORECASE)
_CUE = re.compile(
    r"\b(?:rating|score|answer|grade|number|result|total)\b(?:\s+(?:is|of|would be))?[\s:=*\"'(\[]*$"
    r"|\b(?:rate|score|give|grade)\s+(?:it|this|that)(?:\s+(?:as|at|an?))*[\s:\"'(\[]*$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Scale:
    """The numbers that may be given, both ends included."""

    low: float
    high: float


def number(text: str, scale: Scale | None = None) -> Parsed:
    """The number that ``text`` gives, as plain digits (``4``, ``3.5``, ``1234``).

    In order: a number named as the answer (``rating: 4``, ``I'd give it a 4``); ``4/5`` and ``4 out
    of 5`` where 5 ends the ``scale``; a refusal (abstain); the only number in the text. Words count
    up to ten, and only where they are the whole answer, named as it, or before ``out of``. The
    scale itself (``1-5``) is not an answer; two different numbers abstain; a number off the scale,
    or out of another total, is invalid. Without a scale, ``3/4`` is a fraction.
    """
    said = plain(text)
    if not said:
        return EMPTY
    said = _without_scale(said, scale)
    whole = re.fullmatch(rf"\W*({_WORD})\W*", said, re.IGNORECASE)
    if whole:
        return _placed(_value(whole.group(1)), scale, "a number word")
    if _RANGE.search(said) and not _cued(said):
        return Parsed("abstain", None, "gives a range")
    shares = list(_OUT_OF.finditer(said))
    if shares:
        return _share(shares, scale)
    named = _cued(said)
    if len(named) == 1:
        return _placed(named.pop(), scale, "named as the answer")
    if refuses(said):
        return DECLINES
    found = named or {
        _value(m.group())
        for m in re.finditer(rf"{_DIGITS}(?!/)", said)
        if not negated(said, m.start())
    }
    if len(found) == 1:
        return _placed(found.pop(), scale, "the only number")
    if found:
        return Parsed("abstain", None, "gives several numbers")
    return Parsed("invalid", None, "no number in it")


def _cued(text: str) -> set[float]:
    return {
        _value(m.group())
        for m in re.finditer(_ANY, text, re.IGNORECASE)
        if _CUE.search(text[: m.start()]) and not negated(text, m.start())
    }


def _share(shares: list[re.Match[str]], scale: Scale | None) -> Parsed:
    pairs = {(_value(m.group(1)), _value(m.group(2))) for m in shares}
    if len(pairs) > 1:
        return Parsed("abstain", None, "gives several numbers")
    part, total = pairs.pop()
    if scale is None:
        slash = "/" in shares[0].group()
        return _placed(part / total if slash and total else part, None, "a share")
    if total != scale.high:
        return Parsed("invalid", None, f"out of {total:g}, and the scale ends at {scale.high:g}")
    return _placed(part, scale, f"out of {total:g}")


def _placed(value: float, scale: Scale | None, why: str) -> Parsed:
    if scale is not None and not scale.low <= value <= scale.high:
        return Parsed(
            "invalid", None, f"{value:g} is not on the scale {scale.low:g} to {scale.high:g}"
        )
    return Parsed("answer", f"{value:.10g}", why)


def _without_scale(text: str, scale: Scale | None) -> str:
    if scale is None:
        return text
    ends = rf"\b{scale.low:g}\s*(?:-|–|to|and)\s*{scale.high:g}\b"
    return re.sub(ends, " ", text)


def _value(text: str) -> float:
    low = text.lower()
    return float(_WORDS.index(low)) if low in _WORDS else float(low.replace(",", ""))
