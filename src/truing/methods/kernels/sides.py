"""Side weights: a copy of one matrix trained on one edit, so that it tells the edit's prompts apart.

Wang et al. 2024, "WISE", sections 2.3.1 (routing activation, eq. 5 and 6) and 2.3.2 (masks, TIES).

Shape letters: B rows, T tokens, R reads, I/O in and out features of the matrix, K side weights,
V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN

from truing.errors import EditFailed
from truing.interventions.routes import distances
from truing.methods.kernels.lines import Line
from truing.methods.kernels.upward import best_passes, frozen
from truing.models.handle import Model
from truing.models.sites import Slot
from truing.seeds import Seeds


@dataclass(frozen=True, slots=True)
class Margins:
    """Distances that training asks for: of other text at most ``outside``, of the edit's prompts at
    least ``inside``, and ``apart`` between any two."""

    outside: float
    inside: float
    apart: float


@dataclass(frozen=True, slots=True)
class SideTraining:
    """``steps`` of SGD; every entry stays within ``limit`` of the original. Ends once the loss is
    below ``stop_below`` and moves by less than ``stop_change``. ``decay``: L2 on the weight, of
    entries that the mask trains."""

    steps: int
    lr: float
    limit: float
    margins: Margins
    act: str
    decay: float = 1e-5
    stop_below: float = 2e-2
    stop_change: float = 1e-4


@dataclass(frozen=True)
class Side:
    """What an edit left: the change of the weight ``(O, I)``, float32 on the CPU; losses (nats plus
    margins) before every update; mean distances of the edit's prompts and of other text."""

    delta_O_I: Tensor
    losses: tuple[float, ...]
    inside: float
    outside: float


def margin_loss(inside_B: Tensor, outside_B: Tensor, margins: Margins) -> Tensor:
    """Eq. 6; every term is the mean of what violates it (0 where nothing does)."""
    apart = (outside_B[:, None] - inside_B[None, :] + margins.apart).flatten()
    terms = (apart, outside_B - margins.outside, margins.inside - inside_B)
    return torch.stack([_mean_positive(term) for term in terms]).sum()


def _mean_positive(values: Tensor) -> Tensor:
    over = values > 0
    return (values * over).sum() / over.sum().clamp(min=1)


def drawn_mask(slot: Slot, share: float, seeds: Seeds) -> Tensor:
    """Bool ``(O, I)``: which entries train; each with probability ``share``."""
    generator = torch.Generator().manual_seed(seeds.number)
    return torch.rand(slot.d_out, slot.d_in, generator=generator) < share


def ties(deltas_K: Sequence[Tensor], density: float) -> Tensor:
    """Yadav et al. 2023: keep each delta's largest entries (a share ``density``), elect every
    entry's sign by the sum, and average what agrees with it."""
    kept = torch.stack([_largest(delta, density) for delta in deltas_K])
    sign = kept.sum(0).sign()
    agree = (kept.sign() == sign) & (kept != 0)
    return (kept * agree).sum(0) / agree.sum(0).clamp(min=1)


def _largest(delta: Tensor, density: float) -> Tensor:
    count = int(density * delta.numel())
    flat = torch.zeros_like(delta).flatten()
    at = delta.abs().flatten().topk(count).indices
    flat[at] = delta.flatten()[at]
    return flat.view_as(delta)


def train_side(
    model: Model,
    slot: Slot,
    layer: int,
    name: str,
    lines: Sequence[Line],
    others: Sequence[Line],
    start_O_I: Tensor,
    mask_O_I: Tensor,
    training: SideTraining,
) -> Side:
    """Train ``start_O_I`` further on the edit's ``lines`` (prompt and answer), against ``others``
    (text without labels).

    The loss is the mean over lines of the mean NLL of a line's labels, plus :func:`margin_loss`.
    Distances are means over prompt tokens, those by which answers will be routed.
    """
    rows = [*lines, *others]
    passes, logits = best_passes(model, rows, [0] * len(rows), layer)
    home = logits.device
    label_R = torch.tensor([label for line in lines for label in line.labels], device=home)
    share_R = torch.tensor(
        [1 / (len(lines) * len(line.labels)) for line in lines for _ in line.labels], device=home
    )
    side_home = slot.module.weight.device
    assert isinstance(side_home, torch.device)
    base_O_I, mask_O_I = slot.weight(), mask_O_I.to(side_home)
    delta_O_I = start_O_I.to(side_home)
    counted_B_T = _counted(rows).to(side_home)
    losses: list[float] = []
    with frozen(model.hf):
        for step in range(training.steps + 1):
            delta_O_I = delta_O_I.detach().requires_grad_(True)
            with _beside(slot, delta_O_I, training.act, counted_B_T) as seen:
                logits_R_V = passes.logits()
            inside_B, outside_B = seen[-1][: len(lines)], seen[-1][len(lines) :]
            if step == training.steps:
                break
            picked_R = logits_R_V.gather(1, label_R[:, None])[:, 0]
            loss = ((logits_R_V.logsumexp(-1) - picked_R) * share_R).sum()
            loss = loss + margin_loss(inside_B, outside_B, training.margins).to(loss.device)
            losses.append(float(loss.detach()))
            if not math.isfinite(losses[-1]):
                raise EditFailed(
                    f"training for request '{name}' does not stay finite",
                    "Lower lr, or load the model in float32 or bfloat16.",
                )
            still = len(losses) > 1 and abs(losses[-1] - losses[-2]) <= training.stop_change
            if still and losses[-1] <= training.stop_below:
                break
            (grad,) = torch.autograd.grad(loss, delta_O_I)
            pulled = grad + training.decay * (base_O_I + delta_O_I.detach())
            delta_O_I = delta_O_I.detach() - training.lr * pulled * mask_O_I
            delta_O_I = delta_O_I.clamp(-training.limit, training.limit)
    inside, outside = (float(each.detach().mean()) for each in (inside_B, outside_B))
    return Side(delta_O_I.detach().cpu(), tuple(losses), inside, outside)


def _counted(rows: Sequence[Line]) -> Tensor:
    """Bool ``(B, T)``: tokens of a row's prompt; all tokens of text without labels."""
    width = max(len(line.ids) for line in rows)
    prompt_B = torch.tensor([line.span.start for line in rows])
    return torch.arange(width)[None, :] < prompt_B[:, None]


@contextmanager
def _beside(slot: Slot, delta_O_I: Tensor, act: str, counted_B_T: Tensor) -> Iterator[list[Tensor]]:
    """Inside, the module puts out ``(W + delta) x``; the list gets every pass's distances (B,)."""
    seen: list[Tensor] = []

    def add(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        n_rows = len(counted_B_T)
        y_B_T_O = output.reshape(n_rows, -1, output.shape[-1])
        x_B_T_I = args[0].reshape(n_rows, -1, slot.d_in).float()
        moved_by_B_T_O = x_B_T_I @ delta_O_I.T
        own = slice(None) if slot.rows is None else slot.rows
        seen.append(distances(y_B_T_O[..., own], moved_by_B_T_O, ACT2FN[act], counted_B_T))
        if slot.bounds is not None:
            first, stop = slot.bounds
            moved_by_B_T_O = nn.functional.pad(moved_by_B_T_O, (first, output.shape[-1] - stop))
        moved: Tensor = (y_B_T_O.float() + moved_by_B_T_O).to(output.dtype)
        return moved.reshape(output.shape)

    handle = slot.module.register_forward_hook(add)
    try:
        yield seen
    finally:
        handle.remove()
