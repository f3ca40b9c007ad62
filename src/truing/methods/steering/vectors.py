"""Vectors from contrast pairs that are added to the residual stream (``op``: or set along it).

``caa``: Rimsky et al. 2024, "Steering Llama 2 via Contrastive Activation Addition". ``pca``: the first
principal component of the same differences (Zou et al. 2023, "Representation Engineering"; repeng).
``probe``: the weights of a logistic regression. All differ in how the direction is found and in nothing else, so that their strengths compare: a fraction
of the activations' typical length.

Published code reads the activation of the wrong layer for the last block (``hidden_states`` ends
after the final norm), steers one token late (the last prompt token decides the first of the answer)
or, under a KV cache, at positions counted from each call; here hook points are named and positions
are a row's own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from pydantic import Field
from torch import Tensor

from truing.interventions.intervention import ActivationOp, Intervention, Origin
from truing.methods.kernels.capture import Place
from truing.methods.method import Method, MethodConfig
from truing.methods.requests import check
from truing.methods.settings import at_depth, look_up
from truing.methods.steering import directions
from truing.methods.steering.directions import Centre
from truing.methods.steering.pairs import Read, Sides, read_sides
from truing.models.handle import Model
from truing.models.positions import Positions
from truing.types import EditRequest

ANSWER = Positions("window", start=-1)
"""The last prompt token, which decides the first of the answer, and all that follows."""


class VectorConfig(MethodConfig):
    """Where a direction is read and how strongly it is added."""

    layers: tuple[int, ...] | None = Field(
        None, min_length=1, description="blocks whose output is read and steered"
    )
    read: Read = Field(
        "answer", description="answer: the mean over a side's answer; last: its last token"
    )
    strength: float = Field(0.5, description="how much is added, in units of `unit`")
    unit: Literal["typical", "gap", "absolute"] = Field(
        "typical",
        description="typical: of the layer's mean activation length; gap: of the mean difference "
        "between the sides; absolute: times the vector as it was found",
    )
    op: Literal["add", "add-keep-norm", "replace-along"] = Field(
        "add",
        description="add: h + v; add-keep-norm: then as long as before; replace-along: what h holds "
        "along v is ablated first",
    )
    positions: Positions = Field(ANSWER, description="which tokens are steered")


class PcaConfig(VectorConfig):
    """As :class:`VectorConfig`."""

    centre: Centre = Field("none", description="what is taken off before the component is found")


class ProbeConfig(VectorConfig):
    """As :class:`VectorConfig`."""

    penalty: float = Field(1.0, gt=0, description="weight of |w|^2 / 2 beside the summed loss")


@dataclass(frozen=True, slots=True)
class Tuned:
    """A row of the table."""

    layer: int


TABLE = {"pocket": Tuned(layer=2), "llama-2-7b": Tuned(layer=13)}


def guess(n_layers: int) -> Tuned:
    """For models that nobody tuned: the depth at which the 7B models are steered."""
    return Tuned(at_depth(n_layers, 13 / 32))


@dataclass(frozen=True)
class Seen:
    """What a direction is found from: the pairs, and their activations at ``place``."""

    model: Model
    requests: Sequence[EditRequest]
    place: Place
    sides: Sides


Find = Callable[[Any, Seen], Tensor]
"""A method's own part: from its config and what is seen to a direction, float64 ``(D,)``."""


def _difference(config: VectorConfig, seen: Seen) -> Tensor:
    return directions.mean_difference(seen.sides)


def _principal(config: PcaConfig, seen: Seen) -> Tensor:
    return directions.principal(seen.sides, config.centre)


def _weights(config: ProbeConfig, seen: Seen) -> Tensor:
    return directions.logistic(seen.sides, config.penalty)


def scale_of(config: VectorConfig, direction_D: Tensor, sides: Sides) -> float:
    """What the vector is multiplied by."""
    length = float(direction_D.norm())
    if config.unit == "typical":
        return config.strength * sides.typical_norm / length
    if config.unit == "gap":
        return config.strength * float(directions.mean_difference(sides).norm()) / length
    return config.strength


def _make(
    name: str,
    find: Find,
    model: Model,
    requests: Sequence[EditRequest],
    config: VectorConfig,
    so_far: Intervention | None = None,
) -> Intervention:
    """One vector per layer from all pairs together, read with ``so_far`` in force."""
    check(model, requests, name, needs_subject=False, needs_old=True)
    before = so_far or Intervention()
    tuned, source = look_up(model, TABLE, guess)
    layers = config.layers or (tuned.layer,)
    places = [Place("resid_post", layer) for layer in layers]
    with model.using(before):
        read = read_sides(model, requests, places, config.read)
        vectors = {
            place: directions.checked(
                find(config, Seen(model, requests, place, sides)), f"{name} at layer {place.layer}"
            )
            for place, sides in read.items()
        }
    parts: list[ActivationOp] = []
    found: list[dict[str, Any]] = []
    for place, direction_D in vectors.items():
        sides = read[place]
        scale = scale_of(config, direction_D, sides)
        vector = direction_D.float().cpu()
        parts.append(
            ActivationOp(place.site, place.layer, config.op, vector, config.positions, scale)
        )
        found.append(
            {
                "layer": place.layer,
                "length": float(direction_D.norm()),
                "typical_norm": sides.typical_norm,
                "added": scale * float(direction_D.norm()),
                "agreement": directions.agreement(direction_D, sides),
            }
        )
    settings = config.model_dump(mode="json")
    record = {**settings, "layers": list(layers), "vectors": found, "settings": source}
    origin = Origin.of(model, name, record, requests, so_far=before)
    return before.then(parts, origin=origin)


def method(name: str, find: Find, config: type[VectorConfig], summary: str, paper: str) -> Method:
    """A method that finds one direction per layer with ``find`` and adds it."""
    return Method(
        name=name,
        make=partial(_make, name, find),
        config=config,
        summary=summary,
        paper=paper,
        acts_on="activations",
        needs_old=True,
        tunes=("strength",),
    )


CAA = method(
    "caa",
    _difference,
    VectorConfig,
    "the mean difference of contrast pairs, added to the residual stream",
    "Rimsky et al. 2024 (CAA)",
)
PCA = method(
    "pca",
    _principal,
    PcaConfig,
    "the first principal component of contrast pairs, added to the residual stream",
    "Zou et al. 2023 (RepE)",
)
PROBE = method(
    "probe",
    _weights,
    ProbeConfig,
    "the weights of a probe that tells contrast pairs apart, added to the residual stream",
    "Li et al. 2023 (ITI), on the residual stream",
)
