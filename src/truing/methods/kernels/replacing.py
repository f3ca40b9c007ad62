"""Vectors that replace what a linear module puts out at one token: reading them, training them.

Shape letters: N independent problems, B rows (one per problem), T tokens, R reads, I/O in and out
features of the module, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from truing.errors import EditFailed
from truing.methods.kernels.adam import Adam
from truing.methods.kernels.lines import Line
from truing.methods.kernels.upward import best_passes, frozen
from truing.models.handle import Model
from truing.models.passes import PAD, evaluating, forward
from truing.models.positions import pack


@dataclass(frozen=True, slots=True)
class Training:
    """``steps`` updates at most; a problem ends once its loss is below ``stop_below``."""

    steps: int
    lr: float
    stop_below: float = 0.0


@dataclass(frozen=True, slots=True)
class Problem:
    """One vector to train: ``line`` (acting at its ``at``) and where to start. ``name`` is for errors."""

    name: str
    line: Line
    start_O: Tensor


@dataclass(frozen=True, slots=True)
class Trained:
    """Float32 on the CPU, and the mean NLL (nats) before every update."""

    value_O: Tensor
    losses: tuple[float, ...]


def passing(model: Model, module: nn.Module, lines: Sequence[Line]) -> tuple[Tensor, Tensor]:
    """What goes into ``module`` and comes out of it at every line's ``at``: ``(N, I)`` and
    ``(N, O)``, float32 on the CPU."""
    found: dict[int, tuple[Tensor, Tensor]] = {}
    for part in _portions(model, lines):
        layout = pack([lines[n].span for n in part], side="right", pad_id=PAD)
        seen: list[tuple[Tensor, Tensor]] = []
        handle = module.register_forward_hook(
            lambda module, args, output, seen=seen: seen.append((args[0], output))
        )
        try:
            with evaluating(model.hf):
                none = torch.tensor([0])
                forward(model, layout, model.in_force, none, none)
        finally:
            handle.remove()
        x, y = seen[0]
        for row, n in enumerate(part):
            at = row, lines[n].at
            x_I, y_O = (a.reshape(len(part), -1, a.shape[-1])[at].float().cpu() for a in (x, y))
            found[n] = x_I, y_O
    inputs, outputs = zip(*(found[n] for n in range(len(lines))), strict=True)
    return torch.stack(inputs), torch.stack(outputs)


def train_values(
    model: Model, module: nn.Module, layer: int, problems: Sequence[Problem], training: Training
) -> list[Trained]:
    """Train every problem's vector, side by side and independent of each other: mean NLL of its
    line's labels, Adam. ``module`` is in block ``layer``. Raises ``EditFailed`` for losses that are
    not finite."""
    found: dict[int, Trained] = {}
    for part in _portions(model, [problem.line for problem in problems]):
        mine = [problems[n] for n in part]
        found |= dict(zip(part, _train(model, module, layer, mine, training), strict=True))
    return [found[n] for n in range(len(problems))]


def _train(
    model: Model, module: nn.Module, layer: int, problems: Sequence[Problem], training: Training
) -> list[Trained]:
    lines = [problem.line for problem in problems]
    passes, logits = best_passes(model, lines, [line.at for line in lines], layer)
    home = logits.device
    owner_R = torch.tensor([n for n, line in enumerate(lines) for _ in line.labels], device=home)
    label_R = torch.tensor([label for line in lines for label in line.labels], device=home)
    share_R = torch.tensor(
        [1 / len(line.labels) for line in lines for _ in line.labels], device=home
    )
    values_N_O = torch.stack([problem.start_O for problem in problems]).to(home)
    adam = Adam(values_N_O, training.lr)
    going_N = torch.ones(len(problems), dtype=torch.bool, device=home)
    traces: list[list[float]] = [[] for _ in problems]
    with frozen(model.hf):
        for _ in range(training.steps):
            values_N_O.requires_grad_(True)
            with replacing(module, passes.at_B, values_N_O):
                logits_R_V = passes.logits()
            picked_R = logits_R_V.gather(1, label_R[:, None])[:, 0]
            nll_R = (logits_R_V.logsumexp(-1) - picked_R) * share_R
            loss_N = nll_R.new_zeros(len(problems)).index_add(0, owner_R, nll_R)
            _note(problems, loss_N.tolist(), going_N.tolist(), traces)
            going_N &= loss_N.detach() >= training.stop_below
            if not bool(going_N.any()):
                break
            (grads,) = torch.autograd.grad(loss_N[going_N].sum(), values_N_O)
            values_N_O = adam.step(values_N_O.detach(), grads, going_N)
    values = values_N_O.detach().float().cpu()
    return [Trained(value, tuple(trace)) for value, trace in zip(values, traces, strict=True)]


@contextmanager
def replacing(module: nn.Module, at_B: Tensor, values_B_O: Tensor) -> Iterator[None]:
    """Inside, ``module`` puts out ``values_B_O`` at column ``at_B`` of each row."""

    def replace(module: nn.Module, args: Any, output: Tensor) -> Tensor:
        n_rows = len(at_B)
        y_B_T_O = output.reshape(n_rows, -1, output.shape[-1])
        where = torch.arange(n_rows, device=output.device), at_B.to(output.device)
        new_B_O = values_B_O.to(output.device, output.dtype)
        return y_B_T_O.index_put(where, new_B_O).reshape(output.shape)

    handle = module.register_forward_hook(replace)
    try:
        yield
    finally:
        handle.remove()


def _note(
    problems: Sequence[Problem],
    losses: Sequence[float],
    going: Sequence[bool],
    traces: Sequence[list[float]],
) -> None:
    failed = []
    for problem, loss, active, trace in zip(problems, losses, going, traces, strict=True):
        if active:
            trace.append(loss)
            if not math.isfinite(loss):
                failed.append(problem.name)
    if failed:
        raise EditFailed(
            f"training for {', '.join(map(repr, failed))} does not stay finite",
            "Lower lr, or load the model in float32 or bfloat16.",
        )


def _portions(model: Model, lines: Sequence[Line]) -> Iterator[list[int]]:
    """Numbers of lines of similar length, within the token budget."""
    part: list[int] = []
    for number in sorted(range(len(lines)), key=lambda n: len(lines[n].ids)):
        if part and (len(part) + 1) * len(lines[number].ids) > model.budget.tokens:
            yield part
            part = []
        part.append(number)
    if part:
        yield part
