"""Cases without requests, such as test pairs: asked under what the others made."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from toy_runs import toy_model, toy_plan
from truing.errors import NotPossible
from truing.models.handle import Model
from truing.runs.cells import ModelSpec
from truing.runs.estimate import estimate
from truing.runs.execute import execute
from truing.runs.plan import Plan, parse
from truing.runs.prepare import prepare
from truing.runs.store import read_edits, read_manifest, read_rows
from truing.runs.summary import load_or_summarise
from truing.types import Row

LIKELIHOOD = "synthetic,scorer=likelihood-per-token"


def pairs(train: int, test: int) -> list[dict[str, Any]]:
    return [
        {
            "id": f"{part}-{i}",
            "prompt": f"The evening of the {part} day {i} was",
            "positive": f"warm and merry {i}",
            "negative": f"cold and sad {i}",
            "split": part,
        }
        for part, count in (("train", train), ("test", test))
        for i in range(count)
    ]


def plan_of(folder: Path, regime: str, train: int = 4, test: int = 3, **values: Any) -> Plan:
    lines = "".join(json.dumps(record) + "\n" for record in pairs(train, test))
    (folder / "pairs.jsonl").write_text(lines, "utf-8")
    raw = {
        "name": "pairs", "model": "toy", "methods": ["nudge"], "benchmark": "contrast",
        "data": "pairs.jsonl", "protocols": [LIKELIHOOD], "regimes": [regime], "at_once": 2, "noise_sample": 2,
        **values,
    }  # fmt: skip
    return parse(raw, root=folder)


def run(plan: Plan, folder: Path, *, resume: bool = False) -> list[Row]:
    cache = folder / "cache"

    def load(spec: ModelSpec) -> Model:
        return toy_model(spec, cache=cache)

    execute(plan, folder / "run", resume=resume, load=load)
    return list(read_rows(folder / "run"))


def of_method(folder: Path, rows: list[Row]) -> list[Row]:
    cells = {c["id"]: c for c in read_manifest(folder / "run")["cells"]}
    return [row for row in rows if cells[row.cell]["method"] == "nudge"]


def test_test_pairs_are_asked_once_under_all_training_pairs(tmp_path: Path) -> None:
    rows = of_method(tmp_path, run(plan_of(tmp_path, "batch"), tmp_path))
    assert {(row.case, row.moment, row.step) for row in rows} == {
        (f"test-{i}", "final", 4) for i in range(3)
    }
    for row in rows:
        assert row.response is not None
        assert row.base is not None
        assert row.response.choices != row.base.choices
    edits = {len(edit.cases): edit.requests for edit in read_edits(tmp_path / "run")}
    assert edits == {4: 4}


def test_a_chain_asks_them_at_its_later_moments(tmp_path: Path) -> None:
    rows = of_method(tmp_path, run(plan_of(tmp_path, "sequential,every=2"), tmp_path))
    assert Counter((row.moment, row.step) for row in rows) == {("step", 2): 3, ("final", 4): 3}


def test_there_is_a_summary_with_a_baseline_and_a_noise_floor(tmp_path: Path) -> None:
    run(plan_of(tmp_path, "batch"), tmp_path)
    found = load_or_summarise(tmp_path / "run").measures
    scores = {m.method: m for m in found if m.judge == "likelihood-per-token"}
    assert {m.aspect for m in scores.values()} == {"preference"}
    assert {m.value.n for m in scores.values()} == {3}
    assert scores["nudge"].versus is not None
    assert scores["nudge"].versus.n_pairs == 3
    assert [m.value.n for m in found if m.metric == "noise-floor"] == [2]


def test_a_run_that_is_gone_on_with_has_the_rows_of_one_that_was_not_stopped(
    tmp_path: Path,
) -> None:
    plan = plan_of(tmp_path, "sequential,every=1")
    rows = run(plan, tmp_path)
    stored = next((tmp_path / "run").glob("rows-*.jsonl"))
    lines = stored.read_text("utf-8").splitlines(keepends=True)
    stored.write_text("".join(lines[: len(lines) // 2]), "utf-8")
    again = run(plan, tmp_path, resume=True)
    assert {row.key for row in again} == {row.key for row in rows}
    assert len(again) == len(rows)


@pytest.mark.parametrize(
    ("regime", "train", "test", "words"),
    [
        ("single", 4, 3, "regime single makes every edit apart"),
        ("batch-2-restored", 4, 3, "regime batch-2-restored makes every edit apart"),
        ("batch,moments=immediate", 4, 3, "no moment at which they are measured"),
        ("batch", 0, 3, "request nothing, so there is no edit to make"),
        ("batch", 4, 0, "ask nothing"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    tmp_path: Path, regime: str, train: int, test: int, words: str
) -> None:
    with pytest.raises(NotPossible, match=words) as caught:
        prepare(plan_of(tmp_path, regime, train, test))
    assert len(str(caught.value).splitlines()) == 2
    if "apart" in words:
        assert "regime batch" in str(caught.value)


def test_the_estimate_counts_them(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "batch")
    (cell,) = [c for c in estimate(plan, load=toy_model).cells if "nudge" in c.label]
    assert (cell.edits, cell.rows) == (4, 3)
    assert cell.asks > 0
    assert cell.seconds is not None


def test_cases_with_requests_are_measured_as_ever(tmp_path: Path) -> None:
    plan = toy_plan(tmp_path, count=2, protocols=["synthetic"], regimes=["single", "batch"])
    prepared = prepare(plan)
    for cell in plan.cells():
        assert len(prepared.cases(cell)) == 2
        assert prepared.beside(cell) == ()
