"""Controls copy an intervention and take other directions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asking import make as tiny_model
from truing.errors import EditFailed, NotPossible
from truing.interventions.intervention import Intervention
from truing.methods.method import METHODS
from truing.methods.neutral_prefix import neutral_text
from truing.methods.steering import directions
from truing.methods.steering.controls import ops_of
from truing.methods.variants import make
from truing.models.handle import Model
from truing.types import EditRequest

PAIRS = [
    EditRequest(f"p{i}", f"The mood of number {i} is", "good" if i % 2 else "fine", "bad")
    for i in range(8)
]
COPIED = {
    "caa": {"layers": (1, 2), "strength": 0.25},
    "pca": {"op": "add-keep-norm"},
    "cast": {"layers": (2,)},
    "actadd": {},
    "ablation": {},
    "iti": {},
}


@pytest.fixture(scope="module")
def model() -> Model:
    return tiny_model("llama")


def made(model: Model, name: str, **config: Any) -> Intervention:
    method = METHODS.get(name)
    return make(method, model, PAIRS, method.config.model_validate(config))


def like(name: str, **config: Any) -> dict[str, Any]:
    return {"like": {"name": name, "config": config}}


@pytest.mark.parametrize("name", COPIED)
def test_a_random_copy_keeps_all_but_the_directions(model: Model, name: str) -> None:
    iv, copy = made(model, name, **COPIED[name]), made(
        model, "random_direction", seed=1, **like(name, **COPIED[name])
    )  # fmt: skip
    ours, theirs = list(ops_of(copy.parts)), list(ops_of(iv.parts))
    assert [type(p) for p in copy.parts] == [type(p) for p in iv.parts]
    for op, was in zip(ours, theirs, strict=True):
        assert (op.site, op.layer, op.op, op.positions) == (
            was.site,
            was.layer,
            was.op,
            was.positions,
        )
        assert op.scale == was.scale
        assert float(op.vector.norm()) == pytest.approx(float(was.vector.norm()), rel=1e-4)
        assert not torch.allclose(op.vector, was.vector)
        assert torch.equal(op.vector == 0, was.vector == 0)


@pytest.mark.parametrize("control", ["random_direction", "shuffled_pairs"])
def test_the_length_is_that_after_scaling_to_a_budget(model: Model, control: str) -> None:
    [op] = made(model, "caa", max_kl=0.05).ops
    [copy] = made(model, control, **like("caa", max_kl=0.05)).ops
    assert copy.scale * float(copy.vector.norm()) == pytest.approx(
        op.scale * float(op.vector.norm()), rel=1e-4
    )
    [free] = made(model, "caa").ops
    assert op.scale != pytest.approx(free.scale)


def test_a_copy_of_what_was_made_is_what_making_it_anew_gives(model: Model) -> None:
    for name in ("random_direction", "shuffled_pairs"):
        method = METHODS.get(name)
        config = method.config.model_validate({"seed": 3, **like("pca")})
        assert method.copy is not None
        copied = method.copy(model, PAIRS, config, made(model, "pca"))
        assert copied.id == method.make(model, PAIRS, config).id


def test_one_direction_that_acts_in_many_places_is_replaced_by_one(model: Model) -> None:
    copy = made(model, "random_direction", **like("ablation"))
    assert len(copy.ops) > 1
    assert all(torch.equal(op.vector, copy.ops[0].vector) for op in copy.ops)


def test_what_has_no_direction_of_its_own_is_refused() -> None:
    for name in ("ft_m", "random_direction", "instruct"):
        with pytest.raises(ValueError, match="adds no direction"):
            METHODS.get("random_direction").config.model_validate(like(name))


def test_pairs_without_labels_copy_only_what_adds_one_vector_per_layer(model: Model) -> None:
    with pytest.raises(NotPossible, match="one vector per layer"):
        made(model, "shuffled_pairs", **like("actadd"))


@given(st.integers(0, 2**31), st.integers(1, 3), st.integers(2, 8))
def test_random_vectors_are_as_long_row_by_row(seed: int, rows: int, width: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    vector = torch.randn(rows, width, generator=draw)
    other = directions.anywhere(vector, draw)
    assert torch.allclose(other.norm(dim=1), vector.norm(dim=1), rtol=1e-4)


@pytest.mark.parametrize(
    "text", ["Answer as an extraverted person: ", "Write gloomily: ", "Be kind.\n\n", "Yes "]
)
def test_a_neutral_prefix_is_as_many_tokens_and_ends_alike(text: str) -> None:
    model = Model.load("truing/pocket")
    found = neutral_text(model, text)
    assert found != text
    assert len(model.speller.prompt_ids(found)) == len(model.speller.prompt_ids(text))
    assert found[-1] == text[-1]


def test_a_text_that_cannot_be_matched_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("truing.methods.neutral_prefix.NEUTRAL", ("one",))
    with pytest.raises(EditFailed, match="no neutral text takes"):
        neutral_text(Model.load("truing/pocket"), "Answer as an extraverted person: ")
