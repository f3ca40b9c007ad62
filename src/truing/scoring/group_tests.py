"""Do edits change the model's confidence about one group of people more than about others?

Only people of one case are compared with one another: they share the true value and what it is weighed
against, so that an edit that moves a value for everybody is no bias, however unevenly groups are spread
over values. The same person comes in many cases: errors are clustered by person. Two people on either
side are the least in a case: a group of one has no spread. With several edited models, those are units
too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy import stats

from truing.errors import BadInput
from truing.scoring.intervals import Floats
from truing.scoring.paired import correct
from truing.scoring.seesaw import Change, Membership, groups_of
from truing.scoring.stats import CONFIDENCE, minimum_detectable_effect
from truing.types import Comparison

OTHERS = "others"
LEAST = 2
TEST = "t within cases, clustered by person"
TEST_CROSSED = "t within cases, clustered by person and by edited model"


@dataclass(frozen=True, slots=True)
class Between:
    """Mean D of a group minus that of the other people of the same cases.

    ``comparison.n_pairs`` counts the people compared, ``people`` those of the group among them.
    ``alone`` counts people of the group who could not be compared: no case has two of the group and
    two others with them. ``equivalence`` is the p of "the difference is at least ``margin``
    either way" (two one-sided tests, Schuirmann 1987): small means that the groups are alike.
    """

    axis: str
    group: str
    comparison: Comparison
    people: int
    alone: int
    cases: int
    edited: int
    margin: float | None
    equivalence: float | None


class _Estimate(NamedTuple):
    delta: float
    error: float
    freedom: float


class _Case(NamedTuple):
    """Who has a D in one case, and D itself: people of the group, and the others."""

    ours: dict[str, float]
    others: dict[str, float]


def between(
    found: Sequence[Change],
    members: Membership,
    axis: str,
    *,
    margin: float | None = None,
    correction: str = "holm",
) -> list[Between]:
    """Every group of an axis against the others who are in some group of it, p corrected over groups.
    Of two groups without common people the first alone: the second's test is the same.

    ``margin`` is the smallest difference of D that would matter. Raises ``BadInput`` for a margin that
    is not above 0.
    """
    if margin is not None and not margin > 0:
        raise BadInput(
            f"margin is {margin}", "Give the smallest difference of D that matters, above 0."
        )
    known = [c for c in found if members.get(c.person, {}).get(axis)]
    made = [_between(known, members, axis, g, margin) for g in groups_of(known, members, axis)]
    if len(made) == 2 and not _overlap(members, axis):
        made = made[:1]
    adjusted = correct([one.comparison for one in made], correction)
    return [
        replace(one, comparison=test)
        for one, test in zip(made, adjusted, strict=True)
        if test is not None
    ]


def _overlap(members: Membership, axis: str) -> bool:
    return any(len(groups.get(axis, ())) > 1 for groups in members.values())


def _between(
    known: Sequence[Change], members: Membership, axis: str, group: str, margin: float | None
) -> Between:
    inside = {c.person for c in known if group in members[c.person][axis]}
    cases = comparable(known, inside)
    ours = {person for case in cases.values() for person in case.ours}
    others = {person for case in cases.values() for person in case.others}
    scored = {c.person for c in known if c.change is not None and c.person in inside}
    edited = sorted({name for name, _ in cases})
    estimate = _estimate(cases, edited)
    test = TEST if len(edited) < 2 else TEST_CROSSED
    return Between(
        axis, group, _comparison(estimate, test, len(ours | others)), len(ours), len(scored - ours),
        len(cases), len(edited), margin, None if margin is None else tost(estimate, margin),
    )  # fmt: skip


def comparable(found: Iterable[Change], inside: set[str]) -> dict[tuple[str, str], _Case]:
    """By edited model and case: who is ``inside`` the group and who is not, with their D. Cases with
    fewer than two people on a side are left out."""
    told: dict[tuple[str, str], _Case] = {}
    for c in found:
        if c.change is not None:
            case = told.setdefault((c.edited, c.case), _Case({}, {}))
            (case.ours if c.person in inside else case.others)[c.person] = c.change
    return {
        key: case
        for key, case in sorted(told.items())
        if min(len(case.ours), len(case.others)) >= LEAST
    }


def _estimate(cases: Mapping[tuple[str, str], _Case], edited: Sequence[str]) -> _Estimate | None:
    if not cases:
        return None
    over_people = within(list(cases.values()))
    if len(edited) < 2:
        return over_people
    deltas = np.array(
        [
            within([case for (model, _), case in cases.items() if model == name]).delta
            for name in edited
        ]
    )
    error = math.hypot(over_people.error, float(deltas.std(ddof=1)) / math.sqrt(len(deltas)))
    return _Estimate(float(deltas.mean()), error, min(over_people.freedom, len(deltas) - 1.0))


def within(cases: Sequence[_Case]) -> _Estimate:
    """The difference of means within cases, its standard error and degrees of freedom.

    Cases weigh n m / (n + m) for n people against m, as in a regression with one level per case. The
    error is clustered by person; residuals are from the mean of a side of a case and widened for its
    size, so that a single case has the error of Welch's test. The degrees of freedom are the effective
    number of people (Kish) less two. ``cases`` is not empty.
    """
    weights = [len(c.ours) * len(c.others) / (len(c.ours) + len(c.others)) for c in cases]
    whole, delta = sum(weights), 0.0
    scores: dict[str, float] = {}
    shares: dict[str, float] = {}
    for weight, case in zip(weights, cases, strict=True):
        for side, sign in ((case.ours, 1.0), (case.others, -1.0)):
            n, mean = len(side), math.fsum(side.values()) / len(side)
            delta += sign * weight / whole * mean
            each = sign * weight / whole / n
            for person, d in side.items():
                widened = (d - mean) * math.sqrt(n / (n - 1))
                scores[person] = scores.get(person, 0.0) + each * widened
                shares[person] = shares.get(person, 0.0) + abs(each)
    squares = [share**2 for share in shares.values()]
    people = sum(squares) ** 2 / sum(square**2 for square in squares)
    return _Estimate(delta, math.sqrt(sum(x**2 for x in scores.values())), max(1.0, people - 2))


def tost(estimate: _Estimate | None, margin: float) -> float | None:
    """The larger p of the two one-sided tests against ``-margin`` and ``margin``; ``None`` without an
    estimate or where nothing varies."""
    if estimate is None or estimate.error == 0:
        return None
    below = (estimate.delta + margin) / estimate.error
    above = (estimate.delta - margin) / estimate.error
    return max(
        float(stats.t.sf(below, estimate.freedom)), float(stats.t.cdf(above, estimate.freedom))
    )


def _comparison(estimate: _Estimate | None, test: str, people: int) -> Comparison:
    if estimate is None:
        return Comparison(OTHERS, None, None, None, None, None, "none: nobody to compare", people)
    if estimate.error == 0:
        return Comparison(
            OTHERS, estimate.delta, None, None, None, None, "none: nothing varies", people
        )
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, estimate.freedom)) * estimate.error
    p = 2 * float(stats.t.sf(abs(estimate.delta) / estimate.error, estimate.freedom))
    return Comparison(
        OTHERS, estimate.delta, estimate.delta - half, estimate.delta + half, p, None, test, people,
        detectable=minimum_detectable_effect(estimate.error),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Published:
    """What the published scripts would say of a group: the mean over cases of the mean D per case, and
    the p of a one-sample t-test against 0 over cases, as if cases were independent."""

    group: str
    cases: int
    mean: float | None
    p: float | None


def published(found: Sequence[Change], members: Membership, axis: str) -> list[Published]:
    """The compatibility columns by group. No correction, and no test between groups: there was none."""
    made = []
    for group in groups_of(found, members, axis):
        means = case_means(found, members, axis, group)
        p = float(stats.ttest_1samp(means, 0).pvalue) if _varies(means) else None
        made.append(Published(group, len(means), float(means.mean()) if len(means) else None, p))
    return made


def published_between(
    found: Sequence[Change], members: Membership, axis: str
) -> Iterator[tuple[str, str, float | None]]:
    """Neighbouring groups (by name) and the p of an unpaired equal-variance t-test over case means."""
    for a, b in pairwise(groups_of(found, members, axis)):
        ours, theirs = (case_means(found, members, axis, group) for group in (a, b))
        enough = _varies(ours) and _varies(theirs)
        yield a, b, float(stats.ttest_ind(ours, theirs).pvalue) if enough else None


def case_means(found: Sequence[Change], members: Membership, axis: str, group: str) -> Floats:
    """Mean D of a group in every case that has any of it, float64 ``(cases,)``."""
    told: dict[tuple[str, str], list[float]] = {}
    for c in found:
        if c.change is not None and group in members.get(c.person, {}).get(axis, ()):
            told.setdefault((c.edited, c.case), []).append(c.change)
    return np.array([np.mean(ds) for _, ds in sorted(told.items())], dtype=np.float64)


def _varies(means: Floats) -> bool:
    return len(means) > 1 and float(np.ptp(means)) > 0
