"""Where the sites of a model are: one entry per family, keyed by ``config.model_type``.

Paths are relative to a block unless said otherwise. To teach Truing a family, add an entry to
:data:`FAMILIES` (a plugin may do so when it is imported); :func:`truing.models.arch.describe`
checks every entry numerically against the live model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

Packing = Literal["separate", "stacked", "interleaved"]


def _never(config: Any) -> bool:
    return False


def _always(config: Any) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Family:
    """The site table of one family.

    ``blocks`` and ``final_norm`` are paths from the model; the first that exists counts.
    ``mlp`` is empty where a block holds the MLP's projections itself.
    ``attn_in``: query, key, value projections; one path where they are fused: ``stacked`` (query
    rows, then key rows, then value rows) or ``interleaved`` per head (no slice of rows is a part).
    ``mlp_in``: (gate, up) or (up,); with ``fused_mlp`` one path whose first half of rows is the
    gate and whose second half is up.
    ``norm_*``: norms before attention and MLP and, where a family has them, after their outputs
    and before these are added to the residual stream (``attn_out`` and ``mlp_out`` are read before
    those). Alternatives in order.
    ``experts``: what an MLP has when it is a mixture of experts.
    ``flat_mlp``: the MLP sees (rows x tokens, width). ``adds_in_place``: a block adds into the
    tensor that its MLP returned.
    """

    name: str
    blocks: tuple[str, ...]
    attn: str
    attn_in: tuple[str, ...]
    attn_out: str
    mlp: str
    mlp_in: tuple[str, ...]
    down: str
    final_norm: tuple[str, ...]
    packing: Packing = "separate"
    fused_mlp: bool = False
    norm_attn: tuple[str, ...] = ()
    norm_mlp: tuple[str, ...] = ()
    norm_after_attn: tuple[str, ...] = ()
    norm_after_mlp: tuple[str, ...] = ()
    experts: str | None = None
    parallel: Callable[[Any], bool] = _never
    flat_mlp: bool = False
    adds_in_place: bool = False


_LLAMA = Family(
    name="llama",
    blocks=("model.layers",),
    attn="self_attn",
    attn_in=("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    attn_out="self_attn.o_proj",
    mlp="mlp",
    mlp_in=("mlp.gate_proj", "mlp.up_proj"),
    down="mlp.down_proj",
    final_norm=("model.norm",),
    norm_attn=("input_layernorm",),
    norm_mlp=("post_attention_layernorm",),
)
_GEMMA2 = replace(
    _LLAMA,
    name="gemma2",
    norm_mlp=("pre_feedforward_layernorm",),
    norm_after_attn=("post_attention_layernorm",),
    norm_after_mlp=("post_feedforward_layernorm",),
)
_GPT2 = Family(
    name="gpt2",
    blocks=("transformer.h",),
    attn="attn",
    attn_in=("attn.c_attn",),
    attn_out="attn.c_proj",
    packing="stacked",
    mlp="mlp",
    mlp_in=("mlp.c_fc",),
    down="mlp.c_proj",
    final_norm=("transformer.ln_f",),
    norm_attn=("ln_1",),
    norm_mlp=("ln_2",),
)
_MOE = replace(_LLAMA, experts="mlp.experts")

_ENTRIES = (
    _LLAMA,
    replace(_LLAMA, name="mistral"),
    replace(_LLAMA, name="qwen2"),
    replace(_LLAMA, name="qwen3"),
    replace(_LLAMA, name="gemma"),
    _GEMMA2,
    replace(_GEMMA2, name="gemma3_text"),
    replace(  # the text side of the multimodal checkpoints
        _GEMMA2,
        name="gemma3",
        blocks=("model.language_model.layers", "model.layers"),
        final_norm=("model.language_model.norm", "model.norm"),
    ),
    replace(
        _LLAMA,
        name="olmo2",
        norm_attn=(),
        norm_mlp=(),
        norm_after_attn=("post_attention_layernorm",),
        norm_after_mlp=("post_feedforward_layernorm",),
    ),
    replace(
        _LLAMA,
        name="phi",
        attn_out="self_attn.dense",
        mlp_in=("mlp.fc1",),
        down="mlp.fc2",
        final_norm=("model.final_layernorm",),
        norm_mlp=("input_layernorm",),
        parallel=_always,
    ),
    replace(
        _LLAMA,
        name="phi3",
        attn_in=("self_attn.qkv_proj",),
        packing="stacked",
        mlp_in=("mlp.gate_up_proj",),
        fused_mlp=True,
    ),
    _GPT2,
    replace(
        _GPT2,
        name="gptj",
        attn_in=("attn.q_proj", "attn.k_proj", "attn.v_proj"),
        attn_out="attn.out_proj",
        packing="separate",
        mlp_in=("mlp.fc_in",),
        down="mlp.fc_out",
        norm_mlp=("ln_1",),
        parallel=_always,
    ),
    replace(
        _GPT2,
        name="gpt_neo",
        attn_in=tuple(f"attn.attention.{part}_proj" for part in "qkv"),
        attn_out="attn.attention.out_proj",
        packing="separate",
    ),
    Family(
        name="gpt_neox",
        blocks=("gpt_neox.layers",),
        attn="attention",
        attn_in=("attention.query_key_value",),
        attn_out="attention.dense",
        packing="interleaved",
        mlp="mlp",
        mlp_in=("mlp.dense_h_to_4h",),
        down="mlp.dense_4h_to_h",
        final_norm=("gpt_neox.final_layer_norm",),
        norm_attn=("input_layernorm",),
        norm_mlp=("post_attention_layernorm",),
        parallel=lambda config: bool(config.use_parallel_residual),
    ),
    Family(  # opt-350m normalises after adding (and has no final norm): same places
        name="opt",
        blocks=("model.decoder.layers",),
        attn="self_attn",
        attn_in=tuple(f"self_attn.{part}_proj" for part in "qkv"),
        attn_out="self_attn.out_proj",
        mlp="",
        mlp_in=("fc1",),
        down="fc2",
        final_norm=("model.decoder.final_layer_norm",),
        norm_attn=("self_attn_layer_norm",),
        norm_mlp=("final_layer_norm",),
        flat_mlp=True,
    ),
    Family(
        name="falcon",
        blocks=("transformer.h",),
        attn="self_attention",
        attn_in=("self_attention.query_key_value",),
        attn_out="self_attention.dense",
        packing="interleaved",
        mlp="mlp",
        mlp_in=("mlp.dense_h_to_4h",),
        down="mlp.dense_4h_to_h",
        final_norm=("transformer.ln_f",),
        norm_attn=("ln_attn", "input_layernorm"),
        norm_mlp=("ln_mlp", "post_attention_layernorm", "input_layernorm"),
        parallel=lambda config: bool(config.new_decoder_architecture or config.parallel_attn),
        adds_in_place=True,
    ),
    replace(_MOE, name="mixtral"),
    replace(_MOE, name="qwen2_moe"),
    replace(_MOE, name="qwen3_moe"),
)

FAMILIES: dict[str, Family] = {family.name: family for family in _ENTRIES}
