"""Tiny random models of every family, and small tokenizers of every kind, made here and now."""

from __future__ import annotations

import functools
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
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
CHAT = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
TOKENIZERS = ("bytes", "bytes-bos", "metaspace-bos")

SIZE = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4}
GROUPED = {**SIZE, "num_key_value_heads": 2}
CONFIGS: dict[str, dict[str, Any]] = {
    "llama": GROUPED,
    "mistral": GROUPED,
    "qwen2": GROUPED,
    "qwen3": {**GROUPED, "head_dim": 8},
    "gemma": {**GROUPED, "head_dim": 8},
    "gemma2": {**GROUPED, "head_dim": 8},
    "gemma3_text": {**GROUPED, "head_dim": 8},
    "olmo2": SIZE,
    "phi": SIZE,
    "phi3": GROUPED,
    "gpt2": {"n_embd": 32, "n_inner": 48, "n_layer": 3, "n_head": 4, "n_positions": 512},
    "gptj": {"n_embd": 32, "n_inner": 48, "n_layer": 3, "n_head": 4, "rotary_dim": 4, "n_positions": 512},
    "gpt_neo": {
        "hidden_size": 32, "intermediate_size": 48, "num_layers": 3, "num_heads": 4,
        "attention_types": [[["global", "local", "global"], 1]], "max_position_embeddings": 512,
    },
    "gpt_neox": SIZE,
    "opt": {
        "hidden_size": 32, "ffn_dim": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
        "word_embed_proj_dim": 32, "max_position_embeddings": 512,
    },
    "falcon": {"hidden_size": 32, "ffn_hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4},
}  # fmt: skip
MOE: dict[str, dict[str, Any]] = {
    "mixtral": {**GROUPED, "num_local_experts": 2},
    "qwen3_moe": {
        **GROUPED, "head_dim": 8, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16,
    },
}  # fmt: skip


@functools.cache
def _trained(kind: str) -> str:
    """A tokenizer of ``kind`` as JSON: ``bytes``, ``bytes-bos`` or ``metaspace-bos``."""
    tok = Tokenizer(models.BPE(unk_token=None, byte_fallback=kind.startswith("metaspace")))
    if kind.startswith("metaspace"):
        tok.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
        tok.decoder = decoders.Sequence(
            [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        )
        alphabet = [f"<0x{b:02X}>" for b in range(256)]
        trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=SPECIALS + alphabet, show_progress=False)
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
    if kind.endswith("-bos"):
        tok.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", tok.token_to_id("<s>"))]
        )
    return str(tok.to_str())


def tiny_tokenizer(kind: str = "bytes-bos", *, chat: bool = True) -> Any:
    """A small tokenizer trained on :data:`TEXT`."""
    tok = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(_trained(kind)),
        bos_token="<s>" if kind.endswith("-bos") else None,
        eos_token="</s>",
        pad_token="<pad>",
    )
    if chat:
        tok.chat_template = CHAT
    return tok


def tiny_model(
    model_type: str = "llama", dtype: torch.dtype = torch.float32, *, vocab_size: int = 640, seed: int = 0
) -> Any:
    """A random model of ``model_type``: 3 layers, width 32, MLP width 48, evaluation mode."""
    values = {**CONFIGS, **MOE}[model_type]
    torch.manual_seed(seed)
    config = AutoConfig.for_model(
        model_type, **values, vocab_size=vocab_size, pad_token_id=0, bos_token_id=1, eos_token_id=2
    )
    hf = AutoModelForCausalLM.from_config(config).to(dtype)
    with torch.no_grad():
        for parameter in hf.parameters():
            if parameter.ndim >= 2:
                parameter.mul_(4)
    return hf.eval().requires_grad_(False)


def tiny(model_type: str = "llama", tokenizer: str = "bytes-bos", dtype: torch.dtype = torch.float32) -> tuple[Any, Any]:
    """A tiny model and a tokenizer, as ``Model.of`` takes them."""
    return tiny_model(model_type, dtype), tiny_tokenizer(tokenizer)
