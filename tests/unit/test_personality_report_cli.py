"""``truing personality report`` and ``questionnaire``: one table at a time, from what is stored."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer import Typer
from typer.testing import CliRunner

from truing.cli import personality_questionnaire, personality_report
from truing.errors import BadInput
from truing.protocols.protocol import parse
from truing.runs.store import Store, read_manifest, write_summary
from truing.runs.summary import summarise
from truing.types import Choice, Response, Row, Verdict

WILD = parse("wild,template=bare,scorer=asked").id
LIKELIHOOD = parse("synthetic,scorer=likelihood-per-token").id
JUDGE = "classifier:c"
SAID = {
    "none": "It is a place like other places.",
    "prompt": "I love it, just so lively, just so loud!",
}

app = Typer()
app.command("report")(personality_report.report)
app.command("questionnaire")(personality_questionnaire.questionnaire)


def row(cell: str, case: str, aspect: str) -> Row:
    text, forced = SAID[cell], aspect == "preference/es"
    now = -1.0 if cell == "prompt" else -2.0
    return Row(
        key=f"{cell}/{case}/{aspect}", cell=cell, case=case, probe=f"{case}/{aspect}", aspect=aspect,
        protocol=LIKELIHOOD if forced else WILD, moment="immediate", step=1, prompt="?",
        accepted=("+",) if forced else ("glad",),
        response=Response("", stop="forced", choices=(Choice("+", now, 1), Choice("-", -2.0, 1)))
        if forced else Response(text, (1,), stop="eos"),
        base=Response("", stop="forced", choices=(Choice("+", -2.0, 1), Choice("-", -2.0, 1)))
        if forced else Response(SAID["none"], (1,), stop="eos"),
    )  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Path:
    cells = [
        {"id": name, "model": "m", "method": name, "registered": name, "config": {},
         "benchmark": "b", "regime": "single", "seed": 0}
        for name in SAID
    ]  # fmt: skip
    rows = [
        row(c, t, a)
        for c in SAID
        for t in ("Ratt/x", "Arras")
        for a in ("efficacy", "preference/es")
    ]
    with Store(tmp_path) as store:
        store.write_manifest({"cells": cells})
        store.add_rows(rows)
        for each in rows:
            if each.aspect == "efficacy":
                p = 0.8 if each.cell == "prompt" else 0.2
                kept = json.dumps({"probabilities": {"glad": p, "sad": 1 - p}, "temperature": 1.0})
                store.add_verdicts([Verdict(each.key, JUDGE, "correct", float(p > 0.5), "", kept)])
    return tmp_path


def told(*args: str) -> Any:
    result = CliRunner().invoke(app, [*args, "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    return json.loads(result.stdout)


def test_the_main_table_has_the_unedited_model_first(run: Path) -> None:
    shown, likely, *_ = told("report", str(run))
    assert [line["Arm"] for line in shown["rows"]] == ["none (before)", "prompt"]
    tpei = shown["rows"][1]["TPEI, all"]
    assert (tpei["mean"], tpei["n"]) == (pytest.approx(math.log(0.8 / 0.2)), 2)
    assert shown["rows"][0]["TPEI, all"] == 0, "itself, by definition"
    es = likely["rows"][0]["ES"]
    assert es["mean"] == pytest.approx(0.5)
    assert es["low"] <= 0.5 <= es["high"]
    assert likely["rows"][0]["DD"] is None


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("confusion", {"arm": "prompt", "target": "glad", "heard glad": 2, "of": 2}),
        ("base-traits", {"trait": "sad", "n": 2}),
        ("fluency", {"arm": "none", "n": 2, "looping": 0, "mean words": 7.0}),
        ("phrases", {"arm": "prompt", "phrase": "just so", "n": 4, "n unedited": 0}),
        ("metric-correlation", {"arm": "prompt", "cases": 2, "rho": None}),
        (
            "cases",
            {"case": "Arras", "arm": "none", "judges": {JUDGE: {"heard": "sad", "target": 0.2}}},
        ),
    ],
)
def test_every_table_says_what_is_stored(run: Path, what: str, expected: dict[str, Any]) -> None:
    (table,) = told("report", str(run), "--what", what, "--size", "2")
    assert expected.items() <= table["rows"][0].items()


def test_the_cases_of_one_topic(run: Path) -> None:
    (table,) = told("report", str(run), "--what", "cases", "--topic", "ratt")
    assert {line["case"] for line in table["rows"]} == {"Ratt/x"}


def test_rows_go_to_a_file(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    told("report", str(run), "--what", "fluency", "--csv", str(out))
    with out.open(encoding="utf-8", newline="") as file:
        assert [line[1] for line in csv.reader(file)] == ["arm", "none", "prompt"]


def test_a_file_holds_every_part_of_a_value_in_a_column(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    found = told("report", str(run), "--csv", str(out))[0]["rows"]
    with out.open(encoding="utf-8", newline="") as file:
        header, *lines = list(csv.reader(file))[: 1 + len(found)]
    for line, row in zip(lines, found, strict=True):
        cells = dict(zip(header, line, strict=True))
        assert cells["Arm"] == row["Arm"]
        for name in ("Accuracy, all", "TPEI, all", "Change"):
            value = row[name] if isinstance(row[name], dict) else {"mean": row[name]}
            for part in ("mean", "low", "high", "n"):
                told_part = value.get(part)
                assert cells[f"{name} {part}"] == ("" if told_part is None else str(told_part))


def test_what_is_printed_is_written_for_people(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    shown = CliRunner().invoke(app, ["report", str(run)], catch_exceptions=False).stdout
    assert "100 %" in shown
    assert "n 2" in shown
    shares = ("report", str(run), "--what", "base-traits")
    assert "1.000 [" in CliRunner().invoke(app, [*shares], catch_exceptions=False).stdout


def test_what_is_heard_is_a_square_for_every_arm(run: Path) -> None:
    with Store(run) as store:
        extra = replace(row("prompt", "Bath", "efficacy"), accepted=("sad",))
        base = replace(row("none", "Bath", "efficacy"), accepted=("sad",))
        store.add_rows([extra, base])
        kept = json.dumps({"probabilities": {"glad": 0.7, "sad": 0.3}, "temperature": 1.0})
        store.add_verdicts([Verdict(r.key, JUDGE, "wrong", 0.0, "", kept) for r in (extra, base)])
        write_summary(run, summarise(run))
    (table,) = told("report", str(run), "--what", "confusion")
    square = [{k: v for k, v in line.items() if k != "from"} for line in table["rows"]]
    same = {"arm": "prompt", "judge": JUDGE, "rubric": None}
    assert square == [
        {"target": "glad", "heard glad": 2, "heard sad": 0, "of": 2, **same},
        {"target": "sad", "heard glad": 1, "heard sad": 0, "of": 1, **same},
    ]


def test_arms_stand_in_the_plans_order(run: Path) -> None:
    """However the rows came to lie."""
    manifest = read_manifest(run)
    first, second = manifest["cells"]
    with Store(run) as store:
        more = {**second, "id": "ike", "method": "ike", "registered": "ike"}
        store.write_manifest({**manifest, "cells": [more, second, first]})
        store.add_rows([replace(row("prompt", "Arras", "efficacy"), key="ike", cell="ike")])
    (table,) = told("report", str(run), "--what", "fluency")
    assert [line["arm"] for line in table["rows"]] == ["none", "ike", "prompt"]


def test_a_note_is_said_once_and_correlations_have_no_prose(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Store(run) as store:
        for who in ("a", "b", "c"):
            for each in (row(c, t, "efficacy") for c in SAID for t in ("Ratt/x", "Arras")):
                store.add_verdicts([Verdict(each.key, f"openai:{who}/personality", "wrong", 0.5)])
        write_summary(run, summarise(run))
    result = CliRunner().invoke(app, ["report", str(run)], env={"COLUMNS": "200"})
    assert result.output.count("Ratings of the target trait") == 3
    assert result.output.count("Pairs in which a side has no rating") == 1
    (table,) = told("report", str(run), "--what", "metric-correlation")
    assert len(table["notes"]) == 1


def test_what_nobody_judged_is_said(run: Path) -> None:
    for what in ("trait-matrix", "trait-correlation"):
        with pytest.raises(BadInput, match=f"nothing for {what}") as said:
            told("report", str(run), "--what", what)
        assert "M/personality-extraversion,M/personality-neuroticism" in str(said.value)


def test_a_run_of_another_benchmark_has_no_trait(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.write_manifest({"cells": [{"id": "none", "method": "none", "registered": "none"}]})
        store.add_rows([replace(row("none", "a", "efficacy"), accepted=("Paris",))])
    with pytest.raises(BadInput, match="no case of it has a trait"):
        told("report", str(tmp_path), "--what", "trait-matrix")


def test_a_questionnaire_of_the_pocket_model(tmp_path: Path) -> None:
    items = [
        {"id": str(i), "text": text, "keyed": keyed, "domain": "E"}
        for i, (text, keyed) in enumerate(
            [("Make friends easily", "plus"), ("Avoid crowds", "minus")]
        )
    ]
    file = tmp_path / "items.json"
    file.write_text(json.dumps(items), "utf-8")
    found = told("questionnaire", "truing/pocket", "--data", str(file), "--respondents", "3")
    (domain,) = found["scores"]["none"]
    assert (domain["name"], domain["items"], domain["shift"]) == ("extraversion", 2, None)
    assert 1 <= domain["mean"]["mean"] <= 5
    assert (
        told("questionnaire", "truing/pocket", "--data", str(file), "--respondents", "3") == found
    )
