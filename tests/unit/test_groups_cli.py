"""``truing groups``: D by group of a run about people."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from typer.testing import CliRunner

from truing.cli.main import app
from truing.errors import BadInput
from truing.runs.execute import execute
from truing.runs.plan import parse


def test_groups_of_a_run_have_intervals_and_a_table_of_people(tmp_path: Path) -> None:
    plan = parse(
        {
            "model": "truing/pocket", "methods": ["ft_m"], "benchmark": "world_people", "limit": 3,
            "protocols": ["synthetic,scorer=likelihood-per-token"],
            "regimes": [{"name": "batch", "moments": ["final"]}], "noise_sample": 0,
        }
    )  # fmt: skip
    execute(plan, tmp_path / "run")
    table = tmp_path / "people.csv"
    asked = [str(tmp_path / "run"), "--axis", "voice", "--export", str(table)]
    done = CliRunner().invoke(app, ["groups", *asked, "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert {line["axis"] for line in found} == {"voice"}
    for line in found:
        assert line["change"]["n"] > 0
        assert line["change"]["low"] <= line["change"]["mean"] <= line["change"]["high"]
    with table.open(encoding="utf-8") as file:
        people = list(csv.DictReader(file))
    assert {row["axis"] for row in people} == {"voice"}
    lost = CliRunner().invoke(app, ["groups", str(tmp_path / "run"), "--axis", "height"])
    assert isinstance(lost.exception, BadInput)
    assert "nobody is grouped by 'height'" in str(lost.exception)
