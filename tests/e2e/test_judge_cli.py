"""Judging a finished run from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from shell import truing

from judged_rows import row
from truing.runs.store import Store, read_verdicts

pytest.importorskip("torch")
JUDGE = "local:truing/pocket/correctness"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRUING_CACHE", str(tmp_path / "cache"))
    cell = {"id": "rome", "model": "m", "method": "rome", "registered": "rome", "config": {},
            "benchmark": "b", "regime": "single", "seed": 0}  # fmt: skip
    with Store(tmp_path / "run") as store:
        store.write_manifest({"cells": [cell]})
        store.write_text("plan.toml", "")
        store.add_rows([row("Orvale", key="a"), row("", key="b"), row("Velt", key="c")])
    return tmp_path / "run"


def test_a_local_judge_judges_stored_rows_once(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["judge", str(run), "--with", "rules,local:truing/pocket", "--judge-device", "cpu"]
    told = truing([*command, "--dry-run", "--json"], capsys)
    assert [(j["judge"], j["rows"], j["chats"]) for j in json.loads(told.out)] == [(JUDGE, 3, 2)]
    assert list(read_verdicts(run)) == []
    first = truing([*command, "--json"], capsys)
    assert first.code == 0
    assert "2 of 3 verdicts are invalid, most often: the reply names no label" in " ".join(
        first.err.split()
    )
    [count] = json.loads(first.out)["judges"]
    assert (count["judge"], count["n"], count["degenerate"]) == (JUDGE, 3, 1)
    before = list(read_verdicts(run))
    second = truing(command, capsys)
    assert second.code == 0
    assert JUDGE in second.out.replace("\n", "")
    assert list(read_verdicts(run)) == before
    assert truing(["report", str(run)], capsys).code == 0
    assert JUDGE in (run / "report.html").read_text("utf-8")


def test_a_classifier_is_not_asked_what_none_of_its_labels_answers(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    moods = [
        {"text": f"{word} {word} number {i}", "label": label}
        for i in range(20)
        for word, label in (("laughter", "merry"), ("silence", "calm"))
    ]
    data, folder = tmp_path / "moods.jsonl", tmp_path / "moods"
    data.write_text("\n".join(map(json.dumps, moods)), "utf-8")
    learn = ["classifier", "train", str(data), "--dev", str(data), "--out", str(folder)]
    assert truing(learn, capsys).code == 0
    with Store(run) as store:
        store.add_rows([row("laughter", key="m", accepted=("merry",), aspect="leakage")])
    command = ["judge", str(run), "--with", f"classifier:{folder}"]
    told = truing(command, capsys)
    assert told.code == 0, told.err
    assert "has no question about 3 other answers" in " ".join(told.err.split())
    again = json.loads(truing([*command, "--json"], capsys).out)
    [count] = again["judges"]
    assert (count["aspect"], count["n"], count["correct"], count["invalid"]) == ("leakage", 1, 1, 0)
    assert again["unasked"] == {f"classifier:{folder}": 3}


@pytest.mark.parametrize(
    ("args", "word"),
    [(["--with", "locl:x"], "unknown judge"), (["--with", "local:x", "--rubric", "corect"], "rubric"),
     (["--with", "openai:x", "--prices", "cheap"], "IN,OUT"),
     (["--with", "local:x", "--aspect", "eficacy"], "aspect of the run"),
     (["--with", "local:x", "--aspect", "eficacy", "--dry-run"], "aspect of the run"),
     (["--with", "openai:x", "--budget", "1"], "prices")],
)  # fmt: skip
def test_what_is_wrong_is_told_before_anything_is_asked(
    run: Path, args: list[str], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = truing(["judge", str(run), *args], capsys)
    assert outcome.code == 2
    assert word in outcome.err
    assert len(outcome.error_lines) <= 2


def test_calibration_prints_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "reliability.svg"
    outcome = truing(
        ["calibrate", "contains", "exact-match", "--out", str(picture), "--json"], capsys
    )
    assert outcome.code == 0
    found = {each["judge"]: each for each in json.loads(outcome.out)}
    assert found["contains"]["accuracy"]["mean"] > found["exact-match"]["accuracy"]["mean"]
    assert picture.read_text("utf-8").startswith("<svg")
    assert "judged" not in truing(["calibrate", "contains"], capsys).err
    assert "yes-no judged 7 of 126" in " ".join(truing(["calibrate", "yes-no"], capsys).err.split())
