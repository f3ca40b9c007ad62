"""Content hashes of small facts and tensors."""

from __future__ import annotations

import hashlib
import json

import torch
from torch import Tensor


def content_hash(facts: list[object], *tensors: Tensor) -> str:
    """64 hex digits that JSON-like ``facts`` and the tensors' dtypes, shapes and numbers decide."""
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for tensor in tensors:
        digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
