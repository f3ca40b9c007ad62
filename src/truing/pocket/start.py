"""Where training starts: random weights, and two attention heads that already know how to copy.

Copying from the prompt needs a head that looks one token back and, above it, heads that look for
places after an earlier occurrence of the current token. Training finds them late in a short run;
here they are drawn, small enough for training to reshape them.
"""

from __future__ import annotations

from typing import Any

import torch


def _orthonormal(rows: int, width: int) -> torch.Tensor:
    return torch.linalg.qr(torch.randn(width, rows))[0].T.contiguous()


@torch.no_grad()
def draw_copying_heads(hf: Any) -> None:
    """Draw a previous-token head in layer 0 and two copying heads in layer 1, in place."""
    config = hf.config
    width, heads = config.hidden_size, config.num_attention_heads
    size = width // heads
    half = size // 2
    theta = config.rope_parameters["rope_theta"] ** (-torch.arange(half) / half)
    embedding = hf.model.embed_tokens.weight
    common = torch.nn.functional.normalize(torch.randn(width), dim=0)
    embedding.sub_(torch.outer(embedding @ common, common))
    embedding.add_(common * embedding.norm(dim=1).mean())  # a constant that position can act on

    back, copy = hf.model.layers[0].self_attn, hf.model.layers[1].self_attn
    q, k = torch.zeros(size), torch.zeros(size)
    fast = slice(0, min(6, half))
    k[fast] = 0.72
    q[:half][fast] = 0.72 * torch.cos(theta[fast])
    q[half:][fast] = -0.72 * torch.sin(theta[fast])
    back.q_proj.weight[:size] = torch.outer(q, common)
    back.k_proj.weight[:size] = torch.outer(k, common)
    codes = _orthonormal(size + 1, width)
    codes = codes - torch.outer(codes @ common, common)
    read, write = codes[:size], _orthonormal(size, width)
    write = write - torch.outer(write @ common, common)
    back.v_proj.weight[:size] = read
    back.o_proj.weight[:, :size] = 0.12 * write.T

    slow = torch.cat((torch.arange(half // 2, half), torch.arange(half + half // 2, size)))
    for head, part in enumerate((slice(0, half), slice(half, size))):
        rows = slice(head * size, (head + 1) * size)
        query, key = torch.zeros(size, width), torch.zeros(size, width)
        query[slow], key[slow] = 5.0 * read[part], 5.0 * write[part]
        copy.q_proj.weight[rows], copy.k_proj.weight[rows] = query, key
        value = _orthonormal(size, width)
        value = value - torch.outer(value @ common, common)
        copy.v_proj.weight[rows] = value
        copy.o_proj.weight[:, rows] = 0.8 * value.T
