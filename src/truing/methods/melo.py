"""MELO: a block of low-rank factors per edit, found again by the key of its prompt.

Yu et al. 2024, "MELO: Enhancing Model Editing with Neuron-Indexed Dynamic LoRA". The requests of a
call train one block of factors beside some matrices. A key per request, read at a lower layer at the
last prompt token, leads to the block: a prompt whose nearest key is within its radius meets that
block, any other prompt the base model.

A new key near one with another answer splits the radii; near one with the same answer it joins it: the
key becomes the mean of its members, its radius reaches the farthest, and it leads to the newer block.

Which block acts is decided once per row, when its prompt is read (:class:`Routed`). The published code
tells answers apart by the sum of their label ids (here: the tuple of ids), keeps one adapter of 350
blocks and scales both factors by the root of that number, so that the step size depends on how many edits
were planned; here the scale is ``alpha / rank`` and blocks come as they are needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from truing.errors import EditFailed
from truing.interventions.intervention import (
    ByKey,
    Intervention,
    LowRank,
    Origin,
    Routed,
    WeightDelta,
)
from truing.methods.kernels.capture import Place, capture
from truing.methods.kernels.factors import Practice, train_factors
from truing.methods.kernels.lines import answer_line
from truing.methods.kernels.train import Lesson
from truing.methods.method import Method, MethodConfig
from truing.methods.requests import check
from truing.methods.settings import at_depth, given, look_up
from truing.models.arch import Slot
from truing.models.handle import Model
from truing.seeds import Seeds
from truing.types import EditRequest

SITE: Literal["resid_post"] = "resid_post"
NEAR = 1e-5
"""By how much the older key's radius stays below half the distance after a split."""


class MeloConfig(MethodConfig):
    """Hyper-parameters; None means: the model's tuned value, or a guess by depth."""

    key_layer: int | None = Field(None, ge=0, description="the layer whose output is the key")
    layers: tuple[int, ...] | None = Field(
        None, min_length=1, description="layers whose MLP gets factors, above the key layer"
    )
    radius: float | None = Field(None, gt=0, description="radius of a new key")
    rank: int = Field(2, ge=1, description="rank of a block")
    alpha: float | None = Field(None, gt=0, description="blocks are scaled by alpha / rank")
    steps: int | None = Field(None, ge=1, description="updates of a block")
    lr: float | None = Field(None, gt=0, description="Adam's step size")
    stop_below: float | None = Field(
        None, ge=0, description="end once the loss (nats) is below; 0: take every step"
    )


@dataclass(frozen=True, slots=True)
class Tuned:
    """A row of the table: published settings, or measured ones for the embedded model."""

    key_layer: int
    layers: tuple[int, ...]
    radius: float = 0.5
    alpha: float = 2.0
    steps: int = 50
    lr: float = 1e-3
    stop_below: float = 0.0


TABLE = {"pocket": Tuned(key_layer=2, layers=(3, 4), radius=25.0, lr=1e-2, stop_below=0.02)}


def guess(n_layers: int) -> Tuned:
    """For models that nobody tuned: keys at two thirds of the depth, two layers above."""
    key = min(at_depth(n_layers, 0.66), n_layers - 2)
    return Tuned(key, tuple(range(key + 1, min(key + 3, n_layers))))


@dataclass(frozen=True)
class Database:
    """Keys in the making. ``members``: how many prompts a key is the mean of; ``labels``: the ids
    of its answer."""

    keys_M_D: Tensor
    radii_M: Tensor
    leads_to: tuple[int, ...]
    members: tuple[int, ...]
    labels: tuple[tuple[int, ...], ...]

    def take(self, key_D: Tensor, label: tuple[int, ...], block: int, radius: float) -> Database:
        """With a key for this prompt and answer, leading to ``block``."""
        if not self.labels:
            return self._with(key_D, label, block, radius)
        distance_M = (self.keys_M_D - key_D).norm(dim=1)
        at = int(distance_M.argmin())
        distance = float(distance_M[at])
        if distance > radius + float(self.radii_M[at]):
            return self._with(key_D, label, block, radius)
        radii_M = self.radii_M.clone()
        if self.labels[at] != label:
            radii_M[at] = min(float(radii_M[at]), max(distance / 2 - NEAR, 0.0))
            split = replace(self, radii_M=radii_M)
            return split._with(key_D, label, block, min(radius, distance / 2))
        keys_M_D, count = self.keys_M_D.clone(), self.members[at]
        centre_D = (count * keys_M_D[at] + key_D) / (count + 1)
        drift = float((centre_D - keys_M_D[at]).norm())
        radii_M[at] = max(float(radii_M[at]) + drift, float((centre_D - key_D).norm()))
        keys_M_D[at] = centre_D
        return Database(
            keys_M_D,
            radii_M,
            _put(self.leads_to, at, block),
            _put(self.members, at, count + 1),
            self.labels,
        )

    def _with(self, key_D: Tensor, label: tuple[int, ...], block: int, radius: float) -> Database:
        return Database(
            torch.cat([self.keys_M_D, key_D[None]]),
            torch.cat([self.radii_M, torch.tensor([radius])]),
            (*self.leads_to, block),
            (*self.members, 1),
            (*self.labels, label),
        )


def _put(values: tuple[int, ...], at: int, value: int) -> tuple[int, ...]:
    return (*values[:at], value, *values[at + 1 :])


