"""Intervals where several edits are each asked the same questions.

Answers then depend on one another twice, through their edit and through their question, and many
answers may be few edits. Both are resampled: the pigeonhole bootstrap (Owen 2007, "The pigeonhole
bootstrap", arXiv 0712.1111), whose variance of a mean is too large rather than too small.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from truing.scoring.intervals import CHUNK, Bounds, Floats, widened_tail
from truing.scoring.observations import Observation
from truing.scoring.stats import CONFIDENCE, RESAMPLES, value_of
from truing.seeds import Seeds
from truing.types import Value

Units = NDArray[np.intp]
Statistic = Callable[[Floats], Floats]
"""Weights ``(resamples, answers)`` to one number per resample, ``nan`` where there is none."""


@dataclass(frozen=True, slots=True)
class Design:
    """The edit and the question of each of N answers."""

    edits: tuple[str, ...]
    questions: tuple[str, ...]

    @property
    def units(self) -> Mapping[str, tuple[str, ...]]:
        """What is resampled: questions under one edit; edits whose questions are their own; else
        both."""
        every = {"edits": self.edits, "questions": self.questions}
        edits, questions = len(set(self.edits)), len(set(self.questions))
        if edits == 1:
            return {"questions": self.questions}
        if questions in (1, len(self.questions)):
            return {"edits": self.edits}
        return {"questions": self.questions} if edits == len(self.edits) else every


def mean_of(
    observations: Sequence[Observation], *, seeds: Seeds, bounded_scores: bool = True
) -> Value:
    """The mean score with its interval; every observation's key is (edit, question).

    ``bounded_scores``: scores lie in [0, 1], as those of judges do.
    """
    design = Design(tuple(o.key[0] for o in observations), tuple(o.key[1] for o in observations))
    units = design.units
    first = next(iter(units.values()))
    plain = value_of(
        [replace(o, cluster=unit) for o, unit in zip(observations, first, strict=True)],
        seeds=seeds,
        bounded=bounded_scores,
    )
    if len(units) < 2:
        return plain
    score_N = np.array([np.nan if o.score is None else o.score for o in observations])
    there_N, score_N = (~np.isnan(score_N)).astype(np.float64), np.nan_to_num(score_N)

    def mean(weights_R_N: Floats) -> Floats:
        with np.errstate(invalid="ignore"):
            found: Floats = (weights_R_N @ score_N) / (weights_R_N @ there_N)
        return found

    return bounded(plain, design, mean, seeds=seeds)


def bounded(value: Value, design: Design, statistic: Statistic, *, seeds: Seeds) -> Value:
    """``value`` with the percentile interval of ``statistic`` over resampled units, wide enough to
    hold it, and as it is where all resamples agree or there is one unit only."""
    bounds = _bounds(design, statistic, seeds)
    if value.mean is None or bounds is None:
        return value
    low, high = min(bounds[0], value.mean), max(bounds[1], value.mean)
    said = f"{100 * CONFIDENCE:g}% bootstrap over {' and '.join(design.units)}"
    return replace(value, low=low, high=high, interval=said)


def _bounds(design: Design, statistic: Statistic, seeds: Seeds) -> Bounds | None:
    indices = [np.unique(unit, return_inverse=True)[1] for unit in design.units.values()]
    fewest = min(int(index_N.max()) + 1 for index_N in indices)
    if fewest < 2:
        return None
    rng = np.random.default_rng(seeds.child("crossed").number)
    values_R = np.concatenate([statistic(w_R_N) for w_R_N in _weights(indices, rng)])
    values_R = values_R[~np.isnan(values_R)]
    if not len(values_R) or np.ptp(values_R) <= 1e-12:
        return None
    tail = widened_tail(fewest, CONFIDENCE)
    low, high = np.quantile(values_R, [tail, 1 - tail])
    return float(low), float(high)


def _weights(indices: Sequence[Units], rng: np.random.Generator) -> Iterator[Floats]:
    """How often each answer is drawn: its units' counts multiplied, float64 (resamples, answers)."""
    step = max(1, CHUNK // len(indices[0]))
    for start in range(0, RESAMPLES, step):
        rows = min(step, RESAMPLES - start)
        weights_R_N = np.ones((rows, len(indices[0])))
        for index_N in indices:
            units = int(index_N.max()) + 1
            drawn_R_U = rng.multinomial(units, np.full(units, 1 / units), size=rows)
            weights_R_N *= drawn_R_U[:, index_N]
        yield weights_R_N
