"""One feature of a sparse autoencoder, set to a value.

Templeton et al. 2024, "Scaling Monosemanticity", set a feature ``z`` and keep what the autoencoder does not
reconstruct: ``h + (value - z) d`` with ``d`` its decoder row. Wu et al. 2025, "AxBench", add ``value * d``. Values are
multiples of the feature's largest activation on the pairs. ``auto`` takes the feature that tells the two sides
apart best. Shape letters: N pairs, T tokens, F features, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from scipy.stats import rankdata
from torch import Tensor

from truing.errors import BadInput, EditFailed, NotPossible
from truing.interventions.intervention import ActivationOp, Intervention, Latents, Origin
from truing.interventions.latents import read
from truing.methods.kernels.capture import Place
from truing.methods.kernels.lines import Line
from truing.methods.method import Method, MethodConfig
from truing.methods.requests import check
from truing.methods.settings import given
from truing.methods.steering.ablation import Write
from truing.methods.steering.sae_files import Dictionary, load
from truing.methods.steering.tokens import each_line
from truing.methods.steering.vectors import ANSWER
from truing.models.arch import Norm
from truing.models.handle import Model
from truing.models.positions import Positions
from truing.types import EditRequest

Way = Literal["set", "at-least", "add"]
AFTER: dict[str, Norm] = {"attn_out": "after_attn", "mlp_out": "after_mlp"}
"""Norms that some families put behind what they write, which autoencoders read and hook points do not."""


class SaeConfig(MethodConfig):
    """Which feature of which autoencoder, and what becomes of it."""

    path: Path | None = Field(
        None,
        description="SAELens folder, .safetensors or Gemma Scope .npz of one autoencoder (needed)",
    )
    feature: int | Literal["auto"] = Field(
        "auto", description="its number; auto: the one that tells the sides apart best"
    )
    layer: int | None = Field(None, description="block, where the file does not name it")
    site: Write | None = Field(
        None, description="hook point, where the file does not name it; resid_post unless given"
    )
    way: Way = Field(
        "set",
        description="set: to the value; at-least: only where it is lower; add: the value, whatever it is",
    )
    value: float = Field(1.0, description="in largest activations of the feature on the pairs")
    positions: Positions = Field(ANSWER, description="which tokens are steered")


@dataclass(frozen=True, eq=False)
class Active:
    """Mean activations of features over each answer, ``(N, F)``, and the largest, ``(F,)``, on the CPU."""

    new_N_F: Tensor
    old_N_F: Tensor
    largest_F: Tensor

    @property
    def auroc_F(self) -> Tensor:
        """Chance that a new side activates a feature more than an old one; ties count half."""
        n = len(self.new_N_F)
        ranks = rankdata(torch.cat([self.new_N_F, self.old_N_F]).numpy(), axis=0)
        above = torch.from_numpy(ranks[:n]).sum(0) - n * (n + 1) / 2
        return above / (n * len(self.old_N_F))

    @property
    def gap_F(self) -> Tensor:
        """Mean of the new sides less that of the old."""
        return self.new_N_F.mean(0) - self.old_N_F.mean(0)


def make(
    model: Model,
    requests: Sequence[EditRequest],
    config: SaeConfig,
    so_far: Intervention | None = None,
) -> Intervention:
    """One feature for all pairs, chosen and measured with ``so_far`` in force."""
    check(model, requests, "sae_clamp", needs_subject=False, needs_old=True)
    if config.path is None:
        raise NotPossible("sae_clamp needs a sparse autoencoder", "Set path to its folder or file.")
    before = so_far or Intervention()
    dictionary = load(config.path)
    place = _place(model, dictionary, config)
    n_features = len(dictionary.decoder_F_D)
    if config.feature != "auto" and not 0 <= config.feature < n_features:
        raise BadInput(
            f"sae_clamp: there is no feature {config.feature}",
            f"'{config.path}' has features 0 to {n_features - 1}.",
        )
    only = None if config.feature == "auto" else config.feature
    latents = dictionary.latents if only is None else dictionary.feature(only)[0]
    with model.using(before):
        active = activity(model, requests, place, latents)
    at = best(active) if only is None else 0
    number, largest = (at if only is None else only), float(active.largest_F[at])
    if largest == 0:
        raise EditFailed(
            f"sae_clamp: feature {number} is silent on the pairs, so its values have no unit",
            "Choose another feature, or pairs that show it.",
        )
    record = {
        **config.model_dump(mode="json"),
        "site": place.site,
        "layer": place.layer,
        "feature": number,
        "chosen": "auto" if only is None else "given",
        "auroc": float(active.auroc_F[at]),
        "gap": float(active.gap_F[at]),
        "largest": largest,
    }
    part = _part(dictionary, number, place, config, config.value * largest)
    return before.then(
        [part], origin=Origin.of(model, "sae_clamp", record, requests, so_far=before)
    )


def _part(
    dictionary: Dictionary, number: int, place: Place, config: SaeConfig, value: float
) -> ActivationOp:
    read_by, written_D = dictionary.feature(number)
    if config.way == "add":
        return ActivationOp(place.site, place.layer, "add", written_D, config.positions, value)
    return ActivationOp(
        place.site,
        place.layer,
        "feature-clamp",
        written_D,
        config.positions,
        low=value,
        high=value if config.way == "set" else None,
        latents=read_by,
    )


def activity(
    model: Model, requests: Sequence[EditRequest], place: Place, latents: Latents
) -> Active:
    """What ``latents`` do on the answers of both sides of every pair, with what is in force."""
    home = model.device
    weight, bias, threshold = (tensor.to(home) for tensor in latents.tensors.values())

    def look(line: Line, acts_T_D: Tensor) -> tuple[Tensor, Tensor]:
        z_T_F = read(acts_T_D[line.at :].to(home), weight, bias, threshold)
        return z_T_F.mean(0).cpu(), z_T_F.amax(0).cpu()

    lines = []
    for side in ("target_new", "target_old"):
        for request in requests:
            span = model.speller.join(request.prompt, getattr(request, side))
            lines.append(Line(span.ids, span.start))
    seen = each_line(model, lines, place, look)
    mean, largest = (torch.stack(each) for each in zip(*seen, strict=True))
    n = len(requests)
    return Active(mean[:n], mean[n:], largest.amax(0))


def best(active: Active) -> int:
    """The feature that tells the sides apart best by AUROC; of equals, by the widest gap."""
    auroc_F, gap_F = active.auroc_F, active.gap_F
    gap_F = gap_F.where(auroc_F == auroc_F.max(), -torch.inf)
    return int(gap_F.argmax())


def _place(model: Model, dictionary: Dictionary, config: SaeConfig) -> Place:
    """Where the autoencoder reads. Raises where file, settings and model disagree."""
    told = dictionary.place
    layer = config.layer if told is None else told.layer
    if layer is None:
        raise BadInput(
            f"sae_clamp: '{config.path}' does not say which layer it was trained on", "Set layer."
        )
    place = told or Place(given(config.site, "resid_post"), layer)
    asked = (given(config.site, place.site), given(config.layer, place.layer))
    if asked != (place.site, place.layer):
        raise BadInput(
            f"sae_clamp: '{config.path}' was trained at {place.site} of layer {place.layer}, not at "
            f"{asked[0]} of layer {asked[1]}",
            "Leave layer and site out.",
        )
    width = dictionary.decoder_F_D.shape[1]
    if width != model.arch.d_model:
        raise BadInput(
            f"sae_clamp: '{config.path}' reads {width} features of an activation, '{model.name}' has "
            f"{model.arch.d_model} there",
            "Was it trained on another model?",
        )
    place.hook(model)
    after = AFTER.get(place.site)
    if after is not None and model.arch.norm(place.layer, after) is not None:
        raise NotPossible(
            f"sae_clamp: '{model.name}' normalises what {place.site} puts out, and autoencoders read it "
            "after that",
            "Use one of the residual stream.",
        )
    return place


SAE_CLAMP = Method(
    name="sae_clamp",
    make=make,
    config=SaeConfig,
    summary="a feature of a sparse autoencoder, set to a multiple of its largest activation",
    paper="Templeton et al. 2024; Wu et al. 2025 (AxBench)",
    acts_on="activations",
    needs_old=True,
    tunes=("value",),
)
