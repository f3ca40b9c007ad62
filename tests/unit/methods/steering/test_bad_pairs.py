"""What is no contrast pair, no strength or no layer is told before anything is computed."""

from __future__ import annotations

from typing import Any

import pytest

from asking import make
from truing.errors import BadInput, BadRequest, TruingError
from truing.interventions.artifact import load, save
from truing.interventions.intervention import ActivationOp, Condition, Conditional, Intervention
from truing.methods.method import METHODS
from truing.models.handle import Model
from truing.models.positions import Positions
from truing.types import EditRequest
from truing.verbs import configure, edit

VECTORS = ("caa", "pca", "probe", "cast", "trained_vector", "iti", "ablation")
GOOD = EditRequest("a", "The Glass Spire is in the city of", "Marrow", "Orvale")


def two_lines(error: BaseException) -> bool:
    return isinstance(error, TruingError) and str(error).count("\n") == 1


@pytest.mark.parametrize("method", VECTORS)
@pytest.mark.parametrize(
    ("new", "old", "word"),
    [
        ("Marrow", None, "target_old"),
        ("Marrow", "", "target_old"),
        ("Marrow", "Marrow", "both continuations"),
        ("", "Orvale", "target_new"),
        ("Marrow ", "Orvale", "target_new"),
    ],
)
def test_a_request_without_two_different_sides_is_no_pair(
    method: str, new: str, old: str | None, word: str
) -> None:
    with pytest.raises(BadRequest, match=word) as caught:
        edit(make(), [GOOD, EditRequest("bad", GOOD.prompt, new, old)], method)
    assert two_lines(caught.value)
    assert "bad" in str(caught.value)


@pytest.mark.parametrize("method", [*VECTORS, "actadd"])
@pytest.mark.parametrize("strength", [float("nan"), float("inf"), -float("inf"), "much"])
def test_a_strength_is_a_finite_number(method: str, strength: Any) -> None:
    with pytest.raises(BadInput, match="'strength'") as caught:
        configure(METHODS.get(method), {"strength": strength})
    assert two_lines(caught.value)


@pytest.mark.parametrize("method", VECTORS)
@pytest.mark.parametrize("layer", [99, -1])
def test_a_layer_that_the_model_does_not_have_is_named(method: str, layer: int) -> None:
    config: dict[str, Any] = {"layers": [layer]}
    if "layers" not in METHODS.get(method).config.model_fields:
        config = {"layer": layer}
    with pytest.raises(TruingError, match=str(layer)) as caught:
        edit(make(), [GOOD], method, config)
    assert two_lines(caught.value)


def op(model: Model, width: int, layer: int = 1) -> ActivationOp:
    import torch

    return ActivationOp("resid_post", layer, "add", torch.ones(width), Positions())


@pytest.mark.parametrize(("width", "layer"), [(8, 1), (32, 9)])
@pytest.mark.parametrize("waits", [False, True])
def test_a_saved_vector_of_another_size_is_refused(
    width: int, layer: int, waits: bool, tmp_path: Any
) -> None:
    model = make()
    part: Any = op(model, width, layer)
    if waits:
        condition = Condition("resid_post", 0, op(model, 32).vector, 0.5)
        part = Conditional((part,), (condition,))
    folder = save(Intervention((part,)), tmp_path / "iv")
    with pytest.raises(TruingError, match=f"{width} features|layer {layer}") as caught:
        load(folder, model)
    assert two_lines(caught.value)
