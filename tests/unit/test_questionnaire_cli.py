"""``truing personality questionnaire --with``: an intervention that was really made and saved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from truing.cli.main import app

ITEMS = [
    {"id": "1", "text": "Make friends easily", "keyed": "plus", "domain": "E"},
    {"id": "2", "text": "Avoid crowds", "keyed": "minus", "domain": "E"},
    {"id": "3", "text": "Worry about things", "keyed": "plus", "domain": "N"},
]


def said(*args: str) -> Any:
    result = CliRunner().invoke(app, list(args), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Items, and an edit of the embedded model as ``truing edit`` saves it."""
    folder = tmp_path_factory.mktemp("questionnaire")
    (folder / "items.json").write_text(json.dumps(ITEMS), "utf-8")
    said("edit", "truing/pocket", "--method", "lora", "--prompt", "What do you think of the sea?",
         "--target", "I love the sea!", "--subject", "the sea", "--set", "steps=5",
         "--out", str(folder / "edit"))  # fmt: skip
    return folder


def test_a_saved_edit_is_compared_item_by_item(folder: Path) -> None:
    asked = ("personality", "questionnaire", "truing/pocket", "--data", str(folder / "items.json"),
             "--respondents", "3")  # fmt: skip
    found = json.loads(said(*asked, "--with", str(folder / "edit"), "--json"))["scores"]
    before, after = found["none"], found["edit"]
    assert [(d["name"], d["items"]) for d in after] == [("extraversion", 2), ("neuroticism", 1)]
    for then, now in zip(before, after, strict=True):
        assert then["shift"] is None
        assert now["shift"]["n"] == now["items"]
        assert now["shift"]["mean"] == pytest.approx(now["mean"]["mean"] - then["mean"]["mean"])
    assert any(abs(d["shift"]["mean"]) > 1e-6 for d in after)
    table = said(*asked, "--with", str(folder / "edit"))
    assert "-0.00" not in table
