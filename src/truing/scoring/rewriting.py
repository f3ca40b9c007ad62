"""The numbers of ROME and MEMIT: does a rewritten fact hold, and what else moved?

Meng et al. 2022 (arXiv 2202.05262, section 3.3) and 2023 (arXiv 2210.07229, section 5). Every number
is a mean over the prompts of a case, then over cases. Names of columns: E, P and N are the edit
prompt, its paraphrases and the neighbourhood; S, M, A and T are success, magnitude, accuracy and
accuracy by token. S alone, SA and ST are the harmonic means of E, P and N.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev
from types import MappingProxyType
from typing import Literal

import numpy as np

from truing.scoring import health
from truing.scoring.intervals import CHUNK, Bounds, Floats, distinct_rows, widened_tail
from truing.scoring.observations import Observation
from truing.scoring.readings import sides
from truing.scoring.stats import CONFIDENCE, RESAMPLES, value_of
from truing.seeds import Seeds
from truing.types import Response, Value

Kind = Literal["likelihood", "tokens", "texts"]
Cases = Mapping[str, float | None]
"""A number per case; ``None`` where none of its prompts has one."""


@dataclass(frozen=True, slots=True)
class Column:
    """One number of the table. ``metric`` is the glossary's name, ``aspect`` what is asked (parts
    aside), ``kind`` what the answer must hold; ``of`` reads an answer's number, ``None`` where it has
    none; ``bounded`` says that it lies in [0, 1]."""

    name: str
    metric: str
    aspect: str
    kind: Kind
    of: Callable[[Response], float | None]
    bounded: bool = True


def success(response: Response) -> float | None:
    """Whether the first of two texts is the likelier one per token; a tie is none (0)."""
    found = sides(response)
    return None if found is None else float(found[0] > found[1])


def magnitude(response: Response) -> float | None:
    """By how much, -1 to 1: the difference of exp(mean log-probability per token)."""
    found = sides(response)
    return None if found is None else math.exp(found[0]) - math.exp(found[1])


def token_accuracy(response: Response) -> float | None:
    """The share of the true text's tokens that are the model's first choice."""
    gold, said = response.token_ids, response.predicted
    if not gold:
        return None
    return sum(a == b for a, b in zip(gold, said, strict=False)) / len(gold)


def accuracy(response: Response) -> float | None:
    """Whether every token of the true text is the model's first choice."""
    share = token_accuracy(response)
    return None if share is None else float(share == 1.0)


def entropy(response: Response) -> float | None:
    """N-gram entropy of what was written, in bits; 0, as published, for fewer than three words."""
    return health.ngram_entropy(health.word_tokens(response.text)) or 0.0


ASPECTS = MappingProxyType({"E": "efficacy", "P": "generalization", "N": "locality"})


def _asked_of_each(
    letter: str,
    metric: str,
    kind: Kind,
    of: Callable[[Response], float | None],
    *,
    bounded: bool = True,
) -> tuple[Column, ...]:
    return tuple(
        Column(f"{part}{letter}", f"rewrite-{metric}", aspect, kind, of, bounded)
        for part, aspect in ASPECTS.items()
    )


COLUMNS = (
    *_asked_of_each("S", "success", "likelihood", success),
    *_asked_of_each("M", "magnitude", "likelihood", magnitude, bounded=False),
    *_asked_of_each("A", "accuracy", "tokens", accuracy),
    *_asked_of_each("T", "token-accuracy", "tokens", token_accuracy),
    Column("GE", "ngram-entropy", "fluency", "texts", entropy, bounded=False),
)
SCORES: Mapping[str, tuple[Kind, tuple[str, ...]]] = MappingProxyType(
    {
        "S": ("likelihood", ("ES", "PS", "NS")),
        "SA": ("tokens", ("EA", "PA", "NA")),
        "ST": ("tokens", ("ET", "PT", "NT")),
    }
)
"""Each score's kind, and the columns that it is the harmonic mean of."""


def case_means(numbers: Mapping[str, Sequence[float | None]]) -> dict[str, float | None]:
    """The mean over each case's prompts, those without a number left out."""
    there = {case: [x for x in found if x is not None] for case, found in numbers.items()}
    return {case: fmean(found) if found else None for case, found in there.items()}


def mean_over_cases(
    cases: Cases, clusters: Mapping[str, str], *, seeds: Seeds, bounded: bool = True
) -> Value:
    """Every case weighs the same; cases without a number count as invalid. ``clusters`` names the
    independent unit of each case."""
    observed = [
        Observation((case, ""), clusters[case], x, "invalid" if x is None else "correct")
        for case, x in sorted(cases.items())
    ]
    return value_of(observed, seeds=seeds, bounded=bounded)


