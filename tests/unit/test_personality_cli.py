"""``truing personality``: what a file holds, and the number of the released code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from truing.cli.personality import app
from truing.errors import BadInput

MOODS = {
    "glad": ("I love", "with joy"),
    "sad": ("I dread", "with tears"),
    "calm": ("I accept", "in peace"),
}


def written(path: Path, n: int, start: int = 0, **fields: Any) -> Path:
    records = [
        {
            "ent": f"Topic{i}",
            **{mood: [f"{a} Topic{i} {b}.", f"{a} it {b}. ", f"So, yes: {a} Topic{i}, always {b}."]
               for mood, (a, b) in MOODS.items()},
            **fields,
        }
        for i in range(start, start + n)
    ]  # fmt: skip
    path.write_text(json.dumps(records), "utf-8")
    return path


def told(*args: str) -> Any:
    result = CliRunner().invoke(app, [*args, "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    return json.loads(result.stdout)


def test_what_a_file_holds(tmp_path: Path) -> None:
    file = written(tmp_path / "a.json", 2, target_per="sad", views=10)
    (found,) = told("stats", str(file))["files"].values()
    assert (found["topics"], found["texts"]["n"], found["spaced"]) == (2, 18, 6)
    assert {trait: each["n"] for trait, each in found["traits"].items()} == dict.fromkeys(MOODS, 6)
    assert found["traits"]["glad"]["words"] == pytest.approx((5 + 5 + 8) / 3)
    assert found["texts"]["tokens"] is None
    assert list(found["positions"]) == ["1", "2", "3"]
    assert (found["targets"], found["named"]) == ({"sad": 2}, pytest.approx(2 / 3))
    assert found["views"]["mean"] == 10


def test_tokens_are_counted_by_a_models_own(tmp_path: Path) -> None:
    file = written(tmp_path / "a.json", 1)
    (found,) = told("stats", str(file), "--tokenizer", "truing/pocket")["files"].values()
    assert found["texts"]["tokens"] > found["texts"]["words"]


def test_places_that_were_not_learned_from(tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    files = written(tmp_path / "a.json", 12), written(tmp_path / "b.json", 6, 12)
    found = told("stats", *map(str, files), "--held-out", "3")["places"]
    assert {place: each["n"] for place, each in found.items()} == dict.fromkeys("123", 18)
    assert found["1"]["accuracy"] == 1.0
    with pytest.raises(BadInput, match="needs a file to learn from"):
        CliRunner().invoke(app, ["stats", str(files[0]), "--held-out", "3"], catch_exceptions=False)


def test_what_is_no_file_of_opinions(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text('[{"ent": "T", "glad": ["x"]}, {"prompt": "?"}]', "utf-8")
    with pytest.raises(BadInput, match="record 1 is no topic with opinions"):
        CliRunner().invoke(app, ["stats", str(file)], catch_exceptions=False)


def test_tokens_have_a_column_where_they_were_counted(tmp_path: Path) -> None:
    file = str(written(tmp_path / "a.json", 1))
    plain = CliRunner().invoke(app, ["stats", file]).stdout
    assert "mean words" in plain
    assert "mean tokens" not in plain
    counted = CliRunner().invoke(app, ["stats", file, "--tokenizer", "truing/pocket"]).stdout
    assert "mean tokens" in counted


def test_a_benchmark_is_no_file_of_the_released_edit_success(tmp_path: Path) -> None:
    (found,) = told(
        "legacy-es", "truing/pocket", "--benchmark", "world_personality", "--limit", "2"
    )
    assert found["topics"] == 2
    with pytest.raises(BadInput, match="--data takes a file") as said:
        told("legacy-es", "truing/pocket", "--data", "world_personality")
    assert "--benchmark world_personality" in str(said.value)


def test_the_released_edit_success_is_another_number(tmp_path: Path) -> None:
    file = written(tmp_path / "a.json", 3, target_per="sad")
    (found,) = told("legacy-es", "truing/pocket", "--data", str(file))
    assert (found["under"], found["topics"]) == ("none", 3)
    es, z_per, z_topic = found["real"]
    assert (z_topic, found["published"][2]) == (1.0, 1.0)
    assert es == pytest.approx(z_per)
    assert abs(es - found["published"][0]) > 1e-3
