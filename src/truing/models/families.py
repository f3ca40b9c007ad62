"""Where things are in each architecture: one entry per ``config.model_type``.

Paths of a block's parts are relative to the block. To add a family, add an entry; contract tests
find it here and verify every site numerically on a tiny random model.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """A linear projection inside a block. ``piece`` k of ``pieces`` names an equal share of the
    output rows of a fused projection."""

    path: str
    piece: int = 0
    pieces: int = 1


@dataclass(frozen=True, slots=True)
class Family:
    """The site table of one architecture.

    ``mlp`` is the module whose output is the MLP's share of the residual stream before any norm
    that follows it; it may be the down projection itself. ``down`` is ``None`` for mixtures of
    experts, whose weights are three-dimensional.
    """

    blocks: str
    attn: str
    mlp: str
    up: tuple[Part, ...]
    down: str | None
    final_norm: str | None
    embed: str
    head: str = "lm_head"
    parallel: bool = False


def _gated(mlp: str = "mlp") -> tuple[Part, ...]:
    return (Part(f"{mlp}.gate_proj"), Part(f"{mlp}.up_proj"))


LLAMA = Family(
    blocks="model.layers",
    attn="self_attn",
    mlp="mlp",
    up=_gated(),
    down="mlp.down_proj",
    final_norm="model.norm",
    embed="model.embed_tokens",
)
EXPERTS = Family(
    blocks="model.layers",
    attn="self_attn",
    mlp="mlp",
    up=(),
    down=None,
    final_norm="model.norm",
    embed="model.embed_tokens",
)
FAMILIES: dict[str, Family] = {
    "llama": LLAMA,
    "mistral": LLAMA,
    "qwen2": LLAMA,
    "qwen3": LLAMA,
    "gemma": LLAMA,
    "gemma2": LLAMA,
    "gemma3_text": LLAMA,
    "olmo2": LLAMA,
    "mixtral": EXPERTS,
    "qwen3_moe": EXPERTS,
    "gemma3": Family(
        blocks="model.language_model.layers",
        attn="self_attn",
        mlp="mlp",
        up=_gated(),
        down="mlp.down_proj",
        final_norm="model.language_model.norm",
        embed="model.language_model.embed_tokens",
    ),
    "phi3": Family(
        blocks="model.layers",
        attn="self_attn",
        mlp="mlp",
        up=(Part("mlp.gate_up_proj", 0, 2), Part("mlp.gate_up_proj", 1, 2)),
        down="mlp.down_proj",
        final_norm="model.norm",
        embed="model.embed_tokens",
    ),
    "phi": Family(
        blocks="model.layers",
        attn="self_attn",
        mlp="mlp",
        up=(Part("mlp.fc1"),),
        down="mlp.fc2",
        final_norm="model.final_layernorm",
        embed="model.embed_tokens",
        parallel=True,
    ),
    "gpt2": Family(
        blocks="transformer.h",
        attn="attn",
        mlp="mlp",
        up=(Part("mlp.c_fc"),),
        down="mlp.c_proj",
        final_norm="transformer.ln_f",
        embed="transformer.wte",
    ),
    "gptj": Family(
        blocks="transformer.h",
        attn="attn",
        mlp="mlp",
        up=(Part("mlp.fc_in"),),
        down="mlp.fc_out",
        final_norm="transformer.ln_f",
        embed="transformer.wte",
        parallel=True,
    ),
    "gpt_neo": Family(
        blocks="transformer.h",
        attn="attn",
        mlp="mlp",
        up=(Part("mlp.c_fc"),),
        down="mlp.c_proj",
        final_norm="transformer.ln_f",
        embed="transformer.wte",
    ),
    "gpt_neox": Family(
        blocks="gpt_neox.layers",
        attn="attention",
        mlp="mlp",
        up=(Part("mlp.dense_h_to_4h"),),
        down="mlp.dense_4h_to_h",
        final_norm="gpt_neox.final_layer_norm",
        embed="gpt_neox.embed_in",
        parallel=True,
    ),
    "opt": Family(
        blocks="model.decoder.layers",
        attn="self_attn",
        mlp="fc2",
        up=(Part("fc1"),),
        down="fc2",
        final_norm="model.decoder.final_layer_norm",
        embed="model.decoder.embed_tokens",
    ),
    "falcon": Family(
        blocks="transformer.h",
        attn="self_attention",
        mlp="mlp",
        up=(Part("mlp.dense_h_to_4h"),),
        down="mlp.dense_4h_to_h",
        final_norm="transformer.ln_f",
        embed="transformer.word_embeddings",
        parallel=True,
    ),
}
