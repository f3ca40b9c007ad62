"""A run folder as the report sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from truing.runs.store import (
    EditRecord,
    read_edits,
    read_manifest,
    read_rows,
    read_verdicts,
)
from truing.runs.summary import load_or_summarise
from truing.types import Measure, Row, Verdict


@dataclass(frozen=True, slots=True)
class Run:
    """What was run and what came out. ``rows`` are the kept ones; the totals count all."""

    name: str
    plan: str
    manifest: Mapping[str, Any]
    meta: Mapping[str, Any]
    measures: tuple[Measure, ...]
    rows: tuple[Row, ...]
    verdicts: Mapping[str, tuple[Verdict, ...]]
    edits: tuple[EditRecord, ...]
    cases_total: int
    rows_total: int

    @property
    def cells(self) -> dict[str, Mapping[str, Any]]:
        """Cell id to its description in the manifest."""
        return {str(c["id"]): c for c in self.manifest.get("cells", [])}


def read_run(folder: Path, *, cases_per_cell: int = 50) -> Run:
    """Read a run folder. Of every cell the rows of its first ``cases_per_cell`` cases are kept.

    A run without a summary (interrupted) gets one from the rows that are there. Raises
    ``StoreError`` for a folder that is not a run or a file that cannot be read.
    """
    summary = load_or_summarise(folder)
    kept: list[Row] = []
    of_cell: dict[str, set[str]] = {}
    cases: set[str] = set()
    total = 0
    for row in read_rows(folder):
        total += 1
        cases.add(row.case)
        chosen = of_cell.setdefault(row.cell, set())
        if len(chosen) < cases_per_cell:
            chosen.add(row.case)
        if row.case in chosen:
            kept.append(row)
    keys = {row.key for row in kept}
    verdicts: dict[str, dict[str, Verdict]] = {}
    for verdict in read_verdicts(folder):
        if verdict.row in keys:
            verdicts.setdefault(verdict.row, {})[verdict.judge] = verdict
    plan, manifest = folder / "plan.toml", read_manifest(folder)
    return Run(
        name=str(manifest.get("name") or folder.resolve().name),
        plan=plan.read_text("utf-8") if plan.is_file() else "",
        manifest=manifest,
        meta=summary.meta,
        measures=summary.measures,
        rows=tuple(kept),
        verdicts={key: tuple(found.values()) for key, found in verdicts.items()},
        edits=tuple(read_edits(folder)),
        cases_total=len(cases),
        rows_total=total,
    )
