"""Tuned values per model: which row of a method's table a model gets, or a guess by depth.

Each method keeps its own small table; the keys are the names below. A model is recognised by its
hub id or, from a folder, by its type, depth and MLP width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from truing.models.handle import Model

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Known:
    """A model with published or measured settings. ``shape``: model_type, layers, MLP width."""

    key: str
    hubs: tuple[str, ...]
    shape: tuple[str, int, int]


KNOWN = (
    Known("pocket", ("truing/pocket",), ("llama", 5, 640)),
    Known("gpt2-medium", ("gpt2-medium", "openai-community/gpt2-medium"), ("gpt2", 24, 4096)),
    Known("gpt2-large", ("gpt2-large", "openai-community/gpt2-large"), ("gpt2", 36, 5120)),
    Known("gpt2-xl", ("gpt2-xl", "openai-community/gpt2-xl"), ("gpt2", 48, 6400)),
    Known("gpt-j-6b", ("EleutherAI/gpt-j-6b", "EleutherAI/gpt-j-6B"), ("gptj", 28, 16384)),
    Known(
        "llama-2-7b",
        ("meta-llama/Llama-2-7b-hf", "meta-llama/Llama-2-7b-chat-hf"),
        ("llama", 32, 11008),
    ),
    Known(
        "llama-3-8b",
        ("meta-llama/Meta-Llama-3-8B", "meta-llama/Meta-Llama-3-8B-Instruct"),
        ("llama", 32, 14336),
    ),
    Known(
        "mistral-7b",
        ("mistralai/Mistral-7B-v0.1", "mistralai/Mistral-7B-Instruct-v0.2"),
        ("mistral", 32, 14336),
    ),
    Known(
        "qwen2.5-7b",
        ("Qwen/Qwen2.5-7B", "Qwen/Qwen2.5-7B-Instruct"),
        ("qwen2", 28, 18944),
    ),
)


def key_of(model: Model) -> str | None:
    """The key of ``model`` in the methods' tables, or None."""
    for known in KNOWN:
        if model.name in known.hubs:
            return known.key
    arch = model.arch
    width = 0 if arch.moe_layer(0) else arch.down(0).d_in
    shape = (model.hf.config.model_type, arch.n_layers, width)
    return next((known.key for known in KNOWN if known.shape == shape), None)


def look_up(model: Model, table: Mapping[str, T], guess: Callable[[int], T]) -> tuple[T, str]:
    """The row for ``model`` and where it came from: ``table:KEY`` or ``heuristic``.

    ``guess`` gets the number of layers.
    """
    key = key_of(model)
    if key is not None and key in table:
        return table[key], f"table:{key}"
    return guess(model.arch.n_layers), "heuristic"


def given(value: T | None, default: T) -> T:
    """``value`` unless it is None."""
    return default if value is None else value


def at_depth(n_layers: int, share: float) -> int:
    """The layer at a share of the depth, never the last layer where there is another."""
    return min(round(share * n_layers), max(n_layers - 2, 0))
