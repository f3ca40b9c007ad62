from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from truing.errors import BadInput
from truing.scoring.power import detectable_drop, mcnemar_power


def connor(pairs: int, churn: float, alpha: float = 0.05, power: float = 0.8) -> float:
    """The asymptotic answer (Connor 1987, Biometrics 43), solved for the difference."""
    za, zb = stats.norm.ppf(1 - alpha / 2), stats.norm.ppf(power)
    low, high = 1e-6, 1.0
    for _ in range(60):
        d = (low + high) / 2
        psi = churn + d
        if (za * math.sqrt(psi) + zb * math.sqrt(psi - d * d)) ** 2 / d**2 > pairs:
            low = d
        else:
            high = d
    return high


def test_the_power_is_that_of_simulated_tests() -> None:
    rng = np.random.default_rng(0)
    pairs, lost, gained = 120, 0.15, 0.04
    turned = rng.multinomial(pairs, [lost, gained, 1 - lost - gained], size=4000)
    found = [
        stats.binomtest(a, a + b, 0.5).pvalue <= 0.05 if a + b else False for a, b, _ in turned
    ]
    assert mcnemar_power(pairs, lost, gained) == pytest.approx(np.mean(found), abs=0.02)


@pytest.mark.parametrize("pairs", [100, 200, 500])
def test_the_exact_test_needs_a_little_more_than_the_asymptotic_one(pairs: int) -> None:
    found = detectable_drop(pairs, base=0.5, churn=0.1).drop
    assert found is not None
    assert 1.0 < found / connor(pairs, 0.1) < 1.1


def test_without_a_difference_the_test_keeps_its_level() -> None:
    assert 0 < mcnemar_power(200, 0.1, 0.1) <= 0.05
    assert mcnemar_power(200, 0.0, 0.0) == 0.0


@settings(max_examples=25)
@given(st.integers(20, 120), st.floats(0.3, 1.0), st.floats(0.0, 0.4))
def test_the_drop_that_is_told_has_the_power_that_is_told(
    n: int, base: float, churn: float
) -> None:
    found = detectable_drop(n, base=base, churn=churn)
    if found.drop is None:
        return
    assert 0 < found.drop <= base
    gained = min(churn / 2, (base - found.drop) * (1 - base))
    assert mcnemar_power(n, found.drop + gained, gained) >= 0.799


def test_more_items_find_smaller_drops_and_too_few_none() -> None:
    drops = [detectable_drop(n).drop for n in (50, 200, 800)]
    assert drops == sorted(drops, reverse=True)  # type: ignore[type-var]
    assert detectable_drop(4).drop is None
    assert "no possible drop" in str(detectable_drop(4))
    assert "n = 200 detects a drop of 8.9 points" in str(detectable_drop(200))


def test_shares_outside_their_range_are_refused() -> None:
    for wrong in ({"pairs": 0}, {"pairs": 9, "base": 1.1}, {"pairs": 9, "alpha": 0}):
        with pytest.raises(BadInput):
            detectable_drop(**wrong)  # type: ignore[arg-type]
