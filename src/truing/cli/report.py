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
    reference: Annotated[
        Path | None,
        typer.Option(
            help="Folder with BehaviorBench's reference tables: the paper's numbers beside ours."
        ),
    ] = None,
    like: Annotated[
        str | None, typer.Option(help="The paper's model to compare with (default: the same one).")
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
    published = {} if reference is None else _published(runs, reference, like)
    path = page.write(runs, out, cases_per_cell=cases, published=published)
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


def _published(runs: list[Path], reference: Path, like: str | None) -> dict[str, list[str]]:
    """The behaviour paper's lines by cell of the runs."""
    from truing.runs import references, referred

    tables = [references.table(f"behaviorbench:{name}") for name in ("efficacy", "impact-table")]
    rows = [row for table in tables for row in references.read(table, reference)]
    wanted = references.chosen(rows, like, None)
    found = {
        cell: lines
        for folder in runs
        for cell, lines in referred.told(referred.beside(wanted, folder, like)).items()
    }
    if not found:
        note("the reference tables have none of these models, methods, data and directions")
    return found
