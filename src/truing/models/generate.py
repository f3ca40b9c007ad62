"""The decode loop: left padding, a KV cache, rows that stop on their own and leave the batch.

Shape letters: B rows of the current batch, T tokens, V vocabulary, K candidates.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from truing.models.asks import Change, Decoding, GenerateAsk, Generated
from truing.models.engine import Job, Work, answer, job_of
from truing.models.passes import PAD, forward, stacked
from truing.models.positions import pack

if TYPE_CHECKING:
    from truing.models.handle import Model

LEAVE_AT = 0.75
"""The batch is compacted when at most this share of its rows still writes."""


def generate(
    model: Model, asks: Sequence[GenerateAsk], progress: Callable[[int], None] | None = None
) -> list[Generated]:
    """See :meth:`truing.models.handle.Model.generate`."""
    return answer(model, [job_of(model, ask) for ask in asks], GENERATING, progress)


class Writer:
    """One row's answer while it is written. ``pieces`` remembers the text of single ids."""

    def __init__(
        self, model: Model, decoding: Decoding, pieces: dict[int, str] | None = None
    ) -> None:
        self._decode = model.speller.decode
        self._pieces = {} if pieces is None else pieces
        self._last = {text[-1] for text in decoding.stop if text}
        self._ends = model.stop_ids
        self.decoding = decoding
        self.random = random.Random(decoding.seed)
        self.ids: list[int] = []
        self.logprobs: list[float] = []
        self.text = ""
        self.stop = ""

    def add(self, token: int, logprob: float) -> None:
        """Take the next token; afterwards ``stop`` says whether and why the answer is complete."""
        self.ids.append(token)
        self.logprobs.append(logprob)
        if token in self._ends:
            self.stop = "eos"
        if self._may_complete(token):
            text = self._decode(self.ids)
            cut = stop_at(text, self.decoding.stop, self.decoding.arm)
            if cut is not None:
                self.stop, self.text = "stop", text[:cut]
                return
        if not self.stop and len(self.ids) >= self.decoding.max_new_tokens:
            self.stop = "length"
        if self.stop:
            self.text = self._decode(self.ids[:-1] if self.stop == "eos" else self.ids)

    def _may_complete(self, token: int) -> bool:
        """Whether a stop string may end in ``token``. Saves decoding everything at every step.

        Pieces that are part of a character, or nothing on their own, and stop strings that end in
        a space (which some decoders strip) are always looked at.
        """
        if not self._last:
            return False
        piece = self._pieces.get(token)
        if piece is None:
            piece = self._pieces[token] = self._decode([token])
        return (
            not piece
            or "\ufffd" in piece
            or " " in self._last
            or any(character in piece for character in self._last)
        )

    def done(self) -> Generated:
        return Generated(self.text, tuple(self.ids), tuple(self.logprobs), self.stop)


def stop_at(text: str, stop: Sequence[str], arm: bool) -> int | None:
    """Where the first stop string begins; with ``arm`` leading whitespace is passed over."""
    start = len(text) - len(text.lstrip()) if arm else 0
    found = [at for at in (text.find(s, start) for s in stop if s) if at >= 0]
    return min(found, default=None)


def generate_batch(
    model: Model,
    jobs: Sequence[Job],
    changes: Sequence[Change | None],
    cached: bool = True,
) -> list[Generated]:
    """Answers of one batch. Uncached, every step reads everything again; answers are the same."""
    writers = []
    pieces: dict[int, str] = {}
    for job in jobs:
        assert job.decoding is not None
        writers.append(Writer(model, job.decoding, pieces))
    layout = pack([job.span for job in jobs], side="left", pad_id=PAD)
    live = list(writers)
    past: Any = None
    with stacked(model, changes) as hooks:
        cached = cached and not any(each.rereads for each in hooks)
        while True:
            n_rows, width = layout.ids_B_T.shape
            last_B = torch.full((n_rows,), width - 1)
            logits_B_V, past = forward(
                model, layout, hooks, torch.arange(n_rows), last_B, past=past, use_cache=cached
            )
            next_B = _write(logits_B_V, live)
            keep = [row for row, writer in enumerate(live) if not writer.stop]
            if not keep:
                return [writer.done() for writer in writers]
            if len(keep) <= LEAVE_AT * n_rows and (past is None or _leave(past, keep)):
                live = [live[row] for row in keep]
                layout, next_B = layout.keep(keep), next_B[keep]
                for each in hooks:
                    each.keep(keep)
            layout = layout.step(next_B) if past is not None else layout.grown(next_B)


def _leave(past: Any, keep: Sequence[int]) -> bool:
    """Drop all rows but ``keep`` from the cache, where it can."""
    if not hasattr(past, "batch_select_indices"):
        return False
    past.batch_select_indices(torch.tensor(keep))
    return True


def _write(logits_B_V: Tensor, live: Sequence[Writer]) -> Tensor:
    """Choose every row's next token and give it to its writer; finished rows repeat themselves."""
    logits_B_V = logits_B_V.float()
    next_B = logits_B_V.argmax(1)
    sampled = [row for row, w in enumerate(live) if w.decoding.top_k and not w.stop]
    if sampled:
        rows = torch.tensor(sampled, device=next_B.device)
        writers = [live[row] for row in sampled]
        next_B[rows] = _sample(logits_B_V[rows], writers)
    picked_B = logits_B_V.gather(1, next_B[:, None])[:, 0] - logits_B_V.logsumexp(1)
    for writer, token, logprob in zip(live, next_B.tolist(), picked_B.tolist(), strict=True):
        if not writer.stop:
            writer.add(token, logprob)
    return next_B.cpu()


def _sample(logits_B_V: Tensor, writers: Sequence[Writer]) -> Tensor:
    """Top-k sampling by inverse distribution function, one uniform number per row and step.

    A row's numbers come from its own seed, so that they do not depend on the batch.
    """
    most = min(max(w.decoding.top_k for w in writers), logits_B_V.shape[1])
    values_B_K, ids_B_K = logits_B_V.cpu().double().topk(most, dim=1)
    top_B = torch.tensor([w.decoding.top_k for w in writers])
    temperature_B = torch.tensor([w.decoding.temperature for w in writers], dtype=torch.float64)
    values_B_K = values_B_K / temperature_B[:, None]
    values_B_K[torch.arange(most)[None, :] >= top_B[:, None]] = -torch.inf
    up_to_B_K = values_B_K.softmax(1).cumsum(1)
    drawn_B = torch.tensor([w.random.random() for w in writers], dtype=torch.float64)
    choice_B = (up_to_B_K < (drawn_B * up_to_B_K[:, -1])[:, None]).sum(1)
    choice_B = choice_B.minimum(top_B - 1).clamp(max=most - 1)
    return ids_B_K.gather(1, choice_B[:, None])[:, 0].to(logits_B_V.device)


def _dump(generated: Generated) -> str:
    return json.dumps([generated.text, generated.token_ids, generated.logprobs, generated.stop])


def _load(text: str) -> Generated | None:
    try:
        said, ids, logprobs, stop = json.loads(text)
        return Generated(str(said), tuple(ids), tuple(logprobs), str(stop))
    except (ValueError, TypeError):
        return None


GENERATING: Work[Generated] = Work("generate", generate_batch, _dump, _load)
