"""How alike two texts are by their words, rare words counting more: the cosine of TF-IDF vectors.

Words, weights and norm are those of scikit-learn's ``TfidfVectorizer`` as it comes, with which
published consistency scores were computed.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_WORD = re.compile(r"\b\w\w+\b")


def terms(text: str) -> list[str]:
    """The words of two letters or more, in lower case."""
    return _WORD.findall(text.lower())


@dataclass(frozen=True, slots=True)
class TermWeights:
    """``idf`` of every word of a corpus: ``ln((1 + texts) / (1 + texts with the word)) + 1``."""

    idf: Mapping[str, float]

    @classmethod
    def of(cls, texts: Iterable[str]) -> TermWeights:
        """The weights of a corpus, one text at a time."""
        n, having = 0, Counter[str]()
        for text in texts:
            n += 1
            having.update(set(terms(text)))
        return cls({term: math.log((1 + n) / (1 + k)) + 1 for term, k in having.items()})

    def vector(self, text: str) -> dict[str, float]:
        """The text's weights, of length 1; empty where the corpus knows none of its words."""
        raw = {t: k * self.idf[t] for t, k in Counter(terms(text)).items() if t in self.idf}
        norm = math.sqrt(math.fsum(x * x for x in raw.values()))
        return {term: x / norm for term, x in raw.items()}


def cosine(a: Mapping[str, float], b: Mapping[str, float]) -> float:
    """Of two vectors of :class:`TermWeights`, 0 to 1. An empty one has nothing in common: 0."""
    return min(1.0, math.fsum(x * b[term] for term, x in a.items() if term in b))
