"""A table of ``truing personality report``: strings to print, and records that say where they come from."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Table:
    """Strings to print; ``notes`` say what is not in the numbers. ``cells`` are those of each arm, ``judge``
    is the one that all rows are by."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    judge: str | None = None
    cells: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def records(run: Path, tables: Sequence[Table]) -> list[dict[str, Any]]:
    """Every row with its judge and with the cells that its numbers come from."""
    from truing.runs.provenance import provenance, rubric_digest
    from truing.runs.store import read_manifest

    manifest = read_manifest(run)
    known = provenance(manifest)
    found = []
    for table in tables:
        rows = []
        for texts in table.rows:
            row: dict[str, Any] = dict(zip(table.columns, texts, strict=True))
            arm = row.get("arm", row.get("Arm", row.get("Step")))
            cells = [c for name, ids in table.cells.items() if arm in (None, name) for c in ids]
            judge = row.get("judge", table.judge)
            rubric = None if judge is None else rubric_digest(manifest, judge)
            made = [known[cell] for cell in dict.fromkeys(cells)]
            rows.append({**row, "judge": judge, "rubric": rubric, "from": made})
        found.append({"title": table.title, "rows": rows, "notes": table.notes})
    return found


def write_csv(path: Path, tables: Sequence[Table]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        for table in tables:
            writer.writerow(("table", *table.columns))
            writer.writerows((table.title, *row) for row in table.rows)
