"""Paired comparisons with a baseline, and corrections over families of tests."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from truing.errors import UnknownName
from truing.scoring.intervals import (
    CHUNK,
    Bounds,
    Floats,
    bootstrap_ratio,
    distinct_rows,
    newcombe,
    ratio_error,
)
from truing.scoring.observations import Observation, by_key
from truing.scoring.stats import CONFIDENCE, RESAMPLES, minimum_detectable_effect
from truing.seeds import Seeds
from truing.types import Comparison

EXACT_UP_TO = 16
FLIPS = 20_000


@dataclass(frozen=True, slots=True)
class Pairs:
    """Scores of the same probes under two conditions, in the order of their keys.

    ``ours_N`` and ``theirs_N`` float64, ``index_N`` the cluster of each pair, 0-based.
    """

    ours_N: Floats
    theirs_N: Floats
    index_N: np.ndarray[tuple[int, ...], np.dtype[np.int64]]

    @property
    def n(self) -> int:
        return len(self.ours_N)

    @property
    def clusters(self) -> int:
        return int(self.index_N.max()) + 1 if self.n else 0

    @property
    def binary(self) -> bool:
        """Whether every score is 0 or 1."""
        return bool(np.isin(np.concatenate([self.ours_N, self.theirs_N]), (0.0, 1.0)).all())

    def cluster_sums(self) -> tuple[Floats, Floats]:
        """Per cluster the summed differences and the number of pairs, both float64 (clusters,)."""
        sums_C = np.bincount(
            self.index_N, weights=self.ours_N - self.theirs_N, minlength=self.clusters
        ).astype(np.float64)
        sizes_C = np.bincount(self.index_N, minlength=self.clusters).astype(np.float64)
        return sums_C, sizes_C


def pair(ours: Sequence[Observation], theirs: Sequence[Observation]) -> Pairs:
    """The probes that are scored on both sides. Raises ``BadInput`` when one is there twice."""
    mine, other = by_key(ours), by_key(theirs)
    kept = []
    for key in sorted(mine.keys() & other.keys()):
        a, b = mine[key].score, other[key].score
        if a is not None and b is not None:
            kept.append((mine[key].cluster, a, b))
    names = {name: i for i, name in enumerate(sorted({c for c, _, _ in kept}))}
    return Pairs(
        np.array([a for _, a, _ in kept], dtype=np.float64),
        np.array([b for _, _, b in kept], dtype=np.float64),
        np.array([names[c] for c, _, _ in kept], dtype=np.int64),
    )


def compare(
    ours: Sequence[Observation],
    theirs: Sequence[Observation],
    *,
    against: str,
    seeds: Seeds,
    bounded: bool = True,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> Comparison:
    """``ours - theirs`` over the probes scored on both sides, with interval and p.

    Interval: paired bootstrap over clusters; where every cluster has the same difference, shares
    get Newcombe's interval and other numbers none. Test: exact McNemar for right-or-wrong scores
    with one pair per cluster, else a sign-flip permutation over clusters (exact up to 16 clusters
    that differ). One cluster gives a difference without interval or p; no pair gives none of them.
    """
    pairs = pair(ours, theirs)
    if not pairs.n:
        return Comparison(against, None, None, None, None, None, "none: no pairs", 0)
    delta = float(np.mean(pairs.ours_N - pairs.theirs_N))
    if pairs.clusters == 1:
        return Comparison(against, delta, None, None, None, None, "none: one case", pairs.n)
    rng = np.random.default_rng(seeds.child("paired").number)
    sums_C, sizes_C = pairs.cluster_sums()
    effect = cohens_h(pairs) if bounded else standardised(sums_C / sizes_C)
    error = ratio_error(sums_C, sizes_C)
    detectable = minimum_detectable_effect(error) if error else None
    bounds = bootstrap_ratio(sums_C, sizes_C, rng=rng, resamples=resamples, confidence=confidence)
    if bounds is None and bounded:
        bounds = _newcombe(pairs, confidence)
    low, high = (None, None) if bounds is None else (min(bounds[0], delta), max(bounds[1], delta))
    if bounded and pairs.binary and pairs.clusters == pairs.n:
        p, test = mcnemar(pairs), "exact McNemar"
    else:
        p, test = sign_flip(sums_C, rng=rng), "sign-flip permutation over cases"
    return Comparison(against, delta, low, high, p, None, test, pairs.n, effect, detectable)


def cohens_h(pairs: Pairs) -> float:
    """Cohen's h (1988, section 6.2): the difference of two shares on the arcsine scale, -pi to pi."""
    ours, theirs = (float(np.clip(np.mean(x), 0, 1)) for x in (pairs.ours_N, pairs.theirs_N))
    return 2 * (math.asin(math.sqrt(ours)) - math.asin(math.sqrt(theirs)))


