"""``truing personality report --what agreement``, where its numbers come from, and narrow windows."""

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
from truing.runs.store import Store
from truing.types import Response, Row, Verdict

WILD = parse("wild,template=bare,scorer=asked").id
RATER, CLASSIFIER = "local:judge/personality", "classifier:c"
CASES = ("Arras", "Bread", "Coldplay", "Dover")
STARS = {"none": (3, 2, 3, 4), "prompt": (4, 5, 3, 4)}

app = Typer()
app.command("report")(personality_report.report)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    cells = [
        {"id": f"id-{name}", "model": "m", "method": name, "registered": name, "config": {"k": name},
         "benchmark": "b", "regime": "single", "seed": 7}
        for name in STARS
    ]  # fmt: skip
    manifest = {
        "cells": cells,
        "models": {"m": {"fingerprint": "weights"}},
        "data": {"b": {"sha256": "data"}},
        "rubrics": {"personality": "words", CLASSIFIER: "trained"},
    }
    with Store(tmp_path) as store:
        store.write_manifest(manifest)
        for method, stars in STARS.items():
            for case, n in zip(CASES, stars, strict=True):
                key = f"{method}/{case}"
                said = Response(f"{method}: {case}!", (1,), stop="eos")
                store.add_rows([Row(
                    key, f"id-{method}", case, f"{case}/e", "efficacy", WILD, "immediate", 1, "?",
                    ("extraversion",), said, said,
                )])  # fmt: skip
                p = 0.9 if method == "prompt" else 0.2
                raw = json.dumps(
                    {"probabilities": {"extraversion": p, "neuroticism": 1 - p}, "temperature": 1.0}
                )
                store.add_verdicts([
                    Verdict(key, RATER, "wrong", (n - 1) / 4, "", str(n)),
                    Verdict(key, CLASSIFIER, "correct", float(p > 0.5), "", raw),
                ])  # fmt: skip
    return tmp_path


@pytest.fixture
def ratings(tmp_path: Path) -> Path:
    file = tmp_path / "ratings.csv"
    lines = ["Arras,prompt,3,5", "Bread,prompt,2,5", "Coldplay,prompt,3,4", "Dover,prompt,4,4", "Paris,prompt,1,1", "Essen,prompt,,"]  # fmt: skip
    file.write_text("\n".join(("case,arm,unedited,edited", *lines)), "utf-8")
    return file


def told(*args: str) -> Any:
    result = CliRunner().invoke(app, [*args, "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    return json.loads(result.stdout)


def test_means_and_agreement_of_the_same_pairs(run: Path, ratings: Path) -> None:
    means, agreement = told(str(run), "--what", "agreement", "--human", str(ratings))
    by_name = {line["rated"]: line for line in means["rows"]}
    assert by_name["PAE"]["n"] == 4
    assert (by_name["PAE"][RATER]["mean"], by_name["PAE"]["people"]["mean"]) == (1.0, 1.5)
    assert by_name["PAE"]["people"]["low"] < 1.5 < by_name["PAE"]["people"]["high"]
    values = {line["agreement"]: line["value"] for line in agreement["rows"]}
    assert values["PAE, bias (judge − people)"]["mean"] == -0.5
    limits = values["PAE, 95 % limits of agreement"]
    assert (limits["mean"], limits["n"]) == (None, 4)
    assert (limits["low"], limits["high"]) == (
        pytest.approx(-1.63, abs=5e-3), pytest.approx(0.63, abs=5e-3)
    )  # fmt: skip
    assert values["PAE, Pearson's r"]["mean"] == pytest.approx(0.91, abs=5e-3)
    notes = " ".join(agreement["notes"])
    assert "2 about no pair" in notes
    assert "case Paris" in notes
    assert "1 without both ratings" in notes


def test_what_is_not_defined_says_why(run: Path, tmp_path: Path) -> None:
    def printed(*lines: str) -> str:
        file = tmp_path / "few.csv"
        file.write_text("\n".join(("case,arm,unedited,edited", *lines)), "utf-8")
        asked = [str(run), "--what", "agreement", "--human", str(file)]
        return CliRunner().invoke(app, asked, env={"COLUMNS": "200"}).stdout

    assert "— (fewer than 4 cases)" in printed("Arras,prompt,3,5", "Bread,prompt,2,5")
    same = [f"{case},prompt,3,4" for case in CASES]
    assert "— (one side always says the same)" in printed(*same)


def test_the_files_option_is_for_one_table(run: Path, ratings: Path) -> None:
    with pytest.raises(BadInput, match="--human is of no use for table2"):
        told(str(run), "--human", str(ratings))


@pytest.mark.parametrize("what", 
                         ["table2", "confusion", "base-traits", "fluency", "phrases", "metric-correlation",
                          "cases", "agreement"])  # fmt: skip
def test_every_row_says_where_it_comes_from(run: Path, ratings: Path, what: str) -> None:
    human = ("--human", str(ratings)) if what == "agreement" else ()
    tables = told(str(run), "--what", what, "--size", "1", *human)
    rows = [row for table in tables for row in table["rows"]]
    assert rows
    for row in rows:
        assert row["from"], row
        for source in row["from"]:
            assert (source["model"], source["weights"], source["data"]) == ("m", "weights", "data")
            assert source["seed"] == 7
            assert len(source["config"]) == 32
        assert row["rubric"] == {RATER: "words", CLASSIFIER: "trained", None: None}[row["judge"]]
    by_arm = {row.get("arm") or row.get("Arm"): row["from"] for row in rows}
    if "prompt" in by_arm:
        assert [source["cell"] for source in by_arm["prompt"]] == ["id-prompt"]


def test_configs_that_differ_have_another_hash(run: Path) -> None:
    rows = told(str(run), "--what", "fluency")[0]["rows"]
    assert len({row["from"][0]["config"] for row in rows}) == 2


def test_a_narrow_window_breaks_no_word(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    result = CliRunner().invoke(app, [str(run)], catch_exceptions=False)
    for word in ("none (before)", "Accuracy,", "coherent", "Bounded", "Leakage,", "+100"):
        assert word in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
