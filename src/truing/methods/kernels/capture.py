"""Reading activations: at one token of every row, as means over some, or as sums over all tokens.

Passes stop after the highest place that is wanted. Shape letters: B rows, T tokens, N rows of a
whole request, F width of the place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from truing.methods.kernels.lines import Line
from truing.models.arch import Hook, Site
from truing.models.asks import Change
from truing.models.engine import Job, Work, batches
from truing.models.handle import Model
from truing.models.passes import PAD, evaluating, forward, stacked
from truing.models.positions import pack
from truing.models.spans import Span


@dataclass(frozen=True, slots=True)
class Place:
    """A hook point of a layer. ``heads``: what the attention heads put out. ``mlp_hidden``: keys, the
    input of the down projection. ``mlp_out``: its output, bias included."""

    site: Site
    layer: int

    def hook(self, model: Model) -> Hook:
        return model.arch.site(self.site, self.layer)


@dataclass(frozen=True)
class Reading(Job):
    """A job that is read at ``tokens``."""

    tokens: range = range(1)


class _Enough(Exception):
    """Everything that is wanted has been read; the rest of the pass is not needed."""


def capture(
    model: Model,
    lines: Sequence[Line],
    places: Sequence[Place],
    changes: Sequence[Change | None] | None = None,
    tokens: Sequence[range] | None = None,
) -> dict[Place, Tensor]:
    """Activations at every line's ``at``: per place ``(N, F)`` float32 in the order of ``lines``.

    ``changes`` gives each line its own intervention on top of what is in force. ``tokens``: the mean
    over these tokens of each line instead (none of the ranges empty).
    """
    under = changes or [None] * len(lines)
    read = tokens or [range(line.at, line.at + 1) for line in lines]
    jobs = [
        Reading(line.span, change, tokens=where)
        for line, change, where in zip(lines, under, read, strict=True)
    ]
    order = {id(job): number for number, job in enumerate(jobs)}

    def run(
        model: Model, batch: Sequence[Job], stack: Sequence[Change | None]
    ) -> list[dict[Place, Tensor]]:
        where = [job.tokens for job in batch if isinstance(job, Reading)]
        caught: dict[Place, Tensor] = {}

        def keep(place: Place, acts_B_T_F: Tensor) -> None:
            rows = [
                acts_T_F[r.start : r.stop] for acts_T_F, r in zip(acts_B_T_F, where, strict=True)
            ]
            caught[place] = torch.stack([row.float().mean(0) for row in rows])
            if len(caught) == len(places):
                raise _Enough

        _pass(model, [job.span for job in batch], stack, places, keep)
        return [{place: caught[place][row] for place in places} for row in range(len(batch))]

    found: dict[int, dict[Place, Tensor]] = {}
    work = Work("capture", run, repr, lambda text: None)
    with evaluating(model.hf), closing(batches(model, jobs, work)) as stream:
        for batch, values in stream:
            found |= {order[id(job)]: value for job, value in zip(batch, values, strict=True)}
    return {
        place: torch.stack([found[number][place] for number in range(len(lines))])
        for place in places
    }


def add_outer_products(
    model: Model, rows: Sequence[Sequence[int]], sums: Mapping[int, Tensor], *, skip_bos: bool
) -> int:
    """Add sum k k^T over all tokens of ``rows`` to ``sums`` (layer -> float64 (f, f), in place).

    Returns the number of tokens. Batches are multiplied in float32 and added in float64.
    """
    jobs = [Job(Span(tuple(ids), len(ids)), None) for ids in rows]
    places = [Place("mlp_hidden", layer) for layer in sums]
    bos = model.speller.bos_id if skip_bos else None

    def run(model: Model, batch: Sequence[Job], stack: Sequence[Change | None]) -> list[int]:
        layout = pack([job.span for job in batch], side="right", pad_id=PAD)
        counted_B_T = layout.mask_B_T
        if bos is not None:
            first = (layout.position_ids_B_T == 0) & (layout.ids_B_T == bos)
            counted_B_T = counted_B_T & ~first
        products: dict[int, Tensor] = {}

        def add(place: Place, acts_B_T_F: Tensor) -> None:
            keys_N_F = acts_B_T_F[counted_B_T.to(acts_B_T_F.device)].float()
            products[place.layer] = keys_N_F.T @ keys_N_F
            if len(products) == len(places):
                raise _Enough

        _pass(model, [job.span for job in batch], stack, places, add)
        for layer, product in products.items():
            sums[layer].add_(product.to(sums[layer].device))
        return counted_B_T.sum(1).tolist()

    work = Work("moments", run, repr, lambda text: None)
    with evaluating(model.hf), closing(batches(model, jobs, work)) as stream:
        return sum(sum(values) for _, values in stream)


def _pass(
    model: Model,
    spans: Sequence[Span],
    changes: Sequence[Change | None],
    places: Sequence[Place],
    see: Callable[[Place, Tensor], None],
) -> None:
    """One right-padded pass in which ``see`` meets every place's activations."""
    layout = pack(spans, side="right", pad_id=PAD)
    with stacked(model, changes) as hooks, ExitStack() as stack:
        for place in places:
            handle = place.hook(model).register(partial(see, place))
            stack.callback(handle.remove)
        with suppress(_Enough):
            forward(model, layout, hooks, torch.tensor([0]), torch.tensor([0]))
