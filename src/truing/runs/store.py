"""A run folder on disk. The readers need no model and no torch.

plan.toml            the plan as resolved
manifest.json        versions, hardware, model, data, cells
rows-*.jsonl         one measurement per line, append-only, one file per worker
verdicts-*.jsonl     what judges say of rows
edits-*.jsonl        what making each edit took, and which failed
interventions/       totals that a chain of edits goes on from
summary.json         measures; can be made again from rows and verdicts
lock, lock-*         name the one writer, and its helpers, while there are any
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from truing.errors import StoreError
from truing.methods.steering.touched import Effect
from truing.runs.lines import Appender, make_folder, read, read_json, write_atomically
from truing.runs.lock import Lock
from truing.types import Measure, Row, Verdict

FORMAT = 1
PATIENCE = 10.0
"""Seconds to wait for the helpers of an owner that is gone."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class EditRecord:
    """What making the edits of one group of cases took.

    ``first`` is the index of its first case; ``step`` the number of edit requests made so far,
    these included (in independent regimes: of these alone). ``seconds`` is the group's wall time,
    ``peak_bytes`` the highest memory in use meanwhile (``None``: not known). ``failed`` maps case
    ids to what went wrong; such edits are not in force. ``parts`` counts the parts of the
    resulting intervention. ``config`` holds the method's settings as it resolved them; it is
    written with a cell's first edit only. ``effect`` is what was seen of the resulting intervention
    (:class:`truing.methods.steering.touched.Effect`), ``None``: nobody looked.
    """

    cell: str
    first: int
    cases: tuple[str, ...]
    requests: int
    step: int
    seconds: float
    peak_bytes: int | None = None
    parts: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    effect: Effect | None = None


@dataclass(frozen=True)
class Summary:
    """Measures and how they were made."""

    measures: tuple[Measure, ...]
    meta: Mapping[str, Any] = field(default_factory=dict)


_ROW = TypeAdapter(Row)
_VERDICT = TypeAdapter(Verdict)
_EDIT = TypeAdapter(EditRecord)
_MEASURES = TypeAdapter(tuple[Measure, ...])


def read_rows(folder: Path) -> Iterator[Row]:
    """All rows of a run, in the order they were written. Raises ``StoreError``."""
    return _read(folder, "rows", _ROW)


def read_verdicts(folder: Path) -> Iterator[Verdict]:
    """All verdicts of a run. Raises ``StoreError``."""
    return _read(folder, "verdicts", _VERDICT)


def read_edits(folder: Path) -> Iterator[EditRecord]:
    """What making the edits took. Raises ``StoreError``."""
    return _read(folder, "edits", _EDIT)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest. Raises ``StoreError`` where there is none or it is of a newer format."""
    path = _run(folder) / "manifest.json"
    if not path.exists():
        raise StoreError(
            f"{folder} is no run folder",
            "A run folder holds manifest.json; `truing run PLAN --out DIR` makes one.",
        )
    found = read_json(path)
    _known_format(found, path)
    return dict(found)


def read_summary(folder: Path) -> Summary | None:
    """The summary, or ``None`` where none was written yet. Raises ``StoreError``."""
    path = _run(folder) / "summary.json"
    if not path.exists():
        return None
    found = read_json(path)
    _known_format(found, path)
    try:
        return Summary(_MEASURES.validate_python(found["measures"]), found.get("meta", {}))
    except (KeyError, ValidationError) as error:
        raise StoreError(
            f"{path} does not hold measures: {str(error).splitlines()[0]}",
            "Delete it; it is made again from the rows.",
        ) from None


def write_summary(folder: Path, summary: Summary) -> None:
    """Replace ``summary.json`` atomically."""
    value = {
        "format": FORMAT,
        "measures": [asdict(measure) for measure in summary.measures],
        "meta": dict(summary.meta),
    }
    write_atomically(folder / "summary.json", _json(value, indent=1) + "\n")


def is_run(folder: Path) -> bool:
    """Whether ``folder`` holds a run."""
    return (folder / "plan.toml").is_file()


class Store:
    """The writer of a run folder. A context manager; holds the folder's lock.

    Every ``add`` is on disk when it returns. Rows and edits that are there already are not written
    again. Worker 0 owns the folder; the others help it, each in files of its own and on work that
    no other has.
    """

    def __init__(self, folder: Path, worker: int = 0) -> None:
        self.folder = folder
        make_folder(folder)
        self._lock = Lock(folder / (f"lock-{worker}" if worker else "lock"))
        self._files: dict[str, Appender] = {}
        try:
            if not worker:
                self._wait_for_helpers()
            for kind in ("rows", "verdicts", "edits"):
                self._files[kind] = Appender(folder / f"{kind}-{worker}.jsonl")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        for file in self._files.values():
            file.close()
        self._lock.release()

    def _wait_for_helpers(self) -> None:
        """Helpers of an owner that was killed die too, a moment later."""
        for path in self.folder.glob("lock-*"):
            Lock(path, PATIENCE).release()

    @cached_property
    def keys(self) -> set[str]:
        """Keys of the rows that are there."""
        return {row.key for row in read_rows(self.folder)}

    @cached_property
    def failures(self) -> dict[tuple[str, int], dict[str, str]]:
        """What failed, of every recorded edit, by its cell and the number of its first case."""
        return {(edit.cell, edit.first): edit.failed for edit in read_edits(self.folder)}

    def add_rows(self, rows: Sequence[Row]) -> int:
        """Write the rows that are not there yet; returns how many those were."""
        new = {row.key: row for row in rows if row.key not in self.keys}
        self._files["rows"].append(_json(asdict(row)) for row in new.values())
        self.keys.update(new)
        return len(new)

    def add_verdicts(self, verdicts: Iterable[Verdict]) -> None:
        self._files["verdicts"].append(_json(asdict(verdict)) for verdict in verdicts)

    def add_edit(self, edit: EditRecord) -> None:
        if (edit.cell, edit.first) not in self.failures:
            self._files["edits"].append([_json(asdict(edit))])
            self.failures[edit.cell, edit.first] = edit.failed

    def write_text(self, name: str, text: str) -> None:
        """Replace a small file of the folder atomically."""
        write_atomically(self.folder / name, text)

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        self.write_text("manifest.json", _json({"format": FORMAT, **manifest}, indent=1) + "\n")


def _read(folder: Path, kind: str, adapter: TypeAdapter[T]) -> Iterator[T]:
    for path in sorted(_run(folder).glob(f"{kind}-*.jsonl")):
        yield from read(path, adapter)


def _run(folder: Path) -> Path:
    if not folder.is_dir():
        raise StoreError(f"no run folder at {folder}", "Give the folder that `truing run` wrote.")
    return folder


def _known_format(found: Any, path: Path) -> None:
    made = found.get("format", FORMAT) if isinstance(found, dict) else None
    if not isinstance(made, int) or made > FORMAT:
        raise StoreError(
            f"{path} has format {made!r}; this version reads up to {FORMAT}",
            "Use the version of Truing that wrote it, or a newer one.",
        )


def _json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
