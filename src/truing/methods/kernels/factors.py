"""Training low-rank factors beside frozen matrices, for many independent edits at once.

A matrix W with factors A and B answers ``W x + scale B A x`` (Hu et al. 2021, eq. 3). Every edit has
float32 factors of its own at every matrix and its own Adam; factors of a batch stand side by side and
their rows share each pass. Blocks below the lowest matrix do not change, so they run once.

Shape letters: N edits, B rows, T tokens, F inputs, D outputs of a matrix, K rank, R reads, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from truing.errors import EditFailed
from truing.methods.kernels.adam import Adam
from truing.methods.kernels.lines import Line
from truing.methods.kernels.train import Lesson
from truing.methods.kernels.upward import Passes, best_passes, frozen
from truing.models.handle import Model
from truing.models.sites import Slot
from truing.seeds import Seeds

FACTOR_FLOATS = 2**26
"""At most this many float32 numbers of factors stand side by side (four tensors of it)."""


@dataclass(frozen=True, slots=True)
class Practice:
    """``epochs`` over the minibatches, ending once an epoch's mean loss is below ``stop_below``; a
    minibatch whose loss is below it makes no update. ``dropout``: share of a side branch's inputs
    that is left out of a pass. ``decay``: L2, added to the gradients."""

    epochs: int
    lr: float
    rank: int
    scale: float
    dropout: float = 0.0
    decay: float = 0.0
    stop_below: float = 0.0


@dataclass(frozen=True)
class Branches:
    """What an edit learned: per matrix float32 ``left`` (d_out, k), the scale folded in, and
    ``right`` (d_in, k), on the CPU; and the mean loss of every epoch (nats)."""

    factors: tuple[tuple[Tensor, Tensor], ...]
    losses: tuple[float, ...]


def first_right(slot: Slot, rank: int, seeds: Seeds) -> Tensor:
    """Where A starts: ``(rank, d_in)``, uniform in ±1/sqrt(d_in). B starts at zero."""
    own = seeds.child(f"{slot.param}{slot.bounds or ''}").child("start")
    generator = torch.Generator().manual_seed(own.number)
    return (2 * torch.rand(rank, slot.d_in, generator=generator) - 1) / math.sqrt(slot.d_in)


def train_factors(
    model: Model,
    slots: Sequence[Slot],
    start: int,
    lessons: Sequence[Lesson],
    seeds: Sequence[Seeds],
    practice: Practice,
) -> list[Branches]:
    """Train factors at ``slots`` for every lesson (``seeds``: one per lesson), on the model as it is.

    ``start`` is the lowest layer that has a slot. Lessons of one minibatch are trained side by side,
    others alone; results do not depend on that. Raises ``EditFailed`` naming the lessons whose loss
    is not finite.
    """
    found: list[Branches] = []
    for numbers in _together(model, slots, lessons, practice.rank):
        course = _Course(
            model,
            slots,
            start,
            [lessons[i] for i in numbers],
            [seeds[i] for i in numbers],
            practice,
        )
        found += course.run()
    return found


def _together(
    model: Model, slots: Sequence[Slot], lessons: Sequence[Lesson], rank: int
) -> Iterator[range]:
    """Neighbouring lessons that train side by side: of one minibatch each, within the token budget."""
    size = rank * sum(slot.d_in + slot.d_out for slot in slots)
    most = max(1, FACTOR_FLOATS // size)
    at = 0
    while at < len(lessons):
        end, rows, width = at, 0, 0
        while end < len(lessons) and end - at < most:
            batches = lessons[end].minibatches
            rows += max(len(lines) for lines in batches)
            width = max(width, *(len(line.ids) for lines in batches for line in lines))
            alone = len(batches) > 1
            if end > at and (alone or rows * width > model.budget.tokens):
                break
            end += 1
            if alone:
                break
        yield range(at, end)
        at = end


class _Course:
    """Lessons that are trained together: several of one minibatch each, or one of several."""

    def __init__(
        self,
        model: Model,
        slots: Sequence[Slot],
        start: int,
        lessons: Sequence[Lesson],
        seeds: Sequence[Seeds],
        practice: Practice,
    ) -> None:
        self._model, self._slots, self._lessons = model, slots, lessons
        self._practice = practice
        count = max(len(lesson.minibatches) for lesson in lessons)
        self._batches = [
            _Batch.of(model, start, [lesson.minibatches[i] for lesson in lessons])
            for i in range(count)
        ]
        self._now: list[Tensor] = []
        for slot in slots:
            home = _device(slot)
            right = torch.stack([first_right(slot, practice.rank, own) for own in seeds])
            left = torch.zeros(len(lessons), slot.d_out, practice.rank)
            self._now += [right.to(home), left.to(home)]
        self._adams = [Adam(each, practice.lr) for each in self._now]
        self._drops = [torch.Generator().manual_seed(own.child("dropout").number) for own in seeds]

    def run(self) -> list[Branches]:
        n = len(self._lessons)
        traces: list[list[float]] = [[] for _ in range(n)]
        going_N = torch.ones(n, dtype=torch.bool)
        with frozen(self._model.hf):
            for _ in range(self._practice.epochs):
                total_N = torch.zeros(n)
                for batch in self._batches:
                    total_N += self._step(batch, going_N)
                mean_N = total_N / len(self._batches)
                self._note(mean_N, going_N, traces)
                going_N &= mean_N >= self._practice.stop_below
                if not bool(going_N.any()):
                    break
        values = [each.detach().cpu() for each in self._now]
        pairs = list(zip(values[::2], values[1::2], strict=True))
        return [
            Branches(
                tuple((self._practice.scale * left[i], right[i].T.contiguous()) for right, left in pairs),
                tuple(traces[i]),
            )
            for i in range(n)
        ]  # fmt: skip

    def _step(self, batch: _Batch, going_N: Tensor) -> Tensor:
        """One minibatch: losses (N,) before the update, on the CPU."""
        for each in self._now:
            each.requires_grad_(True)
        kept = self._kept(batch)
        with _branches(self._slots, self._now, batch.lesson_B, kept, self._practice.scale):
            logits_R_V = batch.passes.logits()
        loss_N = batch.losses(logits_R_V, len(going_N))
        seen_N = loss_N.detach().cpu()
        moving_N = going_N & (seen_N >= self._practice.stop_below)
        if not bool(moving_N.any()):
            return seen_N
        grads = torch.autograd.grad(loss_N[moving_N.to(loss_N.device)].sum(), self._now)
        for i, grad in enumerate(grads):
            value = self._now[i].detach()
            pulled = grad + self._practice.decay * value if self._practice.decay else grad
            self._now[i] = self._adams[i].step(value, pulled, moving_N.to(value.device))
        return seen_N

    def _kept(self, batch: _Batch) -> list[Tensor] | None:
        """Per matrix, what dropout multiplies its input with: ``(B, T, F)``.

        Drawn per lesson and row, so that neither padding nor other lessons matter.
        """
        share = self._practice.dropout
        if not share:
            return None
        width = max(batch.lengths)
        kept = [torch.ones(len(batch.lengths), width, slot.d_in) for slot in self._slots]
        for row, length in enumerate(batch.lengths):
            generator = self._drops[int(batch.lesson_B[row])]
            for mask_B_T_F, slot in zip(kept, self._slots, strict=True):
                drawn = torch.rand(length, slot.d_in, generator=generator)
                mask_B_T_F[row, :length] = (drawn >= share) / (1 - share)
        return kept

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
                "Lower lr or alpha, or load the model in float32 or bfloat16.",
            )


@dataclass(frozen=True)
class _Batch:
    """The i-th minibatches of the lessons of a course, one after another; ``lengths`` of its rows."""

    passes: Passes
    lengths: tuple[int, ...]
    lesson_B: Tensor
    lesson_R: Tensor
    label_R: Tensor
    share_R: Tensor

    @classmethod
    def of(cls, model: Model, start: int, minibatches: Sequence[Sequence[Line]]) -> _Batch:
        rows = [(n, len(batch), line) for n, batch in enumerate(minibatches) for line in batch]
        lines = [line for _, _, line in rows]
        passes, logits = best_passes(model, lines, [0] * len(lines), start)
        reads = [
            (n, label, 1 / (size * len(line.labels))) for n, size, line in rows for label in line.labels
        ]  # fmt: skip
        home = logits.device
        return cls(
            passes,
            tuple(len(line.ids) for line in lines),
            torch.tensor([n for n, _, _ in rows]),
            torch.tensor([n for n, _, _ in reads], device=home),
            torch.tensor([label for _, label, _ in reads], device=home),
            torch.tensor([share for _, _, share in reads], device=home),
        )

    def losses(self, logits_R_V: Tensor, n: int) -> Tensor:
        picked_R = logits_R_V.gather(1, self.label_R[:, None])[:, 0]
        nll_R = (logits_R_V.logsumexp(-1) - picked_R) * self.share_R
        return nll_R.new_zeros(n).index_add(0, self.lesson_R, nll_R)


@contextmanager
def _branches(
    slots: Sequence[Slot],
    values: Sequence[Tensor],
    lesson_B: Tensor,
    kept: Sequence[Tensor] | None,
    scale: float,
) -> Iterator[None]:
    """Inside, row b meets the factors of lesson ``lesson_B[b]`` at every slot, in float32."""
    with ExitStack() as stack:
        for i, slot in enumerate(slots):
            right_N_K_F, left_N_D_K = values[2 * i], values[2 * i + 1]
            which_B = lesson_B.to(right_N_K_F.device)
            pair = (right_N_K_F[which_B], left_N_D_K[which_B])
            mask = None if kept is None else kept[i].to(right_N_K_F.device)
            handle = slot.module.register_forward_hook(_branch(slot, *pair, mask, scale))
            stack.callback(handle.remove)
        yield


def _branch(
    slot: Slot, right_B_K_F: Tensor, left_B_D_K: Tensor, kept_B_T_F: Tensor | None, scale: float
) -> Any:
    def add(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        acts_B_T_F: Tensor = args[0].reshape(len(right_B_K_F), -1, slot.d_in).float()
        if kept_B_T_F is not None:
            acts_B_T_F = acts_B_T_F * kept_B_T_F
        low_B_T_K = acts_B_T_F @ right_B_K_F.transpose(1, 2)
        delta_B_T_D = scale * (low_B_T_K @ left_B_D_K.transpose(1, 2))
        if slot.bounds is not None:
            first, stop = slot.bounds
            delta_B_T_D = nn.functional.pad(delta_B_T_D, (first, output.shape[-1] - stop))
        return (output.float() + delta_B_T_D.reshape(output.shape)).to(output.dtype)

    return add


def _device(slot: Slot) -> torch.device:
    weight = slot.module.weight
    assert isinstance(weight, Tensor)
    return weight.device
