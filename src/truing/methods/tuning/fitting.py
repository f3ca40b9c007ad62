"""Training on many pairs in minibatches: any values (:func:`descend`), and low-rank factors beside chosen
matrices (:func:`fit`).

The factors are one change that every row meets as a side branch (Hu et al. 2021, eq. 3), so the live
model is never wrapped and a quantised one stays as it is.

Shape letters: S sides of a pair, B pairs, L lines (S x B), N reads over all lines, V vocabulary,
E changes (one), R rank, F inputs and D outputs of a matrix.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from truing.errors import EditFailed
from truing.interventions.intervention import LowRank
from truing.methods.kernels.adam import Adam
from truing.methods.kernels.branches import Branch, branched
from truing.methods.kernels.factors import first_right
from truing.methods.kernels.lines import Line
from truing.methods.kernels.upward import Whole, frozen
from truing.methods.tuning.objectives import Likelihoods, Objective
from truing.models.handle import Model
from truing.models.passes import evaluating
from truing.models.sites import Slot
from truing.seeds import Seeds

Pair = tuple[Line, ...]
"""The sides of a pair that an objective reads, first the one to promote."""
Loss = Callable[[Sequence[Tensor], Sequence[Pair]], Tensor]
"""From values in training and pairs that share a pass to losses ``(B,)`` that carry gradients."""


@dataclass(frozen=True, slots=True)
class Practice:
    """``epochs`` over all pairs, ``batch_size`` of them per update of Adam. Factors of ``rank`` are
    scaled by ``scale``."""

    epochs: int
    batch_size: int
    lr: float
    rank: int
    scale: float


@dataclass(frozen=True)
class Fitted:
    """Float32 factors per matrix on the CPU, the scale folded in; and the mean loss of every epoch."""

    factors: tuple[LowRank, ...]
    losses: tuple[float, ...]


def fit(
    model: Model,
    slots: Sequence[Slot],
    pairs: Sequence[Pair],
    objective: Objective,
    practice: Practice,
    seeds: Seeds,
) -> Fitted:
    """Train factors at ``slots`` on the model as it stands, which is the reference too.

    Neither the order of ``pairs`` nor their names matter. Raises ``EditFailed`` where the loss does
    not stay finite.
    """
    reference = _reference(model, pairs)
    values: list[Tensor] = []
    for slot in slots:
        home = slot.module.weight.device
        assert isinstance(home, torch.device)
        left_E_R_D = torch.zeros(1, practice.rank, slot.d_out, device=home)
        values += [left_E_R_D, first_right(slot, practice.rank, seeds)[None].to(home)]

    def loss(values: Sequence[Tensor], part: Sequence[Pair]) -> Tensor:
        with branched(_branches(slots, values, practice.scale), _rows(part)):
            return objective(_likelihoods(model, part, reference))

    values, losses = descend(model, values, loss, pairs, practice, seeds)
    lefts, rights = values[::2], values[1::2]
    factors = tuple(
        LowRank(practice.scale * left[0].T.contiguous().cpu(), right[0].T.contiguous().cpu())
        for left, right in zip(lefts, rights, strict=True)
    )
    return Fitted(factors, losses)


def descend(
    model: Model,
    values: Sequence[Tensor],
    loss: Loss,
    pairs: Sequence[Pair],
    practice: Practice,
    seeds: Seeds,
) -> tuple[list[Tensor], tuple[float, ...]]:
    """``values`` (of any shapes) after Adam on the mean of ``loss``, and the mean loss of every epoch.

    Neither the order of ``pairs`` nor their names matter. Raises ``EditFailed`` where the loss does
    not stay finite.
    """
    values = list(values)
    adams = [Adam(value[None], practice.lr) for value in values]
    always_1 = torch.ones(1, dtype=torch.bool)
    losses: list[float] = []
    with frozen(model.hf):
        for epoch in range(practice.epochs):
            total = 0.0
            for batch in minibatches(pairs, practice.batch_size, seeds.child(f"epoch {epoch}")):
                for value in values:
                    value.requires_grad_(True)
                grads = [torch.zeros_like(value) for value in values]
                for part in parts(batch, model.budget.tokens):
                    summed = loss(values, part).sum()
                    total += float(summed.detach())
                    found = torch.autograd.grad(summed / len(batch), values)
                    grads = [grad + more for grad, more in zip(grads, found, strict=True)]
                values = [
                    adam.step(value.detach()[None], grad[None], always_1.to(value.device))[0]
                    for adam, value, grad in zip(adams, values, grads, strict=True)
                ]
            losses.append(total / len(pairs))
            if not math.isfinite(losses[-1]):
                raise EditFailed(
                    f"training on {len(pairs)} requests does not stay finite",
                    "Lower lr or alpha, or load the model in float32 or bfloat16.",
                )
    return values, tuple(losses)


def minibatches(pairs: Sequence[Pair], size: int, seeds: Seeds) -> list[list[Pair]]:
    """All pairs in an order that ``seeds`` and their contents decide, ``size`` at a time."""
    mixed = sorted(pairs, key=lambda pair: seeds.child(repr(pair)).number)
    return [mixed[at : at + size] for at in range(0, len(mixed), size)]


def line_logprobs(model: Model, lines: Sequence[Line]) -> Tensor:
    """``(L,)`` log-probability (nats) of every line's labels, summed; carries gradients of hooks."""
    logits_N_V = Whole(model, lines).logits()
    home = logits_N_V.device
    label_N = torch.tensor([label for line in lines for label in line.labels], device=home)
    row_N = torch.tensor([row for row, line in enumerate(lines) for _ in line.labels], device=home)
    logprob_N = logits_N_V.gather(1, label_N[:, None])[:, 0] - logits_N_V.logsumexp(-1)
    return logprob_N.new_zeros(len(lines)).index_add(0, row_N, logprob_N)


