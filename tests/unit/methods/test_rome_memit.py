"""The property each solve is named for, measured on the edited model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from asking import make
from tiny import TEXT
from truing.errors import BadInput, NotPossible
from truing.methods.kernels.capture import Place, capture
from truing.methods.kernels.lines import subject_line
from truing.methods.kernels.moments import collect, load, save
from truing.methods.layered import targets
from truing.methods.memit import MEMIT, MemitConfig, solver
from truing.methods.rome import R_ROME, ROME, RomeConfig, rank_ones
from truing.methods.rome import _plan as rome_plan
from truing.models.handle import Model
from truing.types import EditRequest

A = EditRequest("a", "The Glass Spire is in the city of", "Marrow", subject="Glass Spire")
B = EditRequest("b", "Mara Velt's mother tongue is", "French, no", subject="Mara Velt")
PREFIXES = ("It was so. ", "Yes. ")
FEW: dict[str, Any] = {"steps": 4, "contexts": PREFIXES}


@pytest.fixture
def model() -> Model:
    return make("gpt2")


@pytest.fixture
def stats(model: Model, tmp_path: Path) -> Path:
    save(collect(model, TEXT, (0, 1)), tmp_path / "moments")
    return tmp_path / "moments"


def outs(model: Model, place: Place, prefixes: tuple[str, ...] = ("",)) -> torch.Tensor:
    return capture(model, [subject_line(model.speller, A, p) for p in prefixes], [place])[place]


def test_rome_makes_the_bare_prompt_put_out_the_value(model: Model, stats: Path) -> None:
    config = RomeConfig(layer=1, stats=stats, **FEW)
    [edit] = rank_ones(model, [A], rome_plan(model, config), "bare")
    iv = ROME.make(model, [A], config)
    with model.using(iv):
        [out] = outs(model, Place("mlp_out", 1))
    assert torch.allclose(out, edit.wanted.value_D, rtol=1e-3, atol=1e-4)
    [part] = iv.weights
    assert torch.linalg.matrix_rank(part.delta.math()) == 1  # type: ignore[union-attr]


def test_r_rome_makes_the_mean_key_put_out_the_value(model: Model, stats: Path) -> None:
    config = RomeConfig(layer=1, stats=stats, **FEW)
    [edit] = rank_ones(model, [A], rome_plan(model, config), "mean")
    with model.using(R_ROME.make(model, [A], config)):
        mean = outs(model, Place("mlp_out", 1), ("", *PREFIXES)).mean(0)
    assert torch.allclose(mean, edit.wanted.value_D, rtol=1e-3, atol=1e-4)


def test_without_prefixes_both_are_the_same(model: Model, stats: Path) -> None:
    config = RomeConfig(layer=1, steps=4, contexts=(), stats=stats)
    [one], [other] = (method.make(model, [A], config).weights for method in (ROME, R_ROME))
    assert torch.allclose(one.delta.math(), other.delta.math(), rtol=1e-3, atol=1e-6)  # type: ignore[union-attr]


def test_statistics_make_the_update_that_moves_ordinary_text_least(
    model: Model, stats: Path
) -> None:
    """Of all updates that give one key its value, eq. 2 minimises E ||dW k||^2 = tr(dW C dW^T)."""
    moved = []
    second_F_F = load(stats).layer(1)
    for source in (stats, "none"):
        [part] = R_ROME.make(model, [A], RomeConfig(layer=1, stats=source, **FEW)).weights
        delta = part.delta.math()  # type: ignore[union-attr]
        moved.append(float((delta @ second_F_F @ delta.T).trace()))
    assert moved[0] < 0.9 * moved[1]


@pytest.mark.parametrize("layers", [(1,), (0, 1)])
def test_memit_closes_what_is_missing_when_old_memories_weigh_nothing(
    model: Model, stats: Path, layers: tuple[int, ...]
) -> None:
    config = MemitConfig(layers=layers, steps=4, contexts=(), weight=1e-6, stats=stats)
    wanted = targets(model, [A, B], solver(model, config).plan)
    place = Place("resid_post", layers[-1])
    before = outs(model, place)
    with model.using(MEMIT.make(model, [A, B], config)):
        after = outs(model, place)
    missing = float((wanted[0].value_D - before[0]).norm())
    assert float((wanted[0].value_D - after[0]).norm()) < 0.02 * missing


def test_memit_moves_less_the_more_old_memories_weigh(model: Model, stats: Path) -> None:
    norms = []
    for weight in (1.0, 100.0, 10000.0):
        config = MemitConfig(layers=(1,), weight=weight, stats=stats, **FEW)
        [part] = MEMIT.make(model, [A, B], config).weights
        norms.append(float(part.delta.math().norm()))  # type: ignore[union-attr]
    assert norms[0] > norms[1] > norms[2] > 0


def test_groups_of_several_are_each_one_update(model: Model, stats: Path) -> None:
    config = MemitConfig(layers=(0, 1), weight=10.0, stats=stats, **FEW)
    assert MEMIT.each is not None
    [pair, single] = MEMIT.each(model, [[A, B], [B]], config)
    alone = MEMIT.make(model, [A, B], config)
    for one, other in zip(pair.weights, alone.weights, strict=True):
        assert torch.allclose(one.delta.math(), other.delta.math(), rtol=1e-3, atol=1e-6)  # type: ignore[union-attr]
    assert single.origin.requests == ("b",)


def test_memit_refuses_to_go_without_statistics(model: Model) -> None:
    with pytest.raises(NotPossible, match="second moments"):
        MEMIT.make(model, [A], MemitConfig(stats="none"))


def test_layers_out_of_order_are_refused(model: Model, stats: Path) -> None:
    with pytest.raises(BadInput, match="layers"):
        MEMIT.make(model, [A], MemitConfig(layers=(1, 0), stats=stats))


def test_a_layer_that_does_not_exist_is_named(model: Model) -> None:
    with pytest.raises(BadInput, match="layer 9"):
        ROME.make(model, [A], RomeConfig(layer=9, stats="none"))


def test_a_chain_of_groups_is_made_of_chained_edits(model: Model) -> None:
    config = RomeConfig(layer=1, stats="none", **FEW)
    assert ROME.each is not None
    [pair] = ROME.each(model, [[A, B]], config)
    first = ROME.make(model, [A], config)
    assert pair.id == ROME.make(model, [B], config, first).id


def test_the_record_holds_what_it_takes_to_repeat_it(model: Model) -> None:
    iv = ROME.make(model, [A], RomeConfig(steps=2, sampled=((4, 3),), seed=5))
    record = dict(iv.origin.config)
    assert record["settings"] == "heuristic"
    assert record["stats"]["source"] == "auto"
    assert record["stats"]["tokens"] > 0
    assert len(record["contexts"]) == 3
    again = RomeConfig(
        layer=record["layer"], steps=record["steps"], contexts=tuple(record["contexts"]), seed=5
    )
    assert ROME.make(model, [A], again).id == iv.id
