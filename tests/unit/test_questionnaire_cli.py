"""``truing personality questionnaire --with``: an intervention that was really made and saved."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from truing.benchmarks.ipip import read
from truing.cli import personality_questionnaire
from truing.cli.main import app
from truing.models.handle import Model
from truing.runs.questionnaires import administer, first_of_each, letters_scored
from truing.seeds import Seeds

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


def test_progress_counts_every_likelihood_once(folder: Path) -> None:
    items, done = read(folder / "items.json"), list[int]()
    model = Model.load("truing/pocket")
    found = administer(model, items, None, respondents=4, seeds=Seeds(1), progress=done.append)
    assert found.shape == (4, len(ITEMS))
    assert sum(done) == letters_scored(items, 4) == 4 * len(ITEMS) * 2 * 5


def test_the_first_items_of_each_domain(folder: Path) -> None:
    asked = ("personality", "questionnaire", "truing/pocket", "--data", str(folder / "items.json"),
             "--respondents", "3", "--limit", "1")  # fmt: skip
    found = json.loads(said(*asked, "--json"))
    assert (found["items"], found["of"]) == (2, 3)
    assert [d["items"] for d in found["scores"]["none"]] == [1, 1]
    assert "2 items of 3" in said(*asked)
    items = read(folder / "items.json")
    assert [item.id for item in first_of_each(items, 1)] == ["1", "3"]
    assert first_of_each(items, 2) == list(items)


class Watched:
    """A bar that remembers what it was told."""

    def __init__(self, total: int | None) -> None:
        self.expected, self.done, self.labels = total, 0, list[str]()

    def advance(self, n: int = 1) -> None:
        self.done += n

    def label(self, text: str) -> None:
        self.labels.append(text)


def test_the_bar_ends_where_it_should(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bars = list[Watched]()

    @contextmanager
    def progress(label: str, total: int | None) -> Iterator[Watched]:
        bars.append(Watched(total))
        yield bars[-1]

    monkeypatch.setattr(personality_questionnaire, "progress", progress)
    said("personality", "questionnaire", "truing/pocket", "--data", str(folder / "items.json"),
         "--respondents", "3", "--with", str(folder / "edit"))  # fmt: skip
    [bar] = bars
    assert bar.done == bar.expected == 2 * 3 * len(ITEMS) * 2 * 5
    assert bar.labels == ["edit"]
