"""Reading the choice of one of several options, by its letter or by its text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from truing.scoring import normalise
from truing.scoring.parse.parsed import DECLINES, EMPTY, Parsed, hedges, negated, plain, refuses

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SEVERAL = Parsed("abstain", None, "names several letters")


def letter(text: str, letters: str = "ABCD", options: Sequence[str] = ()) -> Parsed:
    """The chosen letter, in upper case. ``options`` are in the order of ``letters``.

    In order: a leading letter that stands alone (``A``, ``(B)``, ``C. mercury``); the whole text of
    one option; ``answer is D``, ``option D``, ``I choose D``, ``D is correct``; a refusal
    (abstain); the text of exactly one option, of which denied ones do not count; a hedge (abstain).
    A letter inside a word is never a choice, and an article (``A dog barks``) is not one either.
    Several letters, or the options repeated, abstain.
    """
    said = plain(text)
    if not said:
        return EMPTY
    some = f"[{re.escape(letters + letters.lower())}]"
    other = f"(?![aI]){some}"  # "A, a metal" and "A, I think" name one letter
    if re.match(rf"\W*(?i:both\s+)?{some}(?:\s*(?:,|/|&|\band\b|\bor\b)\s*{other}\b)+", said):
        return SEVERAL
    if len(_repeated(said, letters, options)) > 1:
        return Parsed("abstain", None, "repeats the options")
    lead = re.match(
        rf"[\s\"'(\[*]*({some})(?:\s*$|\s*\n|\.(?!\w\.)|[):,;\]\"*]|'(?!\w)|\s+[-–—=]\s)", said
    )
    if lead:
        return Parsed("answer", lead.group(1).upper(), "leading letter")
    equal = _equal(said, letters, options)
    if len(equal) == 1:
        return Parsed("answer", equal.pop(), "text of one option")
    named = _named(said, letters)
    if len(named) == 1:
        return Parsed("answer", named.pop(), "named letter")
    if named:
        return SEVERAL
    if refuses(said):
        return DECLINES
    held = _held(said, letters, options)
    if len(held) == 1:
        return Parsed("answer", held.pop(), "text of one option")
    if held:
        return Parsed("abstain", None, "holds the texts of several options")
    if hedges(said):
        return Parsed("abstain", None, "leaves it open")
    return Parsed("invalid", None, "no letter and no single option in it")


def choice(text: str, choices: Sequence[str]) -> Parsed:
    """The one of ``choices``, as it is written there, that ``text`` names by its words.

    In order: the whole text of one; a refusal (abstain); exactly one in the text, of which denied
    ones do not count; several, or a hedge (abstain).
    """
    marks = "".join(chr(ord("\ue000") + i) for i in range(len(choices)))
    texts = dict(zip(marks, choices, strict=True))
    if not plain(text):
        return EMPTY
    equal = _equal(plain(text), marks, choices)
    if len(equal) == 1:
        return Parsed("answer", texts[equal.pop()], "the whole text of one")
    if refuses(text):
        return DECLINES
    held = _held(text, marks, choices)
    if len(held) == 1:
        return Parsed("answer", texts[held.pop()], "the only one in it")
    if held or hedges(text):
        return Parsed("abstain", None, "names several" if held else "leaves it open")
    return Parsed("invalid", None, "none of the choices is in it")


def options_in(question: str) -> tuple[str, ...]:
    """The texts of the lettered options that ``question`` shows, in the order A, B, C, ...

    Options stand on lines of their own (``A. glass``), or in one line with two spaces, else one,
    between them; ``.``, ``)`` and ``:`` may follow the letter. The last such list counts. Empty
    where there are fewer than two.
    """
    for before in (r"(?:^|\n)[ \t(]*", r"(?:^|\n|[ \t]{2,})\(?", r"(?:^|\s)\(?"):
        found = _listed(question, before)
        if found:
            return found
    return ()


def _listed(question: str, before: str) -> tuple[str, ...]:
    starts = list(re.finditer(r"(?:^|\s)\(?A[.):]\s*", question))
    for start in reversed(starts):
        texts, at = [], start.end()
        for mark in LETTERS[1:]:
            following = re.compile(rf"{before}{mark}[.):][ \t]*").search(question, at + 1)
            if following is None:
                break
            texts.append(question[at : following.start()])
            at = following.end()
        texts.append(question[at:].partition("\n")[0])
        options = tuple(text.strip() for text in texts)
        if len(options) >= 2 and all(options) and not any("\n" in text for text in options):
            return options
    return ()


def _named(text: str, letters: str) -> set[str]:
    upper, lower = re.escape(letters), re.escape(letters.lower())
    offers = rf"(?!\s*(?:,|/|\b(?i:or|and)\b)\s*[{upper}]\b)"  # "answer A or B" asks, not answers
    mark = rf"[\"'(\[*]*(?:([{upper}])\b{offers}|([{lower}])(?=\W*$|[.):,]))"
    cue = r"\b(?i:answer|option|choice|choose|chose|pick|select|go with)"
    verb = r"(?i:\s+is|\s+would be)?\s*:?\s*(?i:(?:the\s+)?(?:letter|option|choice)\s+)?"
    after = re.finditer(f"{cue}{verb}{mark}", text)
    right = r"(?i:(?:the\s+)?(?:correct|right|best)(?:\s+(?:answer|choice|option|one))?|the answer)"
    judged = re.finditer(rf"\b([{upper}])\b[\"')\]*]*\s+is\s+{right}\s*(?:[.,;!]|$)", text)
    return {(m.group(1) or m.group(2)).upper() for m in after if not negated(text, m.start())} | {
        m.group(1) for m in judged
    }


def _repeated(text: str, letters: str, options: Sequence[str]) -> set[str]:
    """The letters that stand in ``text`` with their own option's text."""
    pairs = [
        rf"(?<!\w){mark}[.):]\s*{re.escape(option)}(?!\w)"
        for mark, option in zip(letters, options, strict=False)
    ]
    if not pairs:
        return set()
    return {m.group()[0].upper() for m in re.finditer("|".join(pairs), text, re.IGNORECASE)}


def _equal(text: str, letters: str, options: Sequence[str]) -> set[str]:
    """The letters of the options that ``text`` is, after normalisation."""
    return {
        mark.upper()
        for mark, option in zip(letters, options, strict=False)
        if normalise.normalise(option) and normalise.equal(text, option)
    }


def _held(text: str, letters: str, options: Sequence[str]) -> set[str]:
    """The letters of the options that ``text`` asserts; of overlapping texts the longest counts."""
    marks = zip(letters.upper(), options, strict=False)
    texts = {_folded(option): mark for mark, option in marks if option.strip()}
    if not texts:
        return set()
    any_of = "|".join(re.escape(o) for o in sorted(texts, key=len, reverse=True))
    low = _folded(text)
    found = re.finditer(rf"(?<![\w-])(?:{any_of})(?![\w-]|[.,]\d)", low)
    return {texts[m.group()] for m in found if not negated(low, m.start())}


def _folded(text: str) -> str:
    return " ".join(plain(text).lower().split()).rstrip(".")
