"""Teacher forcing: the likelihood of continuations. Those that share a prompt share its KV cache.

Shape letters: B rows, T tokens, N needed positions over all rows, V vocabulary.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from truing.models.asks import Change, ScoreAsk, Scored
from truing.models.engine import Job, Work, answer, job_of
from truing.models.passes import PAD, forward, read, stacked
from truing.models.positions import Side, behind, pack
from truing.models.spans import Span

if TYPE_CHECKING:
    from truing.models.handle import Model

WORTH = 0.8
"""Prompts are read apart when that reads at most this share of the tokens of one padded pass."""


def score(
    model: Model, asks: Sequence[ScoreAsk], progress: Callable[[int], None] | None = None
) -> list[Scored]:
    """See :meth:`truing.models.handle.Model.score`."""
    return answer(model, [job_of(model, ask) for ask in asks], SCORING, progress)


def score_batch(
    model: Model, jobs: Sequence[Job], changes: Sequence[Change | None]
) -> list[Scored]:
    """One batch, in the way that reads fewer tokens."""
    prompts = {job.family: job.span.start - 1 for job in jobs}
    apart = len(prompts) * max(prompts.values())
    apart += len(jobs) * max(len(job.span.ids) - job.span.start + 1 for job in jobs)
    together = len(jobs) * max(len(job.span.ids) for job in jobs)
    if min(prompts.values()) > 0 and apart <= WORTH * together:
        scored = score_shared(model, jobs, changes)
        if scored is not None:
            return scored
    return score_padded(model, jobs, changes)


def score_padded(
    model: Model, jobs: Sequence[Job], changes: Sequence[Change | None], side: Side = "right"
) -> list[Scored]:
    """One forward pass. ``side`` is where the padding goes; answers do not depend on it."""
    layout = pack([job.span for job in jobs], side=side, pad_id=PAD)
    width = layout.ids_B_T.shape[1]
    pads = [width - len(job.span.ids) if side == "left" else 0 for job in jobs]
    needed = _needed(jobs, [pad + job.span.start - 1 for pad, job in zip(pads, jobs, strict=True)])
    with stacked(model, changes) as hooks:
        logits_N_V, _ = forward(model, layout, hooks, *needed)
    return _scored(jobs, logits_N_V)


def score_shared(
    model: Model, jobs: Sequence[Job], changes: Sequence[Change | None]
) -> list[Scored] | None:
    """Two passes: every different prompt once, without its last token; then, from its KV cache,
    the rest of every row. ``None`` where the model's cache cannot be handed to several rows, or a
    change must see prompts whole."""
    first: dict[object, int] = {}
    for row, job in enumerate(jobs):
        first.setdefault(job.family, row)
    place = {family: at for at, family in enumerate(first)}
    row_of = [place[job.family] for job in jobs]
    prompts = [jobs[row].span for row in first.values()]
    begun = pack([Span(s.ids[: s.start - 1], s.start) for s in prompts], side="left", pad_id=PAD)
    rest = pack([Span(j.span.ids[j.span.start - 1 :], 1) for j in jobs], side="right", pad_id=PAD)
    nothing = torch.zeros(1, dtype=torch.long)
    with stacked(model, [changes[row] for row in first.values()]) as hooks:
        if any(each.whole_prompt for each in hooks):
            return None
        _, past = forward(model, begun, hooks, nothing, nothing, use_cache=True)
        if not hasattr(past, "batch_select_indices"):
            return None
        past.batch_select_indices(torch.tensor(row_of, device=model.device))
        for each in hooks:
            each.keep(row_of)
        layout = behind(begun.keep(row_of), rest)
        needed = _needed(jobs, [0] * len(jobs))
        logits_N_V, _ = forward(model, layout, hooks, *needed, past=past, use_cache=True)
    return _scored(jobs, logits_N_V)


def _needed(jobs: Sequence[Job], first: Sequence[int]) -> tuple[Tensor, Tensor]:
    """(row, column) of every logit that predicts a continuation token; row i's from ``first[i]``."""
    rows: list[int] = []
    columns: list[int] = []
    for row, (job, column) in enumerate(zip(jobs, first, strict=True)):
        rows += [row] * job.logits
        columns += range(column, column + job.logits)
    return torch.tensor(rows), torch.tensor(columns)


def _scored(jobs: Sequence[Job], logits_N_V: Tensor) -> list[Scored]:
    targets = [token for job in jobs for token in job.span.continuation]
    logprobs, predicted = read(logits_N_V, torch.tensor(targets))
    scored, at = [], 0
    for job in jobs:
        here = slice(at, at + job.logits)
        scored.append(Scored(job.span.continuation, tuple(logprobs[here]), tuple(predicted[here])))
        at += job.logits
    return scored


def _dump(scored: Scored) -> str:
    return json.dumps([scored.token_ids, scored.logprobs, scored.predicted])


def _load(text: str) -> Scored | None:
    try:
        ids, logprobs, predicted = json.loads(text)
        return Scored(tuple(ids), tuple(logprobs), tuple(predicted))
    except (ValueError, TypeError):
        return None


SCORING: Work[Scored] = Work("score", score_batch, _dump, _load)
