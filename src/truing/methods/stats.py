"""Where a method's second moments come from, and their factors, ready for solving.

``auto`` makes small statistics on first use and keeps them in the model's cache folder: over the
embedded world's text for ``truing/pocket``, otherwise over text that the model itself writes
(top-k 50 continuations of common first words). They are enough to try a method; published
numbers want 100,000 Wikipedia documents (:func:`truing.methods.kernels.moments.collect`).
``none`` stands for C = I.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor

from truing.errors import BadInput
from truing.methods.kernels.moments import Header, collect, load, save
from truing.methods.kernels.solve import IDENTITY, Factored, Spectrum, factorise
from truing.models.asks import Decoding, GenerateAsk
from truing.models.handle import Model
from truing.seeds import Seeds

Source = Literal["auto", "none"] | Path
RECIPE = 1
"""Grows when automatic texts are made differently, so that old files are not reused."""
WORLD_DOCUMENTS = 4000
SAMPLES, SAMPLE_TOKENS = 256, 48
TOKENS_PER_FEATURE = 4
"""Automatic statistics hold at least this many tokens per row of C, where the model writes them."""
FIRST_WORDS = (
    "The", "In", "A", "It", "He", "She", "They", "We", "This", "There", "When", "After", "I",
    "As", "For", "On", "At", "By", "From", "With", "One", "Some", "Many", "If", "But", "And",
    "What", "You", "His", "Her", "Our", "New",
)  # fmt: skip


@dataclass(frozen=True)
class Stats:
    """Factored C per layer and what to record about it (JSON-like)."""

    factors: Mapping[int, Factored]
    note: Mapping[str, Any]


def stats_for(
    model: Model, layers: Sequence[int], source: Source, *, allow_other: bool = False
) -> Stats:
    """Factored second moments at ``layers`` of ``model`` as it stands.

    Raises ``BadInput`` where a file is for other layers, another width or (unless
    ``allow_other``) other weights.
    """
    if source == "none":
        return Stats(dict.fromkeys(layers, IDENTITY), {"source": "none"})
    factors, note = _read(model, layers, source, allow_other, _factored)
    ridges = {
        str(layer): {"ridge": factor.ridge, "condition": str(factor.condition)}
        for layer, factor in factors.items()
        if factor.ridge
    }
    return Stats(factors, {**note, **({"ridges": ridges} if ridges else {})})


def spectra_for(
    model: Model, layers: Sequence[int], source: Literal["auto"] | Path, *, allow_other: bool
) -> tuple[Mapping[int, Spectrum], Mapping[str, Any]]:
    """Eigenvalues and eigenvectors of C per layer, and what to record. Raises as :func:`stats_for`."""
    return _read(model, layers, source, allow_other, _spectrum)


T = TypeVar("T")
Reader = Callable[[str, int, int, torch.device], tuple[T, Header, int]]


def _read(
    model: Model,
    layers: Sequence[int],
    source: Literal["auto"] | Path,
    allow_other: bool,
    reader: Reader[T],
) -> tuple[dict[int, T], dict[str, Any]]:
    """What ``reader`` makes of every layer's C, and the note about the file."""
    path = _automatic(model, layers) if source == "auto" else Path(source)
    modified = path.stat().st_mtime_ns if path.exists() else 0
    found: dict[int, T] = {}
    for layer in layers:
        slot = model.arch.down(layer)
        made, header, width = reader(str(path), modified, layer, _home(slot.stored))
        if width != slot.d_in:
            raise BadInput(
                f"{path}: layer {layer} is {width} wide; '{model.name}' needs {slot.d_in}",
                "Use statistics of this model.",
            )
        found[layer] = made
    if header.weights not in ("", model.fingerprint) and not allow_other:
        raise BadInput(
            f"{path} was collected on other weights ('{header.model}')",
            "Collect statistics on this model, or set allow_other_stats for a close relative.",
        )
    return found, _note(source, path, header)


@lru_cache(maxsize=8)
def _factored(
    path: str, modified: int, layer: int, home: torch.device
) -> tuple[Factored, Header, int]:
    """Read and factor one layer's C. Remembered by file and time of change: a Cholesky factor of a
    large model takes longer than an edit."""
    moments = load(Path(path))
    second_F_F = moments.layer(layer)
    return factorise(second_F_F.to(home)), moments.header, len(second_F_F)


@lru_cache(maxsize=8)
def _spectrum(
    path: str, modified: int, layer: int, home: torch.device
) -> tuple[Spectrum, Header, int]:
    """The same for eigenvectors."""
    moments = load(Path(path))
    second_F_F = moments.layer(layer)
    return Spectrum.of(second_F_F.to(home)), moments.header, len(second_F_F)


def _home(like: Tensor) -> torch.device:
    """The weight's device, or the CPU where that one has no float64."""
    try:
        return torch.zeros(1, dtype=torch.float64, device=like.device).device
    except TypeError:
        return torch.zeros(1).device


def _note(source: Source, path: Path, header: Header) -> dict[str, Any]:
    return {
        "source": "auto" if source == "auto" else str(path),
        "text": header.source,
        "data": header.data,
        "documents": header.documents,
        "tokens": header.tokens,
        "skip_bos": header.skip_bos,
        "last_change": header.change,
    }


def _automatic(model: Model, layers: Sequence[int]) -> Path:
    """The file of automatic statistics for these layers; made where it is not there yet."""
    facts = [RECIPE, model.fingerprint, model.tokenizer_fingerprint, sorted(set(layers))]
    key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]
    path = model.cache / "moments" / f"{key}.safetensors"
    if not path.exists():
        texts, source = texts_for(model, max(model.arch.down(layer).d_in for layer in layers))
        save(collect(model, texts, layers, source=source), path)
    return path


def texts_for(model: Model, width: int) -> tuple[list[str], str]:
    """Texts for automatic statistics of keys ``width`` wide, and what they are."""
    if model.name == "truing/pocket":
        from truing.benchmarks.world import world_text

        return list(world_text(seed=0, n=WORLD_DOCUMENTS)), "the embedded world's text"
    count = max(SAMPLES, -(-TOKENS_PER_FEATURE * width // SAMPLE_TOKENS))
    seeds = Seeds(0).child("moments")
    asks = [
        GenerateAsk(
            FIRST_WORDS[i % len(FIRST_WORDS)],
            Decoding(max_new_tokens=SAMPLE_TOKENS, top_k=50, seed=seeds.child(str(i)).number),
        )
        for i in range(count)
    ]
    answers = model.generate(asks)
    texts = [str(ask.prompt) + answer.text for ask, answer in zip(asks, answers, strict=True)]
    return texts, f"{count} texts written by the model itself"
