"""Which topics are alike: by the words that are said of them and by the letters of their names.

A cosine of TF-IDF vectors, so that nothing is downloaded. Opinions say what kind of thing a topic is
(albums, goals, rivers), whatever trait they show; names add what they share ("FC", "River", "Saint").
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Floats = NDArray[np.float64]
LETTERS = 3
"""Letters of the pieces of a name; its ends count as spaces."""
BY_NAME = 0.25
"""What names weigh beside opinions."""
_WORD = re.compile(r"[^\W\d_]{2,}")


@dataclass(frozen=True, slots=True)
class Described:
    """A topic and all that is said of it."""

    name: str
    texts: tuple[str, ...]


class Nearness:
    """Of all ``topics``, whose names differ, to each other."""

    def __init__(self, topics: Sequence[Described]) -> None:
        self._place = {topic.name: place for place, topic in enumerate(topics)}
        by_words = _cosines([Counter(_words(topic)) for topic in topics])
        by_names = _cosines([Counter(_pieces(topic.name)) for topic in topics])
        self._near_N_N = ((1 - BY_NAME) * by_words + BY_NAME * by_names).round(9)

    def between(self, a: str, b: str) -> float:
        """From 0 to 1."""
        return float(self._near_N_N[self._place[a], self._place[b]])

    def nearest(self, name: str, others: Iterable[str]) -> list[str]:
        """``others``, the nearest to ``name`` first; those that are as near stay in their order."""
        return sorted(others, key=lambda other: -self.between(name, other))


def _words(topic: Described) -> list[str]:
    """Without those of the name, which says nothing of the kind of thing it is by itself."""
    own = set(_WORD.findall(topic.name.casefold()))
    return [w for text in topic.texts for w in _WORD.findall(text.casefold()) if w not in own]


def _pieces(name: str) -> list[str]:
    padded = f" {name.casefold()} "
    return [padded[i : i + LETTERS] for i in range(len(padded) - LETTERS + 1)]


def _cosines(counts: Sequence[Mapping[str, int]]) -> Floats:
    """Of all with all (N, N), each weighed by (1 + ln n) ln(N / those with the term): a term of all tells
    nothing."""
    among = Counter(term for each in counts for term in each)
    column = {term: i for i, term in enumerate(among)}
    cells = [(row, term, n) for row, each in enumerate(counts) for term, n in each.items()]
    weights = [(1 + math.log(n)) * math.log(len(counts) / among[term]) for _, term, n in cells]
    where = ([row for row, _, _ in cells], [column[term] for _, term, _ in cells])
    terms_N_T = sparse.csr_array((weights, where), shape=(len(counts), max(1, len(among))))
    products_N_N: Floats = (terms_N_T @ terms_N_T.T).toarray()
    lengths_N = np.sqrt(products_N_N.diagonal())
    lengths_N[lengths_N == 0] = 1.0
    cosines_N_N: Floats = products_N_N / np.outer(lengths_N, lengths_N)
    return cosines_N_N
