"""Did anything happen? What an intervention does to a model, before anybody judges answers.

Three looks: where its activation ops acted and how far they moved what they met; how much the
distribution of the first answer token changed; how much the model changed on text that nothing aims at.
Divergences are KL(base || changed) in nats, float32. Shape letters: B rows, T tokens, D width, N
distributions, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate
from typing import Literal

import torch
from torch import Tensor

from truing.interventions.intervention import Intervention
from truing.methods.neutral import NEUTRAL
from truing.methods.steering.touched import Count, Divergence, Effect, Fired
from truing.models.asks import Change, Decoding, GenerateAsk
from truing.models.engine import Job, Work, batches, check, job_of
from truing.models.handle import Model
from truing.models.passes import PAD, evaluating, forward, stacked
from truing.models.positions import Layout, pack
from truing.models.spans import Span
from truing.types import Prompt

__all__ = ["Count", "Divergence", "Effect", "Fired", "effect", "on_neutral"]

CHUNK = 8
"""Texts whose distributions are held at once."""

Phase = Literal["prefill", "decode"]


def effect(
    model: Model,
    iv: Intervention,
    texts: Sequence[Prompt],
    *,
    neutral: Sequence[str] = NEUTRAL,
    new_tokens: int = 8,
) -> Effect:
    """What ``iv`` does to ``model`` when it answers the prompts ``texts``, greedily and ``new_tokens``
    long, and when it reads ``neutral``."""
    one = Decoding(max_new_tokens=1)
    bases = [job_of(model, GenerateAsk(text, one)) for text in texts]
    changed = [job_of(model, GenerateAsk(text, one, iv)) for text in texts]
    with _watched(model, iv) as seen:
        how = Decoding(max_new_tokens=new_tokens)
        model.generate([GenerateAsk(text, how) for text in texts])
    return Effect(
        tuple(tally.fired(site, layer) for (site, layer), tally in seen.items()),
        _divergence(model, bases, changed),
        on_neutral(model, iv, neutral),
    )


def on_neutral(model: Model, iv: Intervention, texts: Sequence[str] = NEUTRAL) -> Divergence:
    """How much ``iv`` changes what ``model`` expects in ``texts``, each read as an answer that its
    first token (or BOS) prompts: what acts on answers acts on all of it."""
    bases = [_reading(model, text, None) for text in texts]
    return _divergence(model, bases, [_reading(model, text, iv) for text in texts])


def _reading(model: Model, text: str, under: Change | None) -> Job:
    """``text`` after the prefixes of ``under``; the ids of the text are the same with and without."""
    opening = len(model.speller.opening)
    ids = model.speller.prompt_ids(text)
    prompt = max(opening, 1)
    told = model.rewritten(text, under)
    assert isinstance(told, str)
    if prefix := told.removesuffix(text):
        front = model.speller.prompt_ids(prefix)
        ids, prompt = [*front, *ids[opening:]], prompt + len(front) - opening
    job = Job(Span(tuple(ids), prompt), model.carried(text, under))
    check(model, job)
    return job


def _divergence(model: Model, bases: Sequence[Job], changed: Sequence[Job]) -> Divergence:
    total, n = 0.0, 0
    for at in range(0, len(bases), CHUNK):
        here = slice(at, at + CHUNK)
        for base_N_V, other_N_V in zip(
            _expected(model, bases[here]), _expected(model, changed[here]), strict=True
        ):
            each_N_V = base_N_V.exp() * (base_N_V - other_N_V)
            total += float(each_N_V.where(base_N_V > -torch.inf, 0.0).sum())
            n += len(base_N_V)
    return Divergence(total / n if n else 0.0, n)


def _expected(model: Model, jobs: Sequence[Job]) -> list[Tensor]:
    """Per job the float32 log-probs ``(N, V)`` after its last prompt token and every token since."""
    order = {id(job): number for number, job in enumerate(jobs)}

    def run(model: Model, batch: Sequence[Job], changes: Sequence[Change | None]) -> list[Tensor]:
        layout = pack([job.span for job in batch], side="right", pad_id=PAD)
        spans = [range(job.span.start - 1, len(job.span.ids)) for job in batch]
        rows_N = torch.tensor([row for row, span in enumerate(spans) for _ in span])
        columns_N = torch.tensor([column for span in spans for column in span])
        with stacked(model, changes) as hooks:
            logits_N_V, _ = forward(model, layout, hooks, rows_N, columns_N)
        ends = list(accumulate(len(span) for span in spans))
        return list(logits_N_V.float().log_softmax(1).cpu().tensor_split(ends[:-1]))

    work = Work("expected", run, repr, lambda text: None)
    found: dict[int, Tensor] = {}
    with evaluating(model.hf), closing(batches(model, jobs, work)) as stream:
        for batch, values in stream:
            found |= {order[id(job)]: value for job, value in zip(batch, values, strict=True)}
    return [found[number] for number in range(len(jobs))]


@dataclass
class _Tally:
    """What happens at one hook point, added up pass by pass."""

    counts: dict[Phase, Count] = field(
        default_factory=lambda: {"prefill": Count(), "decode": Count()}
    )
    moved: float = 0.0
    met_B_T_D: Tensor | None = None

    def meet(self, acts_B_T_D: Tensor) -> None:
        self.met_B_T_D = acts_B_T_D

    def compare(self, layout: Callable[[], Layout], acts_B_T_D: Tensor) -> None:
        assert self.met_B_T_D is not None
        mask_B_T = layout().mask_B_T.to(acts_B_T_D.device)
        before_N_D = self.met_B_T_D[mask_B_T].float()
        moved_N = (acts_B_T_D[mask_B_T].float() - before_N_D).norm(dim=1)
        was = self.counts[layout().phase]
        self.counts[layout().phase] = Count(
            was.passes + 1, was.tokens + len(moved_N), was.changed + int((moved_N > 0).sum())
        )
        tiny = torch.finfo(torch.float32).tiny
        self.moved += float((moved_N / before_N_D.norm(dim=1).clamp(min=tiny)).sum())
        self.met_B_T_D = None

    def fired(self, site: str, layer: int) -> Fired:
        prefill, decode = self.counts["prefill"], self.counts["decode"]
        n = prefill.changed + decode.changed
        return Fired(site, layer, prefill, decode, self.moved / n if n else None)


class _Told:
    """Hears where the columns of every pass are, and changes nothing. Implements ``asks.Rows``."""

    whole_logits = whole_prompt = rereads = False

    def __init__(self) -> None:
        self._layouts: list[Layout] = []

    def __enter__(self) -> _Told:
        return self

    def __exit__(self, *exc: object) -> None:
        self._layouts.clear()

    def at(self, layout: Layout) -> None:
        self._layouts[:] = [layout]

    def keep(self, index: Sequence[int]) -> None:
        pass

    def last(self) -> Layout:
        return self._layouts[-1]


@contextmanager
def _watched(model: Model, iv: Intervention) -> Iterator[dict[tuple[str, int], _Tally]]:
    """``iv`` in force, with a look at every one of its hook points before and after its ops."""
    ops = (*iv.ops, *(op for part in iv.conditional for op in part.ops))
    seen = {(op.site, op.layer): _Tally() for op in ops}
    with ExitStack() as stack:
        for place, tally in seen.items():
            stack.enter_context(model.arch.site(*place).register(tally.meet))
        stack.enter_context(model.using(iv))
        told = stack.enter_context(_Told())
        model.in_force.append(told)
        stack.callback(model.in_force.remove, told)
        for place, tally in seen.items():
            act = partial(tally.compare, told.last)
            stack.enter_context(model.arch.site(*place).register(act))
        yield seen
