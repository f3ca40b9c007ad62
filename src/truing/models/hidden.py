"""Reading activations at a hook point.

Shape letters: B rows, T tokens, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from truing.models.arch import Site
from truing.models.asks import Change
from truing.models.engine import Job, Work, batches, check
from truing.models.passes import PAD, evaluating, forward, stacked
from truing.models.positions import pack
from truing.models.spans import Span
from truing.types import Prompt

if TYPE_CHECKING:
    from truing.models.handle import Model

Which = Literal["last", "all"]


def hidden(
    model: Model, prompts: Sequence[Prompt], site: Site, layer: int, positions: Which
) -> list[Tensor]:
    """See :meth:`truing.models.handle.Model.hidden`."""

    def run(model: Model, jobs: Sequence[Job], changes: Sequence[Change | None]) -> list[Tensor]:
        acts_B_T_D = _acts(model, jobs, changes, site, layer)
        ends = [len(job.span.ids) for job in jobs]
        if positions == "last":
            return [acts_B_T_D[row, end - 1].clone() for row, end in enumerate(ends)]
        return [acts_B_T_D[row, :end].clone() for row, end in enumerate(ends)]

    jobs = []
    for prompt in prompts:
        ids = tuple(model.speller.prompt_ids(model.rewritten(prompt)))
        jobs.append(Job(Span(ids, len(ids)), model.carried(prompt)))
        check(model, jobs[-1])
    found: dict[object, Tensor] = {}
    work = Work("hidden", run, repr, _never)
    with evaluating(model.hf), closing(batches(model, jobs, work)) as stream:
        for batch, values in stream:
            found |= {job.identity: value for job, value in zip(batch, values, strict=True)}
    return [found[job.identity] for job in jobs]


def _never(text: str) -> None:
    return None


def _acts(
    model: Model, jobs: Sequence[Job], changes: Sequence[Change | None], site: Site, layer: int
) -> Tensor:
    """Float32 activations of one right-padded forward pass, ``(B, T, D)``."""
    layout = pack([job.span for job in jobs], side="right", pad_id=PAD)
    n_rows = len(jobs)
    caught: list[Tensor] = []

    def look(acts: Tensor) -> None:
        caught.append(acts)

    ends_B = torch.tensor([len(job.span.ids) - 1 for job in jobs])
    with stacked(model, changes) as hooks:
        handle = model.arch.site(site, layer).register(look)
        try:
            forward(
                model,
                layout,
                hooks,
                torch.arange(n_rows),
                ends_B,
                narrow=site not in ("head_in", "logits"),
            )
        finally:
            handle.remove()
    return caught[-1].detach().float()
