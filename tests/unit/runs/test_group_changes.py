"""Changes of confidence from a run's files: which model was edited, and who is in which group."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from truing.errors import BadInput
from truing.runs.group_changes import changes_of, membership_of
from truing.runs.store import EditRecord
from truing.types import Choice, Response, Row


def answered(first: float, second: float) -> Response:
    return Response(
        "", choices=(Choice("Aveli", math.log(first), 1), Choice("Brisk", math.log(second), 1))
    )


def row(case: str, person: str) -> Row:
    return Row(
        key=f"{case}/{person}", cell="cell", case=case, probe=f"{case}/cross-subject/{person}",
        aspect="locality/cross-subject", protocol="p", moment="immediate", step=2, prompt="?",
        accepted=(), response=answered(0.3, 0.5), base=answered(0.8, 0.1), group=person,
    )  # fmt: skip


def stored(folder: Path, rows: Sequence[Row]) -> Path:
    edits = [EditRecord("cell", 0, ("a", "b"), 2, 2, 1.0), EditRecord("cell", 2, ("c",), 1, 1, 1.0)]
    data = {
        "people": {"benchmark": "world_people", "options": {"world": 0}},
        "facts": {"benchmark": "world", "options": {}},
    }
    for name, kind, held in (("rows", Row, rows), ("edits", EditRecord, edits)):
        lines = (TypeAdapter(kind).dump_json(each).decode() for each in held)
        (folder / f"{name}-0.jsonl").write_text("".join(f"{line}\n" for line in lines), "utf-8")
    (folder / "manifest.json").write_text(json.dumps({"cells": [], "data": data}), "utf-8")
    return folder


def test_cases_that_are_edited_together_share_a_model(tmp_path: Path) -> None:
    rows = [row(case, "Mara Velt") for case in "abc"]
    last = [replace(r, key=f"{r.key}!", moment="final") for r in rows]
    elsewhere = replace(rows[0], key="other", cell="other")
    folder = stored(tmp_path, [*rows, *last, elsewhere])
    _, found = changes_of(folder, "cell", "immediate")
    models = {c.case: c.edited for c in found}
    assert len(found) == 3
    assert models["a"] == models["b"] != models["c"]
    assert [c.change for c in found] == pytest.approx([-0.9] * 3)
    assert len({c.edited for c in changes_of(folder, "cell", "final")[1]}) == 1


def test_a_cell_without_such_rows_is_refused(tmp_path: Path) -> None:
    folder = stored(tmp_path, [row("a", "Mara Velt")])
    with pytest.raises(BadInput, match="no row about other people"):
        changes_of(folder, "cell", "final")


def test_a_run_that_stopped_midway_says_how_to_go_on(tmp_path: Path) -> None:
    folder = stored(tmp_path, [row("a", "Mara Velt")])
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    (folder / "manifest.json").write_text(json.dumps({**manifest, "finished": None}), "utf-8")
    with pytest.raises(BadInput, match=r"not finished \(1 rows so far\)") as caught:
        changes_of(folder, "cell", "final")
    assert caught.value.next == f"Go on: truing run {folder} --resume"


def test_groups_are_those_of_the_runs_own_data(tmp_path: Path) -> None:
    folder = stored(tmp_path, [])
    members = membership_of(folder, "people")
    assert set(members["Mara Velt"]) == {"origin", "voice"}
    for label in ("facts", "nothing"):
        with pytest.raises(BadInput, match="no benchmark of people"):
            membership_of(folder, label)


def test_the_data_of_a_run_are_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sets" / "people").mkdir(parents=True)
    told = {"Q1": {"groups": {"gender": ["women"]}}}
    (tmp_path / "sets" / "people" / "groups.json").write_text(json.dumps(told))
    run = tmp_path / "run"
    run.mkdir()
    stored(run, [])
    (run / "plan.toml").write_text(
        'model = "m"\nprotocols = ["wild"]\nmethods = ["rome"]\n'
        '[[benchmarks]]\nname = "seesaw"\nlabel = "own"\ndata = "../sets"\n'
        'options = { set = "a_b" }\n'
    )
    facts = {"own": {"benchmark": "seesaw", "path": "sets", "options": {"set": "a_b"}}}
    (run / "manifest.json").write_text(json.dumps({"cells": [], "data": facts}))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert membership_of(run, "own") == {"Q1": {"gender": ("women",)}}
