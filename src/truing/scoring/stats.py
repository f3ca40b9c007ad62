"""Values: a mean with its interval and with what was left out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from truing.scoring.intervals import Floats, bootstrap_ratio, ratio_error, wilson, z_of
from truing.scoring.observations import Observation, by_key, clusters_of
from truing.seeds import Seeds
from truing.types import Row, Value

CONFIDENCE = 0.95
RESAMPLES = 2000


def value_of(
    observations: Sequence[Observation],
    *,
    seeds: Seeds,
    bounded: bool = True,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> Value:
    """The mean score with its interval.

    Every scored observation weighs the same. ``bounded`` says that scores lie in [0, 1].
    The interval is Wilson's for right-or-wrong scores with one observation per cluster, else a
    bootstrap over clusters (cases, or cases joined by a group). Where all clusters agree, a
    bootstrap would have no width: shares get Wilson's interval with clusters as trials, other
    numbers none. One cluster gives no interval. ``interval`` says which it was. Without any scored
    observation the mean is ``None``.
    """
    scored = [(o.cluster, o.score) for o in observations if o.score is not None]
    states = Counter(o.state for o in observations)
    empty = Value(
        n=len(scored),
        mean=None,
        abstain=states["abstain"],
        invalid=states["invalid"],
        degenerate=states["degenerate"],
        missing=states[None],
    )
    if not scored:
        return empty
    sums_C, sizes_C = _clustered(scored)
    mean = math.fsum(s for _, s in scored) / len(scored)
    low, high, said = _interval(
        sums_C, sizes_C, mean, scored, seeds, bounded, confidence, resamples
    )
    return replace(empty, mean=mean, low=low, high=high, interval=said, clusters=len(sums_C))


def complement(value: Value) -> Value:
    """``1 - value`` with its interval turned round: drawdown from locality."""
    return replace(
        value, mean=_one_minus(value.mean), low=_one_minus(value.high), high=_one_minus(value.low)
    )


def retention(
    immediate: Sequence[Observation], final: Sequence[Observation], *, seeds: Seeds
) -> Value:
    """Of what was correct right after its own edit, how much holds at the end (mean final score).

    A probe that was correct and has no final observation counts as missing.
    """
    later = by_key(final)
    held = [
        later.get(o.key, Observation(o.key, o.cluster, None, None))
        for o in by_key(immediate).values()
        if o.state == "correct"
    ]
    return value_of(held, seeds=seeds)


def noise_floor(first: Sequence[Row], second: Sequence[Row], *, seeds: Seeds) -> Value:
    """How often the base model's answer differs between two passes over the same probes.

    Rows are paired by (case, probe). Answers differ when the predicted ids (gold length) or the
    generated ids differ, or, without ids, the text. The score is 1 for a differing probe, so
    ``mean`` is the flip rate; a probe without a response in either pass is invalid.
    """
    again = {(row.case, row.probe): row for row in second}
    clusters = clusters_of(first)
    flips = []
    for row in first:
        key, cluster = (row.case, row.probe), clusters[row.case]
        other = again.get(key)
        if other is None:
            flips.append(Observation(key, cluster, None, None))
        elif row.response is None or other.response is None:
            flips.append(Observation(key, cluster, None, "invalid"))
        else:
            a, b = row.response, other.response
            same = (a.predicted, a.token_ids, a.text) == (b.predicted, b.token_ids, b.text)
            flips.append(Observation(key, cluster, float(not same), "correct" if same else "wrong"))
    return value_of(flips, seeds=seeds)


def standard_error(observations: Sequence[Observation]) -> float | None:
    """Cluster-robust standard error of the mean score; ``None`` with fewer than two clusters."""
    scored = [(o.cluster, o.score) for o in observations if o.score is not None]
    return ratio_error(*_clustered(scored)) if scored else None


def minimum_detectable_effect(error: float, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """The true difference that a two-sided test at ``alpha`` finds with probability ``power``.

    ``error`` is the standard error of the paired difference. Bloom 1995, "Minimum Detectable Effects".
    """
    return (z_of(1 - alpha) + z_of(2 * power - 1)) * error


def _clustered(scored: Sequence[tuple[str, float]]) -> tuple[Floats, Floats]:
    names = {name: i for i, name in enumerate(sorted({c for c, _ in scored}))}
    index_N = np.array([names[c] for c, _ in scored])
    score_N = np.array([s for _, s in scored], dtype=np.float64)
    sums_C = np.bincount(index_N, weights=score_N, minlength=len(names)).astype(np.float64)
    sizes_C = np.bincount(index_N, minlength=len(names)).astype(np.float64)
    return sums_C, sizes_C


def _interval(
    sums_C: Floats,
    sizes_C: Floats,
    mean: float,
    scored: Sequence[tuple[str, float]],
    seeds: Seeds,
    bounded: bool,
    confidence: float,
    resamples: int,
) -> tuple[float | None, float | None, str]:
    clusters, percent = len(sums_C), f"{100 * confidence:g}%"
    if clusters == 1:
        return None, None, "none: one case"
    binary = bounded and all(s in (0.0, 1.0) for _, s in scored)
    if binary and clusters == len(scored):
        return *wilson(mean, clusters, confidence), f"{percent} Wilson"
    bounds = bootstrap_ratio(
        sums_C,
        sizes_C,
        rng=np.random.default_rng(seeds.child("bootstrap").number),
        resamples=resamples,
        confidence=confidence,
    )
    if bounds is not None:
        return min(bounds[0], mean), max(bounds[1], mean), f"{percent} bootstrap over cases"
    if bounded:
        return *wilson(
            min(1.0, max(0.0, mean)), clusters, confidence
        ), f"{percent} Wilson over cases"
    return None, None, "none: all cases agree"


def _one_minus(x: float | None) -> float | None:
    return None if x is None else 1 - x