def standardised(differences_C: Floats) -> float | None:
    """d_z (Cohen 1988, section 2.3.5): mean over standard deviation of the paired differences, one
    per cluster, float64 (clusters,). ``None`` where they do not vary."""
    spread = float(np.std(differences_C, ddof=1))
    return None if spread < 1e-12 else float(np.mean(differences_C)) / spread


def mcnemar(pairs: Pairs) -> float:
    """Two-sided exact McNemar test (1947): a binomial test on the pairs that differ."""
    won = int((pairs.ours_N > pairs.theirs_N).sum())
    lost = int((pairs.ours_N < pairs.theirs_N).sum())
    if won + lost == 0:
        return 1.0
    return float(stats.binomtest(won, won + lost, 0.5).pvalue)


def sign_flip(sums_C: Floats, *, rng: np.random.Generator, flips: int = FLIPS) -> float:
    """Two-sided sign-flip permutation test of "differences are symmetric around 0".

    ``sums_C`` float64 (clusters,) are each cluster's summed differences; whole clusters flip. All
    sign patterns for up to 16 clusters that differ, else ``flips`` random ones with the observed
    one counted in (Phipson & Smyth 2010), so p is never 0.
    """
    size_C = np.abs(sums_C[sums_C != 0])
    if not len(size_C):
        return 1.0
    seen = abs(float(sums_C.sum())) - 1e-9 * float(size_C.sum())
    if len(size_C) <= EXACT_UP_TO:
        patterns = np.arange(1 << len(size_C))[:, None] >> np.arange(len(size_C)) & 1
        return float(np.mean(np.abs((2 * patterns - 1) @ size_C) >= seen))
    types_T_K, counts_T = distinct_rows(size_C[:, None])
    extreme = 0
    step = max(1, CHUNK // len(counts_T))
    for start in range(0, flips, step):
        rows = min(step, flips - start)
        plus_R_T = rng.binomial(counts_T, 0.5, size=(rows, len(counts_T)))
        extreme += int((np.abs((2 * plus_R_T - counts_T) @ types_T_K[:, 0]) >= seen).sum())
    return (extreme + 1) / (flips + 1)


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment (1979): controls the chance of any false finding."""
    m, worst = len(ps), 0.0
    adjusted = [0.0] * m
    for rank, i in enumerate(sorted(range(m), key=lambda i: ps[i])):
        worst = max(worst, (m - rank) * ps[i])
        adjusted[i] = min(1.0, worst)
    return adjusted


def benjamini_hochberg(ps: Sequence[float]) -> list[float]:
    """Benjamini and Hochberg's adjustment (1995): controls the share of false findings."""
    m, best = len(ps), 1.0
    adjusted = [0.0] * m
    for rank, i in reversed(list(enumerate(sorted(range(m), key=lambda i: ps[i]), start=1))):
        best = min(best, ps[i] * m / rank)
        adjusted[i] = best
    return adjusted


CORRECTIONS: dict[str, Callable[[Sequence[float]], list[float]]] = {
    "holm": holm,
    "bh": benjamini_hochberg,
}


def correct(
    family: Sequence[Comparison | None], correction: str = "holm"
) -> list[Comparison | None]:
    """The same comparisons with ``p_adjusted`` over the whole family.

    Those without a p (or ``None``) are no tests: they stay as they are and do not count.
    """
    if correction not in CORRECTIONS:
        raise UnknownName("correction", correction, CORRECTIONS)
    tested = [(i, c, c.p) for i, c in enumerate(family) if c is not None and c.p is not None]
    adjusted = CORRECTIONS[correction]([p for _, _, p in tested])
    result = list(family)
    for (i, comparison, _), p in zip(tested, adjusted, strict=True):
        result[i] = replace(comparison, p_adjusted=p)
    return result


def _newcombe(pairs: Pairs, confidence: float) -> Bounds:
    ours, theirs = (float(np.clip(np.mean(x), 0, 1)) for x in (pairs.ours_N, pairs.theirs_N))
    return newcombe(ours, pairs.clusters, theirs, pairs.clusters, confidence)
