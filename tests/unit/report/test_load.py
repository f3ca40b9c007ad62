from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from truing.errors import StoreError
from truing.report.load import Run, read_run


def test_only_the_first_cases_of_a_cell_are_kept_but_all_are_counted(
    folder: Path, run: Run
) -> None:
    few = read_run(folder, cases_per_cell=3)
    assert few.cases_total == 12
    assert few.rows_total == run.rows_total
    assert {len({r.case for r in few.rows if r.cell == c}) for c in few.cells} == {3}
    assert set(few.verdicts) <= {r.key for r in few.rows}


def test_a_torn_last_line_is_left_out(folder: Path, run: Run) -> None:
    lines = (folder / "rows-0.jsonl").read_text("utf-8").split("\n")
    assert lines[-1].startswith('{"key": "torn')
    assert run.rows_total == len(lines) - 1


def test_a_later_verdict_of_a_judge_replaces_its_earlier_one(tmp_path: Path, folder: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "run")
    first = json.loads((copy / "verdicts-0.jsonl").read_text("utf-8").split("\n")[0])
    changed = {**first, "state": "abstain", "score": None}
    (copy / "verdicts-1.jsonl").write_text(json.dumps(changed) + "\n", "utf-8")
    held = [v for v in read_run(copy).verdicts[first["row"]] if v.judge == first["judge"]]
    assert [v.state for v in held] == ["abstain"]


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        read_run(tmp_path / "nowhere")
