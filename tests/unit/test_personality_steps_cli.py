"""``truing personality report --what steps``: several checkpoints of one training, in their order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer import Typer
from typer.testing import CliRunner

from truing.cli import personality_report
from truing.errors import BadInput
from truing.protocols.protocol import parse
from truing.runs.store import EditRecord, Store
from truing.types import Choice, Response, Row

LIKELIHOOD = parse("synthetic,scorer=likelihood-per-token").id
# cell, method, training, step, checkpoint, likelihood of the wanted opinion
CELLS = (
    ("c0", "none", "", 0, "", -2.0),
    ("c1", "mend", "t1", 1000, "runs/early", -1.0),
    ("c2", "mend", "t1", 200, "runs/late", -1.5),
    ("c3", "mend", "t2", 50, "runs/other", -0.5),
    ("c4", "serac", "t3", 100, "runs/s", -0.1),
)

app = Typer()
app.command("report")(personality_report.report)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    cells = [
        {"id": cell, "model": "m", "method": f"{method}-{cell}", "registered": method,
         "config": {"checkpoint": folder} if folder else {}, "benchmark": "b", "regime": "single",
         "seed": 0}
        for cell, method, _, _, folder, _ in CELLS
    ]  # fmt: skip
    cells[0]["method"] = "none"
    with Store(tmp_path) as store:
        store.write_manifest({"cells": cells})
        for number, (cell, _, training, step, _, wanted) in enumerate(CELLS):
            editor = {"editor": {"training": training, "step": step}} if training else {}
            store.add_edit(EditRecord(cell, 0, ("tea",), 1, 1, 0.1, config=editor))
            store.add_rows([row(f"{number}", cell, wanted)])
    return tmp_path


def row(key: str, cell: str, wanted: float) -> Row:
    def of(chosen: float) -> Response:
        choices = (Choice("+", chosen, 1), Choice("-", -2.0, 1))
        return Response("", stop="forced", choices=choices)

    return Row(
        key=key, cell=cell, case="tea", probe="tea/es", aspect="preference/es", protocol=LIKELIHOOD,
        moment="immediate", step=1, prompt="?", accepted=("+",), response=of(wanted), base=of(-2.0),
    )  # fmt: skip


def told(*args: str) -> Any:
    result = CliRunner().invoke(app, [*args, "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    return json.loads(result.stdout)


def test_checkpoints_of_one_training_stand_in_the_order_of_their_steps(run: Path) -> None:
    likely = told(str(run), "--what", "steps")[0]
    assert "mend, training t1" in likely["title"]
    assert [line["Step"] for line in likely["rows"]] == ["none (before)", "200", "1000"]
    assert [round(line["ES"]["mean"], 3) for line in likely["rows"]] == [0.5, 0.622, 0.731]
    assert [[each["cell"] for each in line["from"]] for line in likely["rows"]] == [
        ["c0"], ["c2"], ["c1"]
    ]  # fmt: skip


def test_single_checkpoints_are_no_curve(run: Path) -> None:
    titles = {table["title"] for table in told(str(run), "--what", "steps")}
    assert not any("t2" in title or "t3" in title for title in titles)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        cell = {"id": "c0", "model": "m", "method": "none", "registered": "none", "config": {},
                "benchmark": "b", "regime": "single", "seed": 0}  # fmt: skip
        store.write_manifest({"cells": [cell]})
        store.add_rows([row("0", "c0", -2.0)])
    with pytest.raises(BadInput, match="nothing for steps") as raised:
        told(str(tmp_path), "--what", "steps")
    assert "--keep-every" in raised.value.next
