"""``truing train mend`` as a person uses it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from shell import truing

pytest.importorskip("torch")
FEW = [
    "--layers", "3-4", "--steps", "2", "--limit", "12", "--set", "rank=4", "--set", "batch=2",
    "--set", "validate_every=1",
]  # fmt: skip


def args(out: Path, *more: str, data: str = "world") -> list[str]:
    return ["train", "mend", "truing/pocket", "--data", data, "--out", str(out), *FEW, *more]


def test_trains_saves_and_edits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "editor"
    done = truing(args(out, "--json"), capsys)
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told["outcome"]["step"] == 2
    assert "at most" in done.err
    names = {"mend.json", "tensors.safetensors", "metrics.jsonl", "resume.safetensors",
             "held-out.jsonl", "plan.toml", "curve.svg"}  # fmt: skip
    assert {p.name for p in out.iterdir()} == names
    header = json.loads((out / "mend.json").read_text())
    assert header["config"]["layers"] == [3, 4]
    assert header["data"]["dataset"].startswith("world")
    held = [json.loads(line)["id"] for line in (out / "held-out.jsonl").read_text().splitlines()]
    assert held == header["data"]["held_out"]
    assert len(held) == told["held_out"] > 0
    edit = truing(
        ["edit", "truing/pocket", "--method", "mend", "--set", f"checkpoint={out}",
         "--prompt", "The river of Ashmere is the", "--target", "Hythe", "--json"],
        capsys,
    )  # fmt: skip
    assert edit.code == 0, edit.err
    run = truing(["run", str(out / "plan.toml"), "--dry-run", "--json"], capsys)
    assert run.code == 0, run.err
    again = truing(args(out), capsys)
    assert again.code == 2
    assert "--resume" in again.err
    longer = truing(args(out, "--resume", "--steps", "3", "--json"), capsys)
    assert longer.code == 0, longer.err
    assert json.loads(longer.out)["outcome"]["step"] == 3


def test_own_facts_and_a_dry_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "facts.jsonl"
    records = [
        {
            "prompt": f"Item {i} is called",
            "target_new": "Orvale",
            "rephrases": [f"They call item {i}"],
        }
        for i in range(8)
    ]
    path.write_text("".join(json.dumps(r) + "\n" for r in records))
    out = tmp_path / "editor"
    done = truing(args(out, "--dry-run", "--json", data=str(path)), capsys)
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told["estimate"]["parameters"] > 0
    assert told["settings"]["settings"] == "table:pocket"
    assert not out.exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--set", "rang=3"], "rang"),
        (["--layers", "9"], "layer 9"),
        (["--set", "lr=0"], "lr"),
        (["--set", "validation=0.9"], "too few"),
    ],
)
def test_wrong_settings_are_two_lines(
    more: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = truing(args(tmp_path / "editor", *more), capsys)
    assert done.code == 2
    assert words in done.err
    assert "Traceback" not in done.err


def test_bad_records_stop_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "facts.jsonl"
    path.write_text('{"prompt": "x is", "target_new": ""}\n{"prompt": "y is", "target_new": "z"}\n')
    done = truing(args(tmp_path / "editor", data=str(path)), capsys)
    assert done.code == 2
    assert "target_new" in done.err


def test_chosen_steps_are_editors_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "editor"
    done = truing(args(out, "--keep-every", "1", "--json"), capsys)
    assert done.code == 0, done.err
    steps = sorted((out / "steps").iterdir())
    assert [folder.name for folder in steps] == ["000001", "000002"]
    for step, folder in enumerate(steps, 1):
        assert json.loads((folder / "mend.json").read_text())["step"] == step
        edit = truing(
            ["edit", "truing/pocket", "--method", "mend", "--set", f"checkpoint={folder}",
             "--prompt", "The river of Ashmere is the", "--target", "Hythe", "--json"],
            capsys,
        )  # fmt: skip
        assert edit.code == 0, edit.err
