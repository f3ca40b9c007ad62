"""What is exported gives the same log-probs elsewhere; what cannot be is refused with a way out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from asking import dense, low_rank, make, noise, op, under
from truing.errors import BadInput, NotPossible
from truing.interventions.interop import merged, peft
from truing.interventions.intervention import Dense, Intervention, PromptPrefix, WeightDelta
from truing.models.handle import Model

PROMPTS = ["The Glass Spire is in the city of", "Who built the Tin Gate?"]


def several(model: Model) -> Intervention:
    """Different ranks in several places; slices of fused projections where there are any."""
    arch = model.arch
    return under(
        low_rank(arch.down(0), 1, rank=1, size=0.5),
        low_rank(arch.down(2), 2, rank=3, size=0.5),
        *(low_rank(slot, 10 + n, rank=2, size=0.5) for n, slot in enumerate(arch.mlp_in(1))),
        low_rank(arch.attn_proj(1), 20, rank=4, size=0.5),
    )


@pytest.mark.parametrize("name", ["llama", "gpt2", "gpt2-square", "phi3", "opt", "gpt_neox"])
def test_a_peft_adapter_gives_the_same_log_probs(tmp_path: Path, name: str) -> None:
    pytest.importorskip("peft")
    model = make(name)
    iv = several(model)
    folder = peft.export(iv, model, tmp_path / "adapter")
    assert peft.check(iv, model, folder, PROMPTS) < 1e-4
    assert peft.check(Intervention(iv.parts[:1]), model, folder, PROMPTS) > 1e-3


def test_the_factors_are_written_as_they_are(tmp_path: Path) -> None:
    model = make("llama")
    part = low_rank(model.arch.down(1), 1, rank=3)
    folder = peft.export(under(part), model, tmp_path / "adapter")
    tensors = load_file(folder / "adapter_model.safetensors")
    path = "base_model.model.model.layers.1.mlp.down_proj"
    assert torch.equal(tensors[f"{path}.lora_A.weight"], part.delta.right.T)  # type: ignore[union-attr]
    assert torch.equal(tensors[f"{path}.lora_B.weight"], part.delta.left)  # type: ignore[union-attr]
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["r"] == config["lora_alpha"] == 3
    assert config["base_model_name_or_path"] == "llama"
    assert sorted(p.name for p in folder.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "truing_origin.json",
    ]


@pytest.mark.parametrize("name", ["llama", "gpt2"])
@pytest.mark.parametrize("orientation", ["stored", "math"])
def test_dense_deltas_need_a_rank_that_is_exact(
    tmp_path: Path, name: str, orientation: Any
) -> None:
    pytest.importorskip("peft")
    model = make(name)
    slot = model.arch.down(1)
    full = noise(1, slot.d_out, 2) @ noise(2, slot.d_in, 2).T
    delta = slot.to_stored(full) if orientation == "stored" else full
    iv = under(WeightDelta(slot.param, Dense(delta, orientation)))
    with pytest.raises(NotPossible, match="is dense"):
        peft.export(iv, model, tmp_path / "a")
    with pytest.raises(NotPossible, match="rank 1 loses"):
        peft.export(iv, model, tmp_path / "a", rank=1)
    assert not (tmp_path / "a").exists()
    folder = peft.export(iv, model, tmp_path / "a", rank=2)
    assert peft.check(iv, model, folder, PROMPTS) < 1e-4


@pytest.mark.parametrize("name", ["llama", "llama-tied", "gpt2", "phi3", "opt", "gemma2"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_merged_checkpoint_gives_the_same_log_probs(
    tmp_path: Path, name: str, dtype: torch.dtype
) -> None:
    made = make(name, dtype=dtype)  # saved and loaded, so that its rotary tables are float32
    made.hf.save_pretrained(tmp_path / "base")
    hf = type(made.hf).from_pretrained(tmp_path / "base", dtype=dtype)
    model = Model.of(hf, made.tok, cache=tmp_path)
    before = {k: v.clone() for k, v in model.hf.state_dict().items()}
    iv = several(model) + under(dense(model.arch.down(1), 5, size=0.5))
    folder = merged.export(iv, model, tmp_path / "merged")
    assert all(torch.equal(v, before[k]) for k, v in model.hf.state_dict().items())
    assert merged.check(iv, model, folder, PROMPTS) < 1e-5
    assert merged.check(Intervention(), model, folder, PROMPTS) > 1e-3


def test_a_merged_checkpoint_is_a_model_like_any_other(tmp_path: Path) -> None:
    model = make("llama")
    iv = several(model)
    loaded = Model.load(str(merged.export(iv, model, tmp_path / "merged")), cache=tmp_path)
    assert loaded.tok.get_vocab() == model.tok.get_vocab()
    with model.using(iv):
        assert loaded.fingerprint == model.fingerprint


@pytest.mark.parametrize("target", [peft, merged])
def test_what_is_not_weights_is_refused_and_says_what_works(tmp_path: Path, target: Any) -> None:
    model = make("llama")
    weights = low_rank(model.arch.down(0), 1)
    for parts, what in (
        ((weights, op(model, "resid_post", 0, "add", 1)), "activation ops are not weights"),
        ((PromptPrefix("x "),), "prompt prefixes are not weights"),
        ((), "changes nothing"),
    ):
        with pytest.raises(NotPossible, match=what) as caught:
            target.export(Intervention(parts), model, tmp_path / "x")
        assert caught.value.args[0].count("\n") == 1
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("target", [peft, merged])
def test_a_folder_in_use_is_not_overwritten(tmp_path: Path, target: Any) -> None:
    model = make("llama")
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "precious").write_text("keep")
    with pytest.raises(BadInput, match="not empty"):
        target.export(several(model), model, tmp_path / "x")
    assert [p.name for p in (tmp_path / "x").iterdir()] == ["precious"]


def test_embeddings_go_to_merged_only(tmp_path: Path) -> None:
    model = make("llama")
    part = WeightDelta("model.embed_tokens.weight", low_rank(model.arch.down(0), 1).delta)
    shape = model.arch.parameter("model.embed_tokens.weight").shape
    part = WeightDelta("model.embed_tokens.weight", Dense(noise(1, *shape)))
    with pytest.raises(NotPossible, match="cannot be a LoRA factor"):
        peft.export(under(part), model, tmp_path / "x", rank=1)
    merged.export(under(part), model, tmp_path / "x")
