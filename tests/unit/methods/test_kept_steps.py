"""Chosen steps of a training stay behind as editors of their own, however often it was cut off."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_serac import go as train_serac
from test_training import cases
from test_training import go as train_mend

from asking import make
from truing.errors import BadInput
from truing.methods import mend_checkpoint, serac_checkpoint
from truing.methods.mend import MEND, MendConfig
from truing.methods.serac import SERAC, SeracConfig
from truing.methods.training.loop import Schedule, kept
from truing.methods.training.record import Line

GO: dict[str, Callable[..., Any]] = {"mend": train_mend, "serac": train_serac}
HEADERS = {
    "mend": lambda folder: mend_checkpoint.load(folder)[1],
    "serac": lambda folder: serac_checkpoint.load(folder).header,
}


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in (folder / "steps").rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@pytest.mark.parametrize("method", GO)
def test_steps_are_kept_and_a_cut_changes_none(method: str, tmp_path: Path) -> None:
    GO[method](tmp_path / "whole", keep_every=3, steps=7)
    whole = files(tmp_path / "whole")
    names = {"000003", "000006"}
    assert {path.parent.name for path in map(Path, whole)} == names

    def cut(line: Line) -> None:
        if line.kind == "step" and line.step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        GO[method](tmp_path / "cut", keep_every=3, steps=7, watch=cut)
    assert set(files(tmp_path / "cut")) < set(whole)
    GO[method](tmp_path / "cut", keep_every=3, steps=7, resume=True)
    assert files(tmp_path / "cut") == whole
    for step in (3, 6):
        header = HEADERS[method](kept(tmp_path / "whole", step))
        assert header.step == step
        assert header.metrics["loss"] > 0
    with pytest.raises(BadInput, match="keep_every"):
        GO[method](tmp_path / "cut", keep_every=2, steps=9, resume=True)


@pytest.mark.parametrize("method", GO)
def test_a_kept_step_edits_and_says_which_training_it_is_of(method: str, tmp_path: Path) -> None:
    model, request = make("llama"), cases()[0].requests[0]
    GO[method](tmp_path / "a", keep_every=2, steps=4)
    GO[method](tmp_path / "b", keep_every=2, steps=2, seed=1)
    used = []
    for folder in (kept(tmp_path / "a", 2), kept(tmp_path / "a", 4), kept(tmp_path / "b", 2)):
        iv = (
            MEND.make(model, [request], MendConfig(checkpoint=folder))
            if method == "mend"
            else SERAC.make(model, [request], SeracConfig(checkpoint=folder))
        )
        assert iv.origin is not None
        used.append(iv.origin.config["editor"])
    assert [editor["step"] for editor in used] == [2, 4, 2]
    assert used[0]["training"] == used[1]["training"] != used[2]["training"]


def test_a_longer_training_is_the_same_training(tmp_path: Path) -> None:
    ids = []
    for name, steps in (("short", 2), ("long", 4)):
        train_mend(tmp_path / name, keep_every=2, steps=steps)
        header = HEADERS["mend"](kept(tmp_path / name, 2))
        ids.append(mend_checkpoint.facts(header)["training"])
    assert ids[0] == ids[1]


def test_kept_steps_are_validated() -> None:
    schedule = Schedule(
        steps=10, accumulate=1, clip=1.0, validate_every=4, patience=9, keep_every=3
    )
    assert [step for step in range(1, 11) if schedule.validates(step)] == [3, 4, 6, 8, 9]
    assert [step for step in range(11) if schedule.keeps(step)] == [3, 6, 9]
    plain = replace(schedule, keep_every=None)
    assert not any(map(plain.keeps, itertools.islice(itertools.count(), 11)))
