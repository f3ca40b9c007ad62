"""How far a change moves what a model expects in given texts: KL(base || changed), token by token.

The base is the model as it is, with what is in force. Few of its distributions are held at once, and
those of a text serve all changes that are compared on it.

Shape letters: N needed positions of a row, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from truing.models.asks import Change, Diverged, DivergenceAsk, Scored
from truing.models.engine import Job, T, Work, answer, batches, pair_of
from truing.models.passes import CHUNK, PAD, evaluating, forward, read, stacked
from truing.models.positions import Side, pack
from truing.models.score import SCORING

if TYPE_CHECKING:
    from truing.models.handle import Model

HELD_FLOATS = 2**26
"""At most this many float32 log-probs (256 MiB) of the base are held at once, a single text permitting."""

Pair = tuple[Job, Job]
"""The same tokens as the base reads them, and under a change."""


def divergences(
    model: Model, asks: Sequence[DivergenceAsk], progress: Callable[[int], None] | None = None
) -> list[Diverged]:
    """See :meth:`truing.models.handle.Model.divergences`."""
    pairs = [pair_of(model, ask) for ask in asks]
    moved = [i for i, (base, changed) in enumerate(pairs) if base.identity != changed.identity]
    still = sorted(set(range(len(pairs))) - set(moved))
    found: dict[int, Diverged] = {}
    scores = answer(model, [pairs[i][0] for i in still], SCORING, progress)
    for i, scored in zip(still, scores, strict=True):
        found[i] = Diverged(scored, (0.0,) * len(scored.token_ids))
    for i, each in zip(moved, compared(model, [pairs[i] for i in moved], progress), strict=True):
        found[i] = Diverged(each.scored, each.nats[:-1])
    return [found[i] for i in range(len(pairs))]


def compared(
    model: Model, pairs: Sequence[Pair], progress: Callable[[int], None] | None = None
) -> list[Diverged]:
    """Per pair what its tokens since the prompt are under the change, and the divergence after the last
    prompt token and after every token since: one more than there are tokens."""
    places: dict[tuple[object, object], list[int]] = {}
    for at, (base, changed) in enumerate(pairs):
        places.setdefault((base.identity, changed.identity), []).append(at)
    todo = [pairs[where[0]] for where in places.values()]
    found: dict[int, Diverged] = {}
    for bases, part in _portions(model, todo):
        held: dict[object, Tensor] = {
            job.identity: logits_N_V.float().log_softmax(1)
            for job, logits_N_V in _each(model, bases, expected)
        }
        base_of = {id(changed): base.identity for base, changed in part}
        run = _against(held, base_of)
        for job, diverged in _each(model, [changed for _, changed in part], run):
            where = places[base_of[id(job)], job.identity]
            found |= dict.fromkeys(where, diverged)
            if progress is not None:
                progress(len(where))
    return [found[at] for at in range(len(pairs))]


def expected(
    model: Model, batch: Sequence[Job], changes: Sequence[Change | None], side: Side = "right"
) -> list[Tensor]:
    """Per row of one forward pass the logits ``(N, V)`` after its last prompt token and after every
    token since, in the model's dtype. ``side`` is where the padding goes."""
    layout = pack([job.span for job in batch], side=side, pad_id=PAD)
    width = layout.ids_B_T.shape[1]
    spans = [range(job.span.start - 1, len(job.span.ids)) for job in batch]
    pads = [width - span.stop if side == "left" else 0 for span in spans]
    rows_N = torch.tensor([row for row, span in enumerate(spans) for _ in span])
    columns_N = torch.tensor([p + at for p, span in zip(pads, spans, strict=True) for at in span])
    with stacked(model, changes) as hooks:
        logits_N_V, _ = forward(model, layout, hooks, rows_N, columns_N)
    return list(torch.split(logits_N_V, [len(span) for span in spans]))


def divergence(base_N_V: Tensor, logits_N_V: Tensor) -> list[float]:
    """KL in nats at N positions between float32 log-probs and the changed model's logits, over the
    whole vocabulary. What rounding would put below 0 is 0."""
    found: list[float] = []
    for at in range(0, len(base_N_V), CHUNK):
        base = base_N_V[at : at + CHUNK]
        other = logits_N_V[at : at + CHUNK].float().log_softmax(1).to(base.device)
        each = (base.exp() * (base - other)).where(base > -torch.inf, 0.0)
        found += each.sum(1).clamp(min=0.0).tolist()
    return found


def _against(
    held: Mapping[object, Tensor], base_of: Mapping[int, object]
) -> Callable[[Model, Sequence[Job], Sequence[Change | None]], list[Diverged]]:
    """How a batch of changed jobs is read beside the base's log-probs of the same tokens."""

    def run(model: Model, batch: Sequence[Job], changes: Sequence[Change | None]) -> list[Diverged]:
        found = []
        for job, logits_N_V in zip(batch, expected(model, batch, changes), strict=True):
            ids = job.span.continuation
            logprobs, predicted = read(logits_N_V[:-1], torch.tensor(ids, dtype=torch.long))
            nats = divergence(held[base_of[id(job)]], logits_N_V)
            found.append(Diverged(Scored(ids, tuple(logprobs), tuple(predicted)), tuple(nats)))
        return found

    return run


def _portions(model: Model, pairs: Sequence[Pair]) -> Iterator[tuple[list[Job], list[Pair]]]:
    """Pairs, those of the same base job together, in portions whose bases can be held at once."""
    of_base: dict[object, list[Pair]] = {}
    for pair in pairs:
        of_base.setdefault(pair[0].identity, []).append(pair)
    vocabulary = int(model.hf.config.get_text_config().vocab_size)
    bases: list[Job] = []
    part: list[Pair] = []
    floats = 0
    for same in of_base.values():
        base = same[0][0]
        more = (len(base.span.ids) - base.span.start + 1) * vocabulary
        if bases and floats + more > HELD_FLOATS:
            yield bases, part
            bases, part, floats = [], [], 0
        bases.append(base)
        part += same
        floats += more
    if bases:
        yield bases, part


def _each(
    model: Model,
    jobs: Sequence[Job],
    run: Callable[[Model, Sequence[Job], Sequence[Change | None]], list[T]],
) -> Iterator[tuple[Job, T]]:
    """Every job and what ``run`` makes of it, batch by batch; nothing of it is cached."""
    work = Work("divergence", run, repr, lambda text: None)
    with evaluating(model.hf), closing(batches(model, jobs, work)) as stream:
        for batch, values in stream:
            yield from zip(batch, values, strict=True)