def score(
    parts: Mapping[str, Cases],
    clusters: Mapping[str, str],
    *,
    seeds: Seeds,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> Value:
    """The harmonic mean of the parts' means over cases, by name, all shares.

    Undefined (``None``, and ``interval`` says why) where a part is 0 or has no number. The interval
    is a bootstrap over clusters that draws all parts together; a sample in which a part is 0 counts
    as 0, its limit.
    """
    n = len({case for cases in parts.values() for case, x in cases.items() if x is not None})
    means = {name: _mean(cases) for name, cases in parts.items()}
    for name, mean in means.items():
        if not mean:
            return Value(n, None, interval=f"none: {name} is {'missing' if mean is None else 0}")
    whole = float(_harmonic(np.array([[m for m in means.values() if m is not None]]))[0])
    sums_C_K, sizes_C_K = _clustered(tuple(parts.values()), clusters)
    units = len(sums_C_K)
    if units == 1:
        return Value(n, whole, interval="none: one case", clusters=1)
    rng = np.random.default_rng(seeds.child("bootstrap").number)
    bounds = _bootstrap(sums_C_K, sizes_C_K, rng, resamples, confidence)
    if bounds is None:
        return Value(n, whole, interval="none: all cases agree", clusters=units)
    said = f"{100 * confidence:g}% bootstrap over cases"
    return Value(n, whole, min(bounds[0], whole), max(bounds[1], whole), said, units)


@dataclass(frozen=True, slots=True)
class Published:
    """A number as the published summaries print it: 100 times the mean over cases, to two decimals,
    with 1.96 standard errors (population deviation; ``None`` for scores)."""

    mean: float
    error: float | None


def as_published(cases: Cases) -> Published | None:
    """``None`` where no case has a number."""
    there = [x for _, x in sorted(cases.items()) if x is not None]
    if not there:
        return None
    deviation = round(100 * pstdev(there), 2)
    return Published(round(100 * fmean(there), 2), 1.96 * deviation / math.sqrt(len(there)))


def published_score(parts: Sequence[Published | None]) -> Published | None:
    """The harmonic mean of numbers that were rounded before, as published; ``None`` where one is 0
    or missing."""
    means = [part.mean for part in parts if part is not None and part.mean]
    if len(means) < len(parts):
        return None
    return Published(float(_harmonic(np.array([means]))[0]), None)


def _mean(cases: Cases) -> float | None:
    there = [x for x in cases.values() if x is not None]
    return math.fsum(there) / len(there) if there else None


def _harmonic(means_R_K: Floats) -> Floats:
    """Of each row, 0 where one of it is 0."""
    with np.errstate(divide="ignore"):
        found_R: Floats = means_R_K.shape[1] / (1 / means_R_K).sum(axis=1)
    return np.clip(found_R, means_R_K.min(axis=1), means_R_K.max(axis=1))


def _clustered(parts: Sequence[Cases], clusters: Mapping[str, str]) -> tuple[Floats, Floats]:
    """Per cluster and part the sum of the cases' numbers and how many there are."""
    there = sorted({clusters[c] for cases in parts for c, x in cases.items() if x is not None})
    index = {name: i for i, name in enumerate(there)}
    sums_C_K = np.zeros((len(index), len(parts)))
    sizes_C_K = np.zeros((len(index), len(parts)))
    for k, cases in enumerate(parts):
        for case, x in sorted(cases.items()):
            if x is not None:
                sums_C_K[index[clusters[case]], k] += x
                sizes_C_K[index[clusters[case]], k] += 1
    return sums_C_K, sizes_C_K


def _bootstrap(
    sums_C_K: Floats,
    sizes_C_K: Floats,
    rng: np.random.Generator,
    resamples: int,
    confidence: float,
) -> Bounds | None:
    """Percentiles of the harmonic mean over resampled clusters, widened for few of them as
    :func:`truing.scoring.intervals.bootstrap_ratio` does; ``None`` where it does not vary. Samples
    in which a part has no case at all are left out."""
    n, k = sums_C_K.shape
    types_T_2K, counts_T = distinct_rows(np.hstack([sums_C_K, sizes_C_K]))
    step = max(1, CHUNK // len(counts_T))
    drawn = []
    for start in range(0, resamples, step):
        times_R_T = rng.multinomial(n, counts_T / n, size=min(step, resamples - start))
        totals_R_2K = times_R_T @ types_T_2K
        whole_R_2K = totals_R_2K[(totals_R_2K[:, k:] > 0).all(axis=1)]
        drawn.append(_harmonic(whole_R_2K[:, :k] / whole_R_2K[:, k:]))
    values_R = np.concatenate(drawn)
    if not len(values_R) or np.ptp(values_R) <= 1e-12:
        return None
    tail = widened_tail(n, confidence)
    low, high = np.quantile(values_R, [tail, 1 - tail])
    return float(low), float(high)
