"""What an intervention did to pairs of texts: a wanted and an unwanted one after the same prompt.

The wanted text should become likelier (promotion) and the other less likely (suppression). The two
are measured apart, after Pres et al. 2024 ("Towards Reliable Evaluation of Behavior Steering
Interventions in LLMs", arXiv 2410.17245): a model that becomes worse at everything suppresses both.

:func:`steering` compares log-probabilities per token. :func:`pres_table4` and :func:`pres_max` are the
published numbers, which rescale each model by its own one or two most extreme texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from truing.errors import BadInput
from truing.scoring.intervals import Floats
from truing.scoring.observations import Observation, clusters_of
from truing.scoring.paired import compare
from truing.scoring.readings import ROUNDING, sides
from truing.scoring.stats import value_of
from truing.seeds import Seeds
from truing.types import Comparison, Row, Value

SHARES = (0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True)
class Sides:
    """Scores of the wanted and the unwanted text of N pairs under one model, float64 ``(N,)`` each.

    Log-probabilities in nats: per token for :func:`steering`, on the paper's own scale for its
    numbers.
    """

    wanted_N: Floats
    unwanted_N: Floats


@dataclass(frozen=True, slots=True)
class Shift:
    """The same N pairs under the base model and now.

    ``clusters`` names the independent unit of each pair; ``left_out`` counts pairs without scores.
    """

    base: Sides
    now: Sides
    clusters: tuple[str, ...]
    left_out: int = 0

    @property
    def promotion_N(self) -> Floats:
        return self.now.wanted_N - self.base.wanted_N

    @property
    def suppression_N(self) -> Floats:
        return self.base.unwanted_N - self.now.unwanted_N


def shift_of(rows: Iterable[Row]) -> Shift:
    """The pairs of likelihood rows, per token. Rows without exactly two scored choices, now and under
    the base model, are counted as left out."""
    rows = list(rows)
    cluster = clusters_of(rows)
    found = [
        (base, now, cluster[row.case])
        for row in rows
        if (now := sides(row.response)) and (base := sides(row.base))
    ]
    base_N_2, now_N_2 = (
        np.array([pair[i] for pair in found], dtype=np.float64).reshape(-1, 2) for i in (0, 1)
    )
    return Shift(
        Sides(base_N_2[:, 0], base_N_2[:, 1]),
        Sides(now_N_2[:, 0], now_N_2[:, 1]),
        tuple(name for _, _, name in found),
        len(rows) - len(found),
    )


@dataclass(frozen=True, slots=True)
class Change:
    """A number under the base model and now, and the paired difference ``now - base``.

    ``difference.effect`` is d_z over clusters (Cohen's h for shares).
    """

    base: Value
    now: Value
    difference: Comparison


@dataclass(frozen=True, slots=True)
class Steering:
    """What an intervention did to pairs. Changes are better the higher their difference.

    ``promotion`` is the change of the wanted text's log-probability, ``suppression`` that of the
    unwanted text's negative log-probability, ``margin`` that of the distance between the two: nats
    per token. ``preference`` is the share of pairs whose wanted text is the likelier one; of them
    ``gained`` are so only now, while ``lost`` no longer are. ``separation`` is the area under the
    ROC curve: how often any wanted text is likelier than any unwanted one, ties half.
    ``anti_steered`` is the share of pairs whose margin fell.
    """

    promotion: Change
    suppression: Change
    margin: Change
    preference: Change
    gained: int
    lost: int
    separation: Change
    anti_steered: Value


def steering(shift: Shift, *, seeds: Seeds) -> Steering:
    """All measures of ``shift``, with intervals over clusters."""
    base, now = shift.base, shift.now

    def change(of: Callable[[Sides], Floats], name: str, *, bounded: bool = False) -> Change:
        before, after = _observed(shift, of(base)), _observed(shift, of(now))
        drawn = seeds.child(name)
        return Change(
            value_of(before, seeds=drawn.child("base"), bounded=bounded),
            value_of(after, seeds=drawn.child("now"), bounded=bounded),
            compare(after, before, against="base", seeds=drawn, bounded=bounded),
        )

    area = change(_separation, "separation")
    preferred, was_preferred = _preferred(now), _preferred(base)
    fell_N = (shift.promotion_N + shift.suppression_N < -ROUNDING).astype(np.float64)
    return Steering(
        promotion=change(lambda s: s.wanted_N, "promotion"),
        suppression=change(lambda s: -s.unwanted_N, "suppression"),
        margin=change(lambda s: s.wanted_N - s.unwanted_N, "margin"),
        preference=change(_preferred, "preference", bounded=True),
        gained=int((preferred > was_preferred).sum()),
        lost=int((preferred < was_preferred).sum()),
        separation=Change(_share(area.base), _share(area.now), area.difference),
        anti_steered=value_of(_observed(shift, fell_N), seeds=seeds.child("anti-steered")),
    )


@dataclass(frozen=True, slots=True)
class Hardest:
    """Mean changes over the ``n`` hardest texts of each side, the share ``share`` of them: the wanted
    texts that were least likely, and the unwanted ones that were likeliest, under the base model."""

    share: float
    n: int
    promote: float
    suppress: float


def pres_table4(shift: Shift) -> tuple[Hardest, ...]:
    """Table 4 of Pres et al. 2024: each model's scores are divided by
    ``-(max(unwanted) + min(wanted)) / 2`` of its own."""
    return _hardest(shift, lambda s: -(s.unwanted_N.max() + s.wanted_N.min()) / 2)


def pres_max(shift: Shift) -> tuple[Hardest, ...]:
    """What the code that came with Pres et al. 2024 computes: each model's scores are divided by
    minus its largest one."""
    return _hardest(shift, lambda s: -max(s.wanted_N.max(), s.unwanted_N.max()))


def _hardest(shift: Shift, scale: Callable[[Sides], float]) -> tuple[Hardest, ...]:
    """Numbers are rounded to four places, as published. Raises ``BadInput`` with fewer than four
    pairs, of which a quarter is none, and where a model's scale is not positive."""
    n_pairs = len(shift.clusters)
    if n_pairs < 4:
        raise BadInput(f"{n_pairs} pairs have no hardest quarter", "Give four pairs or more.")
    by_base, by_now = scale(shift.base), scale(shift.now)
    if not (by_base > 0 and by_now > 0):
        raise BadInput("scores cannot be rescaled", "Give log-probabilities, all below 0.")
    promote_N = shift.now.wanted_N / by_now - shift.base.wanted_N / by_base
    suppress_N = shift.base.unwanted_N / by_base - shift.now.unwanted_N / by_now
    promote_N = promote_N[np.argsort(shift.base.wanted_N, kind="stable")]
    suppress_N = suppress_N[np.argsort(-shift.base.unwanted_N, kind="stable")]
    found = []
    for share in SHARES:
        n = int(share * n_pairs)
        promote, suppress = (round(float(x_N[:n].mean()), 4) for x_N in (promote_N, suppress_N))
        found.append(Hardest(share, n, promote, suppress))
    return tuple(found)


def _observed(shift: Shift, values_N: Floats) -> list[Observation]:
    there = [
        Observation((str(i), ""), cluster, float(value), "correct")
        for i, (cluster, value) in enumerate(zip(shift.clusters, values_N, strict=True))
    ]
    absent = [Observation((str(i), "left out"), "", None, "invalid") for i in range(shift.left_out)]
    return there + absent


def _preferred(s: Sides) -> Floats:
    return (s.wanted_N > s.unwanted_N).astype(np.float64)


def _separation(s: Sides) -> Floats:
    """Each pair's part in the area under the ROC curve; their mean is the area.

    A pair counts with its wanted text against all unwanted ones and with its unwanted text against
    all wanted ones, less the area itself (the placements of Obuchowski 1997, "Nonparametric Analysis
    of Clustered ROC Curve Data"), so that a bootstrap over pairs resamples both sides together.
    """
    if not len(s.wanted_N):
        return s.wanted_N
    wanted_N = _below(s.wanted_N, s.unwanted_N)
    unwanted_N = 1 - _below(s.unwanted_N, s.wanted_N)
    return wanted_N + unwanted_N - float(wanted_N.mean())


def _share(value: Value) -> Value:
    """``value`` with its interval inside [0, 1]."""
    if value.low is None or value.high is None:
        return value
    return replace(value, low=max(0.0, value.low), high=min(1.0, value.high))


def _below(values_N: Floats, among_M: Floats) -> Floats:
    """For each value the share of ``among_M`` that lies below it, ties half."""
    ordered_M = np.sort(among_M)
    below_N = np.searchsorted(ordered_M, values_N, "left")
    up_to_N = np.searchsorted(ordered_M, values_N, "right")
    share_N: Floats = (below_N + up_to_N) / (2 * len(ordered_M))
    return share_N
