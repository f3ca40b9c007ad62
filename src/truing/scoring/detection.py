"""How well a direction tells texts with a concept from texts without it. Numerics only.

Wu et al. 2025, "AxBench: Steering LLMs? Even Simple Baselines Outperform Sparse Autoencoders", concept
detection: every token gets a score (the projection on the direction), a text the largest of its tokens',
and texts are ranked by it. Scores are compared within one concept only, so that no scale is needed.

Shape letters: P texts with the concept, N texts without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from truing.errors import BadInput
from truing.scoring.intervals import Floats

RARE = 0.01
"""The share of positives at which detection is called rare: about one text in a hundred."""


@dataclass(frozen=True, slots=True)
class Detection:
    """``auroc``: how often a text with the concept scores above one without it. ``threshold``:
    Youden's, at or above which a text counts as having the concept. ``f1`` there, at the shares of
    positives as given, and ``f1_rare`` as if they were ``RARE`` of all. ``hard``: the share of hard
    negatives below it; ``None`` without any."""

    auroc: float
    threshold: float
    f1: float
    f1_rare: float
    hard: float | None
    n_positive: int
    n_negative: int
    n_hard: int


def pooled(tokens: Sequence[Floats]) -> Floats:
    """The largest token score of every text. Raises ``BadInput`` for a text without tokens."""
    if any(not len(scores) for scores in tokens):
        raise BadInput("a text has no token to score", "Leave it out, and say so.")
    return np.array([np.max(scores) for scores in tokens], dtype=np.float64)


def detection(positive_P: Floats, negative_N: Floats, hard: Floats | None = None) -> Detection:
    """What the pooled scores of one concept show. Hard negatives (texts with the concept's words but
    not its meaning) count in ``hard`` alone. Raises ``BadInput`` for an empty side or scores that are
    not finite."""
    hard_H = np.empty(0) if hard is None else hard
    everything = np.concatenate([positive_P, negative_N, hard_H])
    if not len(positive_P) or not len(negative_N):
        raise BadInput("detection needs texts with and without the concept", "Give both.")
    if not np.isfinite(everything).all():
        raise BadInput("a score is not finite", "Check the direction and the activations.")
    threshold = youden(positive_P, negative_N)
    found = float((positive_P >= threshold).mean())
    false = float((negative_N >= threshold).mean())
    return Detection(
        auroc=auroc(positive_P, negative_N),
        threshold=threshold,
        f1=f1(found, false, len(positive_P) / (len(positive_P) + len(negative_N))),
        f1_rare=f1(found, false, RARE),
        hard=float((hard_H < threshold).mean()) if len(hard_H) else None,
        n_positive=len(positive_P),
        n_negative=len(negative_N),
        n_hard=len(hard_H),
    )


def auroc(positive_P: Floats, negative_N: Floats) -> float:
    """The share of pairs in which the positive scores higher, ties a half (Mann and Whitney 1947)."""
    ordered_N = np.sort(negative_N)
    below_P = np.searchsorted(ordered_N, positive_P, side="left")
    reached_P = np.searchsorted(ordered_N, positive_P, side="right")
    return float((below_P + reached_P).sum() / (2 * len(positive_P) * len(negative_N)))


def youden(positive_P: Floats, negative_N: Floats) -> float:
    """The score at which sensitivity + specificity is largest (Youden 1950); of several the highest."""
    scores = np.unique(np.concatenate([positive_P, negative_N]))[::-1]
    found = len(positive_P) - np.searchsorted(np.sort(positive_P), scores, side="left")
    false = len(negative_N) - np.searchsorted(np.sort(negative_N), scores, side="left")
    return float(scores[np.argmax(found * len(negative_N) - false * len(positive_P))])


def f1(found: float, false: float, share: float) -> float:
    """F1 where positives are ``share`` of all texts, ``found`` of them are taken for positive, and
    ``false`` of the others. 0 where nothing is found."""
    right, wrong = found * share, false * (1 - share)
    return 2 * right / (right + wrong + share)
