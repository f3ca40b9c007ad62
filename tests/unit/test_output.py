"""What every verb prints with: tables that break no word, and files that cannot be written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table

from truing.cli.output import RowsTable, rows_table, writing
from truing.errors import StoreError

WORDS = st.lists(st.text("abcdefgh", min_size=1, max_size=9), min_size=1, max_size=6)
CELLS = WORDS.map(" ".join)


def printed(table: RowsTable, width: int) -> str:
    console = Console(width=width, highlight=False)
    with console.capture() as taken:
        console.print(table)
    return taken.get()


@st.composite
def tables(draw: st.DrawFn) -> RowsTable:
    n = draw(st.integers(1, 8))
    line = st.lists(CELLS, min_size=n, max_size=n)
    return rows_table("", draw(line), draw(st.lists(line, min_size=1, max_size=5)))


@given(tables(), st.integers(30, 120))
def test_no_word_is_broken_and_no_line_is_too_long(table: RowsTable, width: int) -> None:
    """No word has more than nine letters and no line of 16 characters is broken: two columns fit into 40."""
    told = printed(table, max(40, width))
    assert max(map(len, told.splitlines())) <= max(40, width)
    whole = {word for cells in (table.columns, *table.rows) for c in cells for word in c.split()}
    assert set(re.findall("[a-h]+", told)) == whole


@given(tables(), st.integers(10, 120))
def test_every_column_is_there_and_parts_begin_alike(table: RowsTable, width: int) -> None:
    parts = table.parts(width)
    heads = [i for i in parts[0] if all(i in part for part in parts)]
    rest = [i for part in parts for i in part if i not in heads]
    assert sorted([*heads, *rest]) == list(range(len(table.columns)))


def columns_of(parts: Sequence[Sequence[int]], names: Sequence[str]) -> list[list[str]]:
    return [[names[i] for i in part] for part in parts]


@pytest.mark.parametrize("width", [20, 40, 60, 200])
def test_what_does_not_fit_follows_below_the_first_column(width: int) -> None:
    names = ["arm", *(f"column {i}" for i in range(9))]
    table = rows_table("title", names, [["x", *(f"{i} of 10 · n 10" for i in range(9))]])
    parts = columns_of(table.parts(width), names)
    assert all(part[0] == "arm" for part in parts)
    assert [name for part in parts for name in part[1:]] == names[1:]
    assert (len(parts) == 1) is (width == 200)
    told = printed(table, width)
    assert told.count("title") == 1
    assert max(map(len, told.splitlines())) <= width


def test_parts_repeat_as_many_columns_as_tell_the_rows_apart() -> None:
    names = ["method", "axis", "group", "first number", "second number", "third number"]
    rows = [
        [method, axis, group, *["0.123 to 0.456"] * 3]
        for method in ("ft", "rome")
        for axis in ("voice", "size")
        for group in ("low", "high")
    ]
    parts = columns_of(rows_table("", names, rows).parts(60), names)
    assert len(parts) > 1
    assert all(part[:3] == names[:3] for part in parts)


def test_a_column_that_says_no_more_than_one_before_it_is_not_repeated() -> None:
    names = ["case", "question", "arm", "answer", "judges"]
    rows = [
        [f"case {case}", f"what of {case}?", arm, "y" * 16, "z" * 16]
        for case in "abc"
        for arm in ("none", "prompt")
    ]
    parts = columns_of(rows_table("", names, rows).parts(50), names)
    assert parts[0] == ["case", "question", "arm"]
    assert [part[:2] for part in parts[1:]] == [["case", "arm"]] * len(parts[1:])
    assert [name for part in parts[1:] for name in part[2:]] == ["answer", "judges"]


def test_inside_another_table_it_keeps_to_its_place() -> None:
    grid = Table.grid()
    grid.add_row(rows_table("", ["x" * 12] * 8, [["y" * 12] * 8]))
    console = Console(width=60)
    with console.capture() as taken:
        console.print(grid)
    told = taken.get()
    assert max(map(len, told.splitlines())) <= 60
    assert "x" * 12 in told
    assert "y" * 12 in told


def test_nothing_in_a_table_is_markup() -> None:
    assert "[bold]" in printed(rows_table("[red]", ["[bold]"], [["[/]"]]), 40)


def test_a_file_is_written_as_it_is_given(tmp_path: Path) -> None:
    with writing(tmp_path / "x.csv") as file:
        file.write("é\r\n")
    assert (tmp_path / "x.csv").read_bytes() == b"\xc3\xa9\r\n"


@pytest.mark.parametrize(
    ("where", "hint"), [("none/x.csv", "Make the folder first"), ("", "give a file"), ("file/x.csv", "is a file")]
)  # fmt: skip
def test_a_place_that_cannot_be_written_is_told_in_two_lines(
    where: str, hint: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(StoreError, match=hint) as caught, writing(tmp_path / where):
        pass
    assert len(str(caught.value).splitlines()) == 2