def _reference(model: Model, pairs: Sequence[Pair]) -> dict[Line, Tensor]:
    """What every line's labels have before training: computed once, without gradients."""
    found: dict[Line, Tensor] = {}
    with evaluating(model.hf):
        for part in parts(pairs, model.budget.tokens):
            lines = _lines(part)
            found |= dict(zip(lines, line_logprobs(model, lines).unbind(), strict=True))
    return found


def _likelihoods(model: Model, pairs: Sequence[Pair], reference: dict[Line, Tensor]) -> Likelihoods:
    lines = _lines(pairs)
    logprobs_L = line_logprobs(model, lines)
    reference_L = torch.stack([reference[line] for line in lines])
    tokens_L = torch.tensor([len(line.labels) for line in lines], device=logprobs_L.device)
    shape = (-1, len(pairs))
    return Likelihoods(logprobs_L.view(shape), reference_L.view(shape), tokens_L.view(shape))


def _lines(pairs: Sequence[Pair]) -> list[Line]:
    """Side after side."""
    return [line for side in zip(*pairs, strict=True) for line in side]


def parts(pairs: Sequence[Pair], tokens: int) -> Iterator[list[Pair]]:
    """Neighbours that share a pass: rows x longest line within ``tokens``, one pair at least."""
    part: list[Pair] = []
    width = 0
    for pair in pairs:
        wider = max(width, *(len(line.ids) for line in pair))
        if part and (len(part) + 1) * len(pair) * wider > tokens:
            yield part
            part, wider = [], max(len(line.ids) for line in pair)
        part.append(pair)
        width = wider
    yield part


def _rows(pairs: Sequence[Pair]) -> Tensor:
    """Every line meets change 0."""
    return torch.zeros(sum(len(pair) for pair in pairs), dtype=torch.long)


def _branches(slots: Sequence[Slot], values: Sequence[Tensor], scale: float) -> list[Branch]:
    return [
        Branch(slot, scale * left_E_R_D, right_E_R_F)
        for slot, left_E_R_D, right_E_R_F in zip(slots, values[::2], values[1::2], strict=True)
    ]
