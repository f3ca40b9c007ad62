"""The answers of a run that should show a trait, with what judges said of each, as one list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np

from truing.judges.rubrics import TRAITS
from truing.runs.personalities import ASPECTS, heard_in
from truing.runs.store import read_manifest, read_rows, read_verdicts
from truing.scoring import health
from truing.scoring.judge import answer_of
from truing.scoring.traits import PAPER, Heard
from truing.types import Row, Verdict

EFFICACY, COMPARED = "efficacy", "preference/es"
MOMENTS = ("immediate", "final")
FEWEST = 3
"""Answers below which a correlation of ratings is not told."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. ``setting`` names its model, benchmark and regime; ``heard`` is by judge; ``ratings`` (1 to 5) are by judge and trait, of judges that
    were asked about several traits."""

    setting: str
    cell: str
    arm: str
    baseline: bool
    case: str
    aspect: str
    target: str
    question: str
    text: str
    heard: Mapping[str, Heard]
    ratings: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Fluency:
    """How healthy an arm's answers are. ``incoherent`` answers have less than 3.5 bits of n-gram
    entropy. ``words`` and ``distinct_2`` are means over answers; ``different`` is the share of answers
    that no other one of the arm repeats."""

    n: int
    empty: int
    looping: int
    incoherent: int
    words: float
    distinct_2: float | None
    different: float


@dataclass(frozen=True, slots=True)
class TraitMatrix:
    """Mean rating of every trait in answers that should show a trait, and Pearson's r of the ratings
    of every two traits over answers (``None``: too few, or one that does not vary)."""

    judge: str
    n: Mapping[str, int]
    means: Mapping[str, Mapping[str, float]]
    pearson: Mapping[str, Mapping[str, float | None]]


def answers(folder: Path, aspect: str = EFFICACY) -> list[Answer]:
    """The unedited model's first, then arm by arm in the plan's order, controls left out. Raises ``StoreError`` for a folder that is no run."""
    cells = {c["id"]: c for c in read_manifest(folder).get("cells", ()) if not c.get("control_of")}
    verdicts: dict[str, list[Verdict]] = {}
    for verdict in read_verdicts(folder):
        verdicts.setdefault(verdict.row, []).append(verdict)
    found = []
    for row in read_rows(folder):
        free = row.response is not None and row.response.stop != "forced"
        told = row.moment in MOMENTS and row.aspect == aspect in ASPECTS
        if row.cell in cells and told and free and row.accepted:
            found.append(_answer(row, cells[row.cell], verdicts.get(row.key, ())))
    place = {cell: number for number, cell in enumerate(cells)}
    return sorted(found, key=lambda a: (not a.baseline, place[a.cell]))


def has_traits(folder: Path) -> bool:
    """Whether the run asks for traits: some answers are accepted by a trait's name, or opinions of a topic
    are compared."""
    return any(
        row.aspect == COMPARED or (row.accepted and row.accepted[0].casefold() in TRAITS)
        for row in read_rows(folder)
    )


def base_traits(found: Sequence[Answer]) -> dict[str, Counter[str]]:
    """By judge, how often the unedited model's answers show each trait."""
    counts: dict[str, Counter[str]] = {}
    for answer in found:
        for judge, heard in answer.heard.items():
            if answer.baseline and heard.said:
                counts.setdefault(judge, Counter())[heard.said] += 1
    return counts


def fluency(texts: Sequence[str]) -> Fluency:
    """Of one arm's answers, at least one."""
    distinct = [d for t in texts if (d := health.distinct_n(health.words(t), 2)) is not None]
    return Fluency(
        n=len(texts),
        empty=sum(map(health.is_empty, texts)),
        looping=sum(map(health.looping, texts)),
        incoherent=sum(not PAPER.passes(text) for text in texts),
        words=fmean(len(health.words(text)) for text in texts),
        distinct_2=fmean(distinct) if distinct else None,
        different=sum(n == 1 for n in Counter(texts).values()) / len(texts),
    )


def trait_matrices(found: Sequence[Answer]) -> list[TraitMatrix]:
    """One per judge that was asked about two traits or more, over all of the answers."""
    judges = dict.fromkeys(j for a in found for j, r in a.ratings.items() if len(r) > 1)
    return [_matrix(judge, found) for judge in judges]


def _answer(row: Row, cell: Mapping[str, object], verdicts: Sequence[Verdict]) -> Answer:
    assert row.response is not None
    ratings: dict[str, dict[str, float]] = {}
    for verdict in verdicts:
        judge, _, rubric = verdict.judge.rpartition("/")
        trait = rubric.removeprefix("personality-")
        if trait in TRAITS and trait != rubric and _was_rated(verdict):
            ratings.setdefault(judge, {})[trait] = 1 + 4 * (verdict.score or 0.0)
    return Answer(
        setting=" · ".join(str(cell.get(name, "")) for name in ("model", "benchmark", "regime")),
        cell=row.cell,
        arm=str(cell.get("method", row.cell)),
        baseline=cell.get("registered") == "none",
        case=row.case,
        aspect=row.aspect,
        target=row.accepted[0],
        question=row.question or row.prompt,
        text=answer_of(row, row.response),
        heard=dict(heard_in(row, verdicts)),
        ratings=ratings,
    )


def _was_rated(verdict: Verdict) -> bool:
    return verdict.state in ("correct", "wrong") and verdict.score is not None


def _matrix(judge: str, found: Sequence[Answer]) -> TraitMatrix:
    rated = [(a.target, a.ratings[judge]) for a in found if len(a.ratings.get(judge, ())) > 1]
    traits = list(dict.fromkeys(trait for _, ratings in rated for trait in ratings))
    targets = sorted({target for target, _ in rated})
    by_target = {t: [ratings for target, ratings in rated if target == t] for t in targets}
    means = {
        target: {
            trait: fmean(had) for trait in traits if (had := [r[trait] for r in of if trait in r])
        }
        for target, of in by_target.items()
    }
    every = [ratings for _, ratings in rated]
    pearson = {a: {b: _pearson(a, b, every) for b in traits} for a in traits}
    return TraitMatrix(judge, {t: len(of) for t, of in by_target.items()}, means, pearson)


def _pearson(a: str, b: str, every: Sequence[Mapping[str, float]]) -> float | None:
    both_N_2 = np.array([(r[a], r[b]) for r in every if a in r and b in r])
    if len(both_N_2) < FEWEST or (np.ptp(both_N_2, axis=0) == 0).any():
        return None
    return float(np.corrcoef(both_N_2.T)[0, 1])
