"""Means over topics: every topic counts the same, however many cases it has.

HalluEditBench (Huang et al. 2024, arXiv 2410.16251) averages the means of its topics. Which topics
there are is chance too, so the interval resamples topics and, in each, its cases.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from truing.scoring.intervals import Floats, widened_tail
from truing.scoring.observations import Observation
from truing.scoring.stats import CONFIDENCE, RESAMPLES, value_of
from truing.seeds import Seeds
from truing.types import Value


@dataclass(frozen=True, slots=True)
class Topical:
    """``macro``: the mean of the topics' means. ``topics``: each one's own value. Topics without a
    scored answer are in ``topics`` and in no mean."""

    macro: Value
    topics: Mapping[str, Value]


def topical(
    observations: Sequence[Observation], topic_of: Mapping[str, str], *, seeds: Seeds
) -> Topical:
    """Means by topic. ``topic_of`` gives the topic of every case.

    The macro mean's interval is a two-stage bootstrap over topics and over their clusters, widened for
    few topics; of one topic it is that topic's. ``clusters`` counts topics.
    """
    by_topic: dict[str, list[Observation]] = {}
    for o in observations:
        by_topic.setdefault(topic_of[o.key[0]], []).append(o)
    values = {
        topic: value_of(found, seeds=seeds.child(topic))
        for topic, found in sorted(by_topic.items())
    }
    means = [value.mean for value in values.values() if value.mean is not None]
    plain = value_of(observations, seeds=seeds.child("pooled"))
    if len(means) < 2:
        return Topical(plain, values)
    macro = replace(
        plain,
        mean=math.fsum(means) / len(means),
        low=None,
        high=None,
        interval="none: all topics agree",
        clusters=len(means),
    )
    scored = [_by_cluster(by_topic[t]) for t, value in values.items() if value.mean is not None]
    return Topical(_bounded(macro, scored, seeds), values)


def _by_cluster(observations: Sequence[Observation]) -> tuple[Floats, Floats]:
    """The total score of each cluster, and how many scores it has."""
    totals: dict[str, list[float]] = {}
    for o in observations:
        if o.score is not None:
            totals.setdefault(o.cluster, []).append(o.score)
    scores = [totals[name] for name in sorted(totals)]
    return np.array([math.fsum(s) for s in scores]), np.array([float(len(s)) for s in scores])


def _bounded(macro: Value, scored: Sequence[tuple[Floats, Floats]], seeds: Seeds) -> Value:
    rng = np.random.default_rng(seeds.child("topics").number)
    count = len(scored)
    drawn_R_T = rng.integers(count, size=(RESAMPLES, count))
    means_R_T = np.empty((RESAMPLES, count))
    for topic, (sums_C, sizes_C) in enumerate(scored):
        here = drawn_R_T == topic
        clusters = len(sums_C)
        times_N_C = rng.multinomial(clusters, np.full(clusters, 1 / clusters), size=here.sum())
        means_R_T[here] = (times_N_C @ sums_C) / (times_N_C @ sizes_C)
    values_R = means_R_T.mean(axis=1)
    if np.ptp(values_R) <= 1e-12 or macro.mean is None:
        return macro
    tail = widened_tail(count, CONFIDENCE)
    low, high = (float(x) for x in np.quantile(values_R, [tail, 1 - tail]))
    said = f"{100 * CONFIDENCE:g}% bootstrap over topics and cases"
    return replace(macro, low=min(low, macro.mean), high=max(high, macro.mean), interval=said)
