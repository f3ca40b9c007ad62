"""Which of some edits a question is about, told from the two texts alone.

A scope compares the prompt that an edit was made for, without its target, with what is asked, and gives
a probability per edit; at its threshold or above the question is in scope. There is one rule, whatever
the answer is read by. Nothing here knows a model.

Shape letters: N edits, W words, D width of a word's vector, E width of a sentence's.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor

from truing.errors import BadInput, NotPossible
from truing.interventions.hashing import content_hash
from truing.types import Prompt

Floats = NDArray[np.float64]
Ask = Callable[[str], Floats]
"""Probabilities ``(N,)`` that a question is about each of N edits."""
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"  # scripts that put no space between words
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")


def words(text: str) -> dict[str, bool]:
    """The words of a text in lower case, and whether each is ever capitalised."""
    found: dict[str, bool] = {}
    for word in _WORD.findall(text):
        low = word.lower()
        found[low] = found.get(low, False) or word[0].isupper()
    return found


def question(prompt: Prompt) -> str | None:
    """What is asked: a plain prompt, or the last user message of a chat."""
    if isinstance(prompt, str):
        return prompt
    return next((m.content for m in reversed(prompt) if m.role == "user"), None)


@dataclass(frozen=True, eq=False)
class WordScope:
    """Logistic similarity of texts as sets of words.

    ``p = sigmoid(slopes[0] coverage + slopes[1] kinship + bias)``. Coverage is the share of the
    edit's words, by weight, that the question has; a word weighs ``weights[w]``, one that is not
    among ``words`` ``unlisted``, and ``capital`` times as much where the edit capitalises it.
    Kinship is the cosine of the summed ``vectors`` (W, D) of the listed words of both, 0 where one
    has none. What only the question holds (an instruction, say) takes nothing from the coverage.
    """

    words: tuple[str, ...]
    weights: Tensor
    vectors: Tensor
    unlisted: float = 1.0
    capital: float = 1.0
    slopes: tuple[float, float] = (1.0, 0.0)
    bias: float = 0.0
    threshold: float = 0.5

    def __post_init__(self) -> None:
        n = len(self.words)
        numbers = (self.unlisted, self.capital, *self.slopes, self.bias, self.threshold)
        if tuple(self.weights.shape) != (n,) or self.vectors.ndim != 2 or len(self.vectors) != n:
            raise BadInput(
                f"a scope of {n} words has weights {tuple(self.weights.shape)} and vectors "
                f"{tuple(self.vectors.shape)}",
                "Give (W,) and (W, D).",
            )
        finite = bool(self.weights.isfinite().all() & self.vectors.isfinite().all())
        if not finite or not np.isfinite(numbers).all() or bool((self.weights < 0).any()):
            raise BadInput(
                "a scope's numbers are not finite, or a weight is negative", "Train it again."
            )

    @cached_property
    def digest(self) -> str:
        numbers = (self.unlisted, self.capital, *self.slopes, self.bias, self.threshold)
        return content_hash(["words", self.words, numbers], self.weights, self.vectors)

    @cached_property
    def _place(self) -> Mapping[str, int]:
        return {word: at for at, word in enumerate(self.words)}

    @cached_property
    def _numbers(self) -> tuple[Floats, Floats]:
        return self.weights.double().numpy(), self.vectors.double().numpy()

    def over(self, texts: Sequence[str]) -> Ask:
        """How probably a question is about each of ``texts``."""
        said = [words(text) for text in texts]
        columns: dict[str, int] = {}
        for found in said:
            for word in found:
                columns.setdefault(word, len(columns))
        entries = [
            (row, columns[word], self._weight(word, capital))
            for row, found in enumerate(said)
            for word, capital in found.items()
        ]
        rows, places, values = zip(*entries, strict=True) if entries else ((), (), ())
        held_N_W: Any = csr_matrix(
            (values, (rows, places)), shape=(len(texts), max(len(columns), 1)), dtype=np.float64
        )
        total_N = np.maximum(held_N_W @ np.ones(held_N_W.shape[1]), 1e-12)
        kin_N_D = np.stack([self._vector(found) for found in said])

        def ask(text: str) -> Floats:
            here = words(text)
            there_W = np.zeros(held_N_W.shape[1])
            there_W[[columns[word] for word in here if word in columns]] = 1.0
            coverage_N = (held_N_W @ there_W) / total_N
            kinship_N = (kin_N_D * self._vector(here)).sum(1)
            logit_N = self.slopes[0] * coverage_N + self.slopes[1] * kinship_N + self.bias
            return np.asarray(1 / (1 + np.exp(-np.clip(logit_N, -60, 60))), dtype=np.float64)

        return ask

    def _weight(self, word: str, capital: bool) -> float:
        at = self._place.get(word)
        weight = self.unlisted if at is None else float(self._numbers[0][at])
        return weight * (self.capital if capital else 1.0)

    def _vector(self, found: Mapping[str, bool]) -> Floats:
        """Unit length, or zero."""
        vectors_W_D = self._numbers[1]
        at = sorted(self._place[word] for word in found if word in self._place)
        sum_D: Floats = vectors_W_D[at].sum(0)
        norm = float(np.sqrt((sum_D**2).sum()))
        return sum_D / norm if norm > 1e-9 else np.zeros_like(sum_D)


@dataclass(frozen=True)
class SentenceScope:
    """Cosine of the texts' vectors by a ``sentence-transformers`` encoder (an optional package), cut
    to [0, 1]."""

    encoder: str
    threshold: float

    @cached_property
    def digest(self) -> str:
        return content_hash(["sentences", self.encoder, self.threshold])

    def over(self, texts: Sequence[str]) -> Ask:
        """How alike a question is to each of ``texts``. Raises ``NotPossible`` without the package."""
        encoder = _encoder(self.encoder)

        def encode(some: Sequence[str]) -> Floats:
            found = encoder.encode(list(some), normalize_embeddings=True, show_progress_bar=False)
            return np.asarray(found, dtype=np.float64)

        texts_N_E = encode(texts)
        return lambda text: np.clip(texts_N_E @ encode([text])[0], 0.0, 1.0)


Scope = WordScope | SentenceScope


@lru_cache(maxsize=1)
def _encoder(name: str) -> Any:
    try:
        library = importlib.import_module("sentence_transformers")
    except ImportError:
        raise NotPossible(
            "a scope of sentences needs sentence-transformers, which is not installed",
            "pip install sentence-transformers, or use scope='words'.",
        ) from None
    return library.SentenceTransformer(name)


_COMMON = """
a an the this that these those it its he his she her they their them i you your we our us my me who whom
whose which what where when why how is are was were be been being am do does did done has have had having
can could will would shall should may might must of in on at by for from to with into onto over under
about as than then and or but not no nor so if s t d ll m re ve there here up down out off between through
during before after above below again further once all any both each few more most other some such only
own same too very just also one q question answer please
"""
COMMON = tuple(_COMMON.split())
COMMON_WEIGHT, CAPITAL, SHARE, STEEP = 0.1, 4.0, 0.6, 20.0
"""By hand: what a function word and a capital weigh, the coverage that decides, and how sharply."""


@lru_cache(maxsize=1)
def untrained(threshold: float = SHARE) -> WordScope:
    """A scope that nobody trained: in scope is what names ``threshold`` of the edit's words by
    weight, where capitalised words weigh most. It tells subjects apart, not what is asked of them."""
    return WordScope(
        words=COMMON,
        weights=torch.full((len(COMMON),), COMMON_WEIGHT),
        vectors=torch.zeros(len(COMMON), 1),
        capital=CAPITAL,
        slopes=(STEEP, 0.0),
        bias=-STEEP * threshold,
    )
