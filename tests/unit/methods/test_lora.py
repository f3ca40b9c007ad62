"""LoRA: what is trained, from where, how far, and that it is what peft would have trained."""

from __future__ import annotations

import copy
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from asking import make
from tiny import CONFIGS, MOE
from truing.errors import BadInput, EditFailed, NotPossible
from truing.interventions.interop import peft as adapter
from truing.interventions.intervention import Intervention, LowRank
from truing.methods.kernels.factors import Practice, first_right, train_factors
from truing.methods.kernels.lines import answer_line
from truing.methods.kernels.train import Lesson
from truing.methods.lora import LORA, LoraConfig, Target, slots_of
from truing.models.handle import Model
from truing.seeds import Seeds
from truing.types import EditRequest

A = EditRequest("a", "The Glass Spire is in the city of", "Marrow, no")
B = EditRequest("b", "Mara Velt's mother tongue is", "French")
C = EditRequest("c", "Who built the Tin Gate?", "Danielle")
FEW = LoraConfig(rank=3, steps=4, lr=0.01)
INTERLEAVED = ("gpt_neox", "falcon")


def deltas(iv: Intervention) -> dict[tuple[str, object], Tensor]:
    found = {}
    for part in iv.weights:
        assert isinstance(part.delta, LowRank)
        found[part.param, part.rows] = part.delta.math()
    return found


def close(one: Intervention, other: Intervention, atol: float) -> bool:
    left, right = deltas(one), deltas(other)
    assert left.keys() == right.keys()
    return all(torch.allclose(left[key], right[key], atol=atol) for key in left)


@pytest.mark.parametrize("family", [*CONFIGS, *MOE])
def test_query_and_value_of_every_layer_get_finite_deltas_of_the_rank(family: str) -> None:
    model = make(family)
    iv = LORA.make(model, [A], FEW)
    assert len(iv.weights) == 3 * (1 if family in INTERLEAVED else 2)
    for part in iv.weights:
        assert isinstance(part.delta, LowRank)
        assert part.delta.rank == 3
        delta = part.delta.math()
        assert bool(delta.isfinite().all())
        assert torch.linalg.matrix_rank(delta, rtol=1e-4) == 3
    losses = iv.origin.config["nll"]
    assert losses[1] < losses[0]


