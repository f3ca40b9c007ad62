"""How much each neuron of the MLPs adds to the probability of a token: integrated gradients.

Dai et al. 2022, "Knowledge Neurons in Pretrained Transformers", eq. 5: with a the activations of one
layer at the token that is read, neuron j adds a_j times the mean over s in (0, 1] of
d p(token) / d a_j at s a. The neurons of a layer together add p(a) - p(0), the closer the more steps
are taken. Steps lie in the middle of their intervals (one step reads a / 2), where the published
code takes both ends (one step reads 0, which says nothing about the model).

Shape letters: B rows, T tokens, N lines, F neurons of a layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from truing.methods.kernels.lines import Line
from truing.methods.kernels.upward import Whole, frozen
from truing.models.arch import Hook
from truing.models.asks import Change
from truing.models.engine import Job, Work, batches
from truing.models.handle import Model

Site = Literal["hidden", "before"]
"""``hidden``: what the down projection reads. ``before``: what the non-linearity reads."""


@dataclass(frozen=True)
class _Point(Job):
    """A line whose activations are scaled by ``share``."""

    line: Line | None = None
    share: float = 1.0


def attributions(
    model: Model, lines: Sequence[Line], layer: int, steps: int, site: Site = "hidden"
) -> Tensor:
    """``(N, F)`` float32: what each neuron of ``layer`` adds to the probability of a line's only
    label, at the line's only read, on the model as it stands."""
    points = [
        _Point(line.span, None, line=line, share=(step + 0.5) / steps)
        for line in lines
        for step in range(steps)
    ]
    order = {id(point): number for number, point in enumerate(points)}

    def run(model: Model, batch: Sequence[Job], stack: Sequence[Change | None]) -> list[Tensor]:
        return _slopes(model, layer, [each for each in batch if isinstance(each, _Point)], site)

    found: dict[int, Tensor] = {}
    work = Work("attributions", run, repr, lambda text: None)
    with frozen(model.hf), closing(batches(model, points, work)) as stream:
        for batch, values in stream:
            found |= {order[id(job)]: value for job, value in zip(batch, values, strict=True)}
    slopes = torch.stack([found[number] for number in range(len(points))])
    return slopes.reshape(len(lines), steps, -1).mean(1)


def _slopes(model: Model, layer: int, points: Sequence[_Point], site: Site) -> list[Tensor]:
    """Activation times gradient at every point, one pass there and back."""
    lines = [point.line for point in points if point.line is not None]
    hook, rows = _where(model, layer, site)
    at_B = torch.tensor([line.reads[0] for line in lines])
    share_B = torch.tensor([point.share for point in points])
    kept: list[Tensor] = []

    def scale(acts_B_T_W: Tensor) -> Tensor:
        home = acts_B_T_W.device
        at = (torch.arange(len(lines), device=home), at_B.to(home))
        whole_B_W = acts_B_T_W[at].detach()
        own_B_F = whole_B_W[:, rows]
        scaled_B_F = (own_B_F.float() * share_B.to(home)[:, None]).requires_grad_(True)
        kept[:] = [own_B_F.float(), scaled_B_F]
        new_B_W = whole_B_W.clone()
        new_B_W[:, rows] = scaled_B_F.to(acts_B_T_W.dtype)
        return acts_B_T_W.index_put(at, new_B_W)

    with hook.register(scale):
        logits_B_V = Whole(model, lines).logits()
    labels_B = torch.tensor([line.labels[0] for line in lines], device=logits_B_V.device)
    p_B = logits_B_V.softmax(-1).gather(1, labels_B[:, None])[:, 0]
    acts_B_F, scaled_B_F = kept
    (grads_B_F,) = torch.autograd.grad(p_B.sum(), scaled_B_F)
    return list((acts_B_F * grads_B_F).cpu())


def _where(model: Model, layer: int, site: Site) -> tuple[Hook, slice]:
    """The hook, and which of the numbers there are the neurons."""
    if site == "hidden":
        return model.arch.site("mlp_hidden", layer), slice(None)
    slot = model.arch.mlp_in(layer)[0]
    outer = model.arch.block(layer) if model.arch.family.flat_mlp else None
    return Hook(slot.module, "output", outer), slice(None) if slot.rows is None else slot.rows
