"""One forward pass: hooks told where rows and positions are, logits only where they are needed.

Shape letters: B rows, T tokens, N needed positions over all rows, V vocabulary, D width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from truing.models.asks import Change, Rows
from truing.models.positions import Layout

if TYPE_CHECKING:
    from truing.models.handle import Model

PAD = 0
"""The id in padded places. Any id will do: the attention mask says where tokens are."""
CHUNK = 1024
"""Positions whose float32 logits are held at once while they are read."""


@contextmanager
def stacked(model: Model, changes: Sequence[Change | None]) -> Iterator[list[Rows]]:
    """Everything that acts on the batch: what ``using`` has in force, then the rows' changes."""
    with ExitStack() as stack:
        rows = list(model.in_force)
        change = next((change for change in changes if change is not None), None)
        if change is not None:
            rows.append(stack.enter_context(change.stack(model.arch, changes)))
        yield rows


def forward(
    model: Model,
    layout: Layout,
    hooks: Sequence[Rows],
    rows_N: Tensor,
    columns_N: Tensor,
    *,
    past: Any = None,
    use_cache: bool = False,
    narrow: bool = True,
) -> tuple[Tensor, Any]:
    """Logits ``(N, V)`` at the needed (row, column) pairs, in the model's dtype, and the KV cache.

    The head computes only the needed positions, unless a hook acts there or ``narrow`` is off.
    """
    inputs = model.inputs(layout)
    if past is not None:
        inputs["past_key_values"] = past
    for each in hooks:
        each.at(layout)
    narrow = narrow and not any(each.whole_logits for each in hooks)
    with ExitStack() as stack:
        if narrow:
            stack.enter_context(_narrowed(model.arch.head, rows_N, columns_N))
        out = model.hf(**inputs, use_cache=use_cache)
    logits = out.logits
    if narrow:
        return logits[0], out.get("past_key_values")
    home = logits.device
    return logits[rows_N.to(home), columns_N.to(home)], out.get("past_key_values")


@contextmanager
def _narrowed(head: nn.Module, rows_N: Tensor, columns_N: Tensor) -> Iterator[None]:
    """Inside, the head sees one row of the N needed positions instead of ``(B, T, D)``."""

    def narrow(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        hidden_B_T_D, home = args[0], args[0].device
        return (hidden_B_T_D[rows_N.to(home), columns_N.to(home)][None], *args[1:])

    handle = head.register_forward_pre_hook(narrow)
    try:
        yield
    finally:
        handle.remove()


def read(logits_N_V: Tensor, targets_N: Tensor) -> tuple[list[float], list[int]]:
    """Float32 log-softmax (nats) at ``targets_N`` and the argmax ids."""
    logprobs: list[float] = []
    predicted: list[int] = []
    for at in range(0, len(targets_N), CHUNK):
        part_N_V = logits_N_V[at : at + CHUNK].float()
        targets = targets_N[at : at + CHUNK].to(part_N_V.device)
        picked = part_N_V.gather(1, targets[:, None])[:, 0]
        logprobs += (picked - part_N_V.logsumexp(1)).tolist()
        predicted += part_N_V.argmax(1).tolist()
    return logprobs, predicted


@contextmanager
def evaluating(hf: nn.Module) -> Iterator[None]:
    """Inside, no dropout and no gradients."""
    training = hf.training
    if training:
        hf.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        if training:
            hf.train()