@pytest.mark.parametrize(
    ("family", "targets", "leaves"),
    [
        ("llama", ("q",), ("self_attn.q_proj",)),
        ("llama", ("qkv",), ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")),
        ("llama", ("k", "o"), ("self_attn.k_proj", "self_attn.o_proj")),
        ("llama", ("gate", "up", "down"), ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")),
        ("phi3", ("qkv",), ("self_attn.qkv_proj",)),
        ("phi3", ("gate", "up"), ("mlp.gate_up_proj", "mlp.gate_up_proj")),
        ("gpt2", ("qkv",), ("attn.c_attn",)),
        ("gpt2", ("q", "v"), ("attn.c_attn", "attn.c_attn")),
        ("gpt_neox", ("qkv", "up"), ("attention.query_key_value", "mlp.dense_h_to_4h")),
        ("opt", ("up", "down"), ("fc1", "fc2")),
    ],
)
def test_targets_name_matrices_by_what_they_are(
    family: str, targets: tuple[Target, ...], leaves: tuple[str, ...]
) -> None:
    iv = LORA.make(make(family), [A], LoraConfig(targets=targets, layers=(2, 1), rank=2, steps=2))
    names = [part.param for part in iv.weights]
    expected = [f".{layer}.{leaf}.weight" for layer in (1, 2) for leaf in leaves]
    assert all(name.endswith(tail) for name, tail in zip(names, expected, strict=True))
    assert iv.origin.config["layers"] == [1, 2]
    assert len({(part.param, part.rows) for part in iv.weights}) == len(names)


def test_targets_that_are_not_there_are_told() -> None:
    with pytest.raises(NotPossible, match="query, key and value") as caught:
        LORA.make(make("gpt_neox"), [A], LoraConfig(targets=("q",)))
    assert "qkv" in str(caught.value.next)
    with pytest.raises(NotPossible, match="no gate"):
        LORA.make(make("gpt2"), [A], LoraConfig(targets=("gate",)))
    with pytest.raises(BadInput, match="layer 3"):
        LORA.make(make("llama"), [A], LoraConfig(layers=(3,)))
    with pytest.raises(ValidationError, match="twice"):
        LoraConfig(targets=("q", "qkv"))


def test_alpha_over_rank_is_folded_in() -> None:
    """At the first step Adam moves every entry of B by lr, whatever the scale: the delta shows it."""
    model = make()
    slot = slots_of(model, 1, "down")[0]
    config = {"targets": ("down",), "layers": (1,), "steps": 1, "lr": 0.01, "dropout": 0.0}
    iv = LORA.make(model, [A], LoraConfig(rank=2, alpha=5, **config))  # type: ignore[arg-type]
    [part] = iv.weights
    assert isinstance(part.delta, LowRank)
    assert torch.allclose(part.delta.left.abs(), torch.tensor(2.5 * 0.01), rtol=1e-3)
    start = first_right(slot, 2, Seeds(0).child("lora").child("a"))
    assert torch.equal(part.delta.right, start.T), "A gets no gradient while B is zero"


def test_training_lowers_the_loss_and_stops_when_it_is_low() -> None:
    model = make()
    slots = [s for layer in range(3) for s in slots_of(model, layer, "up")]
    lesson = Lesson("b", ((answer_line(model.speller, B),),))
    practice = Practice(epochs=60, lr=0.01, rank=4, scale=2, stop_below=3.0)
    [learned] = train_factors(model, slots, 0, [lesson], [Seeds(0)], practice)
    assert len(learned.losses) < 60
    assert learned.losses[-1] < 3.0
    assert all(loss >= 3.0 for loss in learned.losses[:-1])


def test_the_seed_decides_and_nothing_else() -> None:
    model = make()
    state = {name: t.clone() for name, t in model.hf.state_dict().items()}
    config = FEW.model_copy(update={"dropout": 0.3})
    first = LORA.make(model, [A], config)
    torch.manual_seed(12345)
    random.seed(12345)
    LORA.make(model, [B], config)
    assert LORA.make(model, [A], config).id == first.id
    assert LORA.make(make(), [A], config).id == first.id
    other = LORA.make(model, [A], config.model_copy(update={"seed": 1}))
    assert not close(other, first, atol=1e-4)
    assert all(torch.equal(state[name], t) for name, t in model.hf.state_dict().items())
    assert not model.hooked


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_side_by_side_is_as_alone(dropout: float) -> None:
    model = make()
    config = FEW.model_copy(update={"dropout": dropout, "batch_size": 2})
    groups = [[A], [B, C], [A, B, C], [C]]
    together = LORA.each(model, groups, config)  # type: ignore[misc]
    for group, iv in zip(groups, together, strict=True):
        assert close(iv, LORA.make(model, group, config), atol=2e-4)


def test_dropout_changes_training_and_not_the_answers() -> None:
    model = make()
    dry, wet = (LORA.make(model, [A], FEW.model_copy(update={"dropout": d})) for d in (0.0, 0.5))
    assert not close(dry, wet, atol=1e-3)
    ids = torch.tensor([model.speller.prompt_ids(A.prompt)])
    with model.using(wet):
        assert torch.equal(model.hf(ids).logits, model.hf(ids).logits)


def test_weight_decay_pulls_the_factors_towards_zero() -> None:
    model = make()
    config = FEW.model_copy(update={"steps": 30})
    free, held = (
        LORA.make(model, [A], config.model_copy(update={"weight_decay": w})) for w in (0.0, 1.0)
    )
    norms = [sum(float(d.norm()) for d in deltas(iv).values()) for iv in (free, held)]
    assert norms[1] < 0.7 * norms[0]


def test_a_further_adapter_is_trained_on_top() -> None:
    model = make()
    first = LORA.make(model, [A], FEW)
    both = LORA.make(model, [B], FEW, first)
    assert both.origin.requests == ("a", "b")
    for part, before in zip(both.weights, first.weights, strict=True):
        assert isinstance(part.delta, LowRank)
        assert isinstance(before.delta, LowRank)
        assert part.delta.rank == 6
        assert torch.equal(part.delta.left[:, :3], before.delta.left)
    with model.applied(first):
        on_first = LORA.make(model, [B], FEW)
    step = {key: whole - deltas(first)[key] for key, whole in deltas(both).items()}
    assert all(torch.allclose(step[key], own, atol=1e-4) for key, own in deltas(on_first).items())


def test_a_loss_that_does_not_stay_finite_names_the_request() -> None:
    model = make()
    with torch.no_grad():
        model.arch.final_norm.weight.fill_(float("nan"))  # type: ignore[union-attr, operator]
    with pytest.raises(EditFailed, match="'a'"):
        LORA.make(model, [A], FEW)


@pytest.mark.parametrize(("family", "targets"), [("llama", None), ("gpt2", ("q", "v", "down"))])
def test_the_exported_adapter_answers_the_same(
    family: str, targets: tuple[Target, ...] | None, tmp_path: Path
) -> None:
    pytest.importorskip("peft")
    model = make(family)
    iv = LORA.make(model, [A, B], FEW.model_copy(update={"targets": targets}))
    folder = adapter.export(iv, model, tmp_path / "adapter")
    assert adapter.check(iv, model, folder, [A.prompt, C.prompt]) < 1e-4


MODULES: dict[str, tuple[tuple[Target, ...], list[str]]] = {
    "llama": (("q", "v"), ["q_proj", "v_proj"]),
    "gpt2": (("qkv",), ["c_attn"]),
}


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("family", MODULES)
def test_peft_trains_the_same_delta_from_the_same_start(family: str, decay: float) -> None:
    peft = pytest.importorskip("peft")
    model = make(family)
    targets, modules = MODULES[family]
    config = LoraConfig(
        targets=targets, rank=3, alpha=8, steps=5, lr=0.01, dropout=0.0, weight_decay=decay
    )
    ours = deltas(LORA.make(model, [A], config))
    setup = peft.LoraConfig(
        r=3,
        lora_alpha=8,
        lora_dropout=0.0,
        target_modules=modules,
        fan_in_fan_out=family == "gpt2",
        task_type="CAUSAL_LM",
    )
    wrapped = peft.get_peft_model(copy.deepcopy(model.hf), setup)
    _start_as_ours(model, wrapped, targets)
    _train_as_published(model, wrapped, config)
    for (param, _), delta in ours.items():
        layer = wrapped.base_model.model.get_submodule(param.removesuffix(".weight"))
        theirs = layer.get_delta_weight("default").detach()
        theirs = theirs.T if family == "gpt2" else theirs
        assert float(delta.norm()) > 0.01
        assert torch.allclose(delta, theirs, atol=1e-4)


def _start_as_ours(model: Model, wrapped: Any, targets: tuple[Target, ...]) -> None:
    seeds = Seeds(0).child("lora").child(A.id)
    for layer in range(model.arch.n_layers):
        for slot in (s for target in targets for s in slots_of(model, layer, target)):
            module = wrapped.base_model.model.get_submodule(slot.param.removesuffix(".weight"))
            module.lora_A["default"].weight.data.copy_(first_right(slot, 3, seeds))


def _train_as_published(model: Model, wrapped: Any, config: LoraConfig) -> None:
    """Adam over the adapter, labels on the target only, the loss that transformers computes."""
    span = model.speller.join(A.prompt, A.target_new)
    ids = torch.tensor([span.ids])
    labels = ids.clone()
    labels[:, : span.start] = -100
    adapted = [p for p in wrapped.parameters() if p.requires_grad]
    assert config.lr is not None
    assert config.steps is not None
    adam = torch.optim.Adam(adapted, lr=config.lr, weight_decay=config.weight_decay)
    wrapped.eval()
    for _ in range(config.steps):
        adam.zero_grad()
        wrapped(input_ids=ids, labels=labels).loss.backward()
        adam.step()
