"""Running a plan from beginning to end, or on from where it stopped."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from truing.errors import NotPossible, ServerStopped, TruingError
from truing.judges import specs as judges
from truing.models.served import ServedModel
from truing.runs import manifest as manifests
from truing.runs.asked import EVERYTHING, ask, note_rubrics
from truing.runs.cells import AnyModelSpec, Cell
from truing.runs.desk import RunDesk
from truing.runs.events import (
    CellFailed,
    Interrupted,
    Note,
    OnEvent,
    RowsWritten,
    RunFinished,
    RunStarted,
    quiet,
)
from truing.runs.helpers import (
    Claims,
    LoadModel,
    Order,
    Workers,
    counter,
    helpers,
    nothing,
    threads_shared,
)
from truing.runs.interrupts import Interrupts
from truing.runs.jobs import load_subject, refuse_bad_requests
from truing.runs.judging import complete
from truing.runs.plan import Plan
from truing.runs.prepare import Prepared, manifest_for, prepare, refuse_changed
from truing.runs.store import Store, Summary, write_summary
from truing.runs.summary import summarise
from truing.runs.unfinished import how_to_resume
from truing.runs.work import CellWork, Message, Written, rows_planned
from truing.servers.spending import Spent

ALONE = Workers()


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
    load: LoadModel = load_subject,
    workers: Workers = ALONE,
) -> RunResult:
    """Run ``plan`` into the folder ``out`` (default: the plan's own).

    ``workers`` lets several processes share the cells; the rows are the same.

    With ``resume`` a run that is there is gone on with: rows that exist are not made again, and
    the result is the one of a run that was never stopped. Ctrl-C and SIGTERM finish what is being
    written, tell how to go on (``Interrupted``) and raise ``KeyboardInterrupt``.

    Cells whose method cannot work here are told and left out; the others are run. Raises
    ``BadInput`` for a plan, data or requests that do not fit, ``StoreError`` and ``Locked`` for the
    folder, ``CannotLoad`` for the model, ``NotPossible`` when no cell but the baseline could run,
    ``ServerStopped`` where the server of a model gives no further answers: what there is is summed up
    and the run stays open.
    """
    folder = plan.folder() if out is None else out
    prepared = prepare(plan)
    begun = time.perf_counter()
    with Interrupts() as interrupts:
        manifest = manifest_for(prepared, folder, resume)
        with Store(folder) as store:
            manifest = manifest_for(prepared, folder, resume)
            session = Session(prepared, store, interrupts, on_event, load, workers, manifest)
            try:
                session.run()
                summary = session.finish()
            except KeyboardInterrupt:
                on_event(Interrupted(folder, session.done, session.expected, how_to_resume(folder)))
                raise
    seconds = time.perf_counter() - begun
    on_event(RunFinished(folder, session.done, seconds))
    return RunResult(folder, session.done, summary, session.failed, seconds)


class Session:
    """One go at a run: from opening the folder to closing it. ``done`` counts rows on disk."""

    def __init__(
        self,
        prepared: Prepared,
        store: Store,
        interrupts: Interrupts,
        on_event: OnEvent,
        load: LoadModel,
        workers: Workers,
        manifest: dict[str, Any],
    ) -> None:
        self.prepared, self.plan = prepared, prepared.plan
        self.store, self.interrupts = store, interrupts
        self.tell, self.load, self.workers = on_event, load, workers
        self.manifest = manifest
        self.cells = self.plan.cells()
        self.expected = sum(rows_planned(prepared, cell) for cell in self.cells)
        self.begun, self.found, self.done = time.perf_counter(), len(store.keys), len(store.keys)
        self.desk = RunDesk(store, interrupts, self._hear, self.plan.judges)
        self.failed: dict[str, str] = {}
        self.after_rows: Callable[[], None] = nothing

    def run(self) -> None:
        """All cells, model by model."""
        self._save_manifest()
        self.store.write_text("plan.toml", self.plan.text(self.store.folder))
        self.tell(RunStarted(self.store.folder, len(self.cells), self.expected, self.done))
        for line in self.prepared.power():
            self.tell(Note(line))
        for spec in self.plan.models:
            with self._noting_warnings():
                self._run_model(spec)

    def finish(self) -> Summary:
        """Judge what has no verdict yet, sum up, and close the manifest. Where a judge that must be
        asked cannot go on, what there is is summed up and the run stays open."""
        with self.interrupts.held():
            complete(self.store, self.plan.judges)
        try:
            self._ask_judges()
        except (TruingError, KeyboardInterrupt):
            write_summary(self.store.folder, summarise(self.store.folder))
            raise
        with self.interrupts.held():
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

    def _ask_judges(self) -> None:
        """Let the plan's judges that must be asked say what they have not said yet."""
        asked = [spec for spec in map(judges.parse, self.plan.judges) if spec.asked]
        self.manifest = note_rubrics(self.manifest, asked)
        self._save_manifest()
        try:
            for judge in judges.make_all(asked, judges.JudgeSettings()):
                self.tell(Note(f"judging with {judge.name}"))
                ask(self.store, judge, self.interrupts, EVERYTHING, lambda name, done, of: None)
        except TruingError as error:
            hint = f"The answers are kept: {how_to_resume(self.store.folder)} judges on."
            raise NotPossible(error.what, f"{error.next or ''} {hint}".strip()) from None

    def _run_model(self, spec: AnyModelSpec) -> None:
        cells = [cell for cell in self.cells if cell.model == spec]
        model = self.load(spec)
        facts = model.facts
        refuse_changed(self.store.folder, manifests.changed_model(self.manifest, spec, facts))
        before = self.manifest["models"].get(spec.label, {})
        self.manifest["models"][spec.label] = facts
        self._save_manifest()
        work = CellWork(self.prepared, model, facts, self.store.folder, self.desk)
        for cell in cells:
            if not self.plan.skips(cell.benchmark):
                refuse_bad_requests(cell, work.job(cell))
        if isinstance(model, ServedModel):
            self._run_served(work, model, cells, {**facts, **before})
        else:
            self._run_cells(work, spec, cells)

    def _run_served(
        self, work: CellWork, model: ServedModel, cells: list[Cell], account: dict[str, Any]
    ) -> None:
        """The cells of a model behind a server, in one process: it asks many things at once, and there
        is one budget. ``account`` is the manifest's: what answered and what was spent is noted there
        after every portion."""
        self.manifest["models"][cells[0].model.label] = account
        before = account.get("heard", {})
        if "spent" in account:
            model.resume_spending(Spent(**account["spent"]))

        def note() -> None:
            account["heard"] = manifests.heard(before, model.heard)
            account["spent"] = asdict(model.spent)
            self._save_manifest()

        self.after_rows = note
        try:
            for message in work.messages(cells):
                self._hear(message)
        except ServerStopped as error:
            complete(self.store, self.plan.judges)
            write_summary(self.store.folder, summarise(self.store.folder))
            how = f"What was answered is kept; go on with: {how_to_resume(self.store.folder)}"
            raise ServerStopped(error.what, f"{error.next or ''} {how}".strip()) from None
        finally:
            self.after_rows = nothing
            note()

    def _run_cells(self, work: CellWork, spec: AnyModelSpec, cells: list[Cell]) -> None:
        workers = min(self.workers.count, len(cells))
        if workers < 2:
            for message in work.messages(cells):
                self._hear(message)
        else:
            self._share(work, spec, cells, Workers(workers, self.workers.set_up))

    def _share(
        self, work: CellWork, spec: AnyModelSpec, cells: list[Cell], workers: Workers
    ) -> None:
        """Chains go first: they take longest, and the short cells then fill what time is left."""
        chains_first = sorted(cells, key=lambda cell: cell.regime.independent)
        claims = Claims(tuple(chains_first), counter())
        with threads_shared(workers.count) as threads:
            order = Order(
                self.prepared, spec, work.facts, self.store.folder, claims,
                self.load, workers.set_up, threads,
            )  # fmt: skip
            with helpers(workers, order) as others:
                for message in work.messages(claims):
                    self._hear(message)
                    for told in others.messages():
                        self._hear(told)
                for told in others.messages(to_the_end=True):
                    self._hear(told)

    def _hear(self, message: Message) -> None:
        """Take note of what a worker tells, and tell those who watch."""
        if isinstance(message, Written):
            self.done += message.rows
            self.after_rows()
            self.tell(
                RowsWritten(message.cell, message.rows, self.done, self.expected, self._eta())
            )
            return
        if isinstance(message, CellFailed):
            self.failed[message.label] = message.reason
            self._warn(f"{message.label} could not be run: {message.reason}")
        if isinstance(message, Note):
            self._warn(message.text)
        self.tell(message)

    def _eta(self) -> float | None:
        """Seconds to go at this session's pace so far."""
        written = self.done - self.found
        if not written:
            return None
        pace = (time.perf_counter() - self.begun) / written
        return max(0, self.expected - self.done) * pace

    @contextmanager
    def _noting_warnings(self) -> Iterator[None]:
        """Warnings inside become notes and stand in the manifest, each once."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            try:
                yield
            finally:
                for text in dict.fromkeys(str(w.message) for w in caught):
                    self._hear(Note(text))

    def _warn(self, text: str) -> None:
        text = text.replace(str(Path.home()), "~")
        if text not in self.manifest["warnings"]:
            self.manifest["warnings"].append(text)
            self._save_manifest()

    def _save_manifest(self) -> None:
        self.store.write_manifest(self.manifest)
