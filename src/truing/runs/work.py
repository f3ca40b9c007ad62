"""Doing cells of a plan with one loaded model: what every worker of a run does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from truing.errors import BadInput, CannotLoad, NotPossible
from truing.models.subject import Subject
from truing.runs.cell import Desk, Job, run
from truing.runs.cells import Cell
from truing.runs.events import CellFailed, CellStarted, EditsMade, Note
from truing.runs.jobs import job_for
from truing.runs.noise import noise_rows, noise_sheets, sample
from truing.runs.prepare import Prepared
from truing.seeds import Seeds
from truing.types import Case


@dataclass(frozen=True, slots=True)
class Written:
    """``rows`` new rows of a cell are on disk."""

    cell: str
    rows: int


Message = CellStarted | CellFailed | EditsMade | Note | Written
"""What a worker tells the run's owner."""


def noise_sample(prepared: Prepared, cell: Cell) -> list[Case]:
    """The cases whose base answers are asked for twice: once per model and benchmark, beside the
    first baseline, from the benchmark and from each capability set. Empty for other cells."""
    plan = prepared.plan
    first = plan.regimes[0], plan.seeds[0]
    if not cell.is_baseline or (cell.regime, cell.seed) != first or plan.noise_sample < 1:
        return []
    return [
        case
        for cases in prepared.apart(cell)
        for case in sample(cases, plan.noise_sample, Seeds(cell.seed))
    ]


def rows_planned(prepared: Prepared, cell: Cell) -> int:
    """How many rows a cell gives, those of the noise floor included."""
    noise = sum(map(prepared.rows_of, noise_sample(prepared, cell)))
    return prepared.rows(cell) + noise


@dataclass
class CellWork:
    """Cells of ``prepared``, all of one model. ``facts`` are the manifest's account of the model,
    ``folder`` is the run's."""

    prepared: Prepared
    model: Subject
    facts: Mapping[str, Any]
    folder: Path
    desk: Desk
    _jobs: dict[str, Job] = field(default_factory=dict)

    def job(self, cell: Cell) -> Job:
        if cell.id not in self._jobs:
            self._jobs[cell.id] = job_for(self.prepared, cell, self.model, self.facts, self.folder)
        return self._jobs[cell.id]

    def messages(self, cells: Iterable[Cell]) -> Iterable[Message]:
        """Do ``cells``; tell which begins and which cannot be done."""
        numbers = {cell.id: i for i, cell in enumerate(self.prepared.plan.cells(), 1)}
        for cell in cells:
            yield CellStarted(cell.id, str(cell), numbers[cell.id], len(numbers))
            try:
                run(self.job(cell), self.desk)
                self._measure_noise(cell)
            except (NotPossible, BadInput, CannotLoad) as error:
                yield CellFailed(cell.id, str(cell), error.what)

    def _measure_noise(self, cell: Cell) -> None:
        cases = noise_sample(self.prepared, cell)
        if not cases:
            return
        measuring, sheets = self.job(cell).measuring, noise_sheets(cases)
        if not self.desk.has(measuring.expected(sheets)):
            with self.model.remembering_at_once():
                rows = noise_rows(measuring, sheets)
            self.desk.measured(cell.id, rows)
