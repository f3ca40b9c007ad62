"""Where a run's results go: to disk first, then to whoever watches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from truing.runs.events import EditsMade
from truing.runs.interrupts import Interrupts
from truing.runs.judging import verdicts_on
from truing.runs.store import EditRecord, Store
from truing.runs.work import Written
from truing.types import Row


class RunDesk:
    """The :class:`truing.runs.cell.Desk` of one worker of a run."""

    def __init__(
        self,
        store: Store,
        interrupts: Interrupts,
        tell: Callable[[Written | EditsMade], None],
        judges: Sequence[str],
    ) -> None:
        self._store = store
        self._interrupts = interrupts
        self._tell = tell
        self._judges = judges

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
            written = self._store.add_rows(new)
            self._store.add_verdicts(verdicts)
        self._tell(Written(cell, written))
