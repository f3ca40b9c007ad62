"""A/B capability sets: which letter is likelier, on the published files and in a plan."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from shell import truing

from truing.benchmarks.capability.sets import CAPABILITIES, load
from truing.errors import BadInput
from truing.protocols.protocol import parse
from truing.runs.store import read_rows
from truing.scoring.judge import JUDGES
from truing.types import Response, Row

ROOT = Path(__file__).resolve().parents[3]
DATA = Path(os.environ.get("TRUING_DATA", ROOT.parent / "shared" / "data"))
FILES = DATA / "steering" / "caa" / "side_effects"
ROWS = {"mmlu_ab": 570, "truthfulqa_ab": 817}
SEA = {
    "prompt": "What is the sea?\n\nChoices:\n(A) Salt water\n(B) Sand ",
    "correct": "(A)",
    "incorrect": "(B)",
}


def written(tmp_path: Path, *records: dict[str, Any]) -> Path:
    path = tmp_path / "records.json"
    path.write_text(json.dumps(list(records)), "utf-8")
    return path


def published(name: str) -> Path:
    path = FILES / f"{name}.json"
    if not path.is_file():
        pytest.skip(f"{path} is absent; set TRUING_DATA")
    return path


def test_an_item_compares_the_two_letters(tmp_path: Path) -> None:
    [case] = load("mmlu_ab", written(tmp_path, SEA)).cases
    [probe] = case.probes
    assert case.requests == ()
    assert str(probe.prompt).endswith("(B) Sand\n\nAnswer:")
    assert probe.accepted == ("(A)",)
    assert probe.choices == ("(A)", "(B)")
    assert parse(CAPABILITIES.get("mmlu_ab").protocol).scorer == "likelihood"


@pytest.mark.parametrize(
    ("change", "field", "why"),
    [
        ({"correct": "(C)"}, "correct", "no option"),
        ({"correct": ""}, "correct", "no option"),
        ({"incorrect": "(A)"}, "incorrect", "both answers"),
        ({"prompt": "What is the sea?"}, "correct", "no option"),
        ({"incorrect": None}, "incorrect", "string"),
    ],
)
def test_an_item_that_nothing_could_get_right_is_quarantined(
    tmp_path: Path, change: dict[str, Any], field: str, why: str
) -> None:
    loaded = load("mmlu_ab", written(tmp_path, SEA, {**SEA, **change}))
    assert len(loaded.cases) == 1
    [bad] = loaded.quarantined
    assert bad.field == field
    assert why in bad.reason
    with pytest.raises(BadInput, match="no usable record"):
        load("mmlu_ab", written(tmp_path, {**SEA, **change}))


@pytest.mark.parametrize(("answer", "state"), [(" (A)", "correct"), (" B", "wrong"), ("", None)])
def test_letters_may_be_written_out_instead(tmp_path: Path, answer: str, state: str) -> None:
    [case] = load("truthfulqa_ab", written(tmp_path, SEA)).cases
    [probe] = case.probes
    row = Row(
        "k", "c", case.id, probe.id, probe.aspect, "bare/greedy/natural/option", "final", 1,
        str(probe.prompt), probe.accepted, Response(answer), None,
    )  # fmt: skip
    verdict = JUDGES.get("option").judge(row)
    assert verdict.state == (state or "degenerate")


@pytest.mark.parametrize("name", sorted(ROWS))
def test_every_item_of_the_published_files_is_asked(name: str) -> None:
    loaded = load(name, published(name))
    assert loaded.source.rows == ROWS[name]
    assert loaded.quarantined == ()
    repeated = sum(note.count for note in loaded.notes if "same prompt" in note.text)
    assert len(loaded.cases) + repeated == ROWS[name]
    letters = Counter(case.probes[0].accepted for case in loaded.cases)
    assert set(letters) == {("(A)",), ("(B)",)}
    assert min(letters.values()) > 0.45 * len(loaded.cases)
    for case in loaded.cases:
        [probe] = case.probes
        assert probe.choices in (("(A)", "(B)"), ("(B)", "(A)"))
        assert probe.choices[0] == probe.accepted[0]


PLAN = """
name = "ab"
model = "truing/pocket"
methods = [{{ name = "caa", config = {{ strength = 2.0 }} }}]
protocols = ["synthetic,scorer=likelihood-per-token"]
regime = "batch"
capability = [{{ name = "truthfulqa_ab", data = "{data}", n = 5 }}]
noise_sample = 0
controls = 0

[[benchmarks]]
name = "world_contrast"
options = {{ behavior = "cheerful", train = 6 }}
limit = 20
"""


def test_a_plan_asks_them_of_base_and_steered_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN.format(data=published("truthfulqa_ab")), "utf-8")
    done = truing(["run", str(plan), "--out", str(tmp_path / "run"), "--json"], capsys)
    assert done.code == 0, done.err
    rows = list(read_rows(tmp_path / "run"))
    asked = [row for row in rows if row.aspect == "capability/truthfulqa_ab"]
    assert len({row.probe for row in asked}) == 5
    for row in asked:
        assert row.response is not None
        assert [choice.text.strip() for choice in row.response.choices] in (
            ["(A)", "(B)"],
            ["(B)", "(A)"],
        )
    by_cell = Counter(row.cell for row in asked)
    assert len(by_cell) == 2
    assert set(by_cell.values()) == {5}
