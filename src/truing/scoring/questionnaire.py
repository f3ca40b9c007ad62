"""What answers to a questionnaire say: the mean of each domain, how well its items agree, and how much
it moved.

Alpha is over respondents that a model plays; it is not that of a population of people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from truing.scoring.intervals import Floats
from truing.scoring.observations import Observation
from truing.scoring.stats import CONFIDENCE, value_of
from truing.seeds import Seeds
from truing.types import Value

ALIKE = 1e-9
"""A variance of totals below this is none."""


@dataclass(frozen=True, slots=True)
class Alpha:
    """Cronbach's alpha with its 95 % interval (Feldt 1965, Psychometrika 30); ``None`` where respondents
    do not differ."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Domain:
    """``mean`` of keyed answers, 1 to 5, with an interval over items. ``shift`` is the change of the
    same items from before, ``None`` for what is compared with."""

    name: str
    items: int
    mean: Value
    alpha: Alpha
    shift: Value | None = None


def keyed(answers_R_I: Floats, reversed_I: Sequence[bool]) -> Floats:
    """Answers of 1 to 5 (respondents, items), those to reversed items turned round."""
    turned: Floats = np.where(np.asarray(reversed_I, bool), 6.0 - answers_R_I, answers_R_I)
    return turned


def domains(
    keyed_R_I: Floats,
    names: Sequence[str],
    *,
    before_R_I: Floats | None = None,
    seeds: Seeds,
) -> list[Domain]:
    """Every domain of ``names`` (one per item), in order of appearance. ``before_R_I``: the keyed
    answers to the same items of what it is compared with."""
    found = []
    for name in dict.fromkeys(names):
        mine = [i for i, other in enumerate(names) if other == name]
        own_R_I = keyed_R_I[:, mine]
        mean_I = own_R_I.mean(0)
        shift = None
        if before_R_I is not None:
            shift = _mean_of(mean_I - before_R_I[:, mine].mean(0), seeds.child(name).child("shift"))
        found.append(
            Domain(
                name,
                len(mine),
                _mean_of(mean_I, seeds.child(name)),
                alpha(own_R_I),
                shift,
            )
        )
    return found


def alpha(keyed_R_I: Floats) -> Alpha:
    """Cronbach's alpha of items (columns) over respondents (rows)."""
    rows, items = keyed_R_I.shape
    if rows < 2 or items < 2:
        return Alpha(None)
    total = float(keyed_R_I.sum(1).var(ddof=1))
    if total < ALIKE:
        return Alpha(None)
    value = items / (items - 1) * (1 - float(keyed_R_I.var(0, ddof=1).sum()) / total)
    tail, freedom = (1 - CONFIDENCE) / 2, (rows - 1, (rows - 1) * (items - 1))
    low, high = (1 - (1 - value) * float(stats.f.ppf(q, *freedom)) for q in (1 - tail, tail))
    return Alpha(value, low, high)


def said(logprobs: Mapping[int, float]) -> float:
    """The expected answer (1 to 5) of log-probabilities by answer, from 0."""
    top = max(logprobs.values())
    shares = {i: float(np.exp(x - top)) for i, x in logprobs.items()}
    return 1 + sum(i * p for i, p in shares.items()) / sum(shares.values())


def _mean_of(values_I: Floats, seeds: Seeds) -> Value:
    seen = [Observation((str(i), ""), str(i), float(x), "correct") for i, x in enumerate(values_I)]
    return value_of(seen, seeds=seeds, bounded=False)
