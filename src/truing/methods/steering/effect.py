"""Did anything happen? What an intervention does to a model, before anybody judges answers.

Three looks: where its activation ops acted and how far they moved what they met; how much the
distribution of the first answer token changed; how much the model changed on text that nothing aims at.
Divergences are KL(base || changed) in nats, float32. Shape letters: B rows, T tokens, D width, N tokens
that are met.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from truing.interventions.intervention import Intervention
from truing.methods.neutral import NEUTRAL
from truing.methods.steering.touched import Count, Divergence, Effect, Fired
from truing.models.asks import Change, Decoding, GenerateAsk
from truing.models.diverge import compared
from truing.models.engine import Job, check, job_of
from truing.models.handle import Model
from truing.models.positions import Layout
from truing.models.spans import Span
from truing.types import Prompt

__all__ = ["Count", "Divergence", "Effect", "Fired", "effect", "on_neutral"]

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
    pairs = list(zip(bases, changed, strict=True))
    each = [nats for found in compared(model, pairs) for nats in found.nats]
    return Divergence(math.fsum(each) / len(each) if each else 0.0, len(each))


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
