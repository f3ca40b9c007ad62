"""A low-rank edit of hidden states, trained to say the promoted side.

Wu et al. 2024, "ReFT: Representation Finetuning for Language Models" (arXiv 2404.03592), equation 2:

    h + R^T (W h + b - R h)

with orthonormal rows in R. The paper acts on the first and the last p prompt tokens, here on what
``positions`` names. Training starts where nothing changes (W = R, b = 0). Shape letters: B rows,
T tokens, M rank, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from pydantic import Field
from torch import Tensor

from truing.errors import BadInput
from truing.interventions.intervention import ActivationOp, Intervention, Latents, Origin
from truing.methods.kernels.capture import Place
from truing.methods.method import Method
from truing.methods.requests import check
from truing.methods.settings import look_up
from truing.methods.steering import fitted, vectors
from truing.methods.steering.fitted import FittedConfig, Tuned
from truing.methods.tuning.fitting import Pair, descend
from truing.models.handle import Model
from truing.models.positions import Positions
from truing.seeds import Seeds
from truing.types import EditRequest


class LoreftConfig(FittedConfig):
    """As :class:`FittedConfig`, and where and how widely it acts."""

    layers: tuple[int, ...] | None = Field(
        None, min_length=1, description="blocks whose output is edited, trained together"
    )
    rank: int = Field(4, ge=1, description="dimensions that are edited")
    positions: Positions = Field(
        Positions("last_prompt"), description="which tokens are edited, in training too"
    )
    strength: float = Field(1.0, description="how much of the edit acts; 1: as it was trained")


TABLE = {"pocket": Tuned(epochs=20, lr=1e-2)}


def guess(n_layers: int) -> Tuned:
    """For models that nobody tuned: what the paper's small tasks take."""
    return Tuned(epochs=20, lr=4e-3)


def rotation(raw_M_D: Tensor) -> Tensor:
    """Orthonormal rows that span those of ``raw_M_D``; smooth in them."""
    q_D_M, r_M_M = torch.linalg.qr(raw_M_D.T)
    turned_D_M: Tensor = q_D_M * r_M_M.diagonal().sign()
    return turned_D_M.T


def edited(raw_M_D: Tensor, weight_M_D: Tensor, bias_M: Tensor, acts: Tensor, at: Tensor) -> Tensor:
    """Equation 2 at every token, ``R = rotation(raw)``."""
    home = acts.device
    turned_M_D = rotation(raw_M_D).to(home)
    wanted = acts @ weight_M_D.to(home).T + bias_M.to(home)
    return acts + (wanted - acts @ turned_M_D.T) @ turned_M_D


def make(
    model: Model,
    requests: Sequence[EditRequest],
    config: LoreftConfig,
    so_far: Intervention | None = None,
) -> Intervention:
    """One edit per layer from all requests together, trained on top of ``so_far``."""
    check(model, requests, "loreft", needs_subject=False)
    if config.rank > model.arch.d_model:
        raise BadInput(
            f"loreft: rank {config.rank} is more than the {model.arch.d_model} dimensions of "
            f"'{model.name}'",
            "Give a smaller rank.",
        )
    before = so_far or Intervention()
    tuned, source = look_up(model, TABLE, guess)
    usual, _ = look_up(model, vectors.TABLE, vectors.guess)
    layers = sorted(set(config.layers or (usual.layer,)))
    places = [Place("resid_post", layer) for layer in layers]
    practice = fitted.practice(config, tuned, config.rank)
    seeds = Seeds(config.seed).child("loreft")
    start: list[Tensor] = []
    for layer in layers:
        raw_M_D = fitted.drawn(seeds.child(f"{layer}"), model, config.rank, model.arch.d_model)
        start += [raw_M_D, rotation(raw_M_D), raw_M_D.new_zeros(config.rank)]

    def loss(values: Sequence[Tensor], pairs: Sequence[Pair]) -> Tensor:
        acts = {place: partial(edited, *mine) for place, mine in _by_place(places, values)}
        return fitted.nll(model, pairs, acts, config.positions)

    with model.applied(before):
        values, losses = descend(
            model, start, loss, fitted.promoted(model, requests), practice, seeds
        )
    parts = []
    for place, mine in _by_place(places, values):
        raw_M_D, weight_M_D, bias_M = (value.cpu() for value in mine)
        turned_M_D = rotation(raw_M_D).contiguous()
        latents = Latents.linear(weight_M_D - turned_M_D, bias_M)
        parts.append(
            ActivationOp(
                place.site,
                place.layer,
                "low-rank",
                turned_M_D,
                config.positions,
                config.strength,
                latents=latents,
            )
        )
    record = {
        **config.model_dump(mode="json"),
        "layers": layers,
        "epochs": practice.epochs,
        "lr": practice.lr,
        "loss": [losses[0], losses[-1]],
        "settings": source,
    }
    numbers = {"seed": config.seed}
    origin = Origin.of(model, "loreft", record, requests, seeds=numbers, so_far=before)
    return before.then(parts, origin=origin)


def _by_place(
    places: Sequence[Place], values: Sequence[Tensor]
) -> list[tuple[Place, Sequence[Tensor]]]:
    """Every place with its rotation (raw), weight and bias."""
    return [(place, values[3 * at : 3 * at + 3]) for at, place in enumerate(places)]


LOREFT = Method(
    name="loreft",
    make=make,
    config=LoreftConfig,
    summary="a low-rank edit of the residual stream, trained on the promoted sides of all pairs",
    paper="Wu et al. 2024 (LoReFT)",
    acts_on="activations",
    tunes=("lr", "epochs", "rank"),
)
