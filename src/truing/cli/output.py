"""What every verb shares: data to stdout, progress and notes to stderr, ``--json`` everywhere."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Plugin = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugin", help="Python file that registers methods or benchmarks. Runs its code."
    ),
]


FRAME = 3
"""Characters of a column's border and of the spaces beside it."""
WHOLE = 16
"""A line of a cell up to so long is not broken."""


def stdout() -> Console:
    """The console for data."""
    return Console(file=sys.stdout, highlight=False, soft_wrap=False)


def stderr() -> Console:
    """The console for progress and notes."""
    return Console(file=sys.stderr, highlight=False)


def note(text: str) -> None:
    """One line for the person who watches; never data."""
    stderr().print(text, style="dim", markup=False)


def plain(value: Any) -> Any:
    """``value`` as JSON can hold it: dataclasses become objects, paths become strings."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(v) for v in value]
    if isinstance(value, Path):
        return str(value)
    return value


def emit(value: Any, table: RenderableType, as_json: bool) -> None:
    """Print ``value`` as JSON or as its table."""
    if as_json:
        sys.stdout.write(json.dumps(plain(value), ensure_ascii=False, indent=2) + "\n")
    else:
        stdout().print(table)


def rows_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]
) -> RenderableType:
    """A table of strings under its title, which may be wider; no text is read as markup."""
    table = Table(header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return Group(Text(title, style="table.title"), table) if title else table


def fitting_tables(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], width: int
) -> list[RenderableType]:
    """The table in parts of at most ``width`` characters, so that no word is broken: what does not fit
    follows below, with the first column again. A column that is wider alone is folded."""
    needs = [
        max(map(_needed, (column, *(row[i] for row in rows)))) + FRAME
        for i, column in enumerate(columns)
    ]
    parts: list[list[int]] = [[]]
    for i in range(1, len(columns)):
        if parts[-1] and needs[0] + sum(needs[j] for j in parts[-1]) + needs[i] + 1 > width:
            parts.append([])
        parts[-1].append(i)
    return [
        rows_table(
            title if number == 0 else "",
            [columns[i] for i in (0, *part)],
            [[row[i] for i in (0, *part)] for row in rows],
        )
        for number, part in enumerate(parts)
    ]


def _needed(text: str) -> int:
    """Characters that it takes at least: a short line stays whole, a longer one breaks between words."""
    lines = text.split("\n")
    return max(
        cell_len(line) if cell_len(line) <= WHOLE else max(map(cell_len, line.split() or [""]))
        for line in lines
    )


class Bar:
    """A progress bar on stderr, with an ETA. Shows nothing where stderr is no terminal."""

    def __init__(self, bar: Progress, task: TaskID) -> None:
        self._bar, self._task = bar, task

    def advance(self, n: int = 1) -> None:
        self._bar.update(self._task, advance=n)

    def total(self, n: int) -> None:
        self._bar.update(self._task, total=n)

    def reached(self, done: int, of: int) -> None:
        self._bar.update(self._task, completed=done, total=of)

    def label(self, text: str) -> None:
        self._bar.update(self._task, description=escape(text))


@contextmanager
def progress(label: str, total: int | None) -> Iterator[Bar]:
    """A :class:`Bar` while the block runs."""
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=stderr(),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    with bar:
        yield Bar(bar, bar.add_task(escape(label), total=total))
