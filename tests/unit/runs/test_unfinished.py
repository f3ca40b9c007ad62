"""Folders that are no run, or a run that stopped midway."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from truing.errors import StoreError
from truing.runs.store import read_manifest
from truing.runs.unfinished import is_finished, no_rows


def test_a_folder_without_a_manifest_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is no run folder") as caught:
        read_manifest(tmp_path)
    assert "truing run PLAN" in str(caught.value.next)


@pytest.mark.parametrize(
    ("manifest", "done"),
    [({}, True), ({"finished": "2026-01-02T03:04:05Z"}, True), ({"finished": None}, False)],
)
def test_what_is_lacking_may_only_be_missing_so_far(
    manifest: dict[str, object], done: bool, tmp_path: Path
) -> None:
    folder = tmp_path / "a run"
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    assert is_finished(folder) is done
    error = no_rows(folder, "row about cats", "Run a benchmark of cats.")
    if done:
        assert str(error) == f"{folder} has no row about cats\nRun a benchmark of cats."
    else:
        assert "not finished (0 rows so far)" in error.what
        assert error.next == f"Go on: truing run '{folder}' --resume"
