"""Inference-time intervention: the attention heads that know the difference, moved along it.

Li et al. 2023, "Inference-Time Intervention: Eliciting Truthful Answers from a Language Model":
every head gets a probe, the heads whose probes do best on pairs that they were not fitted
to are chosen, and each is moved by ``alpha * sigma`` along its own direction before attention's output
projection. ``sigma`` is the standard deviation of activations along the direction. A probe is judged
here by whether it tells which side of a pair is which. Shape letters: N pairs, F heads times head
width, D head width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from truing.errors import NotPossible
from truing.interventions.intervention import ActivationOp, Intervention, Origin
from truing.methods.kernels.capture import Place
from truing.methods.method import Method, MethodConfig
from truing.methods.requests import check
from truing.methods.settings import given, look_up
from truing.methods.steering import directions
from truing.methods.steering.pairs import Read, Sides, read_sides
from truing.methods.steering.vectors import ANSWER
from truing.models.handle import Model
from truing.models.positions import Positions
from truing.seeds import Seeds
from truing.types import EditRequest


class ItiConfig(MethodConfig):
    """How many heads are chosen, and how far each is moved."""

    layers: tuple[int, ...] | None = Field(
        None, min_length=1, description="blocks whose heads may be chosen; all unless given"
    )
    heads: int | None = Field(None, ge=1, description="how many heads are moved")
    read: Read = Field(
        "answer", description="answer: the mean over a side's answer; last: its last token"
    )
    direction: Literal["mean", "probe"] = Field(
        "mean", description="mean: the mean difference of the sides; probe: the probe's weights"
    )
    folds: int = Field(2, ge=2, description="parts that probes are held out from, one by one")
    strength: float | None = Field(
        None, description="alpha: standard deviations that a head is moved by"
    )
    positions: Positions = Field(ANSWER, description="which tokens are steered")


@dataclass(frozen=True, slots=True)
class Tuned:
    """A row of the table: the share of all heads that is moved, and how far."""

    share: float
    strength: float


TABLE = {
    "pocket": Tuned(share=2 / 30, strength=5.0),
    "llama-2-7b": Tuned(share=48 / 1024, strength=15.0),
}


def guess(n_layers: int) -> Tuned:
    """For models that nobody tuned: what moves the 7B models."""
    return TABLE["llama-2-7b"]


@dataclass(frozen=True, slots=True)
class Head:
    """A head that may be moved. ``accuracy``: share of held-out pairs whose sides its probe tells
    apart; ``gap``: length of the mean difference over the typical length, which decides ties."""

    layer: int
    head: int
    accuracy: float
    gap: float


def make(
    model: Model,
    requests: Sequence[EditRequest],
    config: ItiConfig,
    so_far: Intervention | None = None,
) -> Intervention:
    """The best heads over all pairs together, read with ``so_far`` in force."""
    check(model, requests, "iti", needs_subject=False, needs_old=True)
    before = so_far or Intervention()
    tuned, source = look_up(model, TABLE, guess)
    layers = config.layers or tuple(range(model.arch.n_layers))
    places = [Place("heads", layer) for layer in layers]
    with model.using(before):
        read = read_sides(model, requests, places, config.read)
    n_heads = _n_heads(model, layers)
    found = {(p.layer, h): _head(read[p], h, n_heads) for p in places for h in range(n_heads)}
    parts_of = held_out(len(requests), config.folds, Seeds(config.seed).child("iti").number)
    judged = [
        Head(layer, head, accuracy(sides, parts_of), _gap(sides))
        for (layer, head), sides in found.items()
    ]
    count = given(config.heads, max(1, round(tuned.share * len(judged))))
    chosen = sorted(judged, key=lambda each: (-each.accuracy, -each.gap))[:count]
    steps = {(h.layer, h.head): _step(found[h.layer, h.head], config, h) for h in chosen}
    strength = given(config.strength, tuned.strength)
    parts: list[ActivationOp] = []
    for place in places:
        if any(layer == place.layer for layer, _ in steps):
            width = read[place].new_N_D.shape[1] // n_heads
            none = torch.zeros(width)
            vector_F = torch.cat([steps.get((place.layer, h), none) for h in range(n_heads)])
            parts.append(
                ActivationOp("heads", place.layer, "add", vector_F, config.positions, strength)
            )
    record = {
        **config.model_dump(mode="json"),
        "layers": list(layers),
        "heads": len(chosen),
        "strength": strength,
        "chosen": [{**asdict(h), "sigma": float(steps[h.layer, h.head].norm())} for h in chosen],
        "settings": source,
    }
    return before.then(parts, origin=Origin.of(model, "iti", record, requests, so_far=before))


def held_out(n: int, folds: int, seed: int) -> list[Tensor]:
    """Numbers of the pairs of each part, drawn by ``seed``; as many parts as there are pairs at most."""
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    return [order[at :: min(folds, n)] for at in range(min(folds, n))]


def accuracy(sides: Sides, parts: Sequence[Tensor]) -> float:
    """Share of pairs that a probe fitted to the other parts gets right; of a lone pair, the pair's
    own probe."""
    n = len(sides.new_N_D)
    right = 0.0
    for part in parts:
        rest = torch.ones(n, dtype=torch.bool)
        if len(parts) > 1:
            rest[part] = False
        probe_D = directions.logistic(_some(sides, rest.nonzero()[:, 0]))
        right += directions.agreement(probe_D, _some(sides, part)) * len(part)
    return right / n


def _step(sides: Sides, config: ItiConfig, head: Head) -> Tensor:
    """``sigma`` times the unit direction of a head, float32 ``(D,)``."""
    found_D = (
        directions.mean_difference(sides)
        if config.direction == "mean"
        else directions.logistic(sides)
    )
    found_D = directions.checked(found_D, f"iti at head {head.head} of layer {head.layer}")
    unit_D = found_D / found_D.norm()
    along = torch.cat([sides.new_N_D, sides.old_N_D]).double() @ unit_D
    step_D: Tensor = along.std(correction=0) * unit_D
    return step_D.float()


def _gap(sides: Sides) -> float:
    return float(directions.mean_difference(sides).norm()) / (sides.typical_norm or 1.0)


def _some(sides: Sides, numbers: Tensor) -> Sides:
    return Sides(sides.new_N_D[numbers], sides.old_N_D[numbers])


def _head(sides: Sides, head: int, n_heads: int) -> Sides:
    """One head's part of what all heads put out, on the CPU."""
    new, old = (each.chunk(n_heads, dim=1)[head].cpu() for each in (sides.new_N_D, sides.old_N_D))
    return Sides(new, old)


def _n_heads(model: Model, layers: Sequence[int]) -> int:
    """Query heads of a layer; ``NotPossible`` where the projection does not part into them."""
    n_heads = int(model.hf.config.get_text_config().num_attention_heads)
    for layer in layers:
        if model.arch.attn_proj(layer).d_in % n_heads:
            raise NotPossible(
                f"attention of layer {layer} does not part into {n_heads} heads of one width",
                "Steer the residual stream: caa, pca, probe.",
            )
    return n_heads


ITI = Method(
    name="iti",
    make=make,
    config=ItiConfig,
    summary="the attention heads that tell contrast pairs apart, moved along the difference",
    paper="Li et al. 2023 (ITI)",
    acts_on="activations",
    needs_old=True,
    tunes=("strength", "heads"),
)
