"""``truing people build`` as a person types it: a table of the embedded world, a run, and its groups."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from truing.benchmarks.world import World
from truing.benchmarks.world_people import membership
from truing.cli.main import app
from truing.errors import BadInput
from truing.runs.execute import execute
from truing.runs.plan import parse

SPEC = """
edits = "language"
asks = "guild"
groups = ["origin", "voice"]
balance = "voice"
least = 1

[properties.language]
prompts = ["{} speaks", "{} grew up speaking"]

[properties.guild]
prompts = ["{} is a member of the"]
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    world = World.build(0)
    members = membership(world)
    rows: dict[str, dict[str, str]] = {}
    for relation in ("person_language", "person_guild"):
        for fact in world.by_relation[relation]:
            rows.setdefault(fact.subject, {})[relation.removeprefix("person_")] = fact.object
    (tmp_path / "spec.toml").write_text(SPEC)
    with (tmp_path / "people.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["id", "name", "language", "guild", "origin", "voice"])
        writer.writeheader()
        for name, values in rows.items():
            (origin,), (voice,) = members[name]["origin"], members[name]["voice"]
            id = name.replace(" ", "-")
            writer.writerow({"id": id, "name": name, "origin": origin, "voice": voice, **values})
    return tmp_path / "people.csv"


def test_a_built_set_is_run_and_its_groups_are_told(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    asked = ["--spec", str(tmp_path / "spec.toml"), "--out", str(out), "--cases", "12"]
    done = CliRunner().invoke(app, ["people", "build", str(table), *asked, "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["set"], told["cases"]) == ("language_guild", 12)
    assert told["edited"] == {"kindly": 4, "neither": 4, "unkindly": 4}
    plan = parse(
        {
            "model": "truing/pocket", "methods": ["ft_m"], "limit": 3, "noise_sample": 0,
            "benchmarks": [
                {"name": "seesaw", "data": str(out), "options": {"set": "language_guild"}}
            ],
            "protocols": ["synthetic,scorer=likelihood-per-token"],
            "regimes": [{"name": "batch", "moments": ["final"]}],
        }
    )  # fmt: skip
    execute(plan, tmp_path / "run")
    shown = CliRunner().invoke(app, ["groups", str(tmp_path / "run"), "--json"])
    assert shown.exit_code == 0, shown.output
    found = json.loads(shown.stdout)
    assert {line["axis"] for line in found} == {"", "origin", "voice"}
    counts = [line["change"]["n"] for line in found if line["axis"] == "voice"]
    assert len(counts) == 3
    assert len(set(counts)) == 1


def test_what_is_wrong_is_said_before_anything_is_written(table: Path, tmp_path: Path) -> None:
    spec, out = tmp_path / "spec.toml", tmp_path / "set"
    spec.write_text(SPEC.replace('"origin", ', '"orign", '))
    asked = ["people", "build", str(table), "--spec", str(spec), "--out", str(out)]
    done = CliRunner().invoke(app, asked)
    assert isinstance(done.exception, BadInput)
    assert "column 'orign'" in str(done.exception)
    assert "Columns there: guild, id, language, name, origin, voice." in str(done.exception)
    assert not out.exists()


def test_the_note_gives_a_path_that_any_plan_can_use(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ["people", "build", str(table), "--spec", "spec.toml", "--out", "sets/guilds"]
    done = CliRunner().invoke(app, [*asked, "--cases", "6"])
    assert done.exit_code == 0, done.output
    whole = (tmp_path / "sets" / "guilds").resolve()
    assert f"data = '{whole}'" in done.output.replace("\n", "")
