"""What a matrix reads and how the loss would change its output, token by token.

The gradient of a matrix's weight is a sum of outer products, one per token: of the gradient at its
output and of its input. Methods that work on these two vectors never form the weight's gradient.

Shape letters: B rows, T tokens, R read tokens of a line (all lines' reads: N), F inputs and D
outputs of the matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from truing.methods.kernels.lines import Line
from truing.methods.kernels.upward import frozen
from truing.models.arch import Slot
from truing.models.asks import Change
from truing.models.engine import Job, Work, batches
from truing.models.handle import Model
from truing.models.passes import PAD, evaluating, forward
from truing.models.positions import pack


@dataclass(frozen=True)
class Flow:
    """One line at one matrix, float32: ``inputs_R_F`` and ``grads_R_D``, the gradients of the
    line's summed negative log-probability with respect to the outputs, at the line's reads."""

    inputs_R_F: Tensor
    grads_R_D: Tensor


@dataclass(frozen=True)
class _Asked(Job):
    """A job that is differentiated."""

    line: Line = field(default_factory=lambda: Line(()))


def flows(model: Model, slots: Sequence[Slot], lines: Sequence[Line]) -> list[tuple[Flow, ...]]:
    """For every line, one :class:`Flow` per slot, on the model as it stands."""
    jobs = [_Asked(line.span, None, line=line) for line in lines]
    order = {id(job): number for number, job in enumerate(jobs)}

    def run(
        model: Model, batch: Sequence[Job], stack: Sequence[Change | None]
    ) -> list[tuple[Flow, ...]]:
        return _differentiate(model, slots, [job.line for job in batch if isinstance(job, _Asked)])

    found: dict[int, tuple[Flow, ...]] = {}
    work = Work("gradients", run, repr, lambda text: None)
    with evaluating(model.hf), closing(batches(model, jobs, work)) as stream:
        for batch, values in stream:
            found |= {order[id(job)]: value for job, value in zip(batch, values, strict=True)}
    return [found[number] for number in range(len(lines))]


class _Probe:
    """A zero that is added to a matrix's output, so that its gradient is the output's."""

    def __init__(self) -> None:
        self.inputs = torch.empty(0)
        self.zero = torch.empty(0)

    def __call__(self, module: Any, args: tuple[Any, ...], out: Tensor) -> Tensor:
        self.inputs = args[0].detach()
        self.zero = torch.zeros_like(out, requires_grad=True)
        return out + self.zero


def _differentiate(
    model: Model, slots: Sequence[Slot], lines: Sequence[Line]
) -> list[tuple[Flow, ...]]:
    """One right-padded pass there and back."""
    layout = pack([line.span for line in lines], side="right", pad_id=PAD)
    rows_N = torch.tensor([row for row, line in enumerate(lines) for _ in line.reads])
    columns_N = torch.tensor([at for line in lines for at in line.reads])
    labels_N = torch.tensor([label for line in lines for label in line.labels])
    probes = {slot.module: _Probe() for slot in slots}
    with frozen(model.hf), ExitStack() as stack:
        for module, probe in probes.items():
            stack.callback(module.register_forward_hook(probe).remove)
        logits_N_V, _ = forward(model, layout, model.in_force, rows_N, columns_N)
        logits_N_V = logits_N_V.float()
        picked_N = logits_N_V.gather(1, labels_N.to(logits_N_V.device)[:, None])[:, 0]
        loss = (logits_N_V.logsumexp(-1) - picked_N).sum()
        grads = torch.autograd.grad(loss, [probe.zero for probe in probes.values()])
    size = (len(lines), layout.ids_B_T.shape[1])
    seen = {
        module: [_at(acts, size, rows_N, columns_N) for acts in (probe.inputs, grad)]
        for (module, probe), grad in zip(probes.items(), grads, strict=True)
    }
    counts = [len(line.reads) for line in lines]
    split = []
    for slot in slots:
        inputs_N_F, grads_N_D = seen[slot.module]
        own_N_D = grads_N_D if slot.rows is None else grads_N_D[:, slot.rows]
        split.append(
            [
                Flow(*both)
                for both in zip(inputs_N_F.split(counts), own_N_D.split(counts), strict=True)
            ]
        )
    return list(zip(*split, strict=True))


def _at(acts: Tensor, size: tuple[int, int], rows_N: Tensor, columns_N: Tensor) -> Tensor:
    """Float32 ``(N, width)`` of ``(B, T, width)`` or, where a module sees tokens in one row after
    another, ``(B x T, width)``."""
    acts_B_T_W = acts.reshape(*size, acts.shape[-1])
    home = acts.device
    return acts_B_T_W[rows_N.to(home), columns_N.to(home)].float()
