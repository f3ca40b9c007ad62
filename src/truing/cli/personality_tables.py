"""A table of ``truing personality report``: cells to print, and records that hold the numbers themselves and
say where they come from."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from truing.cli.output import writing
from truing.types import Value

PARTS = ("mean", "low", "high", "n")
"""What is told of a value, each in a column of its own where there are only columns."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What is printed, and what it is: a value, a plain number, several things by name. ``None``: not
    measured."""

    text: str
    value: Value | float | Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Table:
    """A cell that is text only is a string; ``notes`` say what is not in the numbers. ``cells`` are the run's
    cells of each arm, ``judge`` is the one that all rows are by."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | Cell, ...], ...]
    notes: tuple[str, ...] = ()
    judge: str | None = None
    cells: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def texts(self) -> list[list[str]]:
        """The rows as they are printed."""
        return [[cell if isinstance(cell, str) else cell.text for cell in row] for row in self.rows]


def count(n: int) -> Cell:
    return Cell(str(n), n)


def number(x: float | None, digits: int = 2) -> Cell:
    return Cell("—" if x is None else f"{x:z.{digits}f}", x)


def estimate(value: Value, digits: int = 2) -> Cell:
    """A mean with its interval in brackets, where it has one."""
    if value.mean is None or value.low is None or value.high is None:
        return Cell(number(value.mean, digits).text, value)
    low, high = (number(x, digits).text for x in (value.low, value.high))
    return Cell(f"{number(value.mean, digits).text} [{low}, {high}]", value)


def records(run: Path, tables: Sequence[Table]) -> list[dict[str, Any]]:
    """Every row with its judge and with the cells that its numbers come from."""
    from truing.runs.provenance import provenance, rubric_digest
    from truing.runs.store import read_manifest

    manifest = read_manifest(run)
    known = provenance(manifest)
    found = []
    for table in tables:
        rows = []
        for line in table.rows:
            row: dict[str, Any] = dict(zip(table.columns, map(_datum, line), strict=True))
            arm = row.get("arm", row.get("Arm", row.get("Step")))
            cells = [c for name, ids in table.cells.items() if arm in (None, name) for c in ids]
            judge = row.get("judge", table.judge)
            rubric = None if judge is None else rubric_digest(manifest, judge)
            made = [known[cell] for cell in dict.fromkeys(cells)]
            rows.append({**row, "judge": judge, "rubric": rubric, "from": made})
        found.append({"title": table.title, "rows": rows, "notes": table.notes})
    return found


def write_csv(path: Path, tables: Sequence[Table]) -> None:
    """A column of values becomes four: NAME mean, NAME low, NAME high, NAME n."""
    with writing(path) as file:
        writer = csv.writer(file)
        for table in tables:
            flat = [
                each
                for at, name in enumerate(table.columns)
                for each in _columns(name, [row[at] for row in table.rows])
            ]
            writer.writerow(("table", *(name for name, _ in flat)))
            lines = zip(*(column for _, column in flat), strict=True)
            writer.writerows((table.title, *line) for line in lines)


def _datum(cell: str | Cell) -> Any:
    """The cell as JSON holds it."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell.value, Value):
        return {part: getattr(cell.value, part) for part in PARTS}
    return cell.value


def _columns(name: str, column: Sequence[str | Cell]) -> list[tuple[str, list[Any]]]:
    """A column as one or four of them, by name."""
    data = [_datum(cell) for cell in column]
    if any(isinstance(cell, Cell) and isinstance(cell.value, Value) for cell in column):
        return [(f"{name} {part}", [_part(datum, part) for datum in data]) for part in PARTS]
    return [(name, [json.dumps(x, ensure_ascii=False) if isinstance(x, dict) else x for x in data])]


def _part(datum: Any, part: str) -> Any:
    if isinstance(datum, dict):
        return datum[part]
    return datum if part == "mean" else None
