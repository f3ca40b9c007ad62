"""How far judges of the same rows agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from truing.judges.rubrics import rubric_of
from truing.runs.judging import protocol_of
from truing.runs.store import read_rows, read_verdicts
from truing.scoring.agreement import (
    Agreement,
    Ratings,
    cohen_kappa,
    krippendorff_alpha,
    percent_of_pairs,
)
from truing.scoring.judge import scorers_for
from truing.scoring.metrics import metric_for
from truing.seeds import Seeds
from truing.types import State, Verdict

OWN = "the row's own scorer"
STATES: tuple[State, ...] = ("correct", "wrong", "abstain", "degenerate")
"""Labels. ``invalid`` is no rating: it is missing."""
BY_STATE = frozenset({"accuracy"})


@dataclass(frozen=True, slots=True)
class Pair:
    """Two judges over the rows of one aspect that have verdicts of both. ``alpha`` compares states, or scores
    where the judges grade; ``percent`` and ``kappa`` are of states only."""

    one: str
    other: str
    aspect: str
    rows: int
    alpha: Agreement
    percent: Agreement | None = None
    kappa: Agreement | None = None


def pairs(folder: Path, judges: Sequence[str]) -> list[Pair]:
    """All pairs of ``judges`` and of the rows' own scorers that answer the same question, aspect by aspect:
    where right answers are commoner, chance agrees more often.

    Judges by different grading rubrics, or a grade and a state, are no pair.
    """
    verdicts: dict[str, dict[str, Verdict]] = {}
    case: dict[str, str] = {}
    aspect: dict[str, str] = {}
    own: dict[str, str] = {}
    for row in read_rows(folder):
        case[row.key] = row.case
        aspect[row.key] = row.aspect
        own[row.key] = scorers_for(row, protocol_of(row.protocol))[0]
    for verdict in read_verdicts(folder):
        if verdict.judge in judges:
            verdicts.setdefault(verdict.judge, {})[verdict.row] = verdict
        if own.get(verdict.row) == verdict.judge:
            verdicts.setdefault(OWN, {})[verdict.row] = verdict
    names = [name for name in (*judges, OWN) if name in verdicts]
    found = []
    for one, other in combinations(names, 2):
        kinds = {_kind(one), _kind(other)}
        if len(kinds) > 1:
            continue
        both = (one, verdicts[one]), (other, verdicts[other])
        shared: dict[str, list[str]] = {}
        for key in sorted(verdicts[one].keys() & verdicts[other].keys() & case.keys()):
            shared.setdefault(aspect[key], []).append(key)
        for name, rows in sorted(shared.items()):
            cases = [case[key] for key in rows]
            found.append(_pair(both, name, rows, cases, kinds == {"states"}))
    return found


def _kind(judge: str) -> str:
    """What may be compared: states, or the grades of one metric."""
    metric = metric_for("question", judge)
    return "states" if judge == OWN or metric in BY_STATE else str(rubric_of(judge))


def _pair(
    judges: tuple[tuple[str, Mapping[str, Verdict]], tuple[str, Mapping[str, Verdict]]],
    aspect: str,
    rows: Sequence[str],
    cases: Sequence[str],
    by_state: bool,
) -> Pair:
    (one, ones), (other, others) = judges
    seeds = Seeds(0, ("judges", one, other))
    if not by_state:
        scores = [(ones[row].score, others[row].score) for row in rows]
        labels = sorted({score for pair in scores for score in pair if score is not None})
        ratings = Ratings.of(scores, labels, raters=(one, other), clusters=cases)
        alpha = krippendorff_alpha(ratings, "interval", seeds=seeds)
        return Pair(one, other, aspect, len(rows), alpha)
    states = [(_label(ones[row]), _label(others[row])) for row in rows]
    ratings = Ratings.of(states, STATES, raters=(one, other), clusters=cases)
    return Pair(
        one, other, aspect, len(rows), krippendorff_alpha(ratings, seeds=seeds),
        percent_of_pairs(ratings, seeds=seeds), cohen_kappa(ratings, seeds=seeds),
    )  # fmt: skip


def _label(verdict: Verdict) -> State | None:
    return None if verdict.state == "invalid" else verdict.state
