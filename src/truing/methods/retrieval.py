"""Which texts are most like another text: by the words they share, or by a sentence encoder.

The default needs nothing but the texts: TF-IDF (Salton and Buckley 1988) with smoothed idf
ln((1 + n) / (1 + df)) + 1, compared by cosine.

Shape letters: N texts, W words of the vocabulary, E width of an embedding.
"""

from __future__ import annotations

import importlib
import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from truing.errors import NotPossible

Floats = NDArray[np.floating[Any]]
_WORD = re.compile(r"\w+")


class Retriever(Protocol):
    def ranked(self, query: str) -> list[int]:
        """Positions of all texts, most similar first; equally similar ones in the order given."""


def words(text: str) -> Counter[str]:
    """The words of a text and how often they occur, in lower case."""
    return Counter(_WORD.findall(text.lower()))


class TfIdf:
    """Texts as unit vectors of word counts times idf. Words that no text has say nothing."""

    def __init__(self, texts: Sequence[str]) -> None:
        counted = [words(text) for text in texts]
        spread = Counter(word for counts in counted for word in counts)
        self._column = {word: at for at, word in enumerate(spread)}
        self._idf = {
            word: math.log((1 + len(texts)) / (1 + count)) + 1 for word, count in spread.items()
        }
        entries = [
            (row, self._column[word], value)
            for row, counts in enumerate(counted)
            for word, value in self._unit(counts).items()
        ]
        rows, columns, values = zip(*entries, strict=True) if entries else ((), (), ())
        self._texts_N_W: Any = csr_matrix(
            (values, (rows, columns)), shape=(len(texts), max(len(spread), 1)), dtype=np.float64
        )

    def ranked(self, query: str) -> list[int]:
        query_W = np.zeros(self._texts_N_W.shape[1])
        for word, value in self._unit(words(query)).items():
            query_W[self._column[word]] = value
        return order(self._texts_N_W @ query_W, digits=10)

    def _unit(self, counts: Counter[str]) -> dict[str, float]:
        weights = {w: count * self._idf[w] for w, count in counts.items() if w in self._idf}
        norm = math.sqrt(sum(weight * weight for weight in weights.values()))
        return {word: weight / norm for word, weight in weights.items()}


class Sentences:
    """Texts as unit vectors of a ``sentence-transformers`` encoder (an optional package)."""

    def __init__(self, texts: Sequence[str], encoder: str) -> None:
        try:
            library = importlib.import_module("sentence_transformers")
        except ImportError:
            raise NotPossible(
                "the retriever 'sentence' needs sentence-transformers, which is not installed",
                "pip install sentence-transformers, or use retriever='tfidf'.",
            ) from None
        self._encoder: Any = library.SentenceTransformer(encoder)
        self._texts_N_E = self._encode(texts)

    def ranked(self, query: str) -> list[int]:
        return order(self._texts_N_E @ self._encode([query])[0], digits=5)

    def _encode(self, texts: Sequence[str]) -> Floats:
        found = self._encoder.encode(
            list(texts), normalize_embeddings=True, show_progress_bar=False
        )
        return np.asarray(found, dtype=np.float64)


def order(similar_N: Floats, digits: int) -> list[int]:
    """Positions by falling similarity; what differs by rounding noise only counts as equal."""
    return [int(at) for at in np.argsort(-np.round(similar_N, digits), kind="stable")]
