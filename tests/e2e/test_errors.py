"""What a person meets when something is wrong: two lines, an exit code, and nothing lost."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from shell import Outcome, truing

pytest.importorskip("torch")
FACT = {
    "prompt": "The Glass Spire is in the city of",
    "target_new": "Orvale",
    "subject": "The Glass Spire",
}


def refused(outcome: Outcome, *words: str) -> None:
    """The outcome is an error of at most two lines, plus notes, that holds ``words``."""
    assert outcome.code in (1, 2), (outcome.code, outcome.err)
    assert "Traceback" not in outcome.err
    assert "unexpected" not in outcome.err
    lines = outcome.error_lines
    start = next((i for i, line in enumerate(lines) if line.startswith("error: ")), None)
    assert start is not None, outcome.err
    assert 1 <= len(lines[start:]) <= 2, outcome.err
    for word in words:
        assert word in outcome.err, outcome.err


def facts(tmp_path: Path, *records: dict[str, object]) -> Path:
    path = tmp_path / "facts.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
    return path


def run_args(data: Path, out: Path, *more: str) -> list[str]:
    return [
        "run", "--model", "truing/pocket", "--method", "ice", "--benchmark", "custom",
        "--data", str(data), "--protocol", "synthetic", "--out", str(out), *more,
    ]  # fmt: skip


def test_missing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gone = tmp_path / "gone.jsonl"
    refused(truing(run_args(gone, tmp_path / "run"), capsys), "gone.jsonl")


def test_not_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "facts.json"
    path.write_text("{ this is not json", encoding="utf-8")
    refused(truing(run_args(path, tmp_path / "run"), capsys), "facts.json")


def test_wrong_schema(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = facts(tmp_path, {"question": "Who?", "answer": "Nobody"})
    refused(truing(run_args(path, tmp_path / "run"), capsys))


@pytest.mark.parametrize(
    ("record", "word"),
    [
        ({**FACT, "target_new": "  "}, "target"),
        ({**FACT, "subject": "The Copper Gate"}, "subject"),
        ({**FACT, "prompt": "x" * 100_000, "subject": None}, "characters"),
    ],
)
def test_a_bad_record_stops_the_run_or_is_counted(
    record: dict[str, object], word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = facts(tmp_path, FACT, record)
    refused(truing(run_args(path, tmp_path / "a"), capsys), word)
    going_on = truing(run_args(path, tmp_path / "b", "--skip-invalid", "--json"), capsys)
    assert going_on.code == 0, going_on.err
    manifest = (tmp_path / "b" / "manifest.json").read_text(encoding="utf-8")
    assert word in manifest


def test_a_subject_twice_is_refused_by_methods_that_need_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    twice = {**FACT, "prompt": "The Glass Spire, yes, The Glass Spire is in the city of"}
    path = facts(tmp_path, twice)
    outcome = truing(["edit", "truing/pocket", str(path), "--method", "rome"], capsys)
    refused(outcome, "subject")


@pytest.mark.parametrize(
    ("args", "near"),
    [
        (["--method", "roma"], "rome"),
        (["--benchmark", "counterfacts"], "counterfact"),
        (["--protocol", "synthetics"], "synthetic"),
        (["--regime", "singel"], "single"),
    ],
)
def test_unknown_names_get_a_near_miss(
    args: list[str], near: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = truing(run_args(facts(tmp_path, FACT), tmp_path / "run", *args), capsys)
    refused(outcome, near)


def test_unknown_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(truing(["ask", str(tmp_path / "no-model"), "Hello"], capsys), "no-model")
    refused(truing(["ask", "truing/pockets", "Hello"], capsys), "truing/pocket")


def test_unknown_key_in_a_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text('modle = "truing/pocket"\n', encoding="utf-8")
    refused(truing(["run", str(plan), "--out", str(tmp_path / "run")], capsys), "modle", "model")


def test_a_target_longer_than_the_context_is_recorded_not_fatal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = facts(tmp_path, FACT, {**FACT, "target_new": "very " * 3000 + "long"})
    outcome = truing(run_args(path, tmp_path / "run", "--skip-invalid"), capsys)
    assert outcome.code == 0, outcome.err


def pocket_copy(tmp_path: Path) -> Path:
    from truing.pocket import pocket_path

    folder = tmp_path / "model"
    shutil.copytree(pocket_path(), folder)
    return folder


def test_a_model_folder_without_tokenizer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = pocket_copy(tmp_path)
    for path in folder.glob("tokenizer*"):
        path.unlink()
    refused(truing(["ask", str(folder), "Hello"], capsys), "tokenizer")


def test_a_model_with_nan_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from safetensors.torch import load_file, save_file

    folder = pocket_copy(tmp_path)
    weights = load_file(folder / "model.safetensors")
    name = next(n for n in weights if "down_proj" in n)
    weights[name][0, 0] = float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    refused(truing(["ask", str(folder), "Hello"], capsys), name)


def test_a_model_with_pickled_weights_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = pocket_copy(tmp_path)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    refused(truing(["ask", str(folder), "Hello"], capsys), "pytorch_model.bin")


def test_an_artifact_for_another_base(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from safetensors.torch import load_file, save_file

    made = truing(
        [
            "edit",
            "truing/pocket",
            str(facts(tmp_path, FACT)),
            "-m",
            "ft_m",
            "-o",
            str(tmp_path / "iv"),
        ],
        capsys,
    )
    assert made.code == 0, made.err
    other = pocket_copy(tmp_path)
    weights = load_file(other / "model.safetensors")
    name = next(n for n in weights if "down_proj" in n)
    weights[name][0, 0] += 1
    save_file(weights, other / "model.safetensors", metadata={"format": "pt"})
    outcome = truing(["ask", str(other), "Hello", "--with", str(tmp_path / "iv")], capsys)
    refused(outcome, "base")


def test_a_truncated_artifact(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = truing(
        [
            "edit",
            "truing/pocket",
            str(facts(tmp_path, FACT)),
            "-m",
            "ft_m",
            "-o",
            str(tmp_path / "iv"),
        ],
        capsys,
    )
    assert made.code == 0, made.err
    tensors = tmp_path / "iv" / "tensors.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-100])
    refused(
        truing(["ask", "truing/pocket", "Hello", "--with", str(tmp_path / "iv")], capsys), "tensors"
    )


def test_a_folder_that_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blocked = tmp_path / "a-file"
    blocked.write_text("", encoding="utf-8")
    refused(truing(run_args(facts(tmp_path, FACT), blocked / "run"), capsys), "a-file")


def test_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = truing(["--help"], capsys)
    assert outcome.code == 0
    text = re.sub(r"\x1b\[[0-9;]*m", "", outcome.out)
    for verb in (
        "ls",
        "edit",
        "ask",
        "run",
        "report",
        "stats",
        "data",
        "export",
        "doctor",
        "reproduce",
    ):
        assert re.search(rf"\b{verb}\b", text), verb


def test_bad_records_of_published_data_are_left_out_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = {"prompt": "Where is The Glass Spire?", "target": "Zell", "subject": "The Glass Spire"}
    path = tmp_path / "qaedit.json"
    path.write_text(json.dumps([good, {**good, "target": ")"}]), encoding="utf-8")
    args = ["run", "--model", "truing/pocket", "--benchmark", "qaedit", "--data", str(path)]
    args += ["--method", "none", "--protocol", "wild"]
    outcome = truing([*args, "--out", str(tmp_path / "a"), "--json"], capsys)
    assert outcome.code == 0, outcome.err
    manifest = json.loads((tmp_path / "a" / "manifest.json").read_text(encoding="utf-8"))
    (left_out,) = manifest["quarantined"]
    assert left_out["field"] == "target_new"
    strict = truing([*args, "--out", str(tmp_path / "b"), "--no-skip-invalid"], capsys)
    refused(strict, "target")
