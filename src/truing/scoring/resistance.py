"""Resistance: how much side effect a behaviour costs before it flips.

A case is tried at rising budgets (nats per token of neutral text). Its price is the smallest budget at
which it flips; where it never does, all that is known is that the price is more than the largest budget
tried, and no number is made up for it (Kaplan & Meier 1958). A price of b says that b sufficed and the
budget before it did not, or was not known. Shape letters: N cases, B budgets, R resamples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from truing.errors import BadInput
from truing.scoring.intervals import Floats
from truing.scoring.observations import Observation
from truing.scoring.paired import compare as paired
from truing.scoring.stats import CONFIDENCE, RESAMPLES, value_of
from truing.seeds import Seeds
from truing.types import Comparison, State, Value

ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Trial:
    """One case at every budget: the state of the answer to what it was edited to, ``None`` where there
    is no verdict. ``cluster`` names the independent unit."""

    case: str
    cluster: str
    states: tuple[State | None, ...]

    @property
    def flipped(self) -> tuple[bool | None, ...]:
        """Whether the model answers as it was edited to; ``None`` where it declines or nobody can say."""
        return tuple(
            None if state in (None, "abstain", "invalid") else state == "correct"
            for state in self.states
        )


@dataclass(frozen=True, slots=True)
class Price:
    """What a case cost. ``first``: the smallest budget at which it flipped; ``lasting``: the smallest from
    which on it stays flipped. ``None``: more than ``tried``, the largest budget with a known outcome."""

    case: str
    first: float | None
    lasting: float | None
    tried: float


@dataclass(frozen=True, slots=True)
class Median:
    """The smallest budget by which half of the cases have flipped, and its interval (bootstrap over cases,
    95 %). ``None`` means more than the largest budget, on each of the three."""

    budget: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Resistance:
    """``flipped``: share of cases at each of ``budgets``. ``first`` and ``lasting``: the median prices,
    ``None`` without a case. ``unknown``: cases without any known outcome, which are in no number."""

    budgets: tuple[float, ...]
    flipped: tuple[Value, ...]
    first: Median | None
    lasting: Median | None
    prices: tuple[Price, ...]
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class Difference:
    """One arm against another on the same cases. ``flipped``: at each budget, ours minus theirs.
    ``cheaper``: share of cases that cost us less minus share that cost us more; cases of which neither
    can be said are left out."""

    budgets: tuple[float, ...]
    flipped: tuple[Comparison, ...]
    cheaper: Comparison


def resistance(budgets: Sequence[float], trials: Sequence[Trial], *, seeds: Seeds) -> Resistance:
    """What the cases of one arm cost. Raises ``BadInput`` for budgets that do not rise."""
    check(budgets)
    known = [trial for trial in trials if any(x is not None for x in trial.flipped)]
    prices = tuple(price(budgets, trial) for trial in known)
    clusters = [trial.cluster for trial in known]

    def middle(name: str, costs: Sequence[float | None]) -> Median | None:
        tried = [each.tried for each in prices]
        return median(budgets, costs, tried, clusters, seeds=seeds.child(name)) if prices else None

    return Resistance(
        tuple(budgets),
        tuple(
            value_of(_observed(known, at), seeds=seeds.child(f"at {budget:g}"))
            for at, budget in enumerate(budgets)
        ),
        middle("first", [each.first for each in prices]),
        middle("lasting", [each.lasting for each in prices]),
        prices,
        len(trials) - len(known),
    )


def price(budgets: Sequence[float], trial: Trial) -> Price:
    """The price of a case that has a known outcome somewhere."""
    known = [(b, x) for b, x in zip(budgets, trial.flipped, strict=True) if x is not None]
    first = next((budget for budget, flipped in known if flipped), None)
    lasting = None
    for budget, flipped in reversed(known):
        if not flipped:
            break
        lasting = budget
    return Price(trial.case, first, lasting, known[-1][0])


def median(
    budgets: Sequence[float],
    costs: Sequence[float | None],
    tried: Sequence[float],
    clusters: Sequence[str],
    *,
    seeds: Seeds,
) -> Median:
    """The Kaplan-Meier median of prices; a cost of ``None`` is more than what was ``tried``."""
    names = {name: i for i, name in enumerate(sorted(set(clusters)))}
    paid_C_B = np.zeros((len(names), len(budgets)))
    risk_C_B = np.zeros_like(paid_C_B)
    for cost, most, cluster in zip(costs, tried, clusters, strict=True):
        end = most if cost is None else cost
        risk_C_B[names[cluster]] += np.asarray(budgets) <= end
        if cost is not None:
            paid_C_B[names[cluster], list(budgets).index(cost)] += 1
    at = _half(paid_C_B.sum(0)[None], risk_C_B.sum(0)[None])[0]
    rng = np.random.default_rng(seeds.child("bootstrap").number)
    n = len(names)
    drawn_R_C = rng.multinomial(n, np.full(n, 1 / n), size=RESAMPLES).astype(np.float64)
    found_R = _half(drawn_R_C @ paid_C_B, drawn_R_C @ risk_C_B)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(found_R, [tail, 1 - tail], method="inverted_cdf")

    def budget(place: float) -> float | None:
        return budgets[int(place)] if place < len(budgets) else None

    return Median(budget(at), budget(min(low, at)), budget(max(high, at)))


def compare(
    budgets: Sequence[float],
    ours: Sequence[Trial],
    theirs: Sequence[Trial],
    *,
    against: str,
    seeds: Seeds,
) -> Difference:
    """Two arms on the cases that both have. Raises ``BadInput`` for budgets that do not rise."""
    check(budgets)
    other = {trial.case: trial for trial in theirs}
    both = [(trial, other[trial.case]) for trial in ours if trial.case in other]
    sides = [mine for mine, _ in both], [yours for _, yours in both]
    signs = {mine.case: _sign(budgets, mine, yours) for mine, yours in both}
    return Difference(
        tuple(budgets),
        tuple(
            paired(
                _observed(sides[0], at),
                _observed(sides[1], at),
                against=against,
                seeds=seeds.child(f"at {budget:g}"),
            )
            for at, budget in enumerate(budgets)
        ),
        paired(
            _said(sides[0], {c: None if s is None else s < 0 for c, s in signs.items()}),
            _said(sides[0], {c: None if s is None else s > 0 for c, s in signs.items()}),
            against=against,
            seeds=seeds.child("cheaper"),
        ),
    )


def check(budgets: Sequence[float]) -> None:
    """Raise ``BadInput`` unless ``budgets`` are positive and rise."""
    rising = all(a < b for a, b in pairwise(budgets))
    if not budgets or budgets[0] <= 0 or not rising or not np.isfinite(budgets).all():
        raise BadInput(
            f"the budgets {[*budgets]} are not positive numbers that rise",
            "Give them in nats per token, for example 0.05,0.1,0.2,0.5.",
        )


def _half(paid_R_B: Floats, risk_R_B: Floats) -> Floats:
    """The place of the first budget at which at most half of the cases have not flipped; B: none."""
    hazard_R_B = np.divide(paid_R_B, risk_R_B, out=np.zeros_like(paid_R_B), where=risk_R_B > 0)
    reached_R_B = np.cumprod(1 - hazard_R_B, axis=1) <= 0.5 + ROUNDING
    places: Floats = np.where(
        reached_R_B.any(axis=1), reached_R_B.argmax(axis=1), paid_R_B.shape[1]
    ).astype(np.float64)
    return places


def _sign(budgets: Sequence[float], mine: Trial, yours: Trial) -> int | None:
    """-1: mine cost less, 1: more, 0: the same or both more than all budgets; ``None``: unknown."""
    if all(x is None for x in mine.flipped) or all(x is None for x in yours.flipped):
        return None
    a, b = price(budgets, mine), price(budgets, yours)
    if a.first is None and b.first is None:
        return 0 if a.tried == b.tried == budgets[-1] else None
    if a.first is None:
        return 1 if b.first is not None and a.tried >= b.first else None
    if b.first is None:
        return -1 if b.tried >= a.first else None
    return (a.first > b.first) - (a.first < b.first)


def _observed(trials: Sequence[Trial], at: int) -> list[Observation]:
    return [
        Observation((t.case, ""), t.cluster, _score(t.flipped[at]), t.states[at]) for t in trials
    ]


def _said(trials: Sequence[Trial], holds: Mapping[str, bool | None]) -> list[Observation]:
    """What is said of each case, as a score."""
    return [Observation((t.case, ""), t.cluster, _score(holds[t.case]), "correct") for t in trials]


def _score(x: bool | None) -> float | None:
    return None if x is None else float(x)
