"""Rows and verdicts reduced to what statistics need, in one pass and without the texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from truing.benchmarks.capability.sets import HEAD
from truing.judges.rubrics import for_comparison_only
from truing.runs.judging import protocol_of
from truing.scoring.judge import ASKED, scorers_for
from truing.scoring.observations import Observation, clusters_of
from truing.scoring.readings import readings_for
from truing.scoring.said import Answered, answered
from truing.types import Moment, Response, Row, State, Verdict

OF_MORALS = ("efficacy", "moral", "impact")
SAME_LOGPROB = 1e-3
"""Nats. Differences of log-probabilities below this are rounding, not an effect."""


class Place(NamedTuple):
    """What rows must share before their scores may be averaged. Right after its own edit every case
    is at another step of a chain; those rows belong together, and ``step`` is 1."""

    cell: str
    protocol: str
    aspect: str
    moment: Moment
    step: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One row without its texts, and its numbers: (score, state) by judge, value by reading.

    ``said`` is which label its answer says, where it is a question of morals."""

    row: Row
    answered: bool
    scores: Mapping[str, tuple[float | None, State]]
    readings: Mapping[str, float | None]
    said: Answered | None = None


@dataclass
class Tally:
    """``judges`` holds each place's judges, the main one first, with whether they are there for
    compatibility only. ``moved`` says whether any answer is another than the base model's, by
    (cell, moment, step, head of the aspect). ``noise`` holds the rows of the noise floor, whole."""

    entries: dict[Place, list[Entry]] = field(default_factory=dict)
    judges: dict[Place, dict[str, bool]] = field(default_factory=dict)
    moved: dict[tuple[str, Moment, int, str], bool] = field(default_factory=dict)
    noise: dict[tuple[str, str, str], list[Row]] = field(default_factory=dict)

    def add(self, row: Row, verdicts: Iterable[Verdict]) -> None:
        """Count one row with what its judges say."""
        if row.moment == "base":
            self.noise.setdefault((row.cell, row.protocol, row.aspect), []).append(row)
            return
        step = 1 if row.moment == "immediate" else row.step
        place = Place(row.cell, row.protocol, row.aspect, row.moment, step)
        protocol = protocol_of(row.protocol)
        own = tuple(judge for judge in scorers_for(row, protocol) if judge != ASKED)
        scores = {v.judge: (v.score, v.state) for v in verdicts}
        judges = self.judges.setdefault(place, {})
        if row.response is not None or not judges:
            for judge in (*own, *(judge for judge in scores if judge != ASKED)):
                judges.setdefault(judge, judge in own[1:] or for_comparison_only(judge))
        readings = {r.metric: r.of(row) for r in readings_for(protocol, row)}
        slim = replace(row, prompt="", accepted=(), response=None, base=None)
        said = answered(row) if row.aspect in OF_MORALS else None
        entry = Entry(slim, row.response is not None, scores, readings, said)
        self.entries.setdefault(place, []).append(entry)
        where = (row.cell, row.moment, step, row.aspect.partition("/")[0])
        self.moved[where] = self.moved.get(where, False) or differs(row.response, row.base)

    def put_in_order(self, cells: Sequence[str]) -> None:
        """Forget in which order, and by which worker, rows were written: random draws of the
        statistics depend on the order of observations."""
        number = {cell: i for i, cell in enumerate(cells)}
        places = sorted(self.entries, key=lambda place: number.get(place.cell, len(number)))
        self.entries = {
            place: sorted(self.entries[place], key=lambda entry: entry.row.key) for place in places
        }
        self.judges = {place: self.judges[place] for place in places}
        self.noise = {
            where: sorted(rows, key=lambda row: row.key) for where, rows in self.noise.items()
        }

    def add_parents(self) -> None:
        """Also count ``portability`` as a whole where it has several parts. Capability sets, and
        preference for a letter or for an answer, are no parts of one number."""
        parts: dict[Place, list[Place]] = {}
        for place in self.entries:
            parts.setdefault(place._replace(aspect=place.aspect.partition("/")[0]), []).append(
                place
            )
        for whole, places in parts.items():
            if len(places) < 2 or whole.aspect in (HEAD, "preference"):
                continue
            entries = [entry for place in places for entry in self.entries[place]]
            judges = {j: c for place in places for j, c in self.judges[place].items()}
            self.entries[whole], self.judges[whole] = entries, judges

    def unmoved(self, place: Place) -> bool:
        """Whether no answer of the place's cell at this moment shows any effect on the edit
        prompts (on any prompt, where none are asked)."""
        cell, moment, step = place.cell, place.moment, place.step
        edit_prompts = self.moved.get((cell, moment, step, "efficacy"))
        if edit_prompts is not None:
            return not edit_prompts
        return not any(
            moved for where, moved in self.moved.items() if where[:3] == (cell, moment, step)
        )


def crossed(entries: Sequence[Entry]) -> bool:
    """Whether several edits are asked the same questions, so that no part of them is independent."""
    found = clusters_of([entry.row for entry in entries])
    return len(found) > 1 and len(set(found.values())) == 1


def by_edit_and_question(
    entries: Sequence[Entry], observations: Sequence[Observation]
) -> list[Observation]:
    """``observations`` of the entries, in order, with the edit and the question as their keys."""
    return [
        replace(seen, key=(entry.row.case, entry.row.group or entry.row.probe))
        for entry, seen in zip(entries, observations, strict=True)
    ]


def _clusters(entries: Sequence[Entry]) -> Mapping[str, str]:
    """Of every case its independent unit; crossed ones are compared edit by edit."""
    if crossed(entries):
        return {entry.row.case: entry.row.case for entry in entries}
    return clusters_of([entry.row for entry in entries])


def scored(entries: Sequence[Entry], judge: str) -> list[Observation]:
    """One observation per row with the score of ``judge``; invalid without an answer, missing
    without a verdict."""
    clusters = _clusters(entries)
    found = []
    for entry in entries:
        unscored: State | None = None if entry.answered else "invalid"
        score, state = entry.scores.get(judge, (None, unscored))
        row = entry.row
        found.append(Observation((row.case, row.probe), clusters[row.case], score, state))
    return found


def read_off(entries: Sequence[Entry], metric: str) -> list[Observation]:
    """One observation per row with the number of one reading."""
    clusters = _clusters(entries)
    found = []
    for entry in entries:
        value, row = entry.readings.get(metric), entry.row
        state: State = "invalid" if value is None else "correct"
        found.append(Observation((row.case, row.probe), clusters[row.case], value, state))
    return found


def differs(response: Response | None, base: Response | None) -> bool:
    """Whether an answer is another than the base model's, beyond rounding."""
    if response is None or base is None:
        return False
    if (response.text, response.predicted, response.token_ids, response.stop) != (
        base.text, base.predicted, base.token_ids, base.stop,
    ):  # fmt: skip
        return True
    ours = [*response.logprobs, *(c.logprob for c in response.choices)]
    theirs = [*base.logprobs, *(c.logprob for c in base.choices)]
    return len(ours) != len(theirs) or any(
        abs(a - b) > SAME_LOGPROB for a, b in zip(ours, theirs, strict=True)
    )
