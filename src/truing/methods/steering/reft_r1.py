"""One direction that detects a concept and steers towards it, trained for both together.

Wu et al. 2025, "AxBench: Steering LLMs? Even Simple Baselines Outperform Sparse Autoencoders" (arXiv
2501.17148), ReFT-r1: with latents ``a = ReLU(w h)`` of the tokens of a text and w of length one, training adds
the mean of the largest k of them times w to every token and minimises

    NLL + l1 * sum of the other latents

It starts from a random direction, turned so that the texts meet it: a latent that is 0 everywhere learns nothing.
What steers in the end is the vector w alone, ``strength`` times the largest latent on the pairs long. Shape
letters: B rows, T tokens, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import normalize

from truing.errors import BadInput, EditFailed
from truing.interventions.intervention import ActivationOp, Intervention, Origin
from truing.methods.kernels.capture import Place
from truing.methods.kernels.lines import Line
from truing.methods.method import Method
from truing.methods.requests import check
from truing.methods.settings import given, look_up
from truing.methods.steering import fitted, vectors
from truing.methods.steering.fitted import FittedConfig, Tuned
from truing.methods.steering.tokens import each_line
from truing.methods.tuning.fitting import Pair, descend
from truing.models.handle import Model
from truing.models.passes import PAD
from truing.models.positions import Positions, pack
from truing.seeds import Seeds
from truing.types import EditRequest


class ReftR1Config(FittedConfig):
    """As :class:`FittedConfig`, and where the direction is read and added."""

    layer: int | None = Field(None, description="block whose output is read and steered")
    top: int = Field(8, ge=1, description="latents per text whose mean is added in training")
    l1: float | None = Field(None, ge=0, description="weight of the other latents' sum")
    positions: Positions = Field(
        Positions(skip_first=True), description="which tokens are read and steered, in training too"
    )
    strength: float = Field(
        1.0, description="length of what is added, in largest latents on the pairs"
    )


@dataclass(frozen=True, slots=True)
class R1Tuned(Tuned):
    """A row of the table."""

    l1: float


TABLE = {"pocket": R1Tuned(epochs=10, lr=1e-1, l1=5e-4)}


def guess(n_layers: int) -> R1Tuned:
    """For models that nobody tuned. Published: 3 epochs at 0.01 for a vector of length one, which in 2304
    dimensions moves as this one, of root mean square 1, at 0.5."""
    return R1Tuned(epochs=3, lr=1e-1, l1=5e-3)


def latents(unit_D: Tensor, acts: Tensor, at: Tensor) -> Tensor:
    """``ReLU(w h)`` of the tokens that ``at`` names, 0 elsewhere."""
    return (acts @ unit_D.to(acts.device)).relu() * at


def split(latents_B_T: Tensor, at_B_T: Tensor, top: int) -> tuple[Tensor, Tensor]:
    """Of every text the mean of its largest ``top`` latents (of all where it has fewer) and the sum
    of the others, ``(B,)`` each."""
    largest_B = latents_B_T.topk(min(top, latents_B_T.shape[1])).values.sum(1)
    mean_B = largest_B / at_B_T.sum(1).clamp(1, top)
    return mean_B, latents_B_T.sum(1) - largest_B


def make(
    model: Model,
    requests: Sequence[EditRequest],
    config: ReftR1Config,
    so_far: Intervention | None = None,
) -> Intervention:
    """One vector from all requests together, trained on top of ``so_far``."""
    check(model, requests, "reft_r1", needs_subject=False)
    before = so_far or Intervention()
    tuned, source = look_up(model, TABLE, guess)
    usual, _ = look_up(model, vectors.TABLE, vectors.guess)
    place = Place("resid_post", given(config.layer, usual.layer))
    practice = fitted.practice(config, tuned, rank=1)
    l1 = given(config.l1, tuned.l1)
    seeds = Seeds(config.seed).child("reft_r1")
    pairs = fitted.promoted(model, requests)

    def loss(values: Sequence[Tensor], part: Sequence[Pair]) -> Tensor:
        unit_D = normalize(values[0], dim=0)
        others: list[Tensor] = []

        def act(acts_B_T_D: Tensor, at_B_T: Tensor) -> Tensor:
            mean_B, rest_B = split(latents(unit_D, acts_B_T_D, at_B_T), at_B_T, config.top)
            others.append(rest_B)
            return acts_B_T_D + mean_B[:, None, None] * unit_D.to(acts_B_T_D.device)

        nll_B = fitted.nll(model, part, {place: act}, config.positions)
        return nll_B + l1 * others[-1].to(nll_B.device)

    with model.applied(before):
        start_D = fitted.drawn(seeds, model, model.arch.d_model)
        if float(_along(model, pairs, place, config.positions, start_D).sum()) < 0:
            start_D = -start_D
        [found_D], losses = descend(model, [start_D], loss, pairs, practice, seeds)
        unit_D = normalize(found_D, dim=0)
        largest = float(_along(model, pairs, place, config.positions, unit_D).max())
    if largest <= 0:
        raise EditFailed(
            f"reft_r1 at layer {place.layer}: the direction is met by no token of the pairs",
            "Lower l1, read more tokens (positions), or train longer.",
        )
    part = ActivationOp(
        place.site,
        place.layer,
        "add",
        unit_D.cpu(),
        config.positions,
        config.strength * largest,
    )
    record = {
        **config.model_dump(mode="json"),
        "layer": place.layer,
        "epochs": practice.epochs,
        "lr": practice.lr,
        "l1": l1,
        "largest": largest,
        "loss": [losses[0], losses[-1]],
        "settings": source,
    }
    numbers = {"seed": config.seed}
    origin = Origin.of(model, "reft_r1", record, requests, seeds=numbers, so_far=before)
    return before.then([part], origin=origin)


def _along(
    model: Model, pairs: Sequence[Pair], place: Place, positions: Positions, axis_D: Tensor
) -> Tensor:
    """Coordinates along ``axis_D`` of all tokens at ``positions``. Raises where there is none."""

    def look(line: Line, acts_T_D: Tensor) -> Tensor:
        [at_T] = positions.mask(pack([line.span], side="right", pad_id=PAD))
        return (acts_T_D @ axis_D.to(acts_T_D.device))[at_T.to(acts_T_D.device)]

    found = torch.cat(each_line(model, [line for (line,) in pairs], place, look))
    if not len(found):
        raise BadInput(
            f"reft_r1: the positions '{positions.kind}' name no token of the requests",
            "Name tokens of prompt or answer.",
        )
    return found


REFT_R1 = Method(
    name="reft_r1",
    make=make,
    config=ReftR1Config,
    summary="a direction trained to detect the promoted side and to bring it about, added",
    paper="Wu et al. 2025 (AxBench, ReFT-r1)",
    acts_on="activations",
    tunes=("strength",),
)
