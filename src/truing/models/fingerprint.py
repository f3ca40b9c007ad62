"""Content hashes of weights and tokenizers: what decides whether stored answers may be reused."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary

INTEGER = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}

# Digests of tensors that were hashed before. Keyed by the tensor object and checked against its
# content, so that what is stored here can only save time.
_DIGESTS: Any = WeakTensorKeyDictionary()


def weight_fingerprint(hf: nn.Module) -> str:
    """SHA-256 over names, shapes, dtypes and bytes of all parameters and persistent buffers.

    A tensor is hashed again only when a checksum of its whole content has changed, so that edits
    made in place, through ``.data`` too, are noticed.
    """
    whole = hashlib.sha256()
    for name, tensor in sorted(hf.state_dict(keep_vars=True).items()):
        if isinstance(tensor, Tensor):
            whole.update(f"{name}\x1f{_digest(tensor)}\x1e".encode())
    return whole.hexdigest()


def _digest(tensor: Tensor) -> str:
    flat = tensor.detach().contiguous().reshape(-1)
    check = (tensor.data_ptr(), tensor._version, _checksum(flat))
    known: tuple[tuple[int, int, int], str] | None = _DIGESTS.get(tensor)
    if known is not None and known[0] == check:
        return known[1]
    digest = hashlib.sha256(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
    digest.update(flat.cpu().view(torch.uint8).numpy().data)
    text = digest.hexdigest()
    _DIGESTS[tensor] = (check, text)
    return text


def _checksum(flat: Tensor) -> int:
    if flat.device.type == "meta" or flat.numel() == 0:
        return 0
    return int(flat.view(INTEGER[flat.element_size()]).sum(dtype=torch.int64).item())


def tokenizer_fingerprint(tok: Any) -> str:
    """SHA-256 over what decides ids: vocabulary, merges, normaliser, special tokens, template."""
    backend = getattr(tok, "backend_tokenizer", None)
    model = backend.to_str() if backend is not None else json.dumps(sorted(tok.get_vocab().items()))
    facts = [
        type(tok).__name__,
        model,
        sorted((str(k), str(v)) for k, v in tok.special_tokens_map.items()),
        str(getattr(tok, "chat_template", None)),
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