@dataclass(frozen=True)
class Melo:
    """MELO on one model: the matrices and the settings."""

    model: Model
    slots: tuple[Slot, ...]
    start: int
    key_layer: int
    radius: float
    practice: Practice
    config: MeloConfig
    record: dict[str, Any]

    @classmethod
    def of(cls, model: Model, config: MeloConfig) -> Melo:
        tuned, source = look_up(model, TABLE, guess)
        layers = sorted(set(given(config.layers, tuned.layers)))
        key_layer, alpha = (
            given(config.key_layer, tuned.key_layer),
            given(config.alpha, tuned.alpha),
        )
        slots = [s for n in layers for s in (model.arch.mlp_in(n)[-1], model.arch.down(n))]
        practice = Practice(
            epochs=given(config.steps, tuned.steps),
            lr=given(config.lr, tuned.lr),
            rank=config.rank,
            scale=alpha / config.rank,
            stop_below=given(config.stop_below, tuned.stop_below),
        )
        radius = given(config.radius, tuned.radius)
        record = {
            **config.model_dump(mode="json"),
            "key_layer": key_layer,
            "layers": layers,
            "radius": radius,
            "alpha": alpha,
            "steps": practice.epochs,
            "lr": practice.lr,
            "stop_below": practice.stop_below,
            "settings": source,
        }
        return cls(model, tuple(slots), layers[0], key_layer, radius, practice, config, record)

    def mine(self, part: object) -> bool:
        """Whether ``part`` holds the blocks keyed at this layer."""
        return (
            isinstance(part, Routed)
            and isinstance(part.router, ByKey)
            and (part.router.site, part.router.layer) == (SITE, self.key_layer)
        )

    def database_of(self, before: Intervention) -> tuple[Database, tuple[Any, ...]]:
        """The keys and the blocks so far."""
        part = next((part for part in before.routed if self.mine(part)), None)
        if part is None or f"melo.{self.key_layer}.labels" not in before.memo:
            empty = torch.zeros(0, self.model.arch.d_model)
            return Database(empty, torch.zeros(0), (), (), ()), ()
        assert isinstance(part.router, ByKey)
        labels = before.memo[f"melo.{self.key_layer}.labels"].tolist()
        database = Database(
            part.router.keys,
            part.router.radii,
            tuple(part.router.leads_to.tolist()),
            tuple(before.memo[f"melo.{self.key_layer}.members"].tolist()),
            tuple(tuple(i for i in row if i >= 0) for row in labels),
        )
        return database, part.alternatives

    def block(self, requests: Sequence[EditRequest]) -> tuple[tuple[WeightDelta, ...], list[float]]:
        """Factors trained on the requests together, and the first and last loss (nats)."""
        lines = tuple(answer_line(self.model.speller, request) for request in requests)
        name = ", ".join(request.id for request in requests[:3])
        seeds = Seeds(self.config.seed).child("melo")
        for request in requests:
            seeds = seeds.child(request.id)
        lesson = Lesson(name, (lines,))
        [learned] = train_factors(
            self.model, self.slots, self.start, [lesson], [seeds], self.practice
        )
        parts = []
        for slot, (left_D_K, right_F_K) in zip(self.slots, learned.factors, strict=True):
            if not bool(left_D_K.isfinite().all() and right_F_K.isfinite().all()):
                raise EditFailed(f"the block trained for '{name}' is not finite", "Lower lr.")
            parts.append(WeightDelta(slot.param, LowRank(left_D_K, right_F_K), slot.bounds))
        return tuple(parts), [learned.losses[0], learned.losses[-1]]


def make(
    model: Model,
    requests: Sequence[EditRequest],
    config: MeloConfig,
    so_far: Intervention | None = None,
) -> Intervention:
    """One block for the requests of the call; what other methods left of ``so_far`` is in force
    while it trains."""
    check(model, requests, "melo", needs_subject=False)
    before = so_far or Intervention()
    melo = Melo.of(model, config)
    others = tuple(part for part in before.parts if not melo.mine(part))
    database, blocks = melo.database_of(before)
    place = Place(SITE, melo.key_layer)
    lines = [answer_line(model.speller, request) for request in requests]
    with model.applied(Intervention(others)):
        at = [replace(line, at=line.reads[0]) for line in lines]
        keys_N_D = capture(model, at, [place])[place].cpu()
        block, losses = melo.block(requests)
    for key_D, line in zip(keys_N_D, lines, strict=True):
        database = database.take(key_D, line.labels, len(blocks), melo.radius)
    width = max(map(len, database.labels))
    labels = torch.tensor([[*row, *[-1] * (width - len(row))] for row in database.labels])
    router = ByKey(
        SITE,
        melo.key_layer,
        database.keys_M_D,
        database.radii_M,
        torch.tensor(database.leads_to),
    )
    memo = {
        **before.memo,
        f"melo.{melo.key_layer}.labels": labels,
        f"melo.{melo.key_layer}.members": torch.tensor(database.members),
    }
    record = {**melo.record, "nll": losses, "keys": len(database.labels), "blocks": len(blocks) + 1}
    origin = Origin.of(model, "melo", record, requests, seeds={"seed": config.seed}, so_far=before)
    return Intervention((*others, Routed((*blocks, block), router)), memo, origin)


MELO = Method(
    name="melo",
    make=make,
    config=MeloConfig,
    summary="a block of low-rank factors per edit, found again by the key of its prompt",
    paper="Yu et al. 2024 (MELO)",
    acts_on="activations",
    tunes=("radius", "lr"),
)
