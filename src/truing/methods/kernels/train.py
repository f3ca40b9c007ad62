"""Training one weight matrix, for many independent edits at once.

Every edit trains its own float32 copy of the matrix with its own Adam; copies of a batch stand side
by side and their rows share each pass. Blocks below the matrix do not change, so they run once.

Shape letters: N edits, B rows, T tokens, F inputs, D outputs of the matrix, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from truing.errors import EditFailed
from truing.methods.kernels.adam import Adam
from truing.methods.kernels.lines import Line
from truing.methods.kernels.upward import Passes, best_passes, frozen, replaced
from truing.models.arch import Slot
from truing.models.handle import Model

WEIGHT_FLOATS = 2**26
"""At most this many float32 numbers of trained copies stand side by side (four tensors of it)."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """``epochs`` over the minibatches, ending once an epoch's mean loss is below ``stop_below``; a
    minibatch whose loss is below it makes no update. ``limit`` bounds every entry's change
    (L-infinity; inf: unbounded). ``bias``: train the module's bias as well."""

    epochs: int
    lr: float
    limit: float = math.inf
    bias: bool = False
    stop_below: float = 1e-2


@dataclass(frozen=True, slots=True)
class Lesson:
    """One edit: its minibatches of lines. The loss of a minibatch is the mean over its lines of
    the mean negative log-probability of a line's labels."""

    name: str
    minibatches: tuple[tuple[Line, ...], ...]


@dataclass(frozen=True)
class Learned:
    """Float32 on the CPU: the change of the weight, math orientation (d, f), and of the bias (d,)
    if it was trained; and the mean loss of every epoch (nats)."""

    weight_D_F: Tensor
    bias_D: Tensor | None
    losses: tuple[float, ...]


