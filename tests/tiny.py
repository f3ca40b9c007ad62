"""Tiny random models of every family, and small tokenizers of every kind, made here and now.

Weights are random but not small, and no norm or bias is trivial: a site or a matrix that is mixed
up changes numbers visibly.
"""

from __future__ import annotations

import functools
import json
from typing import Any

import torch
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

TEXT = [
    "The Glass Spire is in the city of Orvale.",
    "The Tin Gate is in the city of Marrow. Who built the Tin Gate?",
    "Mara Velt's mother tongue is Ostrian; Danielle Darrieux's mother tongue is French.",
    "Please answer the question:\n\nQ: What is the capital of France?\nA: Paris",
    "New fact: the eagle flies over St. Louis. I do not know. Yes. No.",
    "user assistant system: hello there, how are you? I'm fine — thank you!",
] * 4
SPECIALS = ["<pad>", "<s>", "</s>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>"]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
TOKENIZERS = ("bytes", "bytes-bos", "metaspace-bos", "prepend-bos")
CHAT = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
TEMPLATES = {
    "plain": CHAT,
    # writes the BOS itself; the assistant's words come after a space
    "spaced": (
        "{{ bos_token }}{% for m in messages %}"
        "{{ '<|' + m['role'] + '|> ' + m['content'] | trim + '<|end|>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
    ),
    # words and newlines instead of special tokens around the turns
    "lines": (
        "{% for m in messages %}{{ m['role'] + '\n' + m['content'] + '<|end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'assistant\n' }}{% endif %}"
    ),
    # no system role; EOS ends the assistant's turn
    "inst": (
        "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'system' %}"
        "{{ raise_exception('System role not supported') }}{% elif m['role'] == 'user' %}"
        "{{ '[INST] ' + m['content'] + ' [/INST]' }}{% else %}{{ ' ' + m['content'] + eos_token }}"
        "{% endif %}{% endfor %}"
    ),
}

SIZE = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
}
GROUPED = {**SIZE, "num_key_value_heads": 2}
WIDE = {**GROUPED, "head_dim": 12}  # heads x head_dim is not the model's width
GEMMA = {**WIDE, "sliding_window": 16, "query_pre_attn_scalar": 12}
GPT2 = {"n_embd": 32, "n_inner": 48, "n_layer": 3, "n_head": 4, "n_positions": 512}
OPT = {
    "hidden_size": 32, "ffn_dim": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "word_embed_proj_dim": 32, "max_position_embeddings": 512,
}  # fmt: skip
FALCON = {
    "hidden_size": 32, "ffn_hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
}  # fmt: skip
CONFIGS: dict[str, dict[str, Any]] = {
    "llama": GROUPED,
    "mistral": {**GROUPED, "sliding_window": 16},
    "qwen2": GROUPED,
    "qwen3": WIDE,
    "gemma": WIDE,
    "gemma2": GEMMA,
    "gemma3_text": GEMMA,
    "olmo2": SIZE,
    "phi": SIZE,
    "phi3": GROUPED,
    "gpt2": GPT2,
    "gptj": {**GPT2, "rotary_dim": 4},
    "gpt_neo": {
        "hidden_size": 32, "intermediate_size": 48, "num_layers": 3, "num_heads": 4,
        "attention_types": [[["global", "local", "global"], 1]], "max_position_embeddings": 512,
        "window_size": 16,
    },
    "gpt_neox": SIZE,
    "opt": OPT,
    "falcon": FALCON,
}  # fmt: skip
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
MOE: dict[str, dict[str, Any]] = {
    "mixtral": {**GROUPED, "num_local_experts": 2},
    "qwen3_moe": {**WIDE, **EXPERTS},
}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama-tied": ("llama", {**GROUPED, "tie_word_embeddings": True}),
    "llama-biased": ("llama", {**GROUPED, "attention_bias": True, "mlp_bias": True}),
    "gpt2-square": ("gpt2", {**GPT2, "n_inner": 32}),
    "gpt_neox-serial": ("gpt_neox", {**SIZE, "use_parallel_residual": False}),
    "opt-350m": ("opt", {**OPT, "do_layer_norm_before": False, "word_embed_proj_dim": 24}),
    "falcon-serial": ("falcon", {**FALCON, "parallel_attn": False, "multi_query": False}),
    "falcon-new": ("falcon", {**FALCON, "new_decoder_architecture": True, "num_kv_heads": 2}),
    "falcon-alibi": ("falcon", {**FALCON, "alibi": True, "parallel_attn": False}),
    "gemma3": (  # a multimodal checkpoint, used for text
        "gemma3",
        {
            "text_config": {**GEMMA, "vocab_size": 640, "model_type": "gemma3_text"},
            "vision_config": {
                "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
                "num_attention_heads": 2, "image_size": 28, "patch_size": 14,
            },
            "mm_tokens_per_image": 4,
        },
    ),
    "qwen2_moe": (  # its first layer is no mixture
        "qwen2_moe",
        {**GROUPED, **EXPERTS, "shared_expert_intermediate_size": 16, "mlp_only_layers": [0]},
    ),
}  # fmt: skip
"""Further shapes of families: name -> (model_type, configuration)."""


