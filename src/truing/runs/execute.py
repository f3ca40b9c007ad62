"""Running a plan from beginning to end, or on from where it stopped."""

from __future__ import annotations

import shlex
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from truing.errors import BadInput, NotPossible
from truing.models.handle import Model
from truing.runs import manifest as manifests
from truing.runs.asking import remembering_at_once
from truing.runs.cell import Job, run
from truing.runs.desk import RunDesk
from truing.runs.events import (
    CellFailed,
    CellStarted,
    Interrupted,
    Note,
    OnEvent,
    RunFinished,
    RunStarted,
    quiet,
)
from truing.runs.interrupts import Interrupts
from truing.runs.jobs import job_for, load_model, refuse_bad_requests
from truing.runs.judging import complete
from truing.runs.noise import noise_rows, noise_sheets, sample
from truing.runs.plan import Cell, ModelSpec, Plan
from truing.runs.prepare import Prepared, manifest_for, prepare, refuse_changed
from truing.runs.store import Store, Summary, write_summary
from truing.runs.summary import summarise
from truing.seeds import Seeds
from truing.types import Case

LoadModel = Callable[[ModelSpec], Model]


@dataclass(frozen=True)
class RunResult:
    """What a run left behind. ``failed`` maps labels of cells that could not be run to reasons."""

    folder: Path
    rows: int
    summary: Summary
    failed: Mapping[str, str]
    seconds: float


def execute(
    plan: Plan,
    out: Path | None = None,
    *,
    resume: bool = False,
    on_event: OnEvent = quiet,
    load: LoadModel = load_model,
) -> RunResult:
    """Run ``plan`` into the folder ``out`` (default: the plan's own).

    With ``resume`` a run that is there is gone on with: rows that exist are not made again, and
    the result is the one of a run that was never stopped. Ctrl-C and SIGTERM finish what is being
    written, tell how to go on (``Interrupted``) and raise ``KeyboardInterrupt``.

    Cells whose method cannot work here are told and left out; the others are run. Raises
    ``BadInput`` for a plan, data or requests that do not fit, ``StoreError`` and ``Locked`` for the
    folder, ``CannotLoad`` for the model, ``NotPossible`` when no cell but the baseline could run.
    """
    folder = plan.folder() if out is None else out
    prepared = prepare(plan)
    begun = time.perf_counter()
    with Interrupts() as interrupts:
        manifest = manifest_for(prepared, folder, resume)
        with Store(folder) as store:
            manifest = manifest_for(prepared, folder, resume)
            session = Session(prepared, store, interrupts, on_event, load, manifest)
            try:
                session.run()
                summary = session.finish()
            except KeyboardInterrupt:
                on_event(
                    Interrupted(folder, session.desk.done, session.expected, how_to_resume(folder))
                )
                raise
    seconds = time.perf_counter() - begun
    on_event(RunFinished(folder, session.desk.done, seconds))
    return RunResult(folder, session.desk.done, summary, session.failed, seconds)


def how_to_resume(folder: Path) -> str:
    """The command that goes on with a run."""
    return f"truing run {shlex.quote(str(folder))} --resume"


class Session:
    """One go at a run: from opening the folder to closing it."""

    def __init__(
        self,
        prepared: Prepared,
        store: Store,
        interrupts: Interrupts,
        on_event: OnEvent,
        load: LoadModel,
        manifest: dict[str, Any],
    ) -> None:
        self.prepared, self.plan = prepared, prepared.plan
        self.store, self.interrupts = store, interrupts
        self.tell, self.load, self.manifest = on_event, load, manifest
        self.cells = self.plan.cells()
        self.expected = sum(map(self._rows_of, self.cells))
        self.desk = RunDesk(store, interrupts, on_event, self.plan.judges, self.expected)
        self.failed: dict[str, str] = {}

    def run(self) -> None:
        """All cells, model by model."""
        self._save_manifest()
        self.store.write_text("plan.toml", self.plan.text(self.store.folder))
        self.tell(RunStarted(self.store.folder, len(self.cells), self.expected, self.desk.done))
        for spec in self.plan.models:
            with self._noting_warnings():
                self._run_model(spec)

    def finish(self) -> Summary:
        """Judge what has no verdict yet, sum up, and close the manifest."""
        with self.interrupts.held():
            complete(self.store, self.plan.judges)
            self.manifest["finished"] = manifests.now()
            self._save_manifest()
        summary = summarise(self.store.folder)
        write_summary(self.store.folder, summary)
        tried = [cell for cell in self.cells if not cell.is_baseline]
        if tried and len(self.failed) == len(tried):
            raise NotPossible(
                f"no method of the plan could be run: {next(iter(self.failed.values()))}",
                f"The baseline's rows are in {self.store.folder}.",
            )
        return summary

    def _run_model(self, spec: ModelSpec) -> None:
        cells = [cell for cell in self.cells if cell.model == spec]
        model = self.load(spec)
        facts = manifests.model_facts(model)
        refuse_changed(self.store.folder, manifests.changed_model(self.manifest, spec, facts))
        self.manifest["models"][spec.label] = facts
        self._save_manifest()
        folder = self.store.folder
        jobs = {c.id: job_for(self.prepared, c, model, facts, folder) for c in cells}
        for cell in cells:
            if not self.plan.skips(cell.benchmark):
                refuse_bad_requests(cell, jobs[cell.id])
        for cell in cells:
            number = self.cells.index(cell) + 1
            self.tell(CellStarted(cell.id, str(cell), number, len(self.cells)))
            try:
                run(jobs[cell.id], self.desk)
                if self._measures_noise(cell):
                    self._measure_noise(jobs[cell.id], cell)
            except (NotPossible, BadInput) as error:
                self.failed[str(cell)] = error.what
                self.tell(CellFailed(cell.id, str(cell), error.what))
                self._warn(f"{cell} could not be run: {error.what}")

    def _measures_noise(self, cell: Cell) -> bool:
        """Once per model and benchmark, beside the first baseline."""
        first = self.plan.regimes[0], self.plan.seeds[0]
        return cell.is_baseline and (cell.regime, cell.seed) == first and self.plan.noise_sample > 0

    def _noise_sample(self, cell: Cell) -> list[Case]:
        return sample(self.prepared.cases(cell), self.plan.noise_sample, Seeds(cell.seed))

    def _rows_of(self, cell: Cell) -> int:
        noise = self._noise_sample(cell) if self._measures_noise(cell) else []
        return self.prepared.rows(cell) + sum(map(self.prepared.rows_of, noise))

    def _measure_noise(self, job: Job, cell: Cell) -> None:
        sheets = noise_sheets(self._noise_sample(cell))
        if not self.desk.has(job.measuring.expected(sheets)):
            with remembering_at_once(job.measuring.model):
                rows = noise_rows(job.measuring, sheets)
            self.desk.measured(cell.id, rows)

    @contextmanager
    def _noting_warnings(self) -> Iterator[None]:
        """Warnings inside become notes and stand in the manifest, each once."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            try:
                yield
            finally:
                for text in dict.fromkeys(str(w.message) for w in caught):
                    self._warn(text)
                    self.tell(Note(text))

    def _warn(self, text: str) -> None:
        text = text.replace(str(Path.home()), "~")
        if text not in self.manifest["warnings"]:
            self.manifest["warnings"].append(text)
            self._save_manifest()

    def _save_manifest(self) -> None:
        self.store.write_manifest(self.manifest)
