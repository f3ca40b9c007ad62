"""THE loop: edit, ask, write down; for one method with one config, on one benchmark, in one regime.

Nothing here knows a method by name. Work is cut into portions whose make-up only the plan decides.
A portion whose rows are all there is skipped; any other is done again whole, in the same batches,
so that a run that was killed and resumed has the very rows of one that was not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from truing.interventions.intervention import Intervention
from truing.methods.steering.touched import Effect
from truing.runs.making import Failed, Made, Maker
from truing.runs.measuring import Measuring
from truing.runs.meter import metered
from truing.runs.regime import Regime
from truing.runs.schedule import Sheet, Stage, own_sheets, portions, requests_of, stages
from truing.runs.store import EditRecord
from truing.runs.totals import Totals
from truing.types import Case, Row


class Desk(Protocol):
    """Where results go."""

    def has(self, keys: Iterable[str]) -> bool:
        """Whether all these rows are there."""

    def failures(self, cell: str, first: int) -> Mapping[str, str]:
        """Case id to reason, for the recorded edit that begins with case number ``first``."""

    def edited(self, edit: EditRecord) -> None:
        """Take note of an edit."""

    def measured(self, cell: str, rows: Sequence[Row]) -> None:
        """Write the rows that are not there yet."""


@dataclass(frozen=True)
class Job:
    """A cell with everything it needs.

    ``refused`` maps ids of cases whose requests the method cannot take to the reason. ``at_once``
    is how many cases are edited and asked together, ``keep_every`` after how many edits of a
    chain its total is saved. ``beside`` are cases without requests, asked of a chain as it goes on.
    """

    cell: str
    regime: Regime
    cases: tuple[Case, ...]
    refused: Mapping[str, str]
    maker: Maker
    measuring: Measuring
    totals: Totals
    at_once: int
    keep_every: int
    beside: tuple[Case, ...] = ()

    def taken(self, stage: Stage) -> list[int]:
        """The stage's cases that the method can take."""
        return [i for i in stage.cases if self.cases[i].id not in self.refused]


def run(job: Job, desk: Desk) -> None:
    """Make the edits and write the rows that are not there yet."""
    if job.regime.independent:
        run_independent(job, desk)
    else:
        run_chain(job, desk)


def run_independent(job: Job, desk: Desk) -> None:
    """Every edit from the untouched model; many edits are made, and asked about, together."""
    course = stages(job.regime, job.cases)
    together = max(1, job.at_once // (job.regime.chunk or len(job.cases)))
    for at in range(0, len(course), together):
        portion = course[at : at + together]
        sheets = [sheet for stage in portion for sheet in own_sheets(job.cases, stage)]
        if desk.has(job.measuring.expected(sheets)):
            continue
        with job.measuring.model.remembering_at_once():
            made = _make_independent(job, portion, desk)
            under = [
                made[stage.number]
                if i in job.taken(stage)
                else Failed(job.refused[job.cases[i].id])
                for stage in portion
                for i in stage.cases
            ]
            rows = job.measuring.rows(sheets, under)
        desk.measured(job.cell, rows)


def run_chain(job: Job, desk: Desk) -> None:
    """Every edit on top of the ones before. An edit that fails leaves the total as it was."""
    course = stages(job.regime, job.cases)
    todo = [stage.number for stage in course if _missing(job, course, stage, desk)]
    if not todo:
        return
    made, total = job.totals.newest(up_to=todo[0])
    total = Intervention() if total is None else total
    for stage in course[max(made - 1, 0) : todo[-1]]:
        if stage.number > made:
            total = _make_next(job, stage, total, desk)
            if stage.number % job.keep_every == 0 or stage is course[-1]:
                job.totals.keep(stage.number, total)
        failed = desk.failures(job.cell, stage.cases.start)
        for portion in _missing(job, course, stage, desk):
            desk.measured(job.cell, _measure_chained(job, portion, total, failed))


def _missing(job: Job, course: Sequence[Stage], stage: Stage, desk: Desk) -> list[list[Sheet]]:
    """The stage's portions whose rows are not all there."""
    last = stage is course[-1]
    found = portions(job.regime, job.cases, stage, last, job.at_once, job.beside)
    return [portion for portion in found if not desk.has(job.measuring.expected(portion))]


def _measure_chained(
    job: Job, portion: Sequence[Sheet], total: Intervention, failed: Mapping[str, str]
) -> list[Row]:
    """Rows under ``total``. Right after a failed edit there is nothing to ask its own cases about;
    at later moments they are asked like all others."""
    with job.measuring.model.remembering_at_once():
        if failed and portion[0].moment == "immediate":
            under: list[Made] = [
                Failed(failed[sheet.case.id]) if sheet.case.id in failed else total
                for sheet in portion
            ]
            return job.measuring.rows(portion, under)
        return job.measuring.rows_under(portion, total)


def _make_independent(job: Job, portion: Sequence[Stage], desk: Desk) -> dict[int, Made]:
    """Stage number to edit; stages without a case that can be taken have none."""
    able = [stage for stage in portion if job.taken(stage)]
    with metered() as meter:
        made = job.maker.independent([requests_of(job.cases, job.taken(stage)) for stage in able])
    found = dict(zip((stage.number for stage in able), made, strict=True))
    for stage in portion:
        share = meter.seconds / max(1, len(able)) if stage in able else 0.0
        _record(job, stage, found.get(stage.number), share, meter.peak_bytes, desk)
    return found


def _make_next(job: Job, stage: Stage, total: Intervention, desk: Desk) -> Intervention:
    requests = requests_of(job.cases, job.taken(stage))
    with metered() as meter:
        made = job.maker.next(requests, total) if requests else None
    _record(job, stage, made, meter.seconds, meter.peak_bytes, desk)
    return made if isinstance(made, Intervention) else total


def _record(
    job: Job, stage: Stage, made: Made | None, seconds: float, peak: int | None, desk: Desk
) -> None:
    refused = {job.cases[i].id: job.refused.get(job.cases[i].id, "") for i in stage.cases}
    why = made.reason if isinstance(made, Failed) else ""
    done = made if isinstance(made, Intervention) else Intervention()
    desk.edited(
        EditRecord(
            cell=job.cell,
            first=stage.cases.start,
            cases=tuple(refused),
            requests=len(requests_of(job.cases, stage.cases)),
            step=stage.step,
            seconds=seconds,
            peak_bytes=peak,
            parts=len(done.parts),
            failed={case: own or why for case, own in refused.items() if own or why},
            config=dict(done.origin.config) if stage.cases.start == 0 else {},
            effect=_seen(job, stage, done),
        )
    )


def _seen(job: Job, stage: Stage, made: Intervention) -> Effect | None:
    """What an intervention does, where that is worth a look: where it acts on activations, and
    wherever one intervention is all that a cell has."""
    if not made.parts or not (made.ops or made.conditional or job.regime.chunk is None):
        return None
    cases = [*job.beside, *(job.cases[i] for i in stage.cases)]
    return job.maker.seen(made, cases)
