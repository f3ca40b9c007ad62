"""What a model does inside at every token of some lines.

Shape letters: B rows, T tokens, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TypeVar

import torch
from torch import Tensor

from truing.methods.kernels.capture import Place
from truing.methods.kernels.lines import Line
from truing.models.asks import Change
from truing.models.engine import Job, Work, batches
from truing.models.handle import Model
from truing.models.passes import PAD, evaluating, forward, stacked
from truing.models.positions import pack

T = TypeVar("T")


def each_line(
    model: Model, lines: Sequence[Line], place: Place, look: Callable[[Line, Tensor], T]
) -> list[T]:
    """``look(line, acts_T_D)`` of every line in order: its activations at ``place``, float32, with
    what is in force."""
    jobs = [Job(line.span, None) for line in lines]
    line_of = {id(job): line for job, line in zip(jobs, lines, strict=True)}

    def run(model: Model, batch: Sequence[Job], stack: Sequence[Change | None]) -> list[T]:
        layout = pack([job.span for job in batch], side="right", pad_id=PAD)
        caught: list[Tensor] = []
        nowhere = torch.tensor([0])
        with stacked(model, stack) as hooks, place.hook(model).register(caught.append):
            forward(model, layout, hooks, nowhere, nowhere, narrow=place.site != "head_in")
        acts_B_T_D = caught[-1].detach()
        own = [line_of[id(job)] for job in batch]
        return [
            look(each, acts_B_T_D[row, : len(each.ids)].float()) for row, each in enumerate(own)
        ]

    found: dict[int, T] = {}
    work = Work("tokens", run, repr, _never)
    with evaluating(model.hf), closing(batches(model, jobs, work)) as stream:
        for batch, values in stream:
            found |= {id(job): value for job, value in zip(batch, values, strict=True)}
    return [found[id(job)] for job in jobs]


def _never(text: str) -> None:
    return None
