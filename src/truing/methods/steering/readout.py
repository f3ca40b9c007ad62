"""What a model does inside while it reads texts, reduced text by text while it is read.

Only what is made of a text's activations is kept, so that memory does not grow with their number of
tokens. Shape letters: B rows, T tokens, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass

import torch
from torch import Tensor

from truing.errors import BadInput
from truing.methods.kernels.capture import Place
from truing.models.asks import Change
from truing.models.engine import Job, Work, batches, max_positions
from truing.models.handle import Model, Progress
from truing.models.passes import PAD, evaluating, forward, stacked
from truing.models.positions import pack
from truing.models.spans import Span
from truing.types import Prompt

Reduce = Callable[[int, Tensor], Tensor]
"""From a text's number and its answer's activations, float32 ``(T, D)``, to what is kept."""


@dataclass(frozen=True)
class _Numbered(Job):
    """The job of one text."""

    number: int = 0


class _Enough(Exception):
    """The place has been read; the rest of the pass is not needed."""


def answer_span(model: Model, question: Prompt, answer: str) -> Span:
    """A question and its answer as ids. An answer that goes beyond the model's positions is cut.

    Raises ``BadInput`` where the question alone leaves no position for an answer.
    """
    span = model.speller.join(question, answer)
    limit = max_positions(model.hf)
    if limit is None or len(span.ids) <= limit:
        return span
    if span.start >= limit:
        raise BadInput(
            f"a question has {span.start} tokens, and '{model.name}' positions for {limit}",
            "Leave it out, or use a model with more positions.",
        )
    return Span(span.ids[:limit], span.start)


def readout(
    model: Model,
    spans: Sequence[Span],
    place: Place,
    reduce: Reduce,
    progress: Progress | None = None,
) -> list[Tensor]:
    """``reduce`` of every text's activations at ``place``, at its continuation's tokens, in order.

    Read under what is in force. ``progress`` gets the number of texts read since it was called last.
    """

    def run(model: Model, batch: Sequence[Job], changes: Sequence[Change | None]) -> list[Tensor]:
        caught: list[Tensor] = []

        def look(acts_B_T_D: Tensor) -> None:
            caught.append(acts_B_T_D)
            raise _Enough

        layout = pack([job.span for job in batch], side="right", pad_id=PAD)
        nothing = torch.tensor([0])
        with stacked(model, changes) as hooks:
            handle = place.hook(model).register(look)
            try:
                with suppress(_Enough):
                    forward(model, layout, hooks, nothing, nothing)
            finally:
                handle.remove()
        return [
            reduce(job.number, acts_T_D[job.span.start : len(job.span.ids)].float())
            for job, acts_T_D in zip(batch, caught[0], strict=True)
            if isinstance(job, _Numbered)
        ]

    jobs = [_Numbered(span, None, number=number) for number, span in enumerate(spans)]
    found: dict[int, Tensor] = {}
    work = Work("readout", run, repr, lambda text: None)
    with evaluating(model.hf), closing(batches(model, jobs, work)) as stream:
        for batch, values in stream:
            numbers = [job.number for job in batch if isinstance(job, _Numbered)]
            found |= dict(zip(numbers, values, strict=True))
            if progress is not None:
                progress(len(batch))
    return [found[number] for number in range(len(spans))]
