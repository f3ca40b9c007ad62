from __future__ import annotations

from pathlib import Path

import pytest
import torch

from asking import dense, low_rank
from toy_runs import toy_model
from truing.errors import StoreError
from truing.interventions.intervention import Intervention, PromptPrefix
from truing.runs.totals import Totals


def test_the_newest_total_comes_back_exactly_with_its_memo(tmp_path: Path) -> None:
    model = toy_model(cache=tmp_path / "cache")
    slot = model.arch.down(1)
    total = Intervention(
        (low_rank(slot, 1), dense(model.arch.down(2), 2), PromptPrefix("New fact. ")),
        memo={"moments": torch.rand(3, dtype=torch.float64)},
    )
    totals = Totals(tmp_path / "x", model)
    assert totals.newest(up_to=9) == (0, None)
    totals.keep(2, Intervention())
    totals.keep(4, total)
    made, found = totals.newest(up_to=9)
    assert made == 4
    assert found is not None
    assert found.id == total.id
    assert torch.equal(found.memo["moments"], total.memo["moments"])
    assert [p.name for p in (tmp_path / "x").iterdir()] == ["after-4"]
    assert totals.newest(up_to=3) == (0, None)


def test_a_damaged_total_is_passed_over(tmp_path: Path) -> None:
    model = toy_model(cache=tmp_path / "cache")
    totals = Totals(tmp_path / "x", model)
    totals.keep(3, Intervention((low_rank(model.arch.down(1), 1),)))
    file = tmp_path / "x" / "after-3" / "tensors.safetensors"
    file.write_bytes(file.read_bytes()[:-9])
    assert totals.newest(up_to=9) == (0, None)


def test_a_total_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(StoreError, match="x"):
        Totals(tmp_path / "x", toy_model(cache=tmp_path / "cache")).keep(1, Intervention())
