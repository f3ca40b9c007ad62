"""``truing groups``: what edits did to groups of other people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from truing.cli.output import AsJson, emit, note, rows_table

if TYPE_CHECKING:
    from truing.scoring.group_tests import Between
    from truing.types import Value


def groups(
    run: Annotated[Path, typer.Argument(help="Run folder of a benchmark of people.")],
    axis: Annotated[
        str | None, typer.Option(help="What people are grouped by; left out: every axis there is.")
    ] = None,
    method: Annotated[str | None, typer.Option(help="Only this method, by its label.")] = None,
    protocol: Annotated[
        str | None, typer.Option(help="Only rows under this protocol, where there are several.")
    ] = None,
    margin: Annotated[
        float,
        typer.Option(min=0, help="Differences of D below this count as alike (equivalence test)."),
    ] = 0.05,
    export: Annotated[
        Path | None, typer.Option(help="Write one line per person and case to this CSV file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Mean change of confidence (D) by group, and which groups differ from the others."""
    from truing.errors import BadInput
    from truing.protocols.protocol import parse
    from truing.runs.group_changes import axes_of, changes_of, grouped, membership_of
    from truing.runs.moments import moment_of
    from truing.runs.store import read_manifest
    from truing.scoring.seesaw import write_long

    cells = [
        cell
        for cell in read_manifest(run).get("cells", [])
        if cell["registered"] != "none" and method in (None, cell["method"])
    ]
    if not cells:
        raise BadInput(f"{run} has no edited cell of that name", "See `truing report RUN`.")
    asked = None if protocol is None else parse(protocol).id
    found: list[dict[str, Any]] = []
    lines: list[tuple[str, ...]] = []
    for cell in cells:
        seen = changes_of(run, cell["id"], moment_of(cell), asked)
        members = membership_of(run, cell["benchmark"])
        axes = axes_of(members)
        if axis is not None and axis not in axes:
            raise BadInput(f"nobody is grouped by '{axis}'", f"Axes: {', '.join(axes)}.")
        chosen = axes if axis is None else [axis]
        if export is not None:
            with _own(export, cell["method"], len(cells)).open("w", encoding="utf-8") as file:
                write_long(file, seen, members, chosen)
        for name in chosen:
            told = grouped(seen, members, name, cell=cell["id"], margin=margin)
            for group, value in told.means.items():
                test = told.tests.get(group)
                found.append(
                    {
                        "method": cell["method"],
                        "axis": name,
                        "group": group,
                        "change": value,
                        "test": test,
                    }
                )
                lines.append((cell["method"], name, group, *_told(value), *_tested(test)))
    note("D: how much surer the model became of what is true of somebody else, from 0 to 1.")
    columns = (
        "method",
        "axis",
        "group",
        "D [95%]",
        "n",
        "to others [95%]",
        "p, corrected",
        "alike, p",
    )
    emit(found, rows_table("groups", columns, lines), as_json)


def _own(export: Path, method: str, cells: int) -> Path:
    """A file per method where there are several."""
    return export if cells == 1 else export.with_stem(f"{export.stem}-{method}")


def _told(value: Value) -> tuple[str, str]:
    if value.mean is None:
        return "", str(value.n)
    span = "" if value.low is None else f" [{value.low:+.3f}, {value.high:+.3f}]"
    return f"{value.mean:+.3f}{span}", str(value.n)


def _tested(test: Between | None) -> tuple[str, str, str]:
    if test is None or test.comparison.delta is None:
        return "", "", ""
    c = test.comparison
    span = "" if c.low is None else f" [{c.low:+.3f}, {c.high:+.3f}]"
    p = "" if c.p_adjusted is None else f"{c.p_adjusted:.3g}"
    return f"{c.delta:+.3f}{span}", p, "" if test.equivalence is None else f"{test.equivalence:.2g}"
