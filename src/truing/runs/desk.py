"""Where a run's results go: to disk first, then to whoever watches."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

from truing.runs.events import EditsMade, OnEvent, RowsWritten
from truing.runs.interrupts import Interrupts
from truing.runs.judging import verdicts_on
from truing.runs.store import EditRecord, Store
from truing.types import Row


class RunDesk:
    """The :class:`truing.runs.cell.Desk` of a run. ``expected`` rows are planned in all."""

    def __init__(
        self,
        store: Store,
        interrupts: Interrupts,
        on_event: OnEvent,
        judges: Sequence[str],
        expected: int,
    ) -> None:
        self._store = store
        self._interrupts = interrupts
        self._tell = on_event
        self._judges = judges
        self._expected = expected
        self._begun = time.perf_counter()
        self._written = 0

    @property
    def done(self) -> int:
        """Rows that are on disk."""
        return len(self._store.keys)

    def has(self, keys: Iterable[str]) -> bool:
        return all(key in self._store.keys for key in keys)

    def failures(self, cell: str, first: int) -> Mapping[str, str]:
        return self._store.failures.get((cell, first), {})

    def edited(self, edit: EditRecord) -> None:
        with self._interrupts.held():
            self._store.add_edit(edit)
        self._tell(EditsMade(edit.cell, len(edit.cases), len(edit.failed), edit.seconds))

    def measured(self, cell: str, rows: Sequence[Row]) -> None:
        new = [row for row in rows if row.key not in self._store.keys]
        verdicts = [verdict for row in new for verdict in verdicts_on(row, self._judges)]
        with self._interrupts.held():
            self._written += self._store.add_rows(new)
            self._store.add_verdicts(verdicts)
        self._tell(RowsWritten(cell, self.done, self._expected, self._eta()))

    def _eta(self) -> float | None:
        """Seconds to go at this session's pace so far."""
        if not self._written:
            return None
        pace = (time.perf_counter() - self._begun) / self._written
        return max(0, self._expected - self.done) * pace
