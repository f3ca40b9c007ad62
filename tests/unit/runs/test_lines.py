from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from truing.errors import StoreError
from truing.runs.lines import Appender, read, write_atomically

NUMBERS = TypeAdapter(int)


def numbers(path: Path) -> list[int]:
    return list(read(path, NUMBERS))


def test_what_was_appended_is_read_in_order(tmp_path: Path) -> None:
    file = Appender(tmp_path / "x.jsonl")
    file.append(["1", "2"])
    file.append([])
    file.append(["3"])
    assert numbers(tmp_path / "x.jsonl") == [1, 2, 3]


def test_a_torn_last_line_is_not_read_and_dropped_by_the_next_writer(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"1\n2\n34")
    assert numbers(path) == [1, 2]
    file = Appender(path)
    assert path.read_bytes() == b"1\n2\n"
    file.append(["5"])
    assert numbers(path) == [1, 2, 5]


@given(st.lists(st.integers(0, 10**9), max_size=30), st.integers(0, 400))
def test_any_cut_leaves_a_beginning(values: list[int], cut: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.jsonl"
        file = Appender(path)
        file.append(map(str, values))
        file.close()
        os.truncate(path, min(cut, path.stat().st_size))
        kept = numbers(path)
        assert kept == values[: len(kept)]
        Appender(path).append(["7"])
        assert numbers(path) == [*kept, 7]


def test_a_damaged_line_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"1\n{oh\n3\n")
    with pytest.raises(StoreError, match=r"x\.jsonl:2"):
        numbers(path)


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.jsonl"
    file = Appender(path)
    file.append(["1", "2"])
    write, calls = os.write, iter(range(100))

    def full(fd: int, data: bytes) -> int:
        if next(calls):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(fd, bytes(data[:1]))

    monkeypatch.setattr("truing.runs.lines.os.write", full)
    with pytest.raises(StoreError, match="No space left") as caught:
        file.append(["34", "5"])
    assert len(str(caught.value).splitlines()) == 2
    assert "--resume" in str(caught.value)
    monkeypatch.undo()
    assert path.read_bytes() == b"1\n2\n"
    file.append(["6"])
    assert numbers(path) == [1, 2, 6]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        Appender(tmp_path / "file" / "x.jsonl")
    with pytest.raises(StoreError, match="cannot write"):
        write_atomically(tmp_path / "gone" / "x.json", "{}")


def test_a_replaced_file_is_the_old_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.json"
    write_atomically(path, "old")

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("truing.runs.lines.os.replace", fail)
    with pytest.raises(StoreError):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_text_that_is_not_unicode_is_written_all_the_same(tmp_path: Path) -> None:
    file = Appender(tmp_path / "x.jsonl")
    file.append(['"\ud800"'])
    assert list(read(tmp_path / "x.jsonl", TypeAdapter(str))) == ["?"]
