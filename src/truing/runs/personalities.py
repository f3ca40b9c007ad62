"""What a run's edits did to the traits that answers show, against the unedited model on the same
questions; kept in the summary's ``meta``. Reads rows and verdicts once more, since it needs the texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from truing.runs.judging import protocol_of
from truing.runs.store import read_rows, read_verdicts
from truing.runs.tally import Place
from truing.scoring.correlation import correlations
from truing.scoring.judge import answer_of
from truing.scoring.readings import readings_for
from truing.scoring.traits import (
    GATES,
    Heard,
    Pair,
    heard_by_classifier,
    pae,
    paired,
    rated,
    shown,
    tpei,
)
from truing.seeds import Seeds
from truing.types import Moment, Row, Verdict

OF_TOPIC = ("efficacy", "generalization")
"""Aspects about the topic that was edited."""
ASPECTS = (*OF_TOPIC, "leakage")
CLASSIFIER, RUBRIC, PUBLISHED = "classifier:", "personality", "-published"
TARGET = ""
"""Stands for the trait that each answer should show."""
READ_OFF = ("es", "z-per", "drawdown")
"""Readings that are correlated with what judges say."""


class _Column(NamedTuple):
    """One judge of one place. Judges that differ only in the trait they rate are one."""

    place: Place
    judge: str


class _Arm(NamedTuple):
    """What is correlated together: one cell at one moment."""

    cell: str
    moment: Moment
    step: int


Numbers = dict[_Arm, dict[str, dict[str, list[float]]]]
"""By arm, metric and case: one number per probe."""


def personalities(folder: Path, cells: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One record per edited cell, place and judge: ``shown`` (:class:`truing.scoring.traits.Shown`)
    by classifiers, ``rated`` by judges that rate, a column each for all pairs and for every gate;
    ``unpaired`` answers have none of the unedited model beside them. Then one record per edited cell
    and moment with the ``correlations`` of its metrics. Edits of one topic are one unit of every
    interval and of the correlations; without topics, cases are.

    Empty where no judge was asked which trait answers show. ``cells`` is the manifest's account of
    them, by id.
    """
    verdicts: dict[str, list[Verdict]] = {}
    for verdict in read_verdicts(folder):
        if _hears(verdict.judge):
            verdicts.setdefault(verdict.row, []).append(verdict)
    if not verdicts:
        return []
    columns: dict[_Column, list[Heard]] = {}
    numbers: Numbers = {}
    topics: dict[str, str] = {}
    for row in read_rows(folder):
        if row.moment == "base":
            continue
        if row.aspect in OF_TOPIC:
            topics[row.case] = _cluster(row)
        _note(numbers, row)
        for judge, heard in heard_in(row, verdicts.get(row.key, ())):
            columns.setdefault(_Column(_place(row), judge), []).append(heard)
    records = []
    edited: set[_Arm] = set()
    for column, ours in columns.items():
        baseline = baseline_of(column.place.cell, cells)
        if baseline is None or baseline == column.place.cell:
            continue
        there = _Column(column.place._replace(cell=baseline), column.judge)
        edited.add(_arm(column.place))
        ours = [replace(h, cluster=topics.get(h.key[0], h.cluster)) for h in ours]
        pairs = paired(sorted(ours, key=lambda h: h.key), columns.get(there, []))
        records.append(_record(column, pairs, len(ours) - len(pairs)))
        if column.place.aspect == "efficacy":
            _note_pairs(numbers, column, pairs)
    return [
        *records,
        *(_correlated(arm, numbers[arm], topics) for arm in sorted(numbers) if arm in edited),
    ]


def _hears(judge: str) -> bool:
    return judge.startswith(CLASSIFIER) or _trait_of(judge) is not None


def _trait_of(judge: str) -> str | None:
    """The trait that a judge rates, or ``TARGET``; ``None`` for judges that rate none."""
    rubric = judge.rpartition("/")[2].removesuffix(PUBLISHED)
    if judge.startswith(CLASSIFIER) or rubric.partition("-")[0] != RUBRIC:
        return None
    return rubric.partition("-")[2]


