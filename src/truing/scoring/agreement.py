"""How far raters agree: per cent, and the coefficients that subtract agreement by chance.

Raters may be people or judges. A rating that is not there is missing: it is counted and is never a
label. A coefficient of 1 is full agreement, 0 is what chance gives, below 0 is worse than chance.
Where one label dominates, per cent is high and the coefficients are low; read them together.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from truing.errors import BadInput, UnknownName
from truing.scoring.intervals import Floats, distinct_rows
from truing.scoring.stats import CONFIDENCE, RESAMPLES
from truing.seeds import Seeds

Label = Hashable
Weights = Literal["unweighted", "linear", "quadratic"]
Level = Literal["nominal", "ordinal", "interval", "ratio"]
WEIGHTS: tuple[Weights, ...] = ("unweighted", "linear", "quadratic")
LEVELS: tuple[Level, ...] = ("nominal", "ordinal", "interval", "ratio")
UNDEFINED_AT_MOST = 0.05
ONE_LABEL = "every rating is the same label, so agreement by chance is certain"

_Statistic = Callable[[Floats], float | None]


@dataclass(frozen=True, slots=True)
class Agreement:
    """One statistic over one set of ratings.

    ``value`` is ``None`` where it is not defined, and ``why`` says why. ``units`` counts the units
    that enter it, ``ratings`` what was said and ``missing`` what was not, over all units.
    ``commonest`` is the share of ratings with the commonest label. ``interval`` says what ``low``
    and ``high`` are, or why there is none.
    """

    name: str
    raters: tuple[str, ...]
    value: float | None
    low: float | None
    high: float | None
    interval: str
    why: str
    units: int
    ratings: int
    missing: int
    commonest: float | None


@dataclass(frozen=True, slots=True)
class Ratings:
    """Units x raters. ``codes_U_R`` holds places in ``labels`` (in their order), -1 for missing.

    ``clusters`` names the independent thing that each unit belongs to; bootstraps draw these.
    """

    raters: tuple[str, ...]
    labels: tuple[Label, ...]
    codes_U_R: NDArray[np.int64]
    clusters: tuple[str, ...]

    @classmethod
    def of(
        cls,
        table: Sequence[Sequence[Label | None]],
        labels: Sequence[Label],
        *,
        raters: Sequence[str] | None = None,
        clusters: Sequence[str] | None = None,
    ) -> Ratings:
        """From a table of labels, one row per unit and one column per rater, ``None`` for missing.

        ``labels`` declares every label, lowest first where they have an order. Every unit is its
        own cluster unless ``clusters`` says otherwise. Raises ``BadInput`` for a label that is not
        declared, rows of unequal length or fewer than two raters.
        """
        place = {label: i for i, label in enumerate(labels)}
        if len(place) != len(labels):
            raise BadInput("a label is declared twice", "Declare every label once, in order.")
        width = len(raters) if raters is not None else len(table[0]) if table else 0
        if width < 2:
            raise BadInput("agreement takes two raters or more", "Add the ratings of another.")
        for number, row in enumerate(table):
            if len(row) != width:
                raise BadInput(
                    f"unit {number} has {len(row)} ratings, not {width}", "None stands for missing."
                )
            for label in row:
                if label is not None and label not in place:
                    raise UnknownName("label", str(label), map(str, labels))
        codes = [[-1 if label is None else place[label] for label in row] for row in table]
        return cls(
            tuple(raters) if raters is not None else tuple(str(i + 1) for i in range(width)),
            tuple(labels),
            np.array(codes, dtype=np.int64).reshape(len(table), width),
            tuple(clusters) if clusters is not None else tuple(map(str, range(len(table)))),
        )

    def only(self, *raters: str) -> Ratings:
        """The same units with these raters alone, in this order. Raises ``UnknownName``."""
        for name in raters:
            if name not in self.raters:
                raise UnknownName("rater", name, self.raters)
        columns = [self.raters.index(name) for name in raters]
        return Ratings(raters, self.labels, self.codes_U_R[:, columns], self.clusters)


@dataclass(frozen=True, slots=True)
class _Patterns:
    """Ratings with equal units joined: every statistic is a function of how often each pattern
    occurs. ``codes_T_R`` holds the T patterns in sorted order, ``counts_T_L`` how many raters gave
    each label, ``clusters_K_T`` how often each cluster holds each pattern."""

    codes_T_R: NDArray[np.int64]
    counts_T_L: Floats
    clusters_K_T: Floats

    @classmethod
    def of(cls, ratings: Ratings) -> _Patterns:
        codes_T_R, index_U = np.unique(ratings.codes_U_R, axis=0, return_inverse=True)
        names = {c: i for i, c in enumerate(dict.fromkeys(ratings.clusters))}
        clusters_K_T = np.zeros((len(names), len(codes_T_R)))
        for cluster, pattern in zip(ratings.clusters, index_U.ravel().tolist(), strict=True):
            clusters_K_T[names[cluster], pattern] += 1
        labels_L = np.arange(len(ratings.labels))
        counts_T_L = (codes_T_R[:, :, None] == labels_L).sum(axis=1)
        return cls(codes_T_R, counts_T_L.astype(np.float64), clusters_K_T)

    @property
    def made_T(self) -> Floats:
        """How many ratings each pattern holds."""
        return np.asarray(self.counts_T_L.sum(axis=1))


def percent_of_pairs(ratings: Ratings, *, seeds: Seeds, resamples: int = RESAMPLES) -> Agreement:
    """Pairs of ratings of one unit that are equal / all such pairs. A share in [0, 1]."""
    units = _Patterns.of(ratings)
    counts_T_L, made_T = units.counts_T_L, units.made_T
    equal_T = (counts_T_L * (counts_T_L - 1)).sum(axis=1)
    pairs_T = made_T * (made_T - 1)

    def share(weights_T: Floats) -> float | None:
        return float(weights_T @ equal_T / (weights_T @ pairs_T))

    return _measured("percent/pairs", ratings, units, made_T >= 2, share, 1, seeds, resamples)


def percent_unanimous(ratings: Ratings, *, seeds: Seeds, resamples: int = RESAMPLES) -> Agreement:
    """Units whose ratings are all equal / units with two ratings or more. A share in [0, 1]."""
    units = _Patterns.of(ratings)
    counts_T_L, made_T = units.counts_T_L, units.made_T
    same_T = (counts_T_L.max(axis=1, initial=0.0) == made_T).astype(np.float64)

    def share(weights_T: Floats) -> float | None:
        return float(weights_T @ same_T / weights_T.sum())

    return _measured("percent/unanimous", ratings, units, made_T >= 2, share, 1, seeds, resamples)


def cohen_kappa(
    ratings: Ratings,
    weights: Weights = "unweighted",
    *,
    seeds: Seeds,
    resamples: int = RESAMPLES,
) -> Agreement:
    """Cohen's kappa of two raters over the units that both rated.

    ``1 - sum(v o) / sum(v e)`` with observed and expected shares o, e and disagreement v: 1 off
    the diagonal (Cohen 1960), or the distance of the labels' places, plain or squared (Cohen 1968).
    Raises ``BadInput`` unless there are exactly two raters, ``UnknownName`` for the weights.
    """
    if weights not in WEIGHTS:
        raise UnknownName("weights", weights, WEIGHTS)
    if len(ratings.raters) != 2:
        raise BadInput(
            f"Cohen's kappa takes two raters, not {len(ratings.raters)}",
            "Take pairs with Ratings.only, or Fleiss' kappa or Krippendorff's alpha.",
        )
    size = len(ratings.labels)
    distance_L_L = np.abs(np.subtract.outer(np.arange(size), np.arange(size))).astype(np.float64)
    v_L_L = {
        "unweighted": (distance_L_L > 0).astype(np.float64),
        "linear": distance_L_L,
        "quadratic": distance_L_L**2,
    }[weights]
    units = _Patterns.of(ratings)
    one_T_L, two_T_L = (
        (units.codes_T_R[:, [i]] == np.arange(size)).astype(np.float64) for i in (0, 1)
    )

    def kappa(weights_T: Floats) -> float | None:
        both_L_L = (one_T_L * weights_T[:, None]).T @ two_T_L
        chance_L_L = np.outer(both_L_L.sum(axis=1), both_L_L.sum(axis=0)) / weights_T.sum()
        return _beyond_chance(float((v_L_L * both_L_L).sum()), float((v_L_L * chance_L_L).sum()))

    name = "cohen" if weights == "unweighted" else f"cohen/{weights}"
    return _measured(name, ratings, units, units.made_T == 2, kappa, 2, seeds, resamples)


def fleiss_kappa(ratings: Ratings, *, seeds: Seeds, resamples: int = RESAMPLES) -> Agreement:
    """Fleiss' kappa (1971) over the units that every rater rated; labels have no order."""
    units = _Patterns.of(ratings)
    counts_T_L = units.counts_T_L
    n = len(ratings.raters)
    differ_T = 1 - (counts_T_L * (counts_T_L - 1)).sum(axis=1) / (n * (n - 1))

    def kappa(weights_T: Floats) -> float | None:
        shares_L = weights_T @ counts_T_L / (n * weights_T.sum())
        seen = float(weights_T @ differ_T / weights_T.sum())
        return _beyond_chance(seen, float(1 - shares_L @ shares_L))

    return _measured("fleiss", ratings, units, units.made_T == n, kappa, 2, seeds, resamples)


