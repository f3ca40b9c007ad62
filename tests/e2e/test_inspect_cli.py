"""``truing inspect`` and ``truing resistance`` as a person uses them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from shell import Outcome, truing

pytest.importorskip("torch")
FEW = ["--limit", "12"]


def refused(outcome: Outcome, *words: str) -> None:
    assert outcome.code in (1, 2), (outcome.code, outcome.err)
    start = next(i for i, line in enumerate(outcome.error_lines) if line.startswith("error: "))
    assert len(outcome.error_lines[start:]) == 2, outcome.err
    for word in words:
        assert word in outcome.err, outcome.err


@dataclass(frozen=True)
class Edited:
    """A saved edit, and its request as a line of a file of facts."""

    folder: str
    prompt: str
    facts: str


@pytest.fixture(scope="module")
def edited(tmp_path_factory: pytest.TempPathFactory) -> Edited:
    from truing.benchmarks.loading import load
    from truing.models.handle import Model
    from truing.verbs import edit

    folder = tmp_path_factory.mktemp("edited")
    [case] = load("world", limit=1).cases
    edit(Model.load("truing/pocket"), case.requests, "ft_m").save(str(folder / "iv"))
    [request] = case.requests
    fact = {"prompt": request.prompt, "target_new": request.target_new}
    (folder / "facts.jsonl").write_text(json.dumps(fact) + "\n", encoding="utf-8")
    return Edited(str(folder / "iv"), request.prompt, str(folder / "facts.jsonl"))


def test_a_model_beside_itself_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    done = truing(["inspect", "truing/pocket", "truing/pocket", *FEW], capsys)
    assert done.code == 0, done.err
    assert "no weight differs" in done.out
    assert "answers changed: 0.0 %" in done.out


def test_an_edit_is_found_with_its_claim(
    edited: Edited, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["inspect", "truing/pocket", edited.folder, "--claims", edited.facts, *FEW]
    done = truing([*args, "--json"], capsys)
    assert done.code == 0, done.err
    told = json.loads(done.out)
    [tensor] = told["weights"]["changed"]
    assert tensor["names"][0].endswith("down_proj.weight")
    assert told["claims"]["held"]["mean"] == 1
    assert told["claims"]["known"]["mean"] == 0
    assert told["answers"]["changed"]["n"] == 12
    shown = truing(args, capsys)
    assert shown.code == 0, shown.err
    assert "1 of 47 tensors differ" in " ".join(shown.out.split())


def test_own_questions_replace_the_built_in_ones(
    edited: Edited, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["inspect", "truing/pocket", edited.folder, "--probes", edited.facts, "--json"]
    done = truing(args, capsys)
    assert done.code == 0, done.err
    told = json.loads(done.out)["answers"]
    assert [a["question"] for a in told["listed"]] == [edited.prompt]
    assert (told["before"]["mean"], told["now"]["mean"]) == (0, 1)


def test_what_cannot_be_compared_is_told_in_two_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tiny import tiny

    hf, tok = tiny("gpt2")
    hf.save_pretrained(tmp_path / "gpt2")
    tok.save_pretrained(tmp_path / "gpt2")
    refused(truing(["inspect", "truing/pocket", str(tmp_path / "gpt2")], capsys), "gpt2", "llama")
    refused(truing(["inspect", "truing/pocket", str(tmp_path / "gone")], capsys), "no folder")
    both = ["--probes", "x.jsonl", "--benchmark", "world"]
    refused(truing(["inspect", "truing/pocket", "truing/pocket", *both], capsys), "Give one")
    alone = ["--data", "x.jsonl"]
    refused(truing(["inspect", "truing/pocket", "truing/pocket", *alone], capsys), "--benchmark")


def test_resistance_is_shown_per_budget(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = [
        "resistance", "truing/pocket", "-m", "ft_m", "--limit", "2", "--budgets", "0.0005,0.01",
        "--set", "steps=10", "-o", str(tmp_path / "out"),
    ]  # fmt: skip
    done = truing([*args, "--json"], capsys)
    assert done.code == 0, done.err
    [arm] = json.loads(done.out)["arms"]
    assert [value["n"] for value in arm["found"]["flipped"]] == [2, 2]
    again = truing(args, capsys)
    assert again.code == 0, again.err
    assert "share flipped" in again.out
    assert "median price" in again.out
    refused(truing([*args[:3], "prompt", *args[4:]], capsys), "no budget", "rome")
    refused(truing(["resistance", "truing/pocket", "-m", "ft_m", "--budgets", "x"], capsys), "'x'")
