"""How good a classifier is, and how honest its probabilities are. Arrays in, numbers out.

``p_N_K``: probabilities float64 (texts, labels), rows sum to 1. ``true_N``: the right columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from truing.scoring.intervals import wilson
from truing.scoring.stats import CONFIDENCE

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
BINS = 15
TINY = 1e-300


@dataclass(frozen=True, slots=True)
class Point:
    """Texts of similar confidence: the mean confidence and the share that is right."""

    confidence: float
    accuracy: float
    n: int


@dataclass(frozen=True, slots=True)
class LabelScore:
    """``None`` where the label was never predicted (precision) or never right (recall)."""

    label: str
    n: int
    precision: float | None
    recall: float | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Accuracy with its 95 % Wilson interval, log loss in nats, expected calibration error, and the
    confusion matrix: a row for each true label, a column for each predicted one, as ``labels``."""

    n: int
    accuracy: float
    low: float
    high: float
    log_loss: float
    ece: float
    labels: tuple[LabelScore, ...]
    confusion: tuple[tuple[int, ...], ...]
    reliability: tuple[Point, ...]


def evaluate(p_N_K: Floats, true_N: Ints, labels: Sequence[str]) -> Evaluation:
    """At least one text."""
    n = len(true_N)
    said_N = p_N_K.argmax(1)
    counts = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(counts, (true_N, said_N), 1)
    accuracy = float((said_N == true_N).mean())
    low, high = wilson(accuracy, n, CONFIDENCE)
    scores = tuple(
        LabelScore(
            label,
            int(counts[k].sum()),
            _share(int(counts[k, k]), int(counts[:, k].sum())),
            _share(int(counts[k, k]), int(counts[k].sum())),
        )
        for k, label in enumerate(labels)
    )
    points = reliability(p_N_K, true_N)
    ece = sum(point.n * abs(point.confidence - point.accuracy) for point in points) / n
    confusion = tuple(tuple(int(c) for c in row) for row in counts)
    return Evaluation(
        n, accuracy, low, high, log_loss(p_N_K, true_N), ece, scores, confusion, points
    )


def log_loss(p_N_K: Floats, true_N: Ints) -> float:
    """Mean negative natural-log probability of the right label."""
    return float(-np.log(np.maximum(p_N_K[np.arange(len(true_N)), true_N], TINY)).mean())


def reliability(p_N_K: Floats, true_N: Ints, bins: int = BINS) -> tuple[Point, ...]:
    """Accuracy over confidence in ``bins`` of equal width; empty bins are left out.

    The differences, weighted by ``n``, are the expected calibration error (Guo et al. 2017,
    arXiv:1706.04599, equation 3).
    """
    confidence_N = p_N_K.max(1)
    right_N = p_N_K.argmax(1) == true_N
    bin_N = np.minimum((confidence_N * bins).astype(np.int64), bins - 1)
    return tuple(
        Point(
            float(confidence_N[bin_N == b].mean()),
            float(right_N[bin_N == b].mean()),
            int((bin_N == b).sum()),
        )
        for b in np.unique(bin_N)
    )


def tempered(p_N_K: Floats, temperature: float) -> Floats:
    """``p ** (1 / temperature)``, rows summing to 1: the softmax of logits over the temperature."""
    logits_N_K = np.log(np.maximum(p_N_K, TINY)) / temperature
    raised_N_K = np.exp(logits_N_K - logits_N_K.max(1, keepdims=True))
    result: Floats = raised_N_K / raised_N_K.sum(1, keepdims=True)
    return result


def fit_temperature(p_N_K: Floats, true_N: Ints) -> float:
    """The temperature between 1/20 and 20 with the least log loss (Guo et al. 2017, section 4.2)."""

    def loss(log_temperature: float) -> float:
        return log_loss(tempered(p_N_K, float(np.exp(log_temperature))), true_N)

    bound = float(np.log(20.0))
    found = optimize.minimize_scalar(loss, bounds=(-bound, bound), method="bounded")
    return float(np.exp(found.x)) if found.fun < loss(0.0) else 1.0


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
