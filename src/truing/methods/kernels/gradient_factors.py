"""The gradient of a matrix as what it is made of: the inputs it read and the gradients at its outputs.

For y = W x the gradient of a loss is a sum over tokens, dL/dW = sum_t delta_t x_t^T with
delta_t = dL/dy_t. Methods that learn on gradients work on these vectors and never see the matrix.

Every token that a loss reaches is there: also those of the prompt, which move the answer through
attention. Padding and tokens that the loss does not reach (both have delta = 0) are left out.

Shape letters: B rows, T tokens of a row, R tokens that carry a gradient, F inputs and D outputs of a
matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from truing.methods.kernels.lines import Line
from truing.methods.kernels.upward import Whole, frozen
from truing.models.arch import Slot
from truing.models.asks import Change
from truing.models.engine import Job, Work, batches
from truing.models.handle import Model


@dataclass(frozen=True, slots=True)
class Signal:
    """One line at one matrix, float32: dL/dW = grads_R_D.T @ inputs_R_F. ``tokens_R`` (int64) are
    the tokens' numbers in the line."""

    inputs_R_F: Tensor
    grads_R_D: Tensor
    tokens_R: Tensor

    def at(self, tokens: Sequence[int]) -> Signal:
        """Of these tokens only."""
        kept_R = torch.isin(self.tokens_R, torch.tensor(tokens))
        home = self.inputs_R_F.device
        here = kept_R.to(home)
        return Signal(self.inputs_R_F[here], self.grads_R_D[here], self.tokens_R[kept_R])


_NOTHING = Line(())


@dataclass(frozen=True)
class _Wanted(Job):
    """A job whose line is differentiated."""

    line: Line = _NOTHING


def gradient_factors(
    model: Model, slots: Sequence[Slot], lines: Sequence[Line]
) -> list[tuple[Signal, ...]]:
    """Per line one :class:`Signal` for each slot, on the model as it stands.

    A line's loss is the mean negative log-probability of its labels, so that the signals of a line
    do not depend on the lines beside it. Raises what :func:`truing.models.engine.batches` does.
    """
    jobs = [_Wanted(line.span, None, line=line) for line in lines]
    order = {id(job): number for number, job in enumerate(jobs)}

    def run(
        model: Model, batch: Sequence[Job], stack: Sequence[Change | None]
    ) -> list[tuple[Signal, ...]]:
        return _signals(model, slots, [job.line for job in batch if isinstance(job, _Wanted)])

    found: dict[int, tuple[Signal, ...]] = {}
    work = Work("gradient factors", run, repr, lambda text: None)
    with frozen(model.hf), closing(batches(model, jobs, work)) as stream:
        for batch, values in stream:
            found |= {order[id(job)]: value for job, value in zip(batch, values, strict=True)}
    return [found[number] for number in range(len(lines))]


class _Tap:
    """Keeps a module's input, and its output as a point of the graph."""

    def __init__(self) -> None:
        self.input = self.output = torch.empty(0)

    def __call__(
        self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Tensor
    ) -> Tensor:
        self.input = (args[0] if args else next(iter(kwargs.values()))).detach()
        self.output = out if out.requires_grad else out.detach().requires_grad_(True)
        return self.output.clone()  # some blocks add into what a module returned


def _signals(
    model: Model, slots: Sequence[Slot], lines: Sequence[Line]
) -> list[tuple[Signal, ...]]:
    """One right-padded pass there and back."""
    taps = {slot.module: _Tap() for slot in slots}
    with ExitStack() as stack:
        for module, tap in taps.items():
            stack.callback(module.register_forward_hook(tap, with_kwargs=True).remove)
        logits_N_V = Whole(model, lines).logits()
        labels_N = torch.tensor([label for line in lines for label in line.labels])
        share_N = torch.tensor([1 / len(line.labels) for line in lines for _ in line.labels])
        home = logits_N_V.device
        picked_N = logits_N_V.gather(1, labels_N.to(home)[:, None])[:, 0]
        loss = ((logits_N_V.logsumexp(-1) - picked_N) * share_N.to(home)).sum()
        outputs = [tap.output for tap in taps.values()]
        grads = dict(zip(taps, torch.autograd.grad(loss, outputs), strict=True))
    n_rows = len(lines)
    found: list[list[Signal]] = [[] for _ in lines]
    for slot in slots:
        inputs = taps[slot.module].input
        inputs_B_T_F = inputs.reshape(n_rows, -1, inputs.shape[-1])
        whole = grads[slot.module].reshape(n_rows, inputs_B_T_F.shape[1], -1)
        grads_B_T_D = whole if slot.rows is None else whole[..., slot.rows]
        for row, line in enumerate(lines):
            inputs_T_F = inputs_B_T_F[row, : len(line.ids)].float()
            grads_T_D = grads_B_T_D[row, : len(line.ids)].float()
            kept_T = grads_T_D.any(-1) & inputs_T_F.any(-1)
            tokens_R = kept_T.nonzero()[:, 0].cpu()
            found[row].append(Signal(inputs_T_F[kept_T], grads_T_D[kept_T], tokens_R))
    return [tuple(each) for each in found]
