"""``truing classifier``: learn, measure on other texts, calibrate on others again."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from truing.benchmarks.loading import load
from truing.benchmarks.world_personality import opinions
from truing.cli.classifier import app
from truing.errors import BadInput

WORDS = {"calm": ("quiet", "rest", "still"), "merry": ("laughter", "dancing", "song")}
NOISE = 0.25


def said(*args: str) -> str:
    result = CliRunner().invoke(app, list(args), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def told(*args: str) -> Any:
    return json.loads(said(*args, "--json"))


def texts(path: Path, n: int, seed: int, noise: float = 0.0) -> Path:
    """Texts of a label's own words; a share ``noise`` of them have the other's."""
    draw, lines = random.Random(seed), []
    for i in range(n):
        label, other = ("calm", "merry") if i % 2 else ("merry", "calm")
        of = other if draw.random() < noise else label
        words = [draw.choice(WORDS[of]), f"word{draw.randrange(5)}"]
        lines.append(json.dumps({"text": " ".join(words), "label": label}))
    path.write_text("\n".join(lines), "utf-8")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    folder = tmp_path_factory.mktemp("classifier")
    learn, dev = texts(folder / "learn.jsonl", 80, 0), texts(folder / "dev.jsonl", 40, 1)
    said("train", str(learn), "--dev", str(dev), "--out", str(folder / "c"))
    texts(folder / "noisy.jsonl", 400, 2, NOISE)
    texts(folder / "others.jsonl", 400, 3, NOISE)
    return folder


def test_other_texts_are_measured_label_by_label(folder: Path) -> None:
    found = told("evaluate", str(folder / "c"), str(folder / "noisy.jsonl"))
    assert found["n"] == 400
    assert found["accuracy"] == pytest.approx(1 - NOISE, abs=0.06)
    assert sum(map(sum, found["confusion"])) == 400
    right = sum(row[at] for at, row in enumerate(found["confusion"]))
    assert found["accuracy"] == right / 400
    for at, label in enumerate(found["labels"]):
        assert label["recall"] == found["confusion"][at][at] / label["n"]
    assert found["ece"] > 0.15, "it is far too sure of texts that nobody can be sure of"
    assert found["temperature"] > 0
    table = said("evaluate", str(folder / "c"), str(folder / "noisy.jsonl"))
    assert "temperature" in table
    assert "recall" in table


def test_calibrating_on_some_texts_makes_it_honest_on_others(folder: Path, tmp_path: Path) -> None:
    card = told("calibrate", str(folder / "c"), str(folder / "noisy.jsonl"), "-o", str(tmp_path / "d"))["card"]  # fmt: skip
    others = str(folder / "others.jsonl")
    before, after = (told("evaluate", str(f), others) for f in (folder / "c", tmp_path / "d"))
    assert after["temperature"] == card["temperature"] > before["temperature"]
    assert after["ece"] < 0.08 < before["ece"]
    assert after["log_loss"] < before["log_loss"]
    assert after["confusion"] == before["confusion"], "what is likeliest stays"
    assert card["data"]["calibration"]["n"] == 400
    assert set(card["metrics"]) == {"calibration"}
    assert card["metrics"]["calibration"]["uncalibrated"]["ece"] > 0.15


def test_a_folder_that_is_taken_stays_as_it_is(folder: Path) -> None:
    noisy = str(folder / "noisy.jsonl")
    with pytest.raises(BadInput, match="not empty"):
        said("calibrate", str(folder / "c"), noisy, "--out", str(folder / "c"))


def test_traits_are_learned_from_the_embedded_world_and_never_from_a_topic_that_is_measured(
    tmp_path: Path,
) -> None:
    measured = {t for case in load("world_personality").cases for t in case.tags}
    assert not {f"topic:{topic}" for topic, _, _ in opinions()} & measured
    trained = told("train", "world_personality", "--out", str(tmp_path / "traits"))
    assert trained["card"]["metrics"]["test"]["accuracy"] > 0.9
