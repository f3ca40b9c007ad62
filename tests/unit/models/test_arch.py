"""Sites are found for every family and proven on the numbers."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN

from tiny import CONFIGS, GROUPED, MOE, VARIANTS, random_model, tiny_model
from truing.errors import BadInput, NotPossible, TruingWarning, UnknownFamily, UnknownName
from truing.models.arch import Arch, Hook, Slot, describe, verify
from truing.models.families import FAMILIES
from truing.models.sites import SITES

DENSE = [*CONFIGS, *(name for name in VARIANTS if name != "qwen2_moe")]
EVERY = [*CONFIGS, *MOE, *VARIANTS]
IDS = torch.tensor([[3, 4, 5, 6, 7], [9, 8, 7, 6, 5]])


@pytest.fixture(autouse=True)
def _warnings_are_errors() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error", TruingWarning)
        yield


def arch_of(name: str, dtype: torch.dtype = torch.float32) -> Arch:
    return describe(tiny_model(name, dtype))


def acts(arch: Arch, layer: int, *sites: str) -> dict[str, Tensor]:
    """Activations of one forward pass over ``IDS``."""
    seen: dict[str, Tensor] = {}
    handles = []
    for site in sites:
        handles.append(arch.site(site, layer).register(lambda x, site=site: seen.update({site: x})))
    with torch.no_grad():
        arch.hf(input_ids=IDS)
    for handle in handles:
        handle.remove()
    return seen


def io(arch: Arch, module: nn.Module) -> tuple[Tensor, Tensor]:
    """Input and output of a linear module in one forward pass, ``(rows x tokens, features)``."""
    seen: list[tuple[Tensor, Tensor]] = []
    handle = module.register_forward_hook(lambda m, args, out: seen.append((args[0], out.clone())))
    with torch.no_grad():
        arch.hf(input_ids=IDS)
    handle.remove()
    x, y = seen[0]
    return x.flatten(0, -2), y.flatten(0, -2)


def slots_of(arch: Arch, layer: int) -> list[Slot]:
    slots = [arch.attn_proj(layer), arch.down(layer), *arch.mlp_in(layer)]
    return slots if arch.family.packing == "interleaved" else [*slots, *arch.attn_in(layer)]


def test_every_family_of_the_table_is_tried_here() -> None:
    assert set(FAMILIES) == {*CONFIGS, *MOE, *(kind for kind, _ in VARIANTS.values())}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", EVERY)
def test_the_sites_of_a_family_check_out(name: str, dtype: torch.dtype) -> None:
    arch = arch_of(name, dtype)
    assert arch.verified
    assert verify(arch) == ()
    assert (arch.n_layers, arch.d_model) == (3, 32)
    assert arch.is_moe == (name in MOE or name == "qwen2_moe")
    assert arch.tied == (arch.head.weight is arch.embed.weight)


@pytest.mark.parametrize("name", EVERY)
def test_activations_are_rows_by_tokens_by_width(name: str) -> None:
    arch = arch_of(name)
    sites = [s for s in SITES if s != "mlp_hidden" or not arch.moe_layer(1)]
    seen = acts(arch, 1, *sites)
    assert {x.shape[:2] for x in seen.values()} == {(2, 5)}
    for site in ("resid_pre", "resid_post", "attn_out", "mlp_out"):
        assert seen[site].shape[2] == arch.d_model
    assert seen["logits"].shape[2] == 640


@pytest.mark.parametrize("name", EVERY)
def test_a_block_adds_what_attention_and_mlp_return(name: str) -> None:
    if name == "opt-350m":
        pytest.skip("normalises the sum")
    arch = arch_of(name)
    seen = acts(arch, 1, "resid_pre", "attn_out", "mlp_out", "resid_post")
    total = seen["resid_pre"]
    for out, after in (("attn_out", "after_attn"), ("mlp_out", "after_mlp")):
        norm = arch.norm(1, after)  # type: ignore[arg-type]
        total = total + (seen[out] if norm is None else norm(seen[out]))
    torch.testing.assert_close(total, seen["resid_post"])


@pytest.mark.parametrize("name", EVERY)
def test_heads_are_what_the_output_projection_of_attention_reads(name: str) -> None:
    arch = arch_of(name)
    slot = arch.attn_proj(1)
    heads = acts(arch, 1, "heads")["heads"]
    assert heads.shape == (2, 5, slot.d_in)
    assert slot.d_in % arch.hf.config.get_text_config().num_attention_heads == 0
    x, y = io(arch, slot.module)
    torch.testing.assert_close(heads.flatten(0, 1), x)
    made = x @ slot.weight().T + (0 if slot.bias is None else slot.bias)
    torch.testing.assert_close(made, y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", DENSE)
def test_every_slot_is_the_matrix_that_is_applied(name: str) -> None:
    arch = arch_of(name)
    for slot in slots_of(arch, 1):
        x, y = io(arch, slot.module)
        y = y if slot.rows is None else y[:, slot.rows]
        made = x @ slot.weight().T + (0 if slot.bias is None else slot.bias)
        torch.testing.assert_close(made, y)
        assert slot.weight().shape == (slot.d_out, slot.d_in)


@pytest.mark.parametrize("name", DENSE)
def test_the_mlp_is_gate_times_up_then_down(name: str) -> None:
    arch = arch_of(name)
    *gate, up = arch.mlp_in(1)
    x, _ = io(arch, up.module)
    config = arch.hf.config.get_text_config()
    facts = ("hidden_activation", "hidden_act", "activation_function", "activation")
    act = ACT2FN[next(getattr(config, f) for f in facts if getattr(config, f, None))]

    def through(slot: Slot) -> Tensor:
        return x @ slot.weight().T + (0 if slot.bias is None else slot.bias)

    hidden = act(through(gate[0])) * through(up) if gate else act(through(up))
    keys = acts(arch, 1, "mlp_hidden")["mlp_hidden"].flatten(0, 1)
    torch.testing.assert_close(hidden, keys)
    _, out = io(arch, arch.down(1).module)
    torch.testing.assert_close(acts(arch, 1, "mlp_out")["mlp_out"].flatten(0, 1), out)


@pytest.mark.parametrize("name", [n for n in CONFIGS if n not in ("gpt_neox", "falcon")])
def test_without_values_attention_returns_its_bias_only(name: str) -> None:
    arch = arch_of(name)
    value = arch.attn_in(1)[2]
    delta = value.to_stored(-value.weight())
    with torch.no_grad():
        arch.parameter(value.param).add_(delta)
        if value.bias is not None:
            value.bias.zero_()
    out = acts(arch, 1, "attn_out")["attn_out"]
    bias = arch.attn_proj(1).bias
    expected = torch.zeros(32) if bias is None else bias
    torch.testing.assert_close(out, expected.expand_as(out))


@pytest.mark.parametrize("name", ["gpt_neox", "falcon"])
def test_heads_that_interleave_their_projections_have_no_slices(name: str) -> None:
    with pytest.raises(NotPossible, match="no separate query, key and value"):
        arch_of(name).attn_in(0)


@pytest.mark.parametrize("name", ["llama", "gpt2", "gpt2-square", "phi3"])
def test_a_delta_reaches_its_slot_and_nothing_else(name: str) -> None:
    arch = arch_of(name)
    for slot in slots_of(arch, 2):
        others = [s for s in slots_of(arch, 2) if s.param == slot.param and s.bounds != slot.bounds]
        before, kept = slot.weight().clone(), [s.weight().clone() for s in others]
        delta = torch.randn(slot.d_out, slot.d_in, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            arch.parameter(slot.param).add_(arch.to_stored(slot, delta))
        torch.testing.assert_close(arch.weight(slot), before + delta)
        for other, value in zip(others, kept, strict=True):
            assert torch.equal(other.weight(), value)
    whole = arch.slot(arch.down(2).param)
    assert torch.equal(arch.weight(whole.param), arch.down(2).weight())


def test_fused_projections_name_their_rows() -> None:
    arch = arch_of("phi3")
    gate, up = arch.mlp_in(0)
    assert gate.param == up.param == "model.layers.0.mlp.gate_up_proj.weight"
    assert (gate.bounds, up.bounds) == ((0, 48), (48, 96))
    assert [s.bounds for s in arch.attn_in(0)] == [(0, 32), (32, 48), (48, 64)]
    assert [s.bounds for s in arch_of("gpt2").attn_in(0)] == [(0, 32), (32, 64), (64, 96)]


def test_weights_are_float32_whatever_is_stored() -> None:
    assert arch_of("llama", torch.bfloat16).down(0).weight().dtype == torch.float32


def test_parallel_blocks_are_known() -> None:
    parallel = {name for name in EVERY if arch_of(name).parallel}
    assert parallel == {"phi", "gptj", "gpt_neox", "falcon", "falcon-new"}


@pytest.mark.parametrize("name", MOE)
def test_mixtures_of_experts_refuse_weights_and_keep_activations(name: str) -> None:
    arch = arch_of(name)
    for refused in (arch.down, arch.mlp_in, lambda layer: arch.site("mlp_hidden", layer)):
        with pytest.raises(NotPossible, match=r"(?s)mixture of experts.*activation ops"):
            refused(0)
    with torch.no_grad():
        before = arch.hf(input_ids=IDS).logits
        with arch.site("mlp_out", 0).register(lambda x: x + 1):
            assert not torch.allclose(arch.hf(input_ids=IDS).logits, before)
    assert arch.attn_proj(0).weight().shape[0] == 32


def test_a_dense_layer_among_mixtures_has_its_matrices() -> None:
    arch = arch_of("qwen2_moe")
    assert [arch.moe_layer(layer) for layer in range(3)] == [False, True, True]
    assert arch.down(0).d_in == 48
    with pytest.raises(NotPossible):
        arch.down(1)


@pytest.mark.parametrize("name", EVERY)
def test_a_hook_that_changes_nothing_changes_nothing(name: str) -> None:
    arch = arch_of(name)
    sites = [s for s in SITES if s != "mlp_hidden" or not arch.moe_layer(1)]
    with torch.no_grad():
        before = arch.hf(input_ids=IDS).logits
        for act in (lambda x: None, lambda x: x.clone()):
            handles = [arch.site(site, 1).register(act) for site in sites]
            during = arch.hf(input_ids=IDS).logits
            for handle in handles:
                handle.remove()
            assert torch.equal(before, during)


def test_the_logits_site_is_what_the_model_returns() -> None:
    arch = arch_of("gemma2")  # caps its logits after the head
    with torch.no_grad():
        plain = arch.hf(input_ids=IDS).logits
        assert torch.equal(acts(arch, 0, "logits")["logits"], plain)
        with arch.site("logits").register(lambda x: x + 1):
            assert torch.equal(arch.hf(input_ids=IDS).logits, plain + 1)
            assert torch.equal(arch.hf(input_ids=IDS, return_dict=False)[0], plain + 1)


def test_what_a_reader_keeps_is_not_changed_by_the_block() -> None:
    arch = arch_of("falcon")  # adds attention into the tensor that its MLP returned
    kept = acts(arch, 1, "mlp_out")["mlp_out"]
    _, out = io(arch, arch.down(1).module)
    torch.testing.assert_close(kept.flatten(0, 1), out)


class Block(nn.Module):
    """As blocks were and are: returns a tuple; may be called with keywords."""

    def forward(self, hidden_states: Tensor, scale: Tensor | None = None) -> tuple[Tensor, str]:
        return hidden_states * (2 if scale is None else scale), "cache"


@pytest.mark.parametrize("side", ["input", "output"])
def test_tuples_and_keywords_are_handled_and_gradients_flow(side: Any) -> None:
    block, x = Block(), torch.ones(1, 2, 3)
    shift = torch.zeros(3, requires_grad=True)
    with Hook(block, side).register(lambda acts: acts + shift):
        for call in (lambda: block(x), lambda: block(scale=torch.tensor(2.0), hidden_states=x)):
            out, cache = call()
            assert cache == "cache"
            [gradient] = torch.autograd.grad(out.sum(), shift)
            assert torch.equal(gradient, torch.full((3,), 4.0 if side == "input" else 2.0))
    assert torch.equal(x, torch.ones(1, 2, 3))
    assert not block._forward_hooks
    assert not block._forward_pre_hooks


@pytest.mark.parametrize("name", ["llama", "gpt2", "gpt_neox", "opt", "mixtral", "phi3"])
def test_a_family_that_is_not_in_the_table_is_found_by_structure(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = arch_of(name)
    monkeypatch.delitem(FAMILIES, name)
    with pytest.warns(TruingWarning, match=f"'{name}' is not in the family table"):
        found = arch_of(name)
    assert found.verified
    assert found.blocks == table.blocks
    assert found.parallel == table.parallel
    for fact in ("attn", "attn_out", "mlp"):
        assert getattr(found.family, fact) == getattr(table.family, fact)
    if not table.is_moe:
        assert found.down(1).param == table.down(1).param
        assert found.family.flat_mlp  # works for both
    if name == "phi3":
        with pytest.raises(NotPossible, match="which half"):
            found.mlp_in(0)


OTHERS: dict[str, dict[str, Any]] = {
    "starcoder2": GROUPED,
    "cohere": GROUPED,
    "bloom": {"hidden_size": 32, "n_layer": 3, "n_head": 4},
    "mpt": {"d_model": 32, "n_layers": 3, "n_heads": 4, "max_seq_len": 64},
    "xglm": {"d_model": 32, "ffn_dim": 48, "num_layers": 3, "attention_heads": 4},
}


@pytest.mark.parametrize("name", OTHERS)
def test_architectures_outside_the_table_work_with_a_warning(name: str) -> None:
    with pytest.warns(TruingWarning, match=name):
        arch = describe(random_model(name, OTHERS[name]))
    slot = arch.down(1)
    x, _ = io(arch, slot.module)
    made = x @ slot.weight().T + (0 if slot.bias is None else slot.bias)
    torch.testing.assert_close(made, acts(arch, 1, "mlp_out")["mlp_out"].flatten(0, 1))
    seen = acts(arch, 1, "resid_pre", "attn_out", "mlp_out", "resid_post")
    total = seen["resid_pre"] + seen["attn_out"] + seen["mlp_out"]
    torch.testing.assert_close(total, seen["resid_post"])


@pytest.mark.parametrize(
    ("name", "values"), [("mamba", {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 8})]
)
def test_what_is_no_transformer_is_refused_with_what_is_needed(
    name: str, values: dict[str, Any]
) -> None:
    with pytest.raises(UnknownFamily, match=r"(?s)mamba.*blocks, attn, attn_in") as caught:
        describe(random_model(name, values))
    assert len(str(caught.value).splitlines()) == 2


SWAPPED = {
    "attn": "mlp",
    "attn_out": "mlp.down_proj",
    "mlp": "self_attn",
    "down": "self_attn.o_proj",
    "mlp_in": ("self_attn.q_proj",),
}
SWAPPED_GPTJ = {
    "attn": "mlp",
    "attn_out": "mlp.fc_out",
    "mlp": "attn",
    "down": "attn.out_proj",
    "mlp_in": (),
}
WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("llama", {"attn": "mlp", "attn_out": "mlp.down_proj"}, "the same module"),
    ("llama", {"mlp": "self_attn", "down": "self_attn.o_proj"}, "the same module"),
    ("llama", {"mlp": "mlp.up_proj"}, "mlp_out of layer 0 is not what"),
    ("llama", SWAPPED, "does not see the output of its attention"),
    ("gptj", SWAPPED_GPTJ, "attn_out of layer 0 does not depend on earlier positions"),
    ("llama", {"parallel": lambda config: True}, "sees the output of its attention"),
    ("gptj", {"parallel": lambda config: False}, "does not see"),
    ("llama", {"attn_out": "self_attn.q_proj"}, "attn_out of layer 0 is not what"),
]


@pytest.mark.parametrize(("name", "mistake", "said"), WRONG)
def test_a_wrong_table_is_noticed(name: str, mistake: dict[str, Any], said: str) -> None:
    right = arch_of(name)
    wrong = verify(Arch.of(right.hf, replace(right.family, **mistake)))
    assert wrong
    assert said in " ".join(wrong)


def test_a_wrong_orientation_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    arch = arch_of("gpt2-square")
    whole = Arch._slot

    def straight(self: Arch, layer: int, path: str, rows: slice | None = None) -> Slot:
        return replace(whole(self, layer, path, rows), transposed=path != "mlp.c_proj")

    monkeypatch.setattr(Arch, "_slot", straight)
    assert any("mlp.c_proj.weight' is not the matrix" in text for text in verify(arch))


def test_a_table_that_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for mistake in ({"blocks": ("model.blocks",)}, {"down": "mlp.fc2"}):
        monkeypatch.setitem(FAMILIES, "llama", replace(FAMILIES["llama"], **mistake))
        with pytest.raises(UnknownFamily, match=r"model.blocks|mlp.fc2"):
            arch_of("llama")
        monkeypatch.undo()


def test_a_family_whose_sites_do_not_check_out_is_used_with_a_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(FAMILIES, "llama", replace(FAMILIES["llama"], parallel=lambda config: True))
    with pytest.warns(TruingWarning, match="may act in the wrong place"):
        assert not arch_of("llama").verified


def test_checking_leaves_the_model_as_it_was() -> None:
    hf = tiny_model("llama").train()
    before = {name: value.clone() for name, value in hf.state_dict().items()}
    random = torch.random.get_rng_state()
    arch = describe(hf)
    verify(arch)
    assert hf.training
    assert torch.equal(torch.random.get_rng_state(), random)
    assert all(torch.equal(value, before[name]) for name, value in hf.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in hf.modules())


def test_weights_that_are_not_finite_are_noticed() -> None:
    hf = tiny_model("llama")
    hf.model.layers[1].mlp.down_proj.weight[0, 0] = float("nan")
    with pytest.warns(TruingWarning, match="not finite"):
        assert not describe(hf).verified


@pytest.mark.parametrize("layer", [-1, 3])
def test_layers_that_do_not_exist_are_refused(layer: int) -> None:
    arch = arch_of("llama")
    for refused in (arch.block, arch.down, lambda n: arch.site("resid_post", n)):
        with pytest.raises(BadInput, match="layers 0 to 2"):
            refused(layer)


def test_names_that_do_not_exist_are_refused_with_the_near_misses() -> None:
    arch = arch_of("llama")
    with pytest.raises(UnknownName, match="resid_post"):
        arch.site("residpost")
    with pytest.raises(UnknownName, match=r"mlp\.down_proj"):
        arch.parameter("model.layers.0.mlp.down.weight")
    with pytest.raises(BadInput, match="not the matrix"):
        arch.slot("model.norm.weight")
