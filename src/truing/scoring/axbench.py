"""The arithmetic of AxBench's steering task (Wu et al. 2025, section 4). Numerics only.

A concept is steered with every factor of a grid on every one of its instructions. The factor that is
best on the first half of the instructions is reported on the other half, never on the same. Published
code counts a grade that cannot be read as 0 and takes an unknown largest activation for 1; here the one
is missing and the other an error. Scores lie in [0, 1]; the paper's, from 0 to 2, are twice these.

Without a judge, three numbers in [0, 1] stand for its grades: :func:`standing` of the text's detector
score among texts that have the concept, :func:`fit` to the instruction, :func:`ease` of reading. They
rank texts of one model and are no grades: compare them with each other only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from truing.errors import BadInput
from truing.scoring.observations import Observation, by_key
from truing.scoring.stats import value_of
from truing.seeds import Seeds
from truing.types import State, Value

FACTORS = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.5, 3.0, 4.0, 5.0)
"""The paper's grid, in units of a concept's largest activation."""


@dataclass(frozen=True, slots=True)
class Graded:
    """The score of one text: of a concept, one of its instructions (from 0), and a factor.
    ``None``: it could not be graded."""

    concept: int
    instruction: int
    factor: float
    score: float | None


@dataclass(frozen=True, slots=True)
class AtFactor:
    """A factor on the selecting instructions: the mean of ``n`` scores, and how many are missing."""

    factor: float
    mean: float | None
    n: int
    missing: int


@dataclass(frozen=True, slots=True)
class Chosen:
    """What was selected for a concept, and what is reported. ``factor`` is ``None`` where no
    selecting text has a score; then the reporting instructions in ``unreported`` have none either."""

    concept: int
    factor: float | None
    table: tuple[AtFactor, ...]
    reported: tuple[Graded, ...]
    unreported: tuple[int, ...] = ()


def strength(factor: float, highest: float | None, whose: str) -> float:
    """``factor`` times the largest activation on the detection set, which is ``whose``.

    Raises ``BadInput`` where that is not known, not finite or not positive.
    """
    if highest is None or not math.isfinite(highest) or highest <= 0:
        raise BadInput(
            f"the largest activation of {whose} is {highest}: its factors have no unit",
            "No text of the detection set lies along it: leave it out, or read another layer.",
        )
    return factor * highest


def choose(graded: Iterable[Graded], instructions: int) -> tuple[Chosen, ...]:
    """For every concept the factor with the highest mean on its first ``instructions // 2``
    instructions (of equal ones the smallest), and its texts on the others.

    Raises ``BadInput`` for fewer than two instructions, of which no half can be kept.
    """
    if instructions < 2:
        raise BadInput(f"{instructions} instruction(s) have no two halves", "Give two or more.")
    half = instructions // 2
    by_concept: dict[int, list[Graded]] = {}
    for each in graded:
        by_concept.setdefault(each.concept, []).append(each)
    return tuple(_choose(concept, mine, half) for concept, mine in by_concept.items())


def _choose(concept: int, graded: Sequence[Graded], half: int) -> Chosen:
    selecting = [g for g in graded if g.instruction < half]
    table = tuple(_at(f, selecting) for f in sorted({g.factor for g in graded}))
    known = [(at.mean, -at.factor) for at in table if at.mean is not None]
    held = [g for g in graded if g.instruction >= half]
    if not known:
        return Chosen(concept, None, table, (), tuple(sorted({g.instruction for g in held})))
    factor = -max(known)[1]
    return Chosen(concept, factor, table, tuple(g for g in held if g.factor == factor))


def _at(factor: float, graded: Sequence[Graded]) -> AtFactor:
    mine = [g.score for g in graded if g.factor == factor]
    scores = [score for score in mine if score is not None]
    mean = math.fsum(scores) / len(scores) if scores else None
    return AtFactor(factor, mean, len(scores), len(mine) - len(scores))


def observed(chosen: Iterable[Chosen]) -> list[Observation]:
    """The reported scores, one observation per concept and instruction; concepts are clusters. Texts
    that could not be graded are invalid, those without a factor missing."""
    found = []
    for each in chosen:
        cluster = str(each.concept)
        for text in each.reported:
            state: State = "invalid" if text.score is None else "correct"
            found.append(Observation((cluster, str(text.instruction)), cluster, text.score, state))
        found += [Observation((cluster, str(i)), cluster, None, None) for i in each.unreported]
    return found


def mean_score(chosen: Iterable[Chosen], *, seeds: Seeds) -> Value:
    """The mean reported score, with a bootstrap interval over concepts."""
    return value_of(observed(chosen), seeds=seeds)


def win_rate(ours: Iterable[Chosen], theirs: Iterable[Chosen], *, seeds: Seeds) -> Value:
    """How often ours scores higher than theirs on the same concept and instruction, ties a half.

    Where either has no score the pair is invalid: counted and left out.
    """
    other = by_key(observed(theirs))
    found = []
    for mine in observed(ours):
        against = other.get(mine.key)
        if mine.score is None or against is None or against.score is None:
            found.append(Observation(mine.key, mine.cluster, None, "invalid"))
        else:
            won = 0.5 + 0.5 * ((mine.score > against.score) - (mine.score < against.score))
            found.append(Observation(mine.key, mine.cluster, won, "correct"))
    return value_of(found, seeds=seeds)


def standing(value: float, among: Sequence[float]) -> float:
    """The share of ``among`` that lies below ``value``, ties a half. Raises ``BadInput`` for none."""
    if not len(among):
        raise BadInput("nothing to compare a score with", "Give texts to compare with.")
    below = sum(each < value for each in among) + 0.5 * sum(each == value for each in among)
    return below / len(among)


def fit(own: float, others: Sequence[float]) -> float:
    """How well a text fits its instruction: 1 where the base model finds it likelier after its own
    (log-probability per token ``own``) than after any other, 0 where it does not after most."""
    return max(0.0, 2 * standing(own, others) - 1)


def ease(logprob: float, usual: Sequence[float]) -> float:
    """How easily the base model reads a text, by its log-probability per token among those of the
    model's own answers: 1 from their median on, below it twice the share that is less likely."""
    return min(1.0, 2 * standing(logprob, usual))
