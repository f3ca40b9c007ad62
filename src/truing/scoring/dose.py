"""Dose and response: how the margin of pairs follows the strength of one method.

A curve of means can rise while most pairs go up and down (Tan et al. 2024, "Analysing the Generalisation
and Reliability of Steering Vectors"); so every number here is a pair's own, and intervals are over pairs.
Shape letters: N pairs, S strengths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from truing.errors import BadInput
from truing.scoring.intervals import Floats
from truing.scoring.observations import Observation
from truing.scoring.readings import ROUNDING
from truing.scoring.stats import value_of
from truing.seeds import Seeds
from truing.types import Value


@dataclass(frozen=True, slots=True)
class Dose:
    """``slope``: mean over pairs of the least-squares slope, nats per token for each unit of strength.
    ``rising``: share of pairs whose margin rises with every step. ``spearman``: mean over pairs of the
    rank correlation of strength and margin; pairs that no strength moves have none. ``strengths`` in
    order, the base model's 0 among them."""

    strengths: tuple[float, ...]
    slope: Value
    rising: Value
    spearman: Value


def dose(
    strengths: Sequence[float], shifts_N_S: Floats, clusters: Sequence[str], *, seeds: Seeds
) -> Dose:
    """From margin shifts of the same N pairs at S different strengths. Strength 0, where there is no
    shift, is added. ``clusters`` names each pair's independent unit.

    Raises ``BadInput`` with fewer than two strengths, or with the same one twice.
    """
    if len(set(strengths)) < max(2, len(strengths)):
        raise BadInput(
            f"a dose-response needs different strengths, not {list(strengths)}",
            "Give two or more, each once.",
        )
    x_S, y_N_S = np.asarray(strengths, dtype=np.float64), np.asarray(shifts_N_S, dtype=np.float64)
    if 0.0 not in x_S:
        x_S = np.append(x_S, 0.0)
        y_N_S = np.column_stack([y_N_S, np.zeros(len(y_N_S))])
    order = np.argsort(x_S)
    x_S, y_N_S = x_S[order], y_N_S[:, order]
    away_S = x_S - x_S.mean()
    slope_N: Floats = np.einsum("ns,s->n", y_N_S, away_S / float(away_S @ away_S))
    rising_N = np.asarray((np.diff(y_N_S, axis=1) > ROUNDING).all(axis=1), dtype=np.float64)

    def value(name: str, values_N: Sequence[float | None], *, bounded: bool = False) -> Value:
        observed = [
            Observation((str(i), ""), cluster, x, "invalid" if x is None else "correct")
            for i, (cluster, x) in enumerate(zip(clusters, values_N, strict=True))
        ]
        return value_of(observed, seeds=seeds.child(name), bounded=bounded)

    return Dose(
        tuple(x_S.tolist()),
        value("slope", slope_N.tolist()),
        value("rising", rising_N.tolist(), bounded=True),
        value("spearman", [_spearman(x_S, y_S) for y_S in y_N_S]),
    )


def _spearman(x_S: Floats, y_S: Floats) -> float | None:
    """Rank correlation, ties at their mean rank; ``None`` where all values are equal to rounding."""
    if float(np.ptp(y_S)) <= ROUNDING:
        return None
    return float(np.corrcoef(rankdata(x_S), rankdata(y_S))[0, 1])
