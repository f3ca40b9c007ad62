"""The cache of base answers never loses, mixes up or stops anything."""

from __future__ import annotations

import multiprocessing
import sqlite3
import warnings
from pathlib import Path

import pytest

from truing.models.answers import Answers


def test_what_was_put_is_found_and_nothing_else(tmp_path: Path) -> None:
    answers = Answers(tmp_path / "deep" / "answers.sqlite3")
    assert answers.get(["a"]) == {}
    answers.put({"a": "1", "b": "zwölf ☃"})
    assert Answers(answers.path).get(["a", "b", "c", "a"]) == {"a": "1", "b": "zwölf ☃"}


def test_an_answer_is_never_replaced(tmp_path: Path) -> None:
    answers = Answers(tmp_path / "answers.sqlite3")
    answers.put({"a": "first"})
    answers.put({"a": "second", "b": "2"})
    assert answers.get(["a", "b"]) == {"a": "first", "b": "2"}


def test_many_keys_at_once(tmp_path: Path) -> None:
    answers = Answers(tmp_path / "answers.sqlite3")
    items = {f"key-{i}": str(i) for i in range(2345)}
    answers.put(items)
    assert answers.get(list(items)) == items


@pytest.mark.parametrize("content", [b"this is no database" * 100, b"\x00" * 4096])
def test_a_damaged_file_is_set_aside(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "answers.sqlite3"
    path.write_bytes(content)
    answers = Answers(path)
    with pytest.warns(UserWarning, match="set aside|cannot be read"):
        assert answers.get(["a"]) == {}
    assert (tmp_path / "answers.sqlite3.damaged-1").read_bytes() == content
    answers.put({"a": "1"})
    assert answers.get(["a"]) == {"a": "1"}


def test_pages_that_rot_are_survived(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite3"
    Answers(path).put({f"key-{i}": "x" * 500 for i in range(500)})
    raw = bytearray(path.read_bytes())
    raw[4096:] = b"\xff" * (len(raw) - 4096)
    path.write_bytes(bytes(raw))
    answers = Answers(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert answers.get([f"key-{i}" for i in range(500)]) == {}
        answers.put({"a": "1"})
        assert answers.get(["a"]) == {"a": "1"}


def test_a_folder_that_cannot_be_made_switches_the_cache_off(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    answers = Answers(tmp_path / "file" / "answers.sqlite3")
    with pytest.warns(UserWarning, match="TRUING_CACHE"):
        answers.put({"a": "1"})
    assert not answers.on
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        answers.put({"b": "2"})
        assert answers.get(["a", "b"]) == {}


def test_a_full_disk_switches_the_cache_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = Answers(tmp_path / "answers.sqlite3")
    answers.put({"a": "1"})

    def full(*args: object, **kwargs: object) -> sqlite3.Connection:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(sqlite3, "connect", full)
    with pytest.warns(UserWarning, match="disk is full"):
        answers.put({"b": "2"})
    assert not answers.on


def _put(path: Path, worker: int) -> None:
    answers = Answers(path)
    for i in range(20):
        answers.put({f"{worker}-{i}": str(i), f"shared-{i}": str(i)})


def test_processes_share_one_file(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite3"
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_put, args=(path, n)) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    wanted = {f"{n}-{i}": str(i) for n in range(4) for i in range(20)}
    wanted |= {f"shared-{i}": str(i) for i in range(20)}
    assert Answers(path).get(list(wanted)) == wanted
