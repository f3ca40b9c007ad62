"""What an edit does inside while ordinary text is read: how far activations move, and expectations.

One model is read at a time: :func:`read` gives what is compared, :func:`compare` needs no model.
Shape letters: T tokens, D width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from truing.models.handle import Model
from truing.scoring.observations import Observation
from truing.scoring.stats import value_of
from truing.seeds import Seeds
from truing.types import Prompt, Value


@dataclass(frozen=True, eq=False)
class Reading:
    """One text as a model read it. ``ids``: its tokens, with all that was put in front. ``layers``: per
    block what it put out, float32 ``(T, D)``. ``expected``: float32 log-probs ``(T, V)`` of what follows
    each token."""

    ids: tuple[int, ...]
    layers: tuple[Tensor, ...]
    expected: Tensor


@dataclass(frozen=True, eq=False)
class Reads:
    """What one model made of the texts, and by prompt the log-probs ``(V,)`` of the first answer token."""

    texts: tuple[Reading, ...]
    first: Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Activations:
    """Means over texts, intervals too. ``moved``: per block ``|dh| / |h|`` of a token, averaged over the
    text; ``nats``: KL(base || edited) per token; ``first``: the same after each prompt's last token alone,
    where an answer begins."""

    moved: tuple[Value, ...]
    nats: Value
    first: Value

    def __str__(self) -> str:
        most = max(range(len(self.moved)), key=lambda at: self.moved[at].mean or 0.0)
        moved, nats, first = self.moved[most].mean, self.nats.mean, self.first.mean
        if not moved and not nats and not first:
            return "activations and expectations are the same to the last bit"
        return (
            f"activations move by {_short(moved)} of their length where most (layer {most}); "
            f"KL {_short(nats)} nats per token of neutral text, {_short(first)} at the first answer token"
        )


def read(model: Model, texts: Sequence[str], prompts: Mapping[str, Prompt]) -> Reads:
    """``texts``, and what is expected after each of ``prompts``, as ``model`` reads them with what is in
    force (:meth:`Model.using`)."""
    layers = [model.hidden(texts, "resid_post", at, "all") for at in range(model.arch.n_layers)]
    logits = model.hidden(texts, "logits", 0, "all")
    first = model.hidden(list(prompts.values()), "logits", 0, "last")
    read = (
        Reading(
            tuple(model.speller.prompt_ids(model.rewritten(text))),
            tuple(acts[number].cpu() for acts in layers),
            logits[number].log_softmax(-1).cpu(),
        )
        for number, text in enumerate(texts)
    )
    after = (each.log_softmax(-1).cpu() for each in first)
    return Reads(tuple(read), dict(zip(prompts, after, strict=True)))


def compare(base: Reads, edited: Reads, *, seeds: Seeds) -> Activations:
    """What of the same texts, and of the prompts that both could take, is read otherwise.

    Where the edit puts text in front, the tokens that both read are compared.
    """
    moved: list[list[float]] = []
    nats: list[float] = []
    for before, after in zip(base.texts, edited.texts, strict=True):
        n = _shared(before.ids, after.ids)
        pairs = zip(before.layers, after.layers, strict=True)
        moved.append([_moved(a[-n:], b[-n:]) for a, b in pairs])
        nats.append(divergence(before.expected[-n:], after.expected[-n:]))
    both = [(base.first[id], after) for id, after in edited.first.items() if id in base.first]
    return Activations(
        tuple(
            _mean(xs, seeds.child(f"layer {at}")) for at, xs in enumerate(zip(*moved, strict=True))
        ),
        _mean(nats, seeds.child("nats")),
        _mean([divergence(a[None], b[None]) for a, b in both], seeds.child("first")),
    )


def divergence(base_T_V: Tensor, edited_T_V: Tensor) -> float:
    """Mean KL(base || edited) in nats of distributions given as log-probs."""
    each_T_V = base_T_V.exp() * (base_T_V - edited_T_V)
    return max(0.0, float(each_T_V.where(base_T_V > -torch.inf, 0.0).sum(-1).mean()))


def _moved(base_T_D: Tensor, edited_T_D: Tensor) -> float:
    tiny = torch.finfo(torch.float32).tiny
    return float(
        ((edited_T_D - base_T_D).norm(dim=1) / base_T_D.norm(dim=1).clamp(min=tiny)).mean()
    )


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens at the end are the same; at least the last, whatever it is."""
    both = zip(reversed(one), reversed(other), strict=False)
    return next((n for n, (a, b) in enumerate(both) if a != b), min(len(one), len(other))) or 1


def _mean(values: Sequence[float], seeds: Seeds) -> Value:
    observed = [Observation((str(i), ""), str(i), x, "correct") for i, x in enumerate(values)]
    return value_of(observed, seeds=seeds, bounded=False)


def _short(value: float | None) -> str:
    return "–" if value is None else f"{value:.2g}"
