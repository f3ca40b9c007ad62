"""Differences between two models, tested: the same questions before and after, many tests, one error rate.

A difference is *found* when it survives Holm's correction over all tests of the audit and is as large as
the smallest that matters (:data:`LEAST`): of enough numbers, any change at all would differ significantly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from truing.inspection.questions import Compared
from truing.scoring.observations import Observation
from truing.scoring.paired import compare, correct
from truing.seeds import Seeds
from truing.types import Comparison

Unit = Literal["share", "nats"]
LEAST: Mapping[Unit, float] = {"share": 0.02, "nats": 0.1}
"""The smallest difference that counts: 2 of 100 answers; log-odds or log-likelihood of 0.1."""
ALPHA = 0.05
EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Example:
    """One question or sentence and what both models make of it."""

    question: str
    base: str
    edited: str


@dataclass(frozen=True, slots=True)
class Difference:
    """One tested difference. ``before`` and ``now``: means over the pairs; ``compared`` is now minus before.

    ``examples``: where the two differ, at most :data:`EXAMPLES`.
    """

    part: str
    name: str
    unit: Unit
    before: float | None
    now: float | None
    compared: Comparison
    examples: tuple[Example, ...] = ()
    found: bool = False

    def __str__(self) -> str:
        return f"{self.part}, {self.name}: {self.numbers}"

    @property
    def numbers(self) -> str:
        """From what to what, the difference with its interval, n and adjusted p."""
        c = self.compared
        if c.delta is None:
            return "no pairs"
        of = number(self.before, self.unit), number(self.now, self.unit)
        bounds = (
            ""
            if c.low is None or c.high is None
            else f" [{signed(c.low, self.unit)}, {signed(c.high, self.unit)}]"
        )
        p = "" if c.p_adjusted is None else f", p adjusted {c.p_adjusted:.2g}"
        unit = " points" if self.unit == "share" else " nats"
        return f"{of[0]} to {of[1]}, {signed(c.delta, self.unit)}{unit}{bounds}, n = {c.n_pairs}{p}"


@dataclass(frozen=True, slots=True)
class Numbers:
    """One number per item, before and now; ``None`` where there is none. ``units``: the independent unit
    of an item where that is not itself."""

    unit: Unit
    before: Mapping[str, float | None]
    now: Mapping[str, float | None]
    units: Mapping[str, str]


def difference(
    part: str, name: str, numbers: Numbers, examples: Sequence[Example], seeds: Seeds
) -> Difference:
    """The paired test of ``numbers`` (:func:`truing.scoring.paired.compare`), not yet corrected."""
    sides = [_observations(side, numbers.units) for side in (numbers.now, numbers.before)]
    both = [
        id for id, x in numbers.before.items() if x is not None and numbers.now.get(id) is not None
    ]
    tested = compare(
        sides[0],
        sides[1],
        against="base",
        seeds=seeds.child(part).child(name),
        bounded=numbers.unit == "share",
    )
    return Difference(
        part,
        name,
        numbers.unit,
        _mean([numbers.before[id] for id in both]),
        _mean([numbers.now[id] for id in both]),
        tested,
        tuple(examples[:EXAMPLES]),
    )


def of_answers(told: Compared, seeds: Seeds) -> Difference:
    """Whether as many answers are right as before."""
    flipped = [
        Example(a.question, a.base, a.edited)
        for a in sorted(told.each, key=lambda a: a.now is True)
        if a.before is not None and a.now is not None and a.before is not a.now
    ]
    numbers = Numbers(
        "share",
        {a.id: _float(a.before) for a in told.each},
        {a.id: _float(a.now) for a in told.each},
        told.units,
    )
    return difference(told.questions.part, told.questions.name, numbers, flipped, seeds)


def corrected(tests: Sequence[Difference], alpha: float = ALPHA) -> tuple[Difference, ...]:
    """``tests`` with p adjusted over all of them, and which are found at ``alpha``. Those that have too few
    pairs to be found are no tests and do not count."""
    family = [None if too_few(test, len(tests), alpha) else test.compared for test in tests]
    done = []
    for test, adjusted in zip(tests, correct(family), strict=True):
        comparison = test.compared if adjusted is None else adjusted
        p, delta = comparison.p_adjusted, comparison.delta
        found = (
            p is not None
            and delta is not None
            and p <= alpha
            and abs(delta) >= LEAST[test.unit] - 1e-12
        )
        done.append(replace(test, compared=comparison, found=found))
    return tuple(done)


def too_few(test: Difference, tests: int, alpha: float = ALPHA) -> bool:
    """Whether so few pairs could not be a finding beside ``tests`` others, however large the difference:
    when all n differ the same way, the two-sided p is 2 / 2^n."""
    return test.compared.p is None or 2 * 0.5**test.compared.n_pairs * tests > alpha


def number(x: float | None, unit: Unit) -> str:
    """A mean in words: ``93.5 %`` or ``1.20``."""
    return "–" if x is None else f"{100 * x:z.1f} %" if unit == "share" else f"{x:z.2f}"


def signed(x: float, unit: Unit) -> str:
    """A difference: points of 100, or nats."""
    return f"{100 * x:+z.1f}" if unit == "share" else f"{x:+z.2f}"


def _observations(side: Mapping[str, float | None], units: Mapping[str, str]) -> list[Observation]:
    return [
        Observation((id, ""), units.get(id, id), x, "invalid" if x is None else "correct")
        for id, x in side.items()
    ]


def _mean(values: Sequence[float | None]) -> float | None:
    there = [x for x in values if x is not None]
    return sum(there) / len(there) if there else None


def _float(x: bool | None) -> float | None:
    return None if x is None else float(x)
