"""Where a subject is in a prompt, and a guess at one that nobody gave."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

_WORD = re.compile(r"[^\W_][\w.'’\-]*[^\W_]|[^\W_]", re.UNICODE)
_QUOTED = re.compile(r"[\"“‘']([^\"”’']{2,}?)[\"”’'](?=\W|$)")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_JOINERS = _words("of the de da del der di du la le van von and & for in on at al el ibn y")
_OPENERS = _words(
    "what which who whom whose when where why how in on at of by from to for with during after before "
    "is are was were do does did can could has have had the a an please name tell answer if"
)
_FUNCTION = _words(
    "a an the of in on at by from to for with as and or is are was were be been being do does did has "
    "have had what which who whom whose when where why how that this these those it its his her their "
    "there than then can could will would should may might must not no into about called known"
)


def occurrences(text: str, subject: str) -> int:
    """How often ``subject`` is in ``text``, overlapping ones included."""
    count, start = 0, text.find(subject)
    while start >= 0:
        count, start = count + 1, text.find(subject, start + 1)
    return count


def guess(prompt: str, rephrases: Sequence[str] = ()) -> str | None:
    """The likeliest subject of ``prompt``, which holds it exactly once; ``None`` without a good guess.

    Quoted text first, then the longest capitalised span ("The Tower of London"), then the longest run
    of words that every rephrase has too, without function words at its ends. At every stage, spans
    that are also in the rephrases come first.
    """
    shared = [text.casefold() for text in rephrases if text.strip()]
    for spans in (_quoted(prompt), _capitalised(prompt, bool(shared)), _common(prompt, shared)):
        fit = [span for span in spans if occurrences(prompt, span) == 1]
        both = [span for span in fit if shared and all(span.casefold() in text for text in shared)]
        if both or fit:
            return max(both or fit, key=len)
    return None


def _quoted(prompt: str) -> list[str]:
    return [match.strip() for match in _QUOTED.findall(prompt) if match.strip()]


def _capitalised(prompt: str, appositions: bool) -> list[str]:
    """Maximal runs of capitalised words, joined by small words such as "of", with numbers and brackets.

    With ``appositions`` also runs that a comma joins ("Nancy Astor, Viscountess Astor").
    """
    words = [(m.group(), m.start(), m.end()) for m in _WORD.finditer(prompt)]
    runs: list[tuple[int, int]] = []
    i = 0
    while i < len(words):
        if not _is_name(words[i][0]) or _opens(words, i, prompt):
            i += 1
            continue
        end = j = i
        while (j := j + 1) < len(words) and prompt[words[j - 1][2] : words[j][1]] in _GAPS:
            if _is_name(words[j][0]) or words[j][0][0].isdigit():
                end = j
            elif words[j][0].casefold() not in _JOINERS:
                break
        numbered = (
            i > 0 and words[i - 1][0].isdigit() and prompt[words[i - 1][2] : words[i][1]] == " "
        )
        runs.append((words[i - numbered][1], _bracketed(prompt, words[end][2])))
        i = end + 1
    if appositions:
        runs += [
            (a[0], b[1]) for a, b in pairwise(runs) if _APPOSITION.fullmatch(prompt[a[1] : b[0]])
        ]
    return [re.sub(r"['’]s$", "", prompt[start:end]) for start, end in runs]


_GAPS = (" ", "-", " & ", ". ", "’", "'")
_APPOSITION = re.compile(r", (\d+(st|nd|rd|th) )?")


def _bracketed(prompt: str, end: int) -> int:
    """``end``, moved behind a bracket that follows at once: "USS Leedstown (APA-56)"."""
    match = re.match(r" \([^()]{1,40}\)", prompt[end:])
    return end + match.end() if match else end


def _is_name(word: str) -> bool:
    return word[0].isupper() or any(c.isupper() for c in word[1:])


def _opens(words: list[tuple[str, int, int]], i: int, prompt: str) -> bool:
    """Whether the word is capital only because a sentence begins ("What", "In", "The" + small word)."""
    first = i == 0 or prompt[: words[i][1]].rstrip()[-1:] in ".!?\n:"
    if not first or words[i][0].casefold() not in _OPENERS:
        return False
    if words[i][0].casefold() in ("the", "a", "an"):
        return i + 1 >= len(words) or not _is_name(words[i + 1][0])
    return True


def _common(prompt: str, shared: list[str]) -> list[str]:
    if not shared:
        return []
    words = [(m.group(), m.start(), m.end()) for m in _WORD.finditer(prompt)]
    spans = []
    for i in range(len(words)):
        if words[i][0].casefold() in _FUNCTION:
            continue
        for j in range(i, len(words)):
            span = prompt[words[i][1] : words[j][2]]
            if not all(span.casefold() in text for text in shared):
                break
            if words[j][0].casefold() not in _FUNCTION:
                spans.append(span)
    return spans