def heard_in(row: Row, verdicts: Sequence[Verdict]) -> Iterator[tuple[str, Heard]]:
    """What each judge heard in a row that should show a trait, with the column's name, each once."""
    if row.aspect not in ASPECTS or not row.accepted or row.response is None:
        return
    text = answer_of(row, row.response)
    passes = frozenset(gate.name for gate in GATES if gate.passes(text))
    found: dict[str, Heard] = {}
    for verdict in verdicts:
        plain = Heard(
            (row.case, row.probe), _cluster(row), row.accepted[0], passes, verdict.state, verdict.score
        )  # fmt: skip
        trait = _trait_of(verdict.judge)
        if trait is None:
            kept = heard_by_classifier(verdict.raw)
            found[verdict.judge] = plain if kept is None else _classified(plain, *kept)
        elif trait.casefold() in (TARGET, plain.target.casefold()):
            said = verdict.state in ("correct", "wrong") and verdict.score is not None
            rating = 1 + 4 * (verdict.score or 0.0) if said else None
            published = PUBLISHED if verdict.judge.endswith(PUBLISHED) else ""
            name = f"{verdict.judge.rpartition('/')[0]}/{RUBRIC}{published}"
            found[name] = replace(plain, rating=rating)
    yield from found.items()


def _cluster(row: Row) -> str:
    """The topic that was edited, where the row is about it and names it; else the case."""
    return row.group if row.group is not None and row.aspect in OF_TOPIC else row.case


def _classified(plain: Heard, shares: Mapping[str, float], temperature: float) -> Heard:
    """With the target spelled as the label is."""
    spelled = {label.casefold(): label for label in shares}
    target = spelled.get(plain.target.casefold(), plain.target)
    return replace(plain, target=target, shares=shares, temperature=temperature)


def _place(row: Row) -> Place:
    step = 1 if row.moment == "immediate" else row.step
    return Place(row.cell, row.protocol, row.aspect, row.moment, step)


def _record(column: _Column, pairs: list[Pair], unpaired: int) -> dict[str, Any]:
    place = column.place
    seeds = Seeds(0, ("personality", place.protocol, place.aspect, place.moment, column.judge))
    names = (None, *(gate.name for gate in GATES))
    record = {**place._asdict(), "judge": column.judge, "unpaired": unpaired}
    if column.judge.startswith(CLASSIFIER):
        return {**record, "shown": [_plain(shown(pairs, name, seeds=seeds)) for name in names]}
    return {**record, "rated": [asdict(rated(pairs, name, seeds=seeds)) for name in names]}


def _plain(found: Any) -> dict[str, Any]:
    kept = replace(found, recall=dict(found.recall), confusion=dict(found.confusion))
    return asdict(kept)


def _note(numbers: Numbers, row: Row) -> None:
    """Keep the readings that are correlated."""
    for reading in readings_for(protocol_of(row.protocol), row):
        value = reading.of(row) if reading.metric in READ_OFF else None
        if value is not None:
            _add(numbers, _arm(_place(row)), reading.metric, row.case, value)


def _note_pairs(numbers: Numbers, column: _Column, pairs: list[Pair]) -> None:
    told: dict[str, Callable[[Heard, Heard], float | None]] = {
        "accuracy": lambda now, _: now.score,
        "tpei": tpei,
        "pae": pae,
    }
    for metric, measure in told.items():
        for pair in pairs:
            value = measure(*pair)
            if value is not None:
                _add(numbers, _arm(column.place), metric, pair[0].key[0], value)


def _add(numbers: Numbers, arm: _Arm, metric: str, case: str, value: float) -> None:
    numbers.setdefault(arm, {}).setdefault(metric, {}).setdefault(case, []).append(value)


def _arm(place: Place) -> _Arm:
    return _Arm(place.cell, place.moment, place.step)


def _correlated(
    arm: _Arm, numbers: Mapping[str, Mapping[str, list[float]]], topics: Mapping[str, str]
) -> dict[str, Any]:
    """Of the mean over each unit's probes."""
    means: dict[str, dict[str, float]] = {}
    for metric, by_case in sorted(numbers.items()):
        by_topic: dict[str, list[float]] = {}
        for case, values in by_case.items():
            by_topic.setdefault(topics.get(case, case), []).extend(values)
        means[metric] = {topic: fmean(values) for topic, values in by_topic.items()}
    found = correlations(means, seeds=Seeds(0, ("personality", "correlations")))
    return {**arm._asdict(), "correlations": [asdict(each) for each in found]}


def baseline_of(cell: str, cells: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The unedited cell of the same model, benchmark, regime and seed."""
    mine = cells.get(cell, {})
    return next(
        (
            ident
            for ident, other in cells.items()
            if other.get("registered") == "none"
            and all(other.get(k) == mine.get(k) for k in ("model", "benchmark", "regime", "seed"))
        ),
        None,
    )
