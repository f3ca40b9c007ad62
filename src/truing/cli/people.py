"""``truing people``: sets of edits of people, built from a table of one's own."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from truing.cli.output import AsJson, emit, note, rows_table

app = typer.Typer(no_args_is_help=True, help="Sets of edits of people, from a table of your own.")


@app.callback()
def people() -> None:
    """Sets of edits of people, from a table of your own."""


@app.command("build")
def build(
    table: Annotated[Path, typer.Argument(help="People, one a row: CSV or JSON lines.")],
    spec: Annotated[
        Path, typer.Option(help="What is edited, asked and balanced (TOML); see docs/people.md.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the set.")],
    seed: Annotated[int, typer.Option(help="Decides every draw.")] = 0,
    cases: Annotated[
        int | None, typer.Option(min=1, help="Edits at most; else as many as are balanced.")
    ] = None,
    people: Annotated[
        int, typer.Option(min=1, help="Other people for each edit at most, over all groups.")
    ] = 20,
    as_json: AsJson = False,
) -> None:
    """Build a set that `truing run` reads as the benchmark seesaw, with a card that says how."""
    from truing.building.people.build import PAGE
    from truing.building.people.build import build as make
    from truing.building.people.choose import Size

    built = make(table, spec, out, Size(cases, people), seed)
    edits, groups = built.chosen.edits, built.chosen.groups
    edited = Counter(edit.group for edit in edits)
    asked = {
        group: {person.id for edit in edits for person in edit.others[group]} for group in groups
    }
    left_out = {
        why: len(left)
        for part in (built.chosen.left_out, built.chosen.not_edited)
        for why, left in part.items()
    }
    data = {
        "out": out.resolve(),
        "set": built.name,
        "cases": len(edits),
        "edited": dict(edited),
        "other people": {group: len(ids) for group, ids in asked.items()},
        "new values": dict(Counter(edit.new for edit in edits).most_common()),
        "repeated rows": built.table.repeated,
        "cells stripped": built.table.stripped,
        "left out": left_out,
        "quarantined values": {why: len(v) for why, v in built.chosen.quarantined.items()},
        "warnings": built.warnings,
    }
    rows = [[group, str(edited[group]), str(len(asked[group]))] for group in groups]
    emit(data, rows_table(str(out), ("group", "edited", "other people"), rows), as_json)
    for why, count in left_out.items():
        note(f"{count} × {why}")
    for why, values in built.chosen.quarantined.items():
        note(f"{len(values)} values × {why}")
    for warning in built.warnings:
        note(f"warning: {warning}")
    data_line = f"data = {str(out.resolve())!r}"
    note(f"benchmark seesaw, set = {built.name!r}, {data_line}; see {out}/{PAGE}")
