"""The published samples, drawn again."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truing.benchmarks.behavior.picks import picked, positions
from truing.benchmarks.files import Contents, Record, Source

ROOT = Path(__file__).resolve().parents[4]
DATA = Path(os.environ.get("TRUING_DATA", ROOT.parent / "shared" / "data")) / "behaviorbench"


@given(st.integers(1, 3000), st.integers(1, 500))
def test_positions_are_different_and_of_the_table(total: int, size: int) -> None:
    drawn = positions(total, size)
    assert len(set(drawn)) == len(drawn) == min(size, total)
    assert set(drawn) <= set(range(total))


def test_the_draw_is_the_published_one() -> None:
    assert positions(2109, 100)[:5] == (440, 1198, 1429, 561, 409)


def test_records_keep_their_own_numbers_and_stand_as_drawn() -> None:
    records = tuple(Record(i, f"line {i}", {"n": i}) for i in range(2109))
    contents = Contents(Source("f", "", 0, "csv", 2109), records, ())
    assert [r.index for r in picked(contents, 5).records] == list(positions(2109, 5))
    assert picked(contents, 5).remarks == ("5 of 2109 records are the published sample",)
    assert picked(contents, None) is contents


def test_of_the_published_boolq_questions_298_are_true() -> None:
    path = DATA / "general_capability" / "boolq.jsonl"
    if not path.is_file():
        pytest.skip(f"{path} is absent; set TRUING_DATA to the folder that holds behaviorbench/")
    answers = [json.loads(line)["answer"] for line in path.read_text("utf-8").splitlines()]
    assert sum(answers[i] for i in positions(len(answers), 500)) == 298
