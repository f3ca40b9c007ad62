"""``truing longform``: from a plan to what its long texts name and which flaws they have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from truing.cli.main import app
from truing.runs.execute import execute
from truing.runs.longform import texts_of
from truing.runs.plan import parse
from truing.runs.store import Store, read_rows
from truing.types import Verdict


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("long") / "run"
    plan = parse(
        {
            "model": "truing/pocket", "methods": ["ft_m"], "limit": 3, "noise_sample": 0,
            "benchmarks": [{"name": "world_people", "options": {"continuations": 3}}],
            "protocols": ["wild,template=bare"],
            "regimes": [{"name": "batch", "moments": ["final"]}],
        }
    )  # fmt: skip
    execute(plan, folder)
    return folder


def asked(*words: str) -> str:
    done = CliRunner().invoke(app, ["longform", *words])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_texts_of_one_prompt_are_drawn_apart(run: Path) -> None:
    by_case: dict[tuple[str, str], set[str]] = {}
    for row in read_rows(run):
        if row.aspect.startswith("fluency/") and row.response is not None:
            by_case.setdefault((row.cell, row.case), set()).add(row.response.text)
    assert any(len(texts) > 2 for texts in by_case.values())
    assert {t.wording: len(t.texts) for t in texts_of(run)} == {"guided": 9, "free": 9}


def test_names_and_flaws_are_told_as_a_table_and_as_json(run: Path, tmp_path: Path) -> None:
    found = json.loads(asked("names", str(run), "--json"))
    assert {(one["wording"], one["sought"]) for one in found} == {
        (wording, sought) for wording in ("guided", "free") for sought in ("right answer", "edit")
    }
    assert all(one["naming"]["after"]["n"] == 9 for one in found)
    assert "right" in asked("names", str(run))
    lists = tmp_path / "mine.toml"
    lists.write_text('racism = ["of"]')
    flaws = json.loads(asked("flaws", str(run), "--words", str(lists), "--json"))
    assert {(s["flaw"], s["rater"]) for one in flaws for s in one["shifts"]} == {
        ("racism", "words")
    }
    assert "racism" in asked("flaws", str(run))


def test_only_raters_who_said_something_are_shown_and_told_about(run: Path) -> None:
    rows = [row for row in read_rows(run) if row.aspect == "fluency/free" and row.base is not None]
    with Store(run) as store:
        store.add_verdicts(Verdict(r.key, "human:ada/flaw-sexism", "wrong", 0.5) for r in rows)
    done = CliRunner().invoke(app, ["longform", "flaws", str(run), "--rater", "human:ada"])
    assert done.exit_code == 0, done.output
    assert "'words' finds candidates" not in done.output
    assert "· guided" not in done.output
    assert "guided texts: nobody asked for has rated any" in done.output
    everybody = CliRunner().invoke(app, ["longform", "flaws", str(run)])
    assert "'words' finds candidates" in everybody.output
    assert "has rated any" not in everybody.output
