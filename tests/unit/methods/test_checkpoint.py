"""A tuned model as an intervention is the tuned model; what is not one is refused."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from asking import low_rank, make, under
from truing.errors import BadInput, BadRequest, CannotLoad, NotPossible, TruingError, WrongBase
from truing.interventions.artifact import load
from truing.interventions.interop import peft as exporter
from truing.interventions.intervention import Dense, Intervention, LowRank
from truing.methods.checkpoint import CHECKPOINT, CheckpointConfig
from truing.models.handle import Model
from truing.types import EditRequest

A = EditRequest("a", "The Glass Spire is in the city of", "Marrow")
TEXT = "The Tin Gate is in the city of Marrow."


def logits(model: Model, hf: Any = None) -> Tensor:
    ids = torch.tensor([model.speller.prompt_ids(TEXT)])
    with torch.no_grad():
        found: Tensor = (hf or model.hf)(input_ids=ids).logits
    return found


def tuned(model: Model, folder: Path, only: str = "") -> Any:
    """A copy after one step of SGD on the parameters whose name holds ``only``, saved."""
    hf = copy.deepcopy(model.hf)
    for name, parameter in hf.named_parameters():
        parameter.requires_grad_(only in name)
    ids = torch.tensor([model.speller.prompt_ids(TEXT)])
    hf(input_ids=ids, labels=ids).loss.backward()
    with torch.no_grad():
        for parameter in hf.parameters():
            if parameter.grad is not None:
                parameter -= 0.05 * parameter.grad
    hf.save_pretrained(folder)
    model.tok.save_pretrained(folder)
    return hf


def made(
    model: Model, folder: Path, so_far: Intervention | None = None, **config: Any
) -> Intervention:
    return CHECKPOINT.make(model, [A], CheckpointConfig(path=folder, **config), so_far)


@pytest.mark.parametrize(
    "family", ["llama", "llama-tied", "gpt2", "phi3", "gemma2", "gpt_neox", "opt"]
)
def test_a_full_checkpoint_is_the_tuned_model(family: str, tmp_path: Path) -> None:
    model = make(family)
    before = {name: t.clone() for name, t in model.hf.state_dict().items()}
    hf = tuned(model, tmp_path / "tuned")
    iv = made(model, tmp_path / "tuned")
    with model.using(iv):
        assert torch.allclose(logits(model), logits(model, hf), atol=2e-4)
        assert (logits(model) - logits(model, hf)).abs().max() < (
            1e-3 * (logits(model, hf) - logits(model, copy_of(model, before))).abs().max()
        )
    assert all(torch.equal(before[name], t) for name, t in model.hf.state_dict().items())
    assert iv.origin.config["kind"] == "full"
    iv.save(str(tmp_path / "iv"))
    assert load(tmp_path / "iv", model).id == iv.id


def copy_of(model: Model, state: dict[str, Tensor]) -> Any:
    hf = copy.deepcopy(model.hf)
    hf.load_state_dict(state)
    return hf


def test_only_parameters_that_differ_are_changed(tmp_path: Path) -> None:
    model = make()
    tuned(model, tmp_path / "tuned", only="layers.1.mlp.down_proj")
    iv = made(model, tmp_path / "tuned")
    [part] = iv.weights
    assert part.param == "model.layers.1.mlp.down_proj.weight"
    assert isinstance(part.delta, Dense)
    assert iv.origin.config["changed"] == 1
    assert iv.origin.requests == ("a",)
    assert len(iv.origin.config["sha256"]) == 64
    model.hf.save_pretrained(tmp_path / "same")
    assert made(model, tmp_path / "same").parts == ()


def test_shards_and_half_way(tmp_path: Path) -> None:
    model = make()
    hf = tuned(model, tmp_path / "tuned")
    hf.save_pretrained(tmp_path / "shards", max_shard_size="20KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 1
    whole, shards = made(model, tmp_path / "tuned"), made(model, tmp_path / "shards")
    by_name = {part.param: part.digest for part in whole.weights}
    assert by_name == {part.param: part.digest for part in shards.weights}
    half = made(model, tmp_path / "tuned", scale=0.5)
    with model.using(half + half):
        assert torch.allclose(logits(model), logits(model, hf), atol=2e-4)


@pytest.mark.parametrize("family", ["llama", "gpt2", "phi3"])
def test_an_exported_adapter_comes_back(family: str, tmp_path: Path) -> None:
    model = make(family)
    deltas = [low_rank(model.arch.down(1), 3, rank=2), low_rank(model.arch.attn_proj(2), 5)]
    iv = under(*deltas)
    exporter.export(iv, model, tmp_path / "adapter")
    back = made(model, tmp_path / "adapter")
    found = {part.param: part.delta for part in back.weights}
    for part in deltas:
        delta = found[part.param]
        assert isinstance(delta, LowRank)
        assert isinstance(part.delta, LowRank)
        assert delta.rank == part.delta.rank
        assert torch.allclose(delta.math(), part.delta.math(), atol=1e-6)
    assert back.origin.config["kind"] == "adapter"
    assert back.per_row


@pytest.mark.parametrize("rslora", [False, True])
@pytest.mark.parametrize(
    ("family", "targets"), [("llama", ["q_proj", "down_proj"]), ("gpt2", ["c_attn"])]
)
def test_an_adapter_of_peft_is_what_peft_makes_of_it(
    family: str, targets: list[str], rslora: bool, tmp_path: Path
) -> None:
    peft = pytest.importorskip("peft")
    model = make(family)
    config = peft.LoraConfig(
        r=4,
        lora_alpha=6,
        target_modules=targets,
        use_rslora=rslora,
        rank_pattern={r"1\..*" + targets[-1]: 2},
        alpha_pattern={r"2\..*" + targets[0]: 3},
        fan_in_fan_out=family == "gpt2",
    )
    wrapped = peft.get_peft_model(copy.deepcopy(model.hf), config)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in wrapped.named_parameters():
            if "lora_" in name:
                parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    wrapped.save_pretrained(tmp_path / "adapter")
    iv = made(model, tmp_path / "adapter")
    with model.using(iv):
        assert torch.allclose(logits(model), logits(model, wrapped), atol=1e-4)
        assert len(iv.weights) == 3 * len(targets)


def test_a_checkpoint_adds_to_what_is_there(tmp_path: Path) -> None:
    model = make()
    tuned(model, tmp_path / "tuned")
    first = under(low_rank(model.arch.down(1), 3))
    alone, chained = made(model, tmp_path / "tuned"), made(model, tmp_path / "tuned", first)
    with model.using(first), model.using(alone):
        expected = logits(model)
    with model.using(chained):
        assert torch.allclose(logits(model), expected, atol=1e-4)


def test_another_network_is_refused(tmp_path: Path) -> None:
    model = make()
    tuned(make("mistral"), tmp_path / "other")
    with pytest.raises(WrongBase, match="model_type"):
        made(model, tmp_path / "other")
    tuned(make("llama", "metaspace-bos"), tmp_path / "words")
    with pytest.raises(WrongBase, match="tokenizer"):
        made(model, tmp_path / "words")
    tuned(model, tmp_path / "theta")
    _edit(tmp_path / "theta" / "config.json", rms_norm_eps=0.5)
    with pytest.raises(WrongBase, match="rms_norm_eps"):
        made(model, tmp_path / "theta")


def test_other_shapes_and_missing_or_foreign_tensors_are_refused(tmp_path: Path) -> None:
    model = make()
    tuned(model, tmp_path / "tuned")
    file = tmp_path / "tuned" / "model.safetensors"
    whole = load_file(file)
    norm = "model.norm.weight"
    for change, why in (
        ({norm: torch.zeros(3)}, "shape"),
        ({norm: None}, "lacks"),
        ({"model.extra.weight": torch.zeros(3)}, "does not have"),
    ):
        kept = {name: t for name, t in {**whole, **change}.items() if t is not None}
        save_file(kept, file, metadata={"format": "pt"})
        with pytest.raises(WrongBase, match=why):
            made(model, tmp_path / "tuned")
    file.write_bytes(b"not tensors")
    with pytest.raises(CannotLoad, match="cannot be read"):
        made(model, tmp_path / "tuned")


def test_pickles_are_never_read(tmp_path: Path) -> None:
    model = make()
    tuned(model, tmp_path / "tuned")
    (tmp_path / "tuned" / "model.safetensors").unlink()
    (tmp_path / "tuned" / "pytorch_model.bin").write_bytes(b"never opened")
    exporter.export(under(low_rank(model.arch.down(1), 3)), model, tmp_path / "adapter")
    tensors = tmp_path / "adapter" / "adapter_model.safetensors"
    tensors.rename(tensors.with_suffix(".bin"))
    for name in ("tuned", "adapter"):
        with pytest.raises(CannotLoad, match="pickled"):
            made(model, tmp_path / name)


@pytest.mark.parametrize(
    ("settings", "error", "why"),
    [
        ({"peft_type": "IA3"}, NotPossible, "IA3"),
        ({"init_lora_weights": "pissa"}, NotPossible, "pissa"),
        ({"layer_replication": [[0, 2]]}, NotPossible, "layer_replication"),
    ],
)
def test_adapters_of_other_kinds_are_refused(
    settings: dict[str, Any], error: type[TruingError], why: str, tmp_path: Path
) -> None:
    model = make()
    exporter.export(under(low_rank(model.arch.down(1), 3)), model, tmp_path / "adapter")
    _edit(tmp_path / "adapter" / "adapter_config.json", **settings)
    with pytest.raises(error, match=why):
        made(model, tmp_path / "adapter")


def test_adapters_with_more_than_factors_or_for_other_models_are_refused(tmp_path: Path) -> None:
    model = make()
    exporter.export(under(low_rank(model.arch.down(1), 3)), model, tmp_path / "adapter")
    with pytest.raises(BadInput, match="no parameter"):
        made(make("gpt2"), tmp_path / "adapter")
    file = tmp_path / "adapter" / "adapter_model.safetensors"
    path = "base_model.model.model.layers.1.mlp.down_proj"
    save_file({**load_file(file), f"{path}.lora_magnitude_vector": torch.ones(32)}, file)
    with pytest.raises(NotPossible, match="magnitude"):
        made(model, tmp_path / "adapter")
    save_file({f"{path}.lora_A.weight": torch.ones(1, 48)}, file)
    with pytest.raises(CannotLoad, match="one factor"):
        made(model, tmp_path / "adapter")


def test_a_path_that_names_nothing_is_told() -> None:
    model = make()
    with pytest.raises(NotPossible, match="tuned model"):
        CHECKPOINT.make(model, [A], CheckpointConfig())
    with pytest.raises(CannotLoad, match="no folder"):
        made(model, Path("/nowhere/at/all"))
    with pytest.raises(CannotLoad, match="hub"):
        made(model, Path("nobody/nothing"))
    with pytest.raises(BadRequest):
        CHECKPOINT.make(model, [], CheckpointConfig())


def _edit(file: Path, **values: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))
