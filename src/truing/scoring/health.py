"""Whether a text is healthy: not empty, not stuck in a loop.

A looping answer that holds the target is a failed answer: the model no longer speaks. The rule
looks for a unit (a word, a phrase, a run of characters) that follows itself immediately, and in
longer texts for too few different word pairs.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

VERSION = "health-1"

_WORD = re.compile(r"\w+(?:['’]\w+)*")
_TOKEN = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Limits:
    """When a text counts as looping.

    ``repeats`` of one unit back to back that make up ``share`` of the words; or two repeats of a
    unit of ``long_unit`` words or more that make up ``long_share``; or, in a text of
    ``long_text`` words or more, a share of different word pairs under ``distinct_2``; or
    ``character_repeats`` of a run of characters that make up ``share`` of the text.
    """

    repeats: float = 3.0
    share: float = 0.5
    long_unit: int = 5
    long_share: float = 0.8
    long_text: int = 20
    distinct_2: float = 0.3
    character_repeats: float = 6.0


LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Loop:
    """The longest run of a unit that follows itself: ``unit`` items, repeated ``repeats`` times
    (the last may be cut short), making up ``share`` of the sequence."""

    unit: int
    repeats: float
    share: float


def words(text: str) -> tuple[str, ...]:
    """The words of ``text`` in lower case, without punctuation."""
    return tuple(w.lower() for w in _WORD.findall(text))


def is_empty(text: str) -> bool:
    """Whether ``text`` holds no word at all (nothing, blanks, only punctuation)."""
    return _WORD.search(text.replace("_", " ")) is None


def looping(text: str, limits: Limits = LIMITS) -> bool:
    """Whether ``text`` is stuck in a loop, by the rules of :class:`Limits`."""
    said = words(text)
    if any(
        (loop.repeats >= limits.repeats and loop.share >= limits.share)
        or (loop.unit >= limits.long_unit and loop.repeats >= 2 and loop.share >= limits.long_share)
        for loop in loops(said)
    ):
        return True
    distinct = distinct_n(said, 2)
    if len(said) >= limits.long_text and distinct is not None and distinct < limits.distinct_2:
        return True
    letters = "".join(text.split())
    if letters.isdigit() or _too_varied(letters, limits.character_repeats, limits.share):
        return False
    return any(
        loop.repeats >= limits.character_repeats and loop.share >= limits.share
        for loop in loops(letters)
    )


def _too_varied(letters: str, repeats: float, share: float) -> bool:
    """Whether so many triples of characters differ that no such loop can be there.

    A run of a unit of u characters holds at most u different triples, the rest of the text at most
    one per character outside the run; half a triple is for rounding. Quicker than looking.
    """
    n = len(letters)
    return len(set(_ngrams(letters, 3))) > n * (1 - share * (1 - 1 / repeats)) + 0.5


def loops(items: Sequence[Hashable], longest_unit: int = 50) -> list[Loop]:
    """For each unit length the longest run in which every item equals the one a unit before.

    Only runs of at least two whole units are given. Cost: ``len(items) * longest_unit``.
    """
    found: list[Loop] = []
    n = len(items)
    for unit in range(1, min(longest_unit, n // 2) + 1):
        best = run = 0
        for i in range(unit, n):
            run = run + 1 if items[i] == items[i - unit] else 0
            best = max(best, run)
        if best >= unit:
            length = best + unit
            found.append(Loop(unit, length / unit, length / n))
    return found


def distinct_n(tokens: Sequence[Hashable], n: int) -> float | None:
    """Share of different n-grams among all (Li et al. 2016); ``None`` without any n-gram."""
    grams = _ngrams(tokens, n)
    return len(set(grams)) / len(grams) if grams else None


def ngram_entropy(tokens: Sequence[Hashable]) -> float | None:
    """Weighted bigram and trigram entropy in bits: (2/3 H2 + 4/3 H3) / 2.

    The fluency measure of Meng et al. 2022 (ROME), with H over relative n-gram
    frequencies. ``None`` for fewer than three tokens, which have no trigram.
    """
    if len(tokens) < 3:
        return None
    return (2 / 3 * _entropy(_ngrams(tokens, 2)) + 4 / 3 * _entropy(_ngrams(tokens, 3))) / 2


def word_tokens(text: str) -> tuple[str, ...]:
    """Words and single punctuation marks, case kept: what the n-gram entropy is taken over.

    Published values use NLTK's tokenizer, which splits contractions and joins some marks;
    entropies differ in the second decimal.
    """
    return tuple(_TOKEN.findall(text))


def _ngrams(tokens: Sequence[Hashable], n: int) -> list[tuple[Hashable, ...]]:
    return [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]


def _entropy(grams: Sequence[Hashable]) -> float:
    total = len(grams)
    return abs(sum(c / total * math.log2(c / total) for c in Counter(grams).values()))
