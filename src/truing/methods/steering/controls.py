"""Controls: what another method makes, without what it knows.

A control copies an intervention (hook points, tokens, conditions and lengths, after any scaling to a
budget) and takes other directions. ``random_direction`` draws them: what a change of that size does
whatever it means. ``shuffled_pairs`` takes the mean difference of the same pairs, whose sides are swapped by
the toss of a coin: what the pairs give without their labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from truing.errors import NotPossible
from truing.interventions.intervention import (
    ActivationOp,
    Conditional,
    Intervention,
    Origin,
    Part,
)
from truing.methods.kernels.capture import Place
from truing.methods.method import METHODS, Method, MethodConfig
from truing.methods.requests import check
from truing.methods.steering import directions
from truing.methods.steering.pairs import read_sides
from truing.methods.steering.vectors import VectorConfig
from truing.methods.variants import make, worded
from truing.models.handle import Model
from truing.seeds import Seeds
from truing.types import EditRequest


class Like(BaseModel):
    """A method with its settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    config: dict[str, Any] = Field(default_factory=dict)

    @property
    def settings(self) -> MethodConfig:
        return METHODS.get(self.name).config.model_validate(self.config)


class ControlConfig(MethodConfig):
    """``seed`` draws the control; that of what it copies stands in ``like``."""

    like: Like = Field(Like(name="caa"), description="the method that is copied, and its settings")

    @model_validator(mode="after")
    def _can_be_copied(self) -> Self:
        method = METHODS.get(self.like.name)
        if not can_copy(method):
            raise ValueError(f"{method.name} adds no direction that could be another one")
        self.like.settings  # noqa: B018
        return self

    def facts(self) -> dict[str, Any]:
        like = {"name": self.like.name, "config": self.like.settings.facts()}
        return {**super().facts(), "like": like}


def can_copy(method: Method) -> bool:
    """Whether there are controls of ``method``: its directions come from contrast pairs."""
    return method.acts_on == "activations" and method.needs_old and method.copy is None


def ops_of(parts: Sequence[Part]) -> Iterator[ActivationOp]:
    """The activation ops of ``parts``, conditional ones included."""
    for part in parts:
        if isinstance(part, ActivationOp):
            yield part
        elif isinstance(part, Conditional):
            yield from part.ops


def _with_vectors(parts: Sequence[Part], other: Callable[[ActivationOp], Tensor]) -> list[Part]:
    """``parts`` with the vector that ``other`` gives in every activation op."""
    found: list[Part] = []
    for part in parts:
        if isinstance(part, ActivationOp):
            part = replace(part, vector=other(part))
        elif isinstance(part, Conditional):
            part = replace(part, ops=tuple(replace(op, vector=other(op)) for op in part.ops))
        found.append(part)
    return found


def _random(
    model: Model,
    requests: Sequence[EditRequest],
    config: ControlConfig,
    copied: Sequence[Part],
    before: Intervention,
) -> list[Part]:
    """Every op with a random vector as long as its own; ops that shared a vector still do."""
    seed = Seeds(config.seed).child("random-direction").number
    draw = torch.Generator().manual_seed(seed)
    drawn: dict[bytes, Tensor] = {}

    def other(op: ActivationOp) -> Tensor:
        key = op.vector.float().numpy().tobytes()
        if key not in drawn:
            drawn[key] = directions.anywhere(op.vector, draw)
        return drawn[key]

    return _with_vectors(copied, other)


def _shuffled(
    model: Model,
    requests: Sequence[EditRequest],
    config: ControlConfig,
    copied: Sequence[Part],
    before: Intervention,
) -> list[Part]:
    """Every op with the mean difference of swapped pairs at its hook point, as long as its own."""
    like = config.like.settings
    if not isinstance(like, VectorConfig):
        raise NotPossible(
            f"shuffled_pairs: {config.like.name} does not add one vector per layer",
            "Use random_direction, which copies any of them.",
        )
    places = {op.layer: Place("resid_post", op.layer) for op in ops_of(copied)}
    asked = worded(METHODS.get(config.like.name), model, requests, like)
    with model.using(before):
        read = read_sides(model, asked, list(places.values()), like.read)
    seed = Seeds(config.seed).child("shuffled-pairs").number

    def other(op: ActivationOp) -> Tensor:
        found_D = directions.unlabelled(read[places[op.layer]], seed)
        return directions.as_long(
            directions.checked(found_D, f"shuffled_pairs at layer {op.layer}"), op.vector
        )

    return _with_vectors(copied, other)


Redirect = Callable[
    [Model, Sequence[EditRequest], ControlConfig, Sequence[Part], Intervention], list[Part]
]


def control(name: str, redirect: Redirect, summary: str, paper: str) -> Method:
    """A method that copies what another makes, with the directions that ``redirect`` gives."""

    def copy(
        model: Model,
        requests: Sequence[EditRequest],
        config: ControlConfig,
        made: Intervention,
        so_far: Intervention | None = None,
    ) -> Intervention:
        """The control of ``made``, the total that ``config.like`` makes of the same requests."""
        before = so_far or Intervention()
        own = made.parts[len(before.parts) :]
        lengths = [abs(op.scale) * float(op.vector.norm()) for op in ops_of(own)]
        if not lengths:
            raise NotPossible(
                f"{name}: {config.like.name} made nothing that acts on activations",
                "Copy a method that adds vectors, for example caa.",
            )
        parts = redirect(model, requests, config, own, before)
        record = {**config.model_dump(mode="json"), "lengths": lengths}
        origin = Origin.of(model, name, record, requests, so_far=before)
        return before.then(parts, origin=origin)

    def make_control(
        model: Model,
        requests: Sequence[EditRequest],
        config: ControlConfig,
        so_far: Intervention | None = None,
    ) -> Intervention:
        check(model, requests, name, needs_subject=False, needs_old=True)
        liked = METHODS.get(config.like.name)
        made = make(liked, model, requests, config.like.settings, so_far)
        return copy(model, requests, config, made, so_far)

    return Method(
        name=name,
        make=make_control,
        config=ControlConfig,
        summary=summary,
        paper=paper,
        acts_on="activations",
        needs_old=True,
        copy=copy,
    )


RANDOM_DIRECTION = control(
    "random_direction",
    _random,
    "a control: another method's intervention along random directions of the same length",
    "a norm-matched control",
)
SHUFFLED_PAIRS = control(
    "shuffled_pairs",
    _shuffled,
    "a control: another method's intervention along what its pairs give with sides swapped at random",
    "a control without labels",
)
