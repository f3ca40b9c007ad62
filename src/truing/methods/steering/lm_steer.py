"""A low-rank linear map of what the head reads, trained to say the promoted side.

Han et al. 2024, "Word Embeddings Are Steers for Language Models" (arXiv 2305.12798), equation 3: the logits become
``E (I + strength * W) h``, which is to turn every output embedding by one map. Here ``W = P^T Q`` (P and Q of few
rows) is trained as it will act, from P = 0. Shape letters: M rank, D width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import Field
from torch import Tensor

from truing.interventions.intervention import ActivationOp, Intervention, Latents, Origin
from truing.methods.kernels.capture import Place
from truing.methods.method import Method
from truing.methods.requests import check
from truing.methods.settings import look_up
from truing.methods.steering import fitted
from truing.methods.steering.fitted import FittedConfig, Tuned
from truing.methods.steering.vectors import ANSWER
from truing.methods.tuning.fitting import Pair, descend
from truing.models.handle import Model
from truing.seeds import Seeds
from truing.types import EditRequest

PLACE = Place("head_in", 0)


class LmSteerConfig(FittedConfig):
    """As :class:`FittedConfig`, and the map's rank and strength."""

    rank: int = Field(16, ge=1, description="of the map")
    strength: float = Field(
        1.0, description="how much of the map acts; 1: as it was trained, negative: the other way"
    )


TABLE = {"pocket": Tuned(epochs=10, lr=1e-3)}


def guess(n_layers: int) -> Tuned:
    """For models that nobody tuned."""
    return Tuned(epochs=10, lr=1e-2)


def make(
    model: Model,
    requests: Sequence[EditRequest],
    config: LmSteerConfig,
    so_far: Intervention | None = None,
) -> Intervention:
    """One map from all requests together, trained on top of ``so_far``."""
    check(model, requests, "lm_steer", needs_subject=False)
    before = so_far or Intervention()
    tuned, source = look_up(model, TABLE, guess)
    practice = fitted.practice(config, tuned, config.rank)
    seeds = Seeds(config.seed).child("lm_steer")
    weight = model.arch.head.weight
    assert isinstance(weight, Tensor)
    width = weight.shape[1]
    read_M_D = fitted.drawn(seeds, model, config.rank, width) / math.sqrt(width)

    def loss(values: Sequence[Tensor], pairs: Sequence[Pair]) -> Tensor:
        def act(acts: Tensor, at: Tensor) -> Tensor:
            read_M_D, written_M_D = (value.to(acts.device) for value in values)
            return acts + acts @ read_M_D.T @ written_M_D

        return fitted.nll(model, pairs, {PLACE: act}, ANSWER)

    with model.applied(before):
        values, losses = descend(
            model,
            [read_M_D, read_M_D.new_zeros(read_M_D.shape)],
            loss,
            fitted.promoted(model, requests),
            practice,
            seeds,
        )
    read_M_D, written_M_D = (value.cpu() for value in values)
    part = ActivationOp(
        PLACE.site,
        PLACE.layer,
        "low-rank",
        written_M_D,
        ANSWER,
        config.strength,
        latents=Latents.linear(read_M_D),
    )
    record = {
        **config.model_dump(mode="json"),
        "epochs": practice.epochs,
        "lr": practice.lr,
        "loss": [losses[0], losses[-1]],
        "settings": source,
    }
    numbers = {"seed": config.seed}
    origin = Origin.of(model, "lm_steer", record, requests, seeds=numbers, so_far=before)
    return before.then([part], origin=origin)


LM_STEER = Method(
    name="lm_steer",
    make=make,
    config=LmSteerConfig,
    summary="a low-rank map of what the head reads, trained on the promoted sides of all pairs",
    paper="Han et al. 2024 (LM-Steer)",
    acts_on="activations",
    tunes=("strength",),
)
