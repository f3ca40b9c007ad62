"""``truing import``: vectors of other tools become saved interventions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from shell import truing

from truing.interventions.artifact import load
from truing.models.handle import Model
from truing.models.positions import Positions


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    width = Model.load("truing/pocket").arch.d_model
    torch.save(torch.ones(width), tmp_path / "layer_1.pt")
    svec = {"model_type": "llama", "directions": {"2": [0.5] * width}}
    model_type = str(Model.load("truing/pocket").hf.config.model_type)
    (tmp_path / "b.svec").write_text(json.dumps({**svec, "model_type": model_type}))
    return [str(tmp_path / "layer_1.pt"), str(tmp_path / "b.svec")]


def test_files_add_up_to_one_saved_intervention(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "saved"
    args = ["import", *files, "--model", "truing/pocket", "-o", str(out), "--scale", "-2", "--json"]
    done = truing([*args, "--where", "answer"], capsys)
    assert done.code == 0, done.err
    told = json.loads(done.out)
    iv = load(out, Model.load("truing/pocket"))
    assert told["id"] == iv.id
    assert [(v["site"], v["layer"]) for v in told["vectors"]] == [
        ("resid_post", 1),
        ("resid_pre", 2),
    ]
    assert {op.positions for op in iv.ops} == {Positions("window", start=-1)}
    assert {op.scale for op in iv.ops} == {-2.0}
    assert iv.origin.config["left"]["file"] == "layer_1.pt"


def test_a_file_that_does_not_fit_ends_in_two_lines(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "saved"
    torch.save(torch.ones(3), tmp_path / "layer_0.pt")
    done = truing(
        ["import", str(tmp_path / "layer_0.pt"), "--model", "truing/pocket", "-o", str(out)], capsys
    )
    assert done.code == 2
    assert len(done.error_lines) == 2
    assert not out.exists()
