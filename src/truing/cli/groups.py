"""``truing groups``: what edits did to groups of other people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from truing.cli.output import AsJson, emit, note, rows_table, writing

if TYPE_CHECKING:
    from truing.scoring.group_tests import Between
    from truing.types import Value

EVERYBODY = "everybody"
"""All people together, on no axis."""


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
    from pydantic import TypeAdapter

    from truing.errors import BadInput
    from truing.protocols.protocol import parse
    from truing.report.people import PeopleArm, Record
    from truing.report.people_words import told
    from truing.runs.group_changes import axes_of, changes_of, grouped, membership_of
    from truing.runs.moments import moment_of
    from truing.runs.people_summary import record
    from truing.runs.store import read_manifest
    from truing.runs.summary import costs
    from truing.runs.unfinished import so_far
    from truing.scoring.seesaw import long_table, write_long

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
    people: list[tuple[str, ...]] = []
    sentences: list[str] = []
    made = costs(run)
    for cell in cells:
        moment = moment_of(cell)
        under, seen = changes_of(run, cell["id"], moment, asked)
        members = membership_of(run, cell["benchmark"])
        axes = axes_of(members)
        if axis is not None and axis not in axes:
            raise BadInput(f"nobody is grouped by '{axis}'", f"Axes: {', '.join(axes)}.")
        chosen = axes if axis is None else [axis]
        people += long_table(cell["method"], seen, members, chosen)
        by_axis = [grouped(seen, members, name, cell=cell["id"], margin=margin) for name in chosen]
        kept = record(cell["id"], under, moment, seen, by_axis)
        arm = PeopleArm(
            cell["method"],
            TypeAdapter(Record).validate_python({**kept, "lacking": None, "points": ()}),
            made.get(cell["id"], {}).get("edits"),
            False,
        )
        sentences.append(f"{arm.label}: {told(arm)}")
        each: list[tuple[str, str, Value, Between | None]] = [
            ("", EVERYBODY, arm.record.mean, None)
        ]
        each += [
            (one.axis, group, value, one.tests.get(group))
            for one in by_axis
            for group, value in one.means.items()
        ]
        for name, group, value, test in each:
            found.append(
                {"method": arm.label, "axis": name, "group": group, "change": value, "test": test}
            )
            lines.append((arm.label, name, group, *_told(value), *_tested(test)))
    if export is not None:
        with writing(export) as file:
            write_long(file, people)
        note(f"{len(people)} rows: {export}")
    note("D: how much surer the model became of what is true of somebody else; below 0: less sure.")
    for sentence in sentences:
        note(sentence)
    if (unfinished := so_far(run)) is not None:
        note(unfinished)
    columns = (
        "method", "axis", "group", "D [95%]", "n", "to others [95%]", "p, corrected", "alike, p",
    )  # fmt: skip
    emit(found, rows_table("groups", columns, lines), as_json)


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
