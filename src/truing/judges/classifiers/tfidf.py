"""A linear classifier of n-grams: quick, without a network, and often good enough.

Words and pairs of words, and runs of 2 to 5 characters within words, each weighted by sublinear
TF-IDF and normalised, then multinomial logistic regression. Through scikit-learn; on disk it is
JSON and safetensors, and it is rebuilt from them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as dump_tensors

from truing.errors import BadInput, CannotLoad, NotPossible
from truing.judges.classifiers.examples import Example, labels_of
from truing.judges.classifiers.measures import Floats

TERMS = "terms.json"
TENSORS = "tensors.safetensors"
FAMILIES: dict[str, tuple[str, tuple[int, int]]] = {
    "words": ("word", (1, 2)),
    "characters": ("char_wb", (2, 5)),
}


@dataclass(frozen=True, slots=True)
class TfidfSettings:
    """``c``: inverse strength of the L2 penalty. ``least_texts``: n-grams of fewer training texts are
    left out. ``iterations`` of L-BFGS at most."""

    c: float = 8.0
    least_texts: int = 2
    iterations: int = 1000

    def __post_init__(self) -> None:
        if self.c <= 0 or self.least_texts < 1 or self.iterations < 1:
            raise BadInput("c, least_texts and iterations must be above 0", "Leave them out.")


@dataclass(frozen=True)
class TfidfBackend:
    """``vectorizers``: one for each of :data:`FAMILIES`, in their order. ``weights_K_D`` float64
    (labels, n-grams of all families), ``bias_K`` (labels,)."""

    labels: tuple[str, ...]
    vectorizers: tuple[Any, ...]
    weights_K_D: Floats
    bias_K: Floats

    def predict(self, texts: Sequence[str]) -> Floats:
        """Probabilities (texts, labels), not calibrated."""
        from scipy import sparse

        if not texts:
            return np.zeros((0, len(self.labels)))
        x_N_D = sparse.hstack([v.transform(texts) for v in self.vectorizers], format="csr")
        logits_N_K = x_N_D @ self.weights_K_D.T + self.bias_K
        raised_N_K = np.exp(logits_N_K - logits_N_K.max(1, keepdims=True))
        result: Floats = raised_N_K / raised_N_K.sum(1, keepdims=True)
        return result

    def save(self, folder: Path) -> None:
        """Write the n-grams and the numbers."""
        terms = {
            family: [str(term) for term in vectorizer.get_feature_names_out()]
            for family, vectorizer in zip(FAMILIES, self.vectorizers, strict=True)
        }
        (folder / TERMS).write_text(json.dumps(terms, ensure_ascii=False), "utf-8")
        numbers = {"weights": self.weights_K_D, "bias": self.bias_K}
        for family, vectorizer in zip(FAMILIES, self.vectorizers, strict=True):
            numbers[f"idf.{family}"] = vectorizer.idf_
        blob = dump_tensors({name: np.ascontiguousarray(n) for name, n in numbers.items()})
        (folder / TENSORS).write_bytes(blob)

    @classmethod
    def load(cls, folder: Path, labels: tuple[str, ...]) -> TfidfBackend:
        """Raises ``CannotLoad``."""
        try:
            terms = json.loads((folder / TERMS).read_text("utf-8"))
            numbers = load_tensors((folder / TENSORS).read_bytes())
            vectorizers = []
            for family in FAMILIES:
                vectorizer = _vectorizer(family, least_texts=1, terms=terms[family])
                vectorizer.idf_ = numbers[f"idf.{family}"]
                vectorizers.append(vectorizer)
            made = cls(labels, tuple(vectorizers), numbers["weights"], numbers["bias"])
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise CannotLoad(
                f"the classifier '{folder}' is damaged: {type(error).__name__} in its terms or numbers",
                "Copy all of its files again, or train it again.",
            ) from None
        columns = sum(len(terms[family]) for family in FAMILIES)
        if made.weights_K_D.shape != (len(labels), columns) or made.bias_K.shape != (len(labels),):
            raise CannotLoad(
                f"the classifier '{folder}' is damaged: its weights do not fit its labels and terms",
                "Copy all of its files again, or train it again.",
            )
        return made


def fit(examples: Sequence[Example], settings: TfidfSettings) -> TfidfBackend:
    """Learn from ``examples``. Raises ``BadInput`` where no n-gram is frequent enough, and
    ``NotPossible`` without scikit-learn."""
    from scipy import sparse

    texts = [example.text for example in examples]
    labels = labels_of(examples)
    vectorizers = [_vectorizer(family, settings.least_texts, None) for family in FAMILIES]
    from sklearn.linear_model import LogisticRegression

    try:
        x_N_D = sparse.hstack([v.fit_transform(texts) for v in vectorizers], format="csr")
    except ValueError as error:
        raise BadInput(f"nothing can be learned from these texts: {error}") from None
    true_N = [labels.index(example.label) for example in examples]
    model = LogisticRegression(C=settings.c, max_iter=settings.iterations).fit(x_N_D, true_N)
    weights_K_D, bias_K = model.coef_, model.intercept_
    if len(labels) == 2:  # one row there: the logit of the second label against the first
        weights_K_D = np.vstack([np.zeros_like(weights_K_D), weights_K_D])
        bias_K = np.concatenate([np.zeros(1), bias_K])
    return TfidfBackend(labels, tuple(vectorizers), weights_K_D, bias_K)


def _vectorizer(family: str, least_texts: int, terms: Sequence[str] | None) -> Any:
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
    except ImportError:
        raise NotPossible(
            "a tfidf classifier needs scikit-learn, which is not installed",
            "pip install 'truing[learn]'",
        ) from None
    analyzer, lengths = FAMILIES[family]
    return TfidfVectorizer(
        analyzer=analyzer,
        ngram_range=lengths,
        sublinear_tf=True,
        min_df=least_texts,
        vocabulary=terms,
    )
