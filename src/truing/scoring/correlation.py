"""Do metrics agree about which edits went well? Rank correlations over cases, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import stats

from truing.scoring.intervals import Floats
from truing.scoring.stats import CONFIDENCE
from truing.seeds import Seeds

RESAMPLES = 1000
FEWEST = 4
"""Cases below which a correlation means nothing."""


@dataclass(frozen=True, slots=True)
class Correlation:
    """Spearman's rho of two metrics over ``n`` cases that have both, with a 95 % bootstrap interval
    over cases; ``None`` for fewer than four cases and for a metric that does not vary."""

    a: str
    b: str
    n: int
    rho: float | None
    low: float | None = None
    high: float | None = None


def correlations(
    columns: Mapping[str, Mapping[str, float]], *, seeds: Seeds, resamples: int = RESAMPLES
) -> list[Correlation]:
    """Of every two metrics; ``columns`` hold their values by case."""
    found = []
    for a, b in combinations(columns, 2):
        cases = sorted(columns[a].keys() & columns[b].keys())
        both_2_N = np.array([[columns[name][case] for case in cases] for name in (a, b)], float)
        rng = np.random.default_rng(seeds.child(a).child(b).number)
        found.append(_correlation(a, b, both_2_N, rng, resamples))
    return found


def _correlation(
    a: str, b: str, both_2_N: Floats, rng: np.random.Generator, resamples: int
) -> Correlation:
    n = both_2_N.shape[1]
    if n < FEWEST or (np.ptp(both_2_N, axis=1) == 0).any():
        return Correlation(a, b, n, None)
    rho = float(_rho(both_2_N[:, None])[0])
    drawn_R_N = rng.integers(n, size=(resamples, n))
    rho_R = _rho(both_2_N[:, drawn_R_N])
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(rho_R, [tail, 1 - tail])
    return Correlation(a, b, n, rho, min(float(low), rho), max(float(high), rho))


def _rho(both_2_R_N: Floats) -> Floats:
    """Spearman's rho of each row (R,); NaN where a side does not vary."""
    ranks_2_R_N = stats.rankdata(both_2_R_N, axis=-1)
    off_2_R_N = ranks_2_R_N - ranks_2_R_N.mean(-1, keepdims=True)
    spread_2_R = np.sqrt((off_2_R_N**2).sum(-1))
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = (off_2_R_N[0] * off_2_R_N[1]).sum(-1) / (spread_2_R[0] * spread_2_R[1])
    return found
