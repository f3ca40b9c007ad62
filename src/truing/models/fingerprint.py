"""Content hashes of weights and tokenizers: what decides whether stored answers may be reused."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor, nn

INTEGER = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
SMALL = 64 * 2**20
"""Models up to this many bytes are checked whole before a remembered hash is used."""
SAMPLE = 512
"""Elements of a tensor of a larger model that are looked at instead, evenly spread."""

Check = tuple[int, int, str, tuple[int, ...], int]


def weight_fingerprint(hf: nn.Module) -> str:
    """SHA-256 (64 hex digits) over name, dtype, shape and bytes of all parameters and persistent
    buffers. Equal weights have equal fingerprints on every device and in every process.

    Hashes are remembered on the model per tensor (its address, version counter and values), so
    that asking again is cheap and edits in place are noticed. Of models above 64 MiB only a sample
    of the values is compared: an edit of few elements that goes through ``.data`` of a large model
    is the one thing that can be missed.
    """
    tensors = dict(_tensors(hf))
    small = sum(t.numel() * t.itemsize for t in tensors.values()) <= SMALL
    known: dict[str, tuple[Check, str]] = hf.__dict__.setdefault("_truing_digests", {})
    checks = {name: _check(tensor, small) for name, tensor in tensors.items()}
    stale = [name for name in tensors if known.get(name, (None,))[0] != checks[name]]
    workers = 1 if small else min(4, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        for name, digest in zip(stale, pool.map(lambda n: _digest(tensors[n]), stale), strict=True):
            known[name] = (checks[name], digest)
    whole = hashlib.sha256()
    for name in sorted(tensors):
        whole.update(f"{name}\x1f{known[name][1]}\x1e".encode())
    return whole.hexdigest()


def _tensors(hf: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """All tensors of the state by name; those that accelerate offloaded are fetched."""
    for name, tensor in hf.state_dict(keep_vars=True).items():
        if isinstance(tensor, Tensor):
            yield name, _offloaded(hf, name) if tensor.is_meta else tensor


def _offloaded(hf: nn.Module, name: str) -> Tensor:
    path, _, leaf = name.rpartition(".")
    hook = getattr(hf.get_submodule(path), "_hf_hook", None)
    for each in (hook, *getattr(hook, "hooks", ())):
        weights = getattr(each, "weights_map", None)
        try:
            found = None if weights is None else weights[leaf]
        except KeyError:
            continue
        if isinstance(found, Tensor):
            return found
    return torch.tensor([id(hf)])  # nothing to hash: equal to no other model


def _check(tensor: Tensor, small: bool) -> Check:
    """What must be unchanged for a remembered hash to hold. Never decides the hash itself."""
    flat = tensor.detach().reshape(-1)
    if not small and flat.numel() > SAMPLE:
        flat = flat[:: flat.numel() // SAMPLE]
    total = 0
    if flat.numel():
        total = int(flat.contiguous().view(INTEGER[flat.itemsize]).sum(dtype=torch.int64))
    version = 0 if tensor.is_inference() else tensor._version
    return (tensor.data_ptr(), version, str(tensor.dtype), tuple(tensor.shape), total)


def _digest(tensor: Tensor) -> str:
    kind = str(tensor.dtype).removeprefix("torch.")
    digest = hashlib.sha256(f"{kind}{tuple(tensor.shape)}".encode())
    flat = tensor.detach().reshape(-1).cpu().contiguous()
    if flat.numel():
        digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def tokenizer_fingerprint(tok: Any) -> str:
    """SHA-256 (64 hex digits) over what decides ids: vocabulary, merges, normaliser, added and
    special tokens, chat template. Padding, truncation and where it was loaded from do not count."""
    state = [
        type(tok).__name__,
        len(tok),
        sorted((str(k), str(v)) for k, v in tok.special_tokens_map.items()),
        str(getattr(tok, "chat_template", None)),
        {name: getattr(tok, name, None) for name in ("add_bos_token", "add_eos_token")},
    ]
    key = json.dumps(state, sort_keys=True)
    known: dict[str, str] = tok.__dict__.setdefault("_truing_digests", {})
    if key not in known:
        known[key] = hashlib.sha256(f"{key}\x1f{_rules(tok)}".encode()).hexdigest()
    return known[key]


def _rules(tok: Any) -> str:
    backend = getattr(tok, "backend_tokenizer", None)
    if backend is None:
        return json.dumps(sorted(tok.get_vocab().items()))
    facts = json.loads(backend.to_str())
    for passing in ("padding", "truncation"):
        facts.pop(passing, None)
    return json.dumps(facts, sort_keys=True)
