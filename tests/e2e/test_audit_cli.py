"""``truing audit`` and the gates of ``truing edit`` as a person uses them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from shell import Outcome, truing

pytest.importorskip("torch")
POCKET = "truing/pocket"
FEW = ["--limit", "12"]


def refused(outcome: Outcome, *words: str) -> None:
    assert outcome.code in (1, 2), (outcome.code, outcome.err)
    start = next(i for i, line in enumerate(outcome.error_lines) if line.startswith("error: "))
    assert len(outcome.error_lines[start:]) == 2, outcome.err
    for word in words:
        assert word in outcome.err, outcome.err


@dataclass(frozen=True)
class Edited:
    """A saved edit, its claim with the questions beside it as a file of facts, and two peoples."""

    folder: str
    facts: str
    groups: str


@pytest.fixture(scope="module")
def edited(tmp_path_factory: pytest.TempPathFactory) -> Edited:
    from truing.benchmarks.loading import load
    from truing.inspection.groups import world_groups
    from truing.models.handle import Model
    from truing.verbs import edit

    folder = tmp_path_factory.mktemp("edited")
    [case] = load("world", limit=1).cases
    edit(Model.load(POCKET), case.requests, "ft_m").save(str(folder / "iv"))
    [request] = case.requests
    fact = {
        "prompt": request.prompt,
        "target_new": request.target_new,
        "subject": request.subject,
        "locality": [
            {"prompt": p.prompt, "answer": p.reference}
            for p in case.probes
            if p.aspect.startswith("locality")
        ],
    }
    (folder / "facts.jsonl").write_text(json.dumps(fact) + "\n", encoding="utf-8")
    own = world_groups()
    few = {"groups": dict(list(own.groups.items())[:2]), "sentences": own.sentences[:2]}
    (folder / "groups.json").write_text(json.dumps(few), encoding="utf-8")
    return Edited(*(str(folder / name) for name in ("iv", "facts.jsonl", "groups.json")))


def test_nothing_is_found_in_the_same_model(capsys: pytest.CaptureFixture[str]) -> None:
    done = truing(["audit", POCKET, POCKET, *FEW], capsys)
    assert done.code == 0, done.err
    assert "Nothing found in" in done.out
    assert "claims: none were given" in done.out


def test_an_unclaimed_edit_is_found_and_a_claimed_one_is_not(
    edited: Edited, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = truing(["audit", POCKET, edited.folder, *FEW, "--json"], capsys)
    assert done.code == 3, done.err
    assert [f["kind"] for f in json.loads(done.out)["findings"]] == ["unclaimed change"]
    out = tmp_path / "report"
    args = ["--claims", edited.facts, "--facts-near", edited.facts, "-o", str(out)]
    told = truing(["audit", POCKET, edited.folder, *FEW, *args], capsys)
    assert told.code == 0, (told.out, told.err)
    saved = json.loads((out / "audit.json").read_text(encoding="utf-8"))
    assert saved["inspected"]["claims"]["held"]["mean"] == 1
    assert "given facts" in [d["name"] for d in saved["differences"]]
    assert "Nothing found" in (out / "audit.html").read_text(encoding="utf-8")


def test_what_nobody_claims_is_said_once(
    edited: Edited, capsys: pytest.CaptureFixture[str]
) -> None:
    done = truing(["audit", POCKET, edited.folder, *FEW, "--groups", edited.groups], capsys)
    assert done.code == 3, done.err
    assert " ".join(done.out.split()).count("tensors differ") == 1


def test_a_folder_that_cannot_be_made_is_told_before_models_load(
    edited: Edited, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("truing.models.handle.Model.load", None)
    refused(truing(["audit", POCKET, POCKET, "-o", edited.facts], capsys), "cannot make")


def test_gates_of_an_audit_have_their_own_exit_code(
    edited: Edited, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["audit", POCKET, POCKET, "--claims", edited.facts, *FEW]
    done = truing([*args, "--require", "success=.9,locality=.9"], capsys)
    assert done.code == 4, done.err
    assert "not met: success" in done.out


def test_an_edit_is_saved_only_if_it_meets_what_is_required(
    edited: Edited, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad, kept = (tmp_path / name for name in ("good", "bad", "kept"))
    args = ["edit", POCKET, edited.facts, "-m", "ft_m"]
    done = truing([*args, "-o", str(good), "--require", "success=.9,capability_drop=.5"], capsys)
    assert done.code == 0, done.err
    assert good.is_dir()
    lazy = [*args, "--set", "steps=1", "--set", "lr=1e-9", "--require", "success=.9"]
    no = truing([*lazy, "-o", str(bad)], capsys)
    assert no.code == 4, (no.out, no.err)
    assert not bad.exists()
    assert "NOT met" in no.out
    assert "not saved" in no.err
    anyway = truing([*lazy, "-o", str(kept), "--keep", "--json"], capsys)
    assert anyway.code == 4
    assert kept.is_dir()
    [gate] = json.loads(anyway.out)["gates"]
    assert gate["met"] is False


def test_what_cannot_be_audited_is_told_in_two_lines(
    edited: Edited, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tiny import tiny

    hf, tok = tiny("gpt2")
    hf.save_pretrained(tmp_path / "gpt2")
    tok.save_pretrained(tmp_path / "gpt2")
    same = ["audit", POCKET, POCKET]
    refused(truing(["audit", POCKET, str(tmp_path / "gpt2")], capsys), "gpt2", "llama")
    table = tmp_path / "some.csv"
    table.write_text("", encoding="utf-8")
    refused(truing(["audit", POCKET, str(table)], capsys), "some.csv is a file")
    refused(truing([*same, "--require", "success=1"], capsys), "success is required")
    refused(truing([*same, "--benchmark", "zsre"], capsys), "--data")
    refused(truing([*same, "--benchmark", "zzz"], capsys), "zzz")
    refused(truing([*same, "--groups", edited.facts], capsys), "groups")
    asked = ["edit", POCKET, edited.facts, "--require", "generalization=.5"]
    refused(truing(asked, capsys), "generalization is required")
    refused(truing(["edit", POCKET, edited.facts, "--keep"], capsys), "--require")
