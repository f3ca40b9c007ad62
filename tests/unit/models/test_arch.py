"""Sites are found for every family and proven on the numbers."""

from __future__ import annotations

import warnings
from dataclasses import replace

import pytest
import torch

from tiny import CONFIGS, MOE, tiny_model
from truing.errors import BadInput, NotPossible, UnknownFamily
from truing.models.arch import PER_LAYER, Arch, GuessedFamily, describe, verify
from truing.models.families import FAMILIES

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])


def test_every_family_of_the_table_is_tried_here() -> None:
    assert set(FAMILIES) == set(CONFIGS) | set(MOE) | {"gemma3"}


@DTYPES
@pytest.mark.parametrize("model_type", [*CONFIGS, *MOE])
def test_the_sites_of_a_family_are_verified(model_type: str, dtype: torch.dtype) -> None:
    arch = describe(tiny_model(model_type, dtype))
    assert arch.known
    assert arch.n_layers == 3
    assert verify(arch) == []


@pytest.mark.parametrize("model_type", CONFIGS)
def test_the_down_projection_maps_keys_to_the_mlp_output(model_type: str) -> None:
    arch = describe(tiny_model(model_type))
    seen: dict[str, torch.Tensor] = {}
    hooks = [
        arch.site("mlp_hidden", 1).register(lambda x: seen.__setitem__("key", x)),
        arch.site("mlp_out", 1).register(lambda x: seen.__setitem__("out", x)),
    ]
    arch.hf(input_ids=torch.tensor([[3, 4, 5]]))
    for hook in hooks:
        hook.remove()
    slot = arch.down(1)
    assert (slot.d_out, slot.d_in) == (32, 48) or model_type in ("falcon", "gpt_neox", "phi")
    bias = slot.module.bias if getattr(slot.module, "bias", None) is not None else torch.zeros(slot.d_out)
    torch.testing.assert_close(
        seen["key"].flatten(0, -2) @ slot.math().T + bias, seen["out"].flatten(0, -2)
    )


@pytest.mark.parametrize("model_type", MOE)
def test_mixtures_of_experts_refuse_weights_and_keep_activations(model_type: str) -> None:
    arch = describe(tiny_model(model_type))
    with pytest.raises(NotPossible, match="mixture of experts"):
        arch.down(0)
    with pytest.raises(NotPossible, match="mixture of experts"):
        arch.mlp_in(0)
    arch.site("mlp_out", 0)
    arch.site("resid_post", 2)


def test_fused_projections_name_their_rows() -> None:
    gate, up = describe(tiny_model("phi3")).mlp_in(0)
    assert gate.param == up.param
    assert (gate.rows, up.rows) == (slice(0, 48), slice(48, 96))
    assert gate.math().shape == up.math().shape == (48, 32)


def test_an_unknown_family_is_found_by_structure_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    for model_type in ("llama", "gpt2", "gpt_neox", "mixtral"):
        table = describe(tiny_model(model_type))
        monkeypatch.delitem(FAMILIES, model_type)
        with pytest.warns(GuessedFamily, match=model_type):
            guessed = describe(tiny_model(model_type))
        assert not guessed.known
        assert guessed.family.blocks == table.family.blocks
        assert guessed.family.down == table.family.down


def test_a_structure_that_is_no_decoder_is_refused_with_what_is_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(FAMILIES, "opt")
    with pytest.raises(UnknownFamily, match="blocks, attn, mlp"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        describe(tiny_model("opt"))


def test_a_wrong_table_is_noticed() -> None:
    arch = describe(tiny_model("llama"))
    family = replace(arch.family, head="model.embed_tokens")
    wrong = verify(Arch(arch.hf, family, True, arch.n_layers, arch.d_model))
    assert wrong
    assert "head_in" in wrong[0]


@pytest.mark.parametrize("layer", [-1, 3])
def test_layers_that_do_not_exist_are_refused(layer: int) -> None:
    with pytest.raises(BadInput, match="layers 0 to 2"):
        describe(tiny_model("llama")).block(layer)


@pytest.mark.parametrize("model_type", CONFIGS)
def test_a_hook_that_returns_nothing_changes_nothing(model_type: str) -> None:
    arch = describe(tiny_model(model_type))
    ids = torch.tensor([[3, 4, 5, 6]])
    before = arch.hf(input_ids=ids).logits
    handles = [arch.site(name, 1).register(lambda x: None) for name in PER_LAYER]  # type: ignore[arg-type]
    during = arch.hf(input_ids=ids).logits
    for handle in handles:
        handle.remove()
    assert torch.equal(before, during)
