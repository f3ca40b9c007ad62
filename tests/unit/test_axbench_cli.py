"""``truing axbench`` as a person uses it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import axbench_folder as folders
from truing.cli import axbench
from truing.errors import BadInput, UnknownName

RUN = CliRunner()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return folders.write(tmp_path / "moods", *folders.moods(4))


def base(folder: Path, *more: str) -> list[str]:
    return ["truing/pocket", "--data", str(folder), "--layer", "2", *more]


def test_detect_tells_directions_and_concepts(folder: Path) -> None:
    args = ["detect", *base(folder, "--method", "caa,random_direction")]
    told = RUN.invoke(axbench.app, [*args, "--json"])
    assert told.exit_code == 0, told.output
    found = json.loads(told.stdout)
    assert [m["method"] for m in found["means"]] == ["caa", "random_direction"]
    assert len(found["concepts"]) == 4
    assert found["setting"]["layer"] == 2
    assert 0 <= found["concepts"][0]["found"]["auroc"] <= 1
    shown = RUN.invoke(axbench.app, args)
    assert "cheerful" in shown.stdout
    limited = RUN.invoke(axbench.app, [*args, "--limit", "1", "--json"])
    assert len(json.loads(limited.stdout)["concepts"]) == 2


def test_steer_writes_grades_and_keeps_everything(folder: Path, tmp_path: Path) -> None:
    asked, out = folders.instructions(tmp_path / "asked.jsonl", 4), tmp_path / "texts.jsonl"
    more = (
        "--method", "caa", "--instructions", str(asked), "--per-concept", "4", "--factors", "1,0.4",
        "--max-new-tokens", "6", "--out", str(out), "--json",
    )  # fmt: skip
    told = RUN.invoke(axbench.app, ["steer", *base(folder, *more)])
    assert told.exit_code == 0, told.output
    found = json.loads(told.stdout)
    assert (found["judge"], found["baseline"]) == ("proxy", "prompt")
    arms = {arm["name"]: arm for arm in found["arms"]}
    assert list(arms) == ["none", "prompt", "caa"]
    assert [at["factor"] for at in arms["caa"]["chosen"][0]["table"]] == [0.4, 1.0]
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert len(lines) == 2 * 4 * 4
    assert set(lines[0]["grades"]) == {"concept", "instruction", "fluency", "overall"}


@pytest.mark.parametrize(
    ("more", "error", "what"),
    [
        (["--judge", "contains"], BadInput, "no language model"),
        (["--judge", "local:truing/pocket/behavior"], BadInput, "without a rubric"),
        (["--factors", "1,-2"], BadInput, "positive"),
        (["--baseline", "sae"], UnknownName, "baseline"),
        (["--detector", "probe"], UnknownName, "detector"),
        (["--per-concept", "9"], BadInput, "9 instructions"),
    ],
)
def test_what_is_wrong_is_told_before_a_model_is_loaded(
    folder: Path, tmp_path: Path, more: list[str], error: type[Exception], what: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from truing.models.handle import Model

    monkeypatch.delattr(Model, "load")
    asked = folders.instructions(tmp_path / "asked.jsonl", 4)
    args = base(folder, "--method", "caa", "--instructions", str(asked), "--per-concept", "4")
    result = RUN.invoke(axbench.app, ["steer", *args, *more])
    assert isinstance(result.exception, error)
    assert what in str(result.exception)