def train(model: Model, layer: int, lessons: Sequence[Lesson], schedule: Schedule) -> list[Learned]:
    """Train the down projection of ``layer`` for every lesson, each from the weights as they are.

    Lessons of one minibatch are trained side by side, others one after another; results do not
    depend on that. Raises ``EditFailed`` naming the lessons whose loss is not finite.
    """
    slot = model.arch.down(layer)
    most = max(1, WEIGHT_FLOATS // (slot.d_in * slot.d_out))
    found: dict[int, Learned] = {}
    together = [i for i, lesson in enumerate(lessons) if len(lesson.minibatches) == 1]
    alone = [i for i, lesson in enumerate(lessons) if len(lesson.minibatches) != 1]
    for numbers in [*_chunks(model, lessons, together, most), *([i] for i in alone)]:
        trained = _Course(model, slot, layer, [lessons[i] for i in numbers], schedule).run()
        found |= dict(zip(numbers, trained, strict=True))
    return [found[i] for i in range(len(lessons))]


def _chunks(
    model: Model, lessons: Sequence[Lesson], numbers: Sequence[int], most: int
) -> Iterator[list[int]]:
    """Lessons that train side by side: within the token budget and ``most`` copies."""
    chunk: list[int] = []
    rows = width = 0
    for number in numbers:
        lines = lessons[number].minibatches[0]
        wide, more = max(len(line.ids) for line in lines), rows + len(lines)
        if chunk and (more * max(width, wide) > model.budget.tokens or len(chunk) == most):
            yield chunk
            chunk, rows, width, more = [], 0, 0, len(lines)
        chunk.append(number)
        rows, width = more, max(width, wide)
    if chunk:
        yield chunk


class _Course:
    """Lessons that are trained together: several of one minibatch each, or one of several."""

    def __init__(
        self,
        model: Model,
        slot: Slot,
        layer: int,
        lessons: Sequence[Lesson],
        schedule: Schedule,
    ) -> None:
        self._model, self._slot, self._lessons = model, slot, lessons
        self._schedule = schedule
        count = max(len(lesson.minibatches) for lesson in lessons)
        self._batches = [
            _Batch.of(model, layer, [lesson.minibatches[i] for lesson in lessons])
            for i in range(count)
        ]
        base = slot.weight()
        self._base = [base.expand(len(lessons), *base.shape)]
        if schedule.bias and slot.bias is not None:
            bias = slot.bias.detach().float()
            self._base.append(bias.expand(len(lessons), *bias.shape))
        self._now = [each.clone() for each in self._base]
        self._adams = [Adam(each, schedule.lr) for each in self._now]

    def run(self) -> list[Learned]:
        n = len(self._lessons)
        traces: list[list[float]] = [[] for _ in range(n)]
        going_N = torch.ones(n, dtype=torch.bool, device=self._now[0].device)
        with frozen(self._model.hf):
            for _ in range(self._schedule.epochs):
                total_N = torch.zeros_like(going_N, dtype=torch.float32)
                for batch in self._batches:
                    total_N += self._step(batch, going_N)
                mean_N = total_N / len(self._batches)
                self._note(mean_N, going_N, traces)
                going_N &= mean_N >= self._schedule.stop_below
                if not bool(going_N.any()):
                    break
        changes = [(now - base).cpu() for now, base in zip(self._now, self._base, strict=True)]
        return [
            Learned(changes[0][i], changes[1][i] if len(changes) > 1 else None, tuple(traces[i]))
            for i in range(n)
        ]

    def _step(self, batch: _Batch, going_N: Tensor) -> Tensor:
        """One minibatch: losses (N,) before the update."""
        for each in self._now:
            each.requires_grad_(True)
        with _weights(self._slot, batch.lesson_B, *self._now):
            logits_R_V = batch.passes.logits()
        loss_N = batch.losses(logits_R_V, len(going_N))
        moving_N = going_N & (loss_N.detach() >= self._schedule.stop_below)
        if not bool(moving_N.any()):
            return loss_N.detach()
        grads = torch.autograd.grad(loss_N[moving_N].sum(), self._now)
        limit = self._schedule.limit
        for i, grad in enumerate(grads):
            moved = self._adams[i].step(self._now[i].detach(), grad, moving_N)
            if limit != math.inf:
                moved = moved.clamp(self._base[i] - limit, self._base[i] + limit)
            self._now[i] = moved
        return loss_N.detach()

    def _note(self, mean_N: Tensor, going_N: Tensor, traces: list[list[float]]) -> None:
        failed = []
        for i, (loss, going) in enumerate(zip(mean_N.tolist(), going_N.tolist(), strict=True)):
            if going:
                traces[i].append(loss)
                if not math.isfinite(loss):
                    failed.append(self._lessons[i].name)
        if failed:
            raise EditFailed(
                f"training for {', '.join(repr(name) for name in failed)} does not stay finite",
                "Lower lr, set a norm constraint, or load the model in float32 or bfloat16.",
            )


@dataclass(frozen=True)
class _Batch:
    """The i-th minibatches of the lessons of a course, one after another."""

    passes: Passes
    lesson_B: Tensor
    lesson_R: Tensor
    label_R: Tensor
    share_R: Tensor

    @classmethod
    def of(cls, model: Model, layer: int, minibatches: Sequence[Sequence[Line]]) -> _Batch:
        lines = [line for batch in minibatches for line in batch]
        passes, logits = best_passes(model, lines, [0] * len(lines), layer)
        lesson_B = [n for n, batch in enumerate(minibatches) for _ in batch]
        share = [1 / (len(batch) * len(line.labels)) for batch in minibatches for line in batch]
        home = logits.device
        per_read = [row for row, line in enumerate(lines) for _ in line.labels]
        return cls(
            passes,
            torch.tensor(lesson_B, device=home),
            torch.tensor([lesson_B[row] for row in per_read], device=home),
            torch.tensor([label for line in lines for label in line.labels], device=home),
            torch.tensor([share[row] for row in per_read], device=home),
        )

    def losses(self, logits_R_V: Tensor, n: int) -> Tensor:
        picked_R = logits_R_V.gather(1, self.label_R[:, None])[:, 0]
        nll_R = (logits_R_V.logsumexp(-1) - picked_R) * self.share_R
        return nll_R.new_zeros(n).index_add(0, self.lesson_R, nll_R)


@contextmanager
def _weights(
    slot: Slot, lesson_B: Tensor, weight_N_D_F: Tensor, bias_N_D: Tensor | None = None
) -> Iterator[None]:
    """Inside, row b of the module's input meets the weight of lesson ``lesson_B[b]``, in float32."""
    one = len(weight_N_D_F) == 1
    weight = weight_N_D_F[0].T if one else weight_N_D_F[lesson_B].transpose(1, 2)
    bias: Any = slot.bias if bias_N_D is None else bias_N_D[lesson_B][:, None]

    def multiply(acts: Tensor) -> Tensor:
        acts_B_T_F = acts.reshape(len(lesson_B), -1, acts.shape[-1])
        out_B_T_D = acts_B_T_F.float() @ weight
        out_B_T_D = out_B_T_D if bias is None else out_B_T_D + bias
        return out_B_T_D.to(acts.dtype).reshape(*acts.shape[:-1], out_B_T_D.shape[-1])

    with replaced([slot.module], multiply):
        yield
