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
            "model": "truing/pocket", "benchmark": "world_people", "limit": 3,
            "methods": ["ft_m", {"name": "ft_m", "label": "again", "config": {"steps": 1}}],
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
    assert [line["method"] for line in found if line["group"] == "everybody"] == ["ft_m", "again"]
    assert {line["axis"] for line in found if line["group"] != "everybody"} == {"voice"}
    for line in found:
        assert line["change"]["n"] > 0
        assert line["change"]["low"] <= line["change"]["mean"] <= line["change"]["high"]
    with table.open(encoding="utf-8") as file:
        people = list(csv.DictReader(file))
    assert {row["axis"] for row in people} == {"voice"}
    assert {row["method"] for row in people} == {"ft_m", "again"}
    assert [path.name for path in tmp_path.glob("*.csv")] == ["people.csv"]
    assert f"{len(people)} rows: {table}" in done.stderr.replace("\n", "")
    said = " ".join(done.stderr.split())
    for part in ("ft_m: After", "again: After", "By voice", "a finding about this edit"):
        assert part in said
    assert "not finished" not in said
    lost = CliRunner().invoke(app, ["groups", str(tmp_path / "run"), "--axis", "height"])
    assert isinstance(lost.exception, BadInput)
    assert "nobody is grouped by 'height'" in str(lost.exception)
