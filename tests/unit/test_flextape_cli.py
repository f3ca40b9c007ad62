"""The published numbers of Seesaw-CF, printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from truing.cli.reproduce_flextape import agreement, show


def test_numbers_are_shown_with_what_is_missing_and_why(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = data_dir / "seesaw"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent; set TRUING_DATA")
    show("flextape:efficacy", folder, as_json=True)
    told = capsys.readouterr()
    assert "6 of 6 numbers cannot be mended" in told.err
    assert {line["corrected"] for line in json.loads(told.out)} == {None}
    show("flextape:efficacy", folder, as_json=False)
    shown = capsys.readouterr().out
    assert "—" in shown
    assert shown.count("no edit was made: all 290 cases") == 1
    for where in (folder, folder / "annotations"):
        agreement("flextape:agreement", where, as_json=True)
        assert len(json.loads(capsys.readouterr().out)) == 40
