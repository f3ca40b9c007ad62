"""Do a judge and people rate the same pairs of answers alike?

PAE is the rating of an edited answer minus that of the unedited one (Mao et al. 2024, arXiv 2310.02168,
whose table 3 sets a judge beside people). A high correlation may stand beside a large bias, and the other
way round, so both are told.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from truing.scoring.agreement import Agreement, Ratings, cohen_kappa
from truing.scoring.intervals import Floats, z_of
from truing.scoring.observations import Observation
from truing.scoring.stats import CONFIDENCE, value_of
from truing.seeds import Seeds
from truing.types import Value

SCALE = (1, 2, 3, 4, 5)
RESAMPLES = 1000
FEWEST = 4
"""Cases below which a correlation means nothing."""


@dataclass(frozen=True, slots=True)
class Sides:
    """Ratings from 1 to 5 of the two answers to one question; means of several people need not be whole."""

    unedited: float
    edited: float

    @property
    def pae(self) -> float:
        return self.edited - self.unedited


@dataclass(frozen=True, slots=True)
class BothRated:
    """One pair of answers as both rated it. ``case`` names the independent thing it belongs to."""

    case: str
    judge: Sides
    people: Sides


@dataclass(frozen=True, slots=True)
class Means:
    """Of one rater, over all pairs, with intervals over cases."""

    unedited: Value
    edited: Value
    pae: Value


@dataclass(frozen=True, slots=True)
class Coefficient:
    """A correlation over ``n`` numbers with its 95 % bootstrap interval over cases; ``None`` for fewer
    than four cases and for a side that does not vary."""

    n: int
    value: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Correlated:
    """Judge against people."""

    pearson: Coefficient
    spearman: Coefficient


@dataclass(frozen=True, slots=True)
class RatingAgreement:
    """``kappa`` is quadratic, over ratings rounded to whole ones (halves up). ``bias`` is the mean of
    the judge's PAE minus people's, and ``limits`` hold 95 % of these differences if they are normal
    (Bland and Altman 1986, Lancet 327); ``None`` for fewer than two pairs."""

    pairs: int
    cases: int
    judge: Means
    people: Means
    pae: Correlated
    ratings: Correlated
    kappa: Agreement
    bias: Value
    limits: tuple[float, float] | None


def rating_agreement(
    pairs: Sequence[BothRated], *, seeds: Seeds, resamples: int = RESAMPLES
) -> RatingAgreement:
    """Of the pairs that both rated; their order decides nothing. Each pair holds two ratings."""
    pairs = sorted(pairs, key=lambda p: (p.case, _numbers(p.judge), _numbers(p.people)))
    cases = [pair.case for pair in pairs]
    twice = [case for case in cases for _ in range(2)]
    judge, people = ([x for p in pairs for x in _numbers(who(p))] for who in (_judge, _people))
    gaps = [pair.judge.pae - pair.people.pae for pair in pairs]
    table = [[_whole(a), _whole(b)] for a, b in zip(judge, people, strict=True)]
    both = Ratings.of(table, SCALE, raters=("judge", "people"), clusters=twice)

    def correlated(
        name: str, a: Sequence[float], b: Sequence[float], of: Sequence[str]
    ) -> Correlated:
        own = seeds.child(name)
        return Correlated(
            *(_coefficient(a, b, of, turned, own, resamples) for turned in (_as_is, _ranks))
        )  # fmt: skip

    return RatingAgreement(
        pairs=len(pairs),
        cases=len(set(cases)),
        judge=_means(pairs, _judge, seeds.child("judge")),
        people=_means(pairs, _people, seeds.child("people")),
        pae=correlated("pae", [p.judge.pae for p in pairs], [p.people.pae for p in pairs], cases),
        ratings=correlated("ratings", judge, people, twice),
        kappa=cohen_kappa(both, "quadratic", seeds=seeds, resamples=resamples),
        bias=_value(cases, gaps, seeds.child("bias")),
        limits=_limits(gaps),
    )


Turned = Callable[[Floats, Floats], Floats]
"""Of numbers (N,) and how often each occurs in each resample (R, N): what is correlated (R, N)."""


def _judge(pair: BothRated) -> Sides:
    return pair.judge


def _people(pair: BothRated) -> Sides:
    return pair.people


def _numbers(sides: Sides) -> tuple[float, float]:
    return sides.unedited, sides.edited


def _whole(rating: float) -> int:
    return math.floor(rating + 0.5)


def _means(pairs: Sequence[BothRated], who: Callable[[BothRated], Sides], seeds: Seeds) -> Means:
    cases, sides = [pair.case for pair in pairs], [who(pair) for pair in pairs]
    return Means(
        _value(cases, [s.unedited for s in sides], seeds.child("unedited")),
        _value(cases, [s.edited for s in sides], seeds.child("edited")),
        _value(cases, [s.pae for s in sides], seeds.child("pae")),
    )


def _value(cases: Sequence[str], numbers: Sequence[float], seeds: Seeds) -> Value:
    seen = [
        Observation((case, str(i)), case, x, None)
        for i, (case, x) in enumerate(zip(cases, numbers, strict=True))
    ]
    return value_of(seen, seeds=seeds, bounded=False)


def _limits(gaps: Sequence[float]) -> tuple[float, float] | None:
    if len(gaps) < 2:
        return None
    middle, reach = float(np.mean(gaps)), z_of(CONFIDENCE) * float(np.std(gaps, ddof=1))
    return middle - reach, middle + reach


def _coefficient(
    a: Sequence[float],
    b: Sequence[float],
    cases: Sequence[str],
    turned: Turned,
    seeds: Seeds,
    resamples: int,
) -> Coefficient:
    a_N, b_N = np.array(a, float), np.array(b, float)
    names, index_N = np.unique(np.array(cases, str), return_inverse=True)
    if len(names) < FEWEST or np.ptp(a_N) == 0 or np.ptp(b_N) == 0:
        return Coefficient(len(a_N))
    value = float(_correlation(a_N, b_N, np.ones((1, len(a_N))), turned)[0])
    rng = np.random.default_rng(seeds.number)
    drawn_R_C = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    found_R = _correlation(a_N, b_N, drawn_R_C[:, index_N].astype(np.float64), turned)
    tail = (1 - CONFIDENCE) / 2
    low, high = (float(x) for x in np.nanquantile(found_R, [tail, 1 - tail]))
    return Coefficient(len(a_N), value, min(low, value), max(high, value))


def _correlation(a_N: Floats, b_N: Floats, times_R_N: Floats, turned: Turned) -> Floats:
    """Pearson's r of what is ``turned``, in each resample (R,); NaN where a side does not vary."""
    n_R_1 = times_R_N.sum(1, keepdims=True)
    a_R_N, b_R_N = (turned(x_N, times_R_N) for x_N in (a_N, b_N))
    a_R_N, b_R_N = (x - (times_R_N * x).sum(1, keepdims=True) / n_R_1 for x in (a_R_N, b_R_N))
    spread_R = np.sqrt((times_R_N * a_R_N**2).sum(1) * (times_R_N * b_R_N**2).sum(1))
    spread_R[spread_R < 1e-12] = np.nan
    found_R: Floats = np.clip((times_R_N * a_R_N * b_R_N).sum(1) / spread_R, -1.0, 1.0)
    return found_R


def _as_is(x_N: Floats, times_R_N: Floats) -> Floats:
    return np.broadcast_to(x_N, times_R_N.shape)


def _ranks(x_N: Floats, times_R_N: Floats) -> Floats:
    """Mean ranks among the numbers of each resample."""
    values_V, index_N = np.unique(x_N, return_inverse=True)
    holds_N_V = (index_N[:, None] == np.arange(len(values_V))).astype(np.float64)
    times_R_V = times_R_N @ holds_N_V
    return np.asarray((times_R_V.cumsum(1) - times_R_V / 2)[:, index_N])