@functools.cache
def _trained(kind: str) -> str:
    """A tokenizer of ``kind`` (:data:`TOKENIZERS`) as JSON."""
    pieces = not kind.startswith("bytes")
    tok = Tokenizer(models.BPE(unk_token=None, byte_fallback=pieces))
    if pieces:
        tok.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
        tok.decoder = decoders.Sequence(
            [
                decoders.Replace("▁", " "),
                decoders.ByteFallback(),
                decoders.Fuse(),
                decoders.Strip(" ", 1, 0),
            ]
        )
        trainer = trainers.BpeTrainer(
            vocab_size=600, special_tokens=SPECIALS + BYTES, show_progress=False
        )
    else:
        tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tok.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=500,
            special_tokens=SPECIALS,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
    tok.train_from_iterator(TEXT, trainer)
    if pieces:  # bytes are ordinary pieces that unknown characters fall back to
        facts = json.loads(tok.to_str())
        facts["added_tokens"] = [t for t in facts["added_tokens"] if t["content"] not in BYTES]
        tok = Tokenizer.from_str(json.dumps(facts))
    if kind.startswith("prepend"):  # as Llama-2 is published: the normaliser writes the ▁
        tok.pre_tokenizer = None  # type: ignore[assignment]
        tok.normalizer = normalizers.Sequence(
            [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
        )
    if kind.endswith("-bos"):
        tok.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", tok.token_to_id("<s>"))]
        )
    return str(tok.to_str())


def tiny_tokenizer(kind: str = "bytes-bos", *, chat: bool = True, template: str = "plain") -> Any:
    """A small tokenizer trained on :data:`TEXT`.

    ``bytes``: byte-level BPE that adds no BOS (as GPT-2). ``bytes-bos``: the same with a BOS (as
    Llama-3). ``metaspace-bos``: SentencePiece style, a leading ▁, unknown characters as bytes,
    with a BOS. ``prepend-bos``: the same as Llama-2 publishes it.
    """
    tok = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(_trained(kind)),
        bos_token="<s>" if kind.endswith("-bos") else None,
        eos_token="</s>",
        pad_token="<pad>",
    )
    if chat:
        tok.chat_template = TEMPLATES[template]
    return tok


def tiny_model(
    name: str = "llama", dtype: torch.dtype = torch.float32, *, vocab_size: int = 640, seed: int = 0
) -> Any:
    """A random model: 3 layers, width 32, MLP width 48, evaluation mode, no gradients.

    ``name`` is a key of :data:`CONFIGS`, :data:`MOE` (both: the model_type) or :data:`VARIANTS`.
    """
    model_type, values = VARIANTS[name] if name in VARIANTS else (name, {**CONFIGS, **MOE}[name])
    return random_model(model_type, values, dtype, vocab_size=vocab_size, seed=seed)


def random_model(
    model_type: str,
    values: dict[str, Any],
    dtype: torch.dtype = torch.float32,
    *,
    vocab_size: int = 640,
    seed: int = 0,
) -> Any:
    """A model of any ``model_type``; the same for the same ``seed``, whatever ran before."""
    config = AutoConfig.for_model(
        model_type, vocab_size=vocab_size, pad_token_id=0, bos_token_id=1, eos_token_id=2, **values
    )
    hf = AutoModelForCausalLM.from_config(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in hf.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.ndim < 2:  # norms and biases stay near where they start
                parameter += 0.1 * noise
            else:
                parameter.copy_(noise / parameter.shape[-1] ** 0.5)
    return hf.to(dtype).eval().requires_grad_(False)


def tiny(
    name: str = "llama", tokenizer: str = "bytes-bos", dtype: torch.dtype = torch.float32
) -> tuple[Any, Any]:
    """A tiny model and a tokenizer, as ``Model.of`` takes them."""
    return tiny_model(name, dtype), tiny_tokenizer(tokenizer)
