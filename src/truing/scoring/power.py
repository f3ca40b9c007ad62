"""How small a loss a paired comparison would find: the power of the exact McNemar test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from truing.errors import BadInput

CHURN = 0.1
STEPS = 16


@dataclass(frozen=True, slots=True)
class Power:
    """The smallest drop, in [0, 1], that ``pairs`` items find with probability ``power`` at ``alpha``.

    ``drop`` is ``None`` where no drop that the base's accuracy allows would be found. ``churn``:
    share of items assumed to change beside the drop, half of them each way.
    """

    pairs: int
    base: float
    churn: float
    alpha: float
    power: float
    drop: float | None

    def __str__(self) -> str:
        least = (
            "no possible drop" if self.drop is None else f"a drop of {100 * self.drop:.1f} points"
        )
        return (
            f"n = {self.pairs} detects {least} (paired, {100 * self.power:g} % power, alpha "
            f"{self.alpha:g}, exact McNemar; assuming a base accuracy of {100 * self.base:g} % and that "
            f"{100 * self.churn:g} % of items change beside the drop)"
        )


def detectable_drop(
    pairs: int, *, base: float = 0.5, churn: float = CHURN, alpha: float = 0.05, power: float = 0.8
) -> Power:
    """The minimum detectable drop of right-or-wrong answers to the same items before and after.

    ``base`` is the accuracy before. A drop of d makes d + churn / 2 of the items wrong and churn / 2
    right, as far as there are so many; never more than independent answers would. Raises ``BadInput``
    for shares outside their range.
    """
    for name, share in (("alpha", alpha), ("power", power)):
        if not 0 < share < 1:
            raise BadInput(f"{name} is {share}", "Give a share between 0 and 1.")
    for name, share in (("base", base), ("churn", churn)):
        if not 0 <= share <= 1:
            raise BadInput(f"{name} is {share}", "Give a share from 0 to 1.")
    if pairs < 1:
        raise BadInput(f"pairs is {pairs}", "Give 1 or more.")
    low, high = 0.0, base
    if _at(high, pairs, base, churn, alpha) < power:
        return Power(pairs, base, churn, alpha, power, None)
    for _ in range(STEPS):
        middle = (low + high) / 2
        if _at(middle, pairs, base, churn, alpha) < power:
            low = middle
        else:
            high = middle
    return Power(pairs, base, churn, alpha, power, high)


def mcnemar_power(pairs: int, lost: float, gained: float, *, alpha: float = 0.05) -> float:
    """The chance that the two-sided exact McNemar test finds p <= ``alpha``.

    ``lost`` and ``gained`` are the chances that one item turns wrong or right. The number of items that
    change is binomial, and given it the number lost is: Duffy 1984, "Asymptotic and exact power for the
    McNemar test and its analogue with R controls per case", Biometrics 40.
    """
    changing = lost + gained
    if changing <= 0:
        return 0.0
    m = np.arange(pairs + 1)
    chance_M = stats.binom.pmf(m, pairs, min(1.0, changing))
    critical_M = stats.binom.ppf(alpha / 2, m, 0.5)
    over = 2 * stats.binom.cdf(critical_M, m, 0.5) > alpha
    critical_M = np.where(over, critical_M - 1, critical_M)
    share = lost / changing
    few_M = stats.binom.cdf(critical_M, m, share)
    many_M = stats.binom.sf(m - critical_M - 1, m, share)
    return float(chance_M @ (few_M + many_M))


def _at(drop: float, pairs: int, base: float, churn: float, alpha: float) -> float:
    after = base - drop
    gained = min(churn / 2, after * (1 - base))
    return mcnemar_power(pairs, drop + gained, gained, alpha=alpha)
