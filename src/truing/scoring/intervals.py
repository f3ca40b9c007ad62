"""Confidence intervals. Numerics only: arrays in, bounds out."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Bounds = tuple[float, float]
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
CHUNK = 1 << 22


def z_of(confidence: float) -> float:
    """The two-sided standard normal quantile: 1.96 for 0.95."""
    return float(stats.norm.ppf(0.5 + confidence / 2))


def wilson(mean: float, n: int, confidence: float) -> Bounds:
    """Wilson's score interval (1927) for a share ``mean`` of ``n`` independent trials.

    For scores in [0, 1] that are not binary it is conservative: their variance is at most
    ``mean * (1 - mean)``.
    """
    z = z_of(confidence)
    centre = (mean + z * z / (2 * n)) / (1 + z * z / n)
    spread = z / (1 + z * z / n) * math.sqrt(mean * (1 - mean) / n + z * z / (4 * n * n))
    return max(0.0, min(mean, centre - spread)), min(1.0, max(mean, centre + spread))


def newcombe(a: float, n_a: int, b: float, n_b: int, confidence: float) -> Bounds:
    """Square-and-add interval for ``a - b``, shares of ``n_a`` and ``n_b`` trials.

    Newcombe 1998, "Interval estimation for the difference between independent proportions",
    method 10. For pairs it is conservative where the sides are positively correlated.
    """
    low_a, high_a = wilson(a, n_a, confidence)
    low_b, high_b = wilson(b, n_b, confidence)
    down = math.hypot(a - low_a, high_b - b)
    up = math.hypot(high_a - a, b - low_b)
    return max(-1.0, a - b - down), min(1.0, a - b + up)


def distinct_rows(table_C_K: Floats) -> tuple[Floats, Counts]:
    """The different rows of a table in sorted order, and how often each occurs.

    Resampling then draws multinomial counts over different rows: exact, quick for scores with few
    values, and independent of the order of the cases.
    """
    types_T_K, counts_T = np.unique(table_C_K, axis=0, return_counts=True)
    return types_T_K, counts_T.astype(np.int64)


def bootstrap_ratio(
    sums_C: Floats, sizes_C: Floats, *, rng: np.random.Generator, resamples: int, confidence: float
) -> Bounds | None:
    """Percentile bootstrap of ``sum(sums) / sum(sizes)`` over resampled clusters.

    ``sums_C`` float64 (clusters,), each cluster's total score; ``sizes_C`` how many scores it has.
    ``None`` when the resampled values do not differ. The percentiles are widened for few clusters
    as a t interval is (Hesterberg 2014, arXiv:1411.5279: the expanded percentile interval).
    """
    n = len(sums_C)
    types_T_K, counts_T = distinct_rows(np.column_stack([sums_C, sizes_C]))
    values_R = np.empty(resamples)
    step = max(1, CHUNK // len(counts_T))
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn_R_T = rng.multinomial(n, counts_T / n, size=rows)
        totals_R_K = drawn_R_T @ types_T_K
        values_R[start : start + rows] = totals_R_K[:, 0] / totals_R_K[:, 1]
    if np.ptp(values_R) <= 1e-12 * max(1.0, float(np.abs(values_R).max())):
        return None
    tail = widened_tail(n, confidence)
    low, high = np.quantile(values_R, [tail, 1 - tail])
    return float(low), float(high)


def ratio_error(sums_C: Floats, sizes_C: Floats) -> float | None:
    """Cluster-robust standard error of ``sum(sums) / sum(sizes)``; ``None`` for one cluster.

    The linearised estimator with the usual C / (C - 1) correction (Miller 2024, arXiv:2411.00640).
    """
    n = len(sums_C)
    if n < 2:
        return None
    total = float(sizes_C.sum())
    residual_C = sums_C - float(sums_C.sum()) / total * sizes_C
    return math.sqrt(n / (n - 1) * float(residual_C @ residual_C)) / total


def widened_tail(n: int, confidence: float) -> float:
    quantile = float(stats.t.ppf(0.5 - confidence / 2, n - 1))
    return float(stats.norm.cdf(math.sqrt(n / (n - 1)) * quantile))
