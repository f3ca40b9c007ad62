"""``truing report``: the tables of finished runs, and one page that opens anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from truing.cli.output import AsJson, emit, note, stdout


def report(
    runs: Annotated[list[Path], typer.Argument(help="Run folders; several make one page.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Where the page goes (default: report.html in the run)."),
    ] = None,
    cases: Annotated[int, typer.Option(min=0, help="Cases per cell in the page's browser.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Write report.html (one file, no network needed) and print the comparison."""
    from truing.report import page
    from truing.report.load import read_run
    from truing.report.tables import comparison, records
    from truing.runs.summary import load_or_summarise

    for folder in runs:
        load_or_summarise(folder)
    path = page.write(runs, out, cases_per_cell=cases)
    loaded = [read_run(folder, cases_per_cell=0) for folder in runs]
    measures = [m for run in loaded for m in run.measures]
    cells = {k: v for run in loaded for k, v in run.cells.items()}
    if as_json:
        emit({"page": path, "measures": records(measures, cells)}, "", True)
        return
    console = stdout()
    costs = {cell: cost for run in loaded for cell, cost in run.meta.get("edits", {}).items()}
    console.print(comparison(measures, cells, width=console.width, costs=costs))
    note(f"page: {path}")
