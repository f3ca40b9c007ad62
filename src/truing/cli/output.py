"""What every verb shares: data to stdout, progress and notes to stderr, ``--json`` everywhere."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
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

if TYPE_CHECKING:
    from rich.console import RenderResult

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


@contextmanager
def writing(path: Path) -> Iterator[TextIO]:
    """A new text file at ``path``; the block does nothing but write to it. Raises ``StoreError``."""
    from truing.runs.lines import cannot

    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            yield file
    except OSError as error:
        raise cannot("write", path, error, kept="") from None


@dataclasses.dataclass(frozen=True, slots=True)
class RowsTable:
    """A table of strings that breaks no word: what does not fit follows below, under the columns again
    that tell the rows apart. A column that is too wide by itself is folded. No text is read as markup;
    the title may be wider than the table."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.title:
            yield Text(self.title, style="table.title")
        for part in self.parts(options.max_width):
            yield self._drawn(part, options.max_width)

    def parts(self, width: int) -> list[list[int]]:
        """The columns, by number, of each part of at most ``width`` characters."""
        heads = self._heads()
        others = [i for i in range(len(self.columns)) if i not in heads]
        if any(self._least([*heads, *more]) > width for more in ([], *([i] for i in others))):
            heads, others = [0], [*range(1, len(self.columns))]
        parts = [heads]
        for i in others:
            if parts[-1] != heads and self._least([*parts[-1], i]) > width:
                parts.append(heads)
            parts[-1] = [*parts[-1], i]
        return [sorted(part) for part in parts]

    def _heads(self) -> list[int]:
        """The first columns that tell rows apart, without those that add nothing to the ones before."""
        heads: list[int] = []
        told = 0
        for i in range(len(self.columns)):
            apart = len({tuple(row[j] for j in (*heads, i)) for row in self.rows})
            if apart > told:
                heads, told = [*heads, i], apart
        return heads or [0]

    def _least(self, part: Sequence[int]) -> int:
        """Characters that these columns take at least."""
        return 1 + sum(_needed(self._lines(i)) + FRAME for i in part)

    def _lines(self, column: int) -> list[str]:
        cells = (self.columns[column], *(row[column] for row in self.rows))
        return [line for cell in cells for line in cell.split("\n")]

    def _drawn(self, part: Sequence[int], width: int) -> Table:
        table = Table(header_style="bold")
        for i, chosen in zip(part, self._widths(part, width), strict=True):
            table.add_column(Text(self.columns[i]), overflow="fold", width=chosen)
        for row in self.rows:
            table.add_row(*(Text(row[i]) for i in part))
        return table

    def _widths(self, part: Sequence[int], width: int) -> list[int] | list[None]:
        """Characters inside each column: what it needs and its share of the room that is left; ``None``
        where they cannot all have what they need."""
        room = width - self._least(part)
        if room < 0:
            return [None] * len(part)
        lines = [self._lines(i) for i in part]
        needs = [_needed(each) for each in lines]
        wants = [max(map(cell_len, each)) - need for each, need in zip(lines, needs, strict=True)]
        share = min(1.0, room / max(1, sum(wants)))
        return [need + int(share * want) for need, want in zip(needs, wants, strict=True)]


def rows_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> RowsTable:
    """The table of these strings."""
    return RowsTable(title, tuple(columns), tuple(map(tuple, rows)))


def _needed(lines: Sequence[str]) -> int:
    """Characters that they take at least: a short line stays whole, a longer one breaks between words."""
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
