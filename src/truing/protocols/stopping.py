"""The truncation axis: where an answer ends, and what of the generated text is the answer.

Free answers are stored whole. What a judge reads is :func:`answer_text`, so that another rule can
be tried on stored rows without asking the model again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from truing.errors import UnknownName

VERSION = "sentence-end-1"
MAX_NEW_TOKENS = 50


@dataclass(frozen=True, slots=True)
class Truncation:
    """Where generation stops. ``max_new_tokens`` is ``None`` where the gold text sets the length.

    ``stop`` strings end the answer where they occur and are cut off; with ``arm`` not before the
    answer holds something other than whitespace. End of text and end of turn always end it.
    """

    name: str
    summary: str
    stop: tuple[str, ...] = ()
    arm: bool = True
    max_new_tokens: int | None = MAX_NEW_TOKENS


TRUNCATIONS: Mapping[str, Truncation] = MappingProxyType(
    {
        t.name: t
        for t in (
            Truncation("gold-length", "as many tokens as the gold answer has", max_new_tokens=None),
            Truncation(
                "natural",
                "first line, end of text or turn, at most 50 tokens; then the first sentence",
                stop=("\n",),
            ),
            Truncation(
                "worked",
                "an answer that is worked out: until it ends by itself or poses the next problem, "
                "at most 400 tokens",
                stop=("\nProblem:",),
                max_new_tokens=400,
            ),
            Truncation(
                "published",
                "at the first '.' or newline, even a leading one, as Yang et al. 2025 published",
                stop=(".", "\n"),
                arm=False,
            ),
        )
    }
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Titles and the like stand before a name: a full stop after them never ends a sentence.
_TITLES = _words(
    "mr mrs ms mx dr prof st ste mt ft gen col maj lt sgt capt cmdr adm rev hon pres gov sen rep "
    "sr fr messrs mme mlle mgr bros vs approx ca cf viz al"
)
# These may end a sentence: they do when a word follows that usually begins one.
_SHORT_FORMS = _words(
    "jr esq inc ltd co corp llc plc dept univ est etc ave blvd rd jan feb mar apr jun jul aug sep "
    "sept oct nov dec mon tue tues wed thu thur thurs fri sat sun"
)
# Short forms only before a number ("No. 5", "c. 1900"); "No." alone is an answer.
_BEFORE_NUMBERS = _words("no nos c p pp vol vols art fig figs ch sec op nr ed")
_STARTERS = _words(
    "The A An It Its He She They We I You His Her Their This That These Those There In On At As "
    "For From But And So However Although While When After Before Since If Is Was Are Were What "
    "Who Where When Why How Which Also Then Thus Therefore Answer Question Q Yes"
)
_END = re.compile(r"[.!?]+[\"'”’)\]]*(?=\s|$)|[。！？]")
_LAST_WORD = re.compile(r"[^\s\"'“‘(\[]+$")
_INNER_STOPS = re.compile(r"(?:[^\W\d_]{1,3}\.)+[^\W\d_]{1,3}")
_FIRST_WORD = re.compile(r"\W*(\w+)")


def first_sentence(text: str) -> str:
    """``text`` up to and with its first sentence end; all of it when none is found.

    A full stop ends no sentence inside a number or word (``24,303.04``), in an ellipsis, after a
    title (``St. Louis``), an initial (``Robert C. Newton``), an acronym (``U.S. Steel``) or a
    ``1.`` that opens a list, or before a lower-case letter. After an acronym, an initial or a
    short form (``Inc.``), and after an exclamation mark (``Yahoo! Inc.``), it does when a word
    follows that usually begins a sentence (``The``). When in doubt the text is left whole: a long
    answer can be judged by containment, a torn one cannot be judged.
    """
    for match in _END.finditer(text):
        if _ends_sentence(text, match):
            return text[: match.end()]
    return text


def answer_text(text: str, truncation: str) -> str:
    """What counts as the answer in a generated ``text``, without outer whitespace.

    ``gold-length``: the text. ``natural``: the first line that is not blank, cut at its first
    sentence end. ``published``: the text without the suffixes that the published code removes.
    """
    if truncation not in TRUNCATIONS:
        raise UnknownName("truncation", truncation, TRUNCATIONS)
    if truncation == "natural":
        line = text.strip().partition("\n")[0]
        return first_sentence(line).strip()
    if truncation == "published":
        return without_suffixes(text).strip()
    return text.strip()


def without_suffixes(text: str, end: str = "") -> str:
    """``text`` without one trailing full stop, then one newline, then one ``end`` string.

    The order is the published one (Yang et al. 2025, evaluation code): a full stop that stands
    before the ``end`` string stays.
    """
    for suffix in (".", "\n", end):
        if suffix:
            text = text.removesuffix(suffix)
    return text


def _ends_sentence(text: str, match: re.Match[str]) -> bool:
    rest = text[match.end() :]
    marks = match.group().rstrip("\"'”’)]")
    if not rest.strip() or marks in ("。", "！", "？"):
        return True
    following = _FIRST_WORD.match(rest)
    following_word = following.group(1) if following else ""
    if following_word[:1].islower():
        return False
    if marks != ".":
        return "?" in marks or ("!" in marks and following_word in _STARTERS)
    word_match = _LAST_WORD.search(text[: match.start()])
    word = word_match.group() if word_match else ""
    name = word.lower()
    if name in _TITLES or not word:
        return False
    if name in _BEFORE_NUMBERS and following_word[:1].isdigit():
        return False
    if word == "1" and not text[: match.start() - 1].strip():
        return False
    initial = len(word) == 1 and word.isalpha() and word.isupper()
    if initial or name in _SHORT_FORMS or _INNER_STOPS.fullmatch(word):
        return following_word in _STARTERS
    return True
