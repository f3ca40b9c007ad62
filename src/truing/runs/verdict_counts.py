"""What judges said of a run, counted by aspect: aspects ask for different things."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from truing.judges.rubrics import RUBRICS, rubric_of
from truing.judges.rubrics.both_orders import InBothOrders
from truing.judges.rubrics.personality import OfTarget
from truing.judges.rubrics.scale import Scale
from truing.runs.store import read_rows, read_verdicts
from truing.types import Verdict

MANY = 0.5
"""Share of a judge's verdicts beyond which invalid ones are many."""


@dataclass(frozen=True, slots=True)
class Count:
    """What one judge said of one aspect. ``n`` rows have its verdict; ``mean`` is over scored ones.
    ``labels`` counts ``correct`` and ``wrong`` by what the judge's rubric calls them, the highest score
    first; empty for rubrics that say no more than right or wrong."""

    judge: str
    aspect: str
    n: int
    correct: int
    wrong: int
    abstain: int
    invalid: int
    degenerate: int
    mean: float | None
    labels: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A judge most of whose verdicts are invalid: of how many, the commonest reason, and one reply with
    that reason (``None``: nothing was replied)."""

    judge: str
    invalid: int
    n: int
    why: str
    reply: str | None


def counts(folder: Path, judges: Sequence[str]) -> list[Count]:
    """By judge and aspect, in the order of ``judges``. A judge that said nothing has no count."""
    aspects = {row.key: row.aspect for row in read_rows(folder)}
    said: dict[str, dict[str, list[Verdict]]] = {judge: {} for judge in judges}
    for verdict in read_verdicts(folder):
        if verdict.judge in said and verdict.row in aspects:
            said[verdict.judge].setdefault(aspects[verdict.row], []).append(verdict)
    return [
        _count(judge, aspect, verdicts)
        for judge, by_aspect in said.items()
        for aspect, verdicts in by_aspect.items()
    ]


def unreadable(folder: Path, judges: Sequence[str]) -> list[Unreadable]:
    """Those of ``judges`` more than half of whose verdicts are invalid."""
    n: Counter[str] = Counter()
    invalid: dict[str, list[Verdict]] = {judge: [] for judge in judges}
    for verdict in read_verdicts(folder):
        n[verdict.judge] += 1
        if verdict.judge in invalid and verdict.state == "invalid":
            invalid[verdict.judge].append(verdict)
    found = []
    for judge, verdicts in invalid.items():
        if len(verdicts) > MANY * n[judge]:
            [(why, _)] = Counter(v.why for v in verdicts).most_common(1)
            replies = (v.raw for v in verdicts if v.why == why and v.raw)
            reply = next(replies, None) if rubric_of(judge) else None
            found.append(Unreadable(judge, len(verdicts), n[judge], why, reply))
    return found


def _count(judge: str, aspect: str, verdicts: Sequence[Verdict]) -> Count:
    states = Counter(v.state for v in verdicts)
    scores = [v.score for v in verdicts if v.score is not None]
    told = [v.score for v in verdicts if v.state in ("correct", "wrong") and v.score is not None]
    return Count(
        judge, aspect, len(verdicts), states["correct"], states["wrong"], states["abstain"],
        states["invalid"], states["degenerate"], fmean(scores) if scores else None,
        _by_label(_labels(judge), told),
    )  # fmt: skip


def _labels(judge: str) -> tuple[str, ...]:
    """What the scores of a judge stand for, evenly from 1 to 0; empty where they are right and wrong."""
    name = rubric_of(judge)
    rubric = None if name is None else RUBRICS.get(name)
    if isinstance(rubric, InBothOrders):
        return rubric.verdicts
    return rubric.labels[::-1] if isinstance(rubric, Scale | OfTarget) else ()


def _by_label(labels: Sequence[str], scores: Sequence[float]) -> dict[str, int]:
    """How many scores are nearest to each label's."""
    if not labels:
        return {}
    found = Counter(labels[round((1 - score) * (len(labels) - 1))] for score in scores)
    return {label: found[label] for label in labels}
