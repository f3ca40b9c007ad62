"""Directional ablation: the mean-difference direction projected out of what a model writes.

Arditi et al. 2024, "Refusal in Language Models Is Mediated by a Single Direction". One
direction, read at one layer, is removed from the residual stream and from everything that attention
and MLP add to it, at every layer and token. The projection has no sign: what the direction tells
apart is taken away, neither side is added.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from truing.interventions.intervention import ActivationOp, Intervention, Origin
from truing.methods.kernels.capture import Place
from truing.methods.method import Method, MethodConfig
from truing.methods.requests import check
from truing.methods.settings import given, look_up
from truing.methods.steering import directions
from truing.methods.steering.pairs import Read, read_sides
from truing.methods.steering.vectors import TABLE, guess
from truing.models.handle import Model
from truing.models.positions import Positions
from truing.types import EditRequest

Write = Literal["resid_pre", "attn_out", "mlp_out", "resid_post"]
"""Hook points as wide as the residual stream."""


class AblationConfig(MethodConfig):
    """Where a direction is read and where it is removed."""

    layer: int | None = Field(None, description="block whose output the direction is read from")
    read: Read = Field(
        "answer", description="answer: the mean over a side's answer; last: its last token"
    )
    layers: tuple[int, ...] | None = Field(
        None, min_length=1, description="blocks where it is removed; all unless given"
    )
    sites: tuple[Write, ...] = Field(
        ("resid_pre", "attn_out", "mlp_out", "resid_post"),
        min_length=1,
        description="what it is removed from in each of these blocks",
    )
    strength: float = Field(1.0, description="share that is removed at each site; 1: all of it")
    positions: Positions = Field(Positions(), description="at which tokens it is removed")


def make(
    model: Model,
    requests: Sequence[EditRequest],
    config: AblationConfig,
    so_far: Intervention | None = None,
) -> Intervention:
    """One direction from all pairs together, read with ``so_far`` in force, removed everywhere."""
    check(model, requests, "ablation", needs_subject=False, needs_old=True)
    before = so_far or Intervention()
    layers = config.layers or tuple(range(model.arch.n_layers))
    for layer in layers:
        model.arch.block(layer)
    tuned, source = look_up(model, TABLE, guess)
    place = Place("resid_post", given(config.layer, tuned.layer))
    with model.using(before):
        sides = read_sides(model, requests, [place], config.read)[place]
    what = f"ablation at layer {place.layer}"
    direction_D = directions.checked(directions.mean_difference(sides), what)
    unit = (direction_D / direction_D.norm()).float().cpu()
    parts = [
        ActivationOp(site, layer, "ablate", unit, config.positions, config.strength)
        for layer in layers
        for site in config.sites
    ]
    record = {
        **config.model_dump(mode="json"),
        "layer": place.layer,
        "layers": list(layers),
        "length": float(direction_D.norm()),
        "typical_norm": sides.typical_norm,
        "agreement": directions.agreement(direction_D, sides),
        "settings": source,
    }
    return before.then(parts, origin=Origin.of(model, "ablation", record, requests, so_far=before))


ABLATION = Method(
    name="ablation",
    make=make,
    config=AblationConfig,
    summary="the mean difference of contrast pairs, projected out of the residual stream",
    paper="Arditi et al. 2024",
    acts_on="activations",
    needs_old=True,
    tunes=("strength",),
)