def krippendorff_alpha(
    ratings: Ratings,
    level: Level = "nominal",
    *,
    seeds: Seeds,
    resamples: int = RESAMPLES,
) -> Agreement:
    """Krippendorff's alpha: any number of raters, missing ratings, four levels of measurement.

    ``1 - D_o / D_e`` from the coincidences of labels within units of two ratings or more, with the
    squared differences of Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability":
    nominal 0 or 1; ordinal by ranks in the declared order; interval ``(c - k)^2``; ratio
    ``((c - k) / (c + k))^2``. Raises ``BadInput`` where interval or ratio meet labels that are not
    numbers, or ratio negative ones, and ``UnknownName`` for the level.
    """
    if level not in LEVELS:
        raise UnknownName("level of measurement", level, LEVELS)
    values_L = _numbers(ratings.labels, level) if level in ("interval", "ratio") else None
    units = _Patterns.of(ratings)
    counts_T_L, made_T = units.counts_T_L, units.made_T
    paired_T = made_T >= 2
    within_T = np.where(paired_T, 1 / np.maximum(made_T - 1, 1), 0.0)

    def alpha(weights_T: Floats) -> float | None:
        coincide_L_L = (counts_T_L * (weights_T * within_T)[:, None]).T @ counts_T_L
        n_L = weights_T @ counts_T_L
        apart_L_L = _apart(level, n_L, values_L)
        expected = n_L @ apart_L_L @ n_L / (n_L.sum() - 1)
        return _beyond_chance(float((apart_L_L * coincide_L_L).sum()), float(expected))

    return _measured(f"krippendorff/{level}", ratings, units, paired_T, alpha, 2, seeds, resamples)


def _apart(level: Level, n_L: Floats, values_L: Floats | None) -> Floats:
    """Squared differences of all labels with all; ``n_L`` counts the ratings with each."""
    if values_L is None:
        if level == "nominal":
            return 1 - np.eye(len(n_L))
        values_L = np.cumsum(n_L) - n_L / 2
    gap_L_L = np.subtract.outer(values_L, values_L)
    if level == "ratio":
        both_L_L = np.add.outer(values_L, values_L)
        gap_L_L = gap_L_L / np.where(both_L_L == 0, 1.0, both_L_L)
    return gap_L_L**2


def _numbers(labels: Sequence[Label], level: Level) -> Floats:
    if not all(isinstance(x, (int, float)) and np.isfinite(x) for x in labels):
        raise BadInput(f"alpha at level {level} takes numbers as labels", "Take ordinal.")
    values_L = np.array(labels, dtype=np.float64)
    if level == "ratio" and (values_L < 0).any():
        raise BadInput("alpha at level ratio takes no negative labels", "Take interval.")
    return values_L


def _beyond_chance(seen: float, by_chance: float) -> float | None:
    """``1 - seen / by_chance`` of disagreements; ``None`` where chance cannot disagree."""
    return None if by_chance == 0 else 1 - seen / by_chance


def _measured(
    name: str,
    ratings: Ratings,
    units: _Patterns,
    counted_T: NDArray[np.bool_],
    statistic: _Statistic,
    at_least: int,
    seeds: Seeds,
    resamples: int,
) -> Agreement:
    """``statistic`` of the units that count, each weighing 1, with its bootstrap interval."""
    weights_K_T = units.clusters_K_T * counted_T
    count = int(weights_K_T.sum())
    value: float | None = None
    if not count:
        why = "no unit has the ratings that it takes"
    elif count < at_least:
        why = "only one unit has the ratings that it takes"
    else:
        value = statistic(weights_K_T.sum(axis=0))
        why = "" if value is not None else ONE_LABEL
    low, high, said = None, None, "none: no value"
    if value is not None:
        rng = np.random.default_rng(seeds.child("agreement").child(name).number)
        low, high, said = _interval(weights_K_T, statistic, value, rng, resamples)
    given_L = units.clusters_K_T.sum(axis=0) @ units.counts_T_L
    made = int(given_L.sum())
    return Agreement(
        name, ratings.raters, value, low, high, said, why, count,
        ratings=made,
        missing=ratings.codes_U_R.size - made,
        commonest=float(given_L.max()) / made if made else None,
    )  # fmt: skip


def _interval(
    weights_K_T: Floats,
    statistic: _Statistic,
    value: float,
    rng: np.random.Generator,
    resamples: int,
) -> tuple[float | None, float | None, str]:
    """Percentile bootstrap over clusters that hold units. Resamples that hold one label only have
    no coefficient; a few are left out, many mean that there is no interval."""
    kinds_D_T, counts_D = distinct_rows(weights_K_T[weights_K_T.any(axis=1)])
    clusters = int(counts_D.sum())
    over = "units" if clusters == weights_K_T.sum() else "clusters"
    if clusters == 1:
        return None, None, "none: one independent unit"
    drawn_R_D = rng.multinomial(clusters, counts_D / clusters, size=resamples)
    found = [statistic(weights_T) for weights_T in drawn_R_D @ kinds_D_T]
    defined = [x for x in found if x is not None]
    undefined = resamples - len(defined)
    if undefined > UNDEFINED_AT_MOST * resamples:
        return None, None, f"none: {undefined} of {resamples} resamples hold one label only"
    if np.ptp(defined) <= 1e-12:
        return None, None, "none: all resamples agree"
    tail = (1 - CONFIDENCE) / 2
    low, high = (float(x) for x in np.quantile(defined, [tail, 1 - tail]))
    return min(low, value), max(high, value), f"{100 * CONFIDENCE:g}% bootstrap over {over}"
