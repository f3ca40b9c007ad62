"""AlphaEdit: updates that leave alone what ordinary text and earlier edits use.

Fang et al. 2025, "AlphaEdit: Null-Space Constrained Knowledge Editing for Language Models". Values
and keys are those of :mod:`truing.methods.layered`. P projects on the eigenvectors of C with small
eigenvalues; dW = R K^T P (K K^T P + K_p K_p^T P + ridge I)^-1 (eq. 14), K_p the keys of earlier
edits, read on the edited weights. They travel in the intervention's ``memo``, so that a chain goes
on where it stopped and independent edits know nothing of each other.

The published threshold (0.02) is an absolute eigenvalue and its meaning depends on the model and
the statistics; ``energy`` cuts by share of the trace instead. The ranks are recorded either way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from pydantic import Field
from torch import Tensor

from truing.errors import NotPossible
from truing.interventions.intervention import Intervention
from truing.methods.kernels.solve import Factors, Space, Spectrum, compressed, projected
from truing.methods.layered import LayeredConfig, Plan, Solver, Tuned, guessed_layers, measure
from truing.methods.method import Method
from truing.methods.settings import given, look_up
from truing.methods.stats import spectra_for
from truing.models.handle import Model
from truing.types import EditRequest


class AlphaEditConfig(LayeredConfig):
    """Hyper-parameters; None means: the model's tuned value, or a guess by depth."""

    threshold: float | None = Field(
        None, gt=0, description="eigenvalues of C below this may be edited (published: 0.02)"
    )
    energy: float | None = Field(
        None, gt=0, lt=1, description="share of C's trace that may be edited; goes before threshold"
    )
    ridge: float | None = Field(None, gt=0, description="L2, the weight of ||dW||^2")


@dataclass(frozen=True, slots=True, kw_only=True)
class AlphaEditTuned(Tuned):
    """Settings of one model. ``energy`` is given where the threshold was never tuned."""

    ridge: float = 10.0
    threshold: float = 0.02
    energy: float | None = None


TABLE = {
    "pocket": AlphaEditTuned(
        layers=(0,), steps=50, lr=2.0, clamp=8, ridge=30.0, energy=0.1, sampled=((6, 1),)
    ),
    "gpt2-xl": AlphaEditTuned(layers=(13, 14, 15, 16, 17), steps=20, weight_decay=0.5, clamp=0.75),
    "gpt-j-6b": AlphaEditTuned(layers=(3, 4, 5, 6, 7, 8), weight_decay=0.5, clamp=0.75),
    "llama-3-8b": AlphaEditTuned(layers=(4, 5, 6, 7, 8), lr=0.1, weight_decay=0.5, clamp=0.75),
    "qwen2.5-7b": AlphaEditTuned(layers=(4, 5, 6, 7, 8), ridge=1.0),
}


def guess(n_layers: int) -> AlphaEditTuned:
    """For models that nobody tuned: a tenth of the trace, since thresholds do not carry over."""
    return AlphaEditTuned(layers=guessed_layers(n_layers), energy=0.1)


@dataclass(frozen=True)
class NullSpace:
    """Closes a layer within its space, sparing the protected keys."""

    spaces: Mapping[int, Space]
    protected: Mapping[int, Tensor]
    ridge: float

    def __call__(self, layer: int, residual_D_N: Tensor, keys_F_N: Tensor) -> Factors:
        protected_F_M = self.protected.get(layer, keys_F_N[:, :0])
        return projected(residual_D_N, keys_F_N, protected_F_M, self.spaces[layer], self.ridge)


def solver(model: Model, config: AlphaEditConfig, protected: Mapping[int, Tensor]) -> Solver:
    """AlphaEdit on ``model``: settings resolved, prefixes sampled, spaces cut."""
    tuned, source = look_up(model, TABLE, guess)
    plan = Plan.of(model, config, tuned, source)
    assert config.stats != "none"  # refused by Plan.of
    spectra, note = spectra_for(
        model, plan.layers, config.stats, allow_other=config.allow_other_stats
    )
    energy = config.energy
    if energy is None and config.threshold is None:
        energy = tuned.energy
    threshold = given(config.threshold, tuned.threshold)
    spaces = {layer: _cut(layer, each, threshold, energy) for layer, each in spectra.items()}
    ridge = given(config.ridge, tuned.ridge)
    record = {
        **plan.record,
        "ridge": ridge,
        "energy": energy,
        "threshold": threshold if energy is None else None,
        "ranks": {str(layer): space.rank for layer, space in spaces.items()},
        "stats": dict(note),
    }
    close = NullSpace(spaces, protected, ridge)
    return Solver("alphaedit", replace(plan, record=record), close, config.seed)


def _cut(layer: int, spectrum: Spectrum, threshold: float, energy: float | None) -> Space:
    space = spectrum.below(threshold) if energy is None else spectrum.within(energy)
    if not space.rank:
        raise NotPossible(
            f"no direction of layer {layer}'s keys may be edited (smallest eigenvalue "
            f"{float(spectrum.values_F[0]):.2g})",
            "Raise threshold, or cut by share with energy=0.1.",
        )
    return space


def protected_of(so_far: Intervention) -> dict[int, Tensor]:
    """The keys (F, M) of earlier edits by layer."""
    return {
        int(name.removeprefix("protected.")): keys
        for name, keys in so_far.memo.items()
        if name.startswith("protected.")
    }


def make(
    model: Model,
    requests: Sequence[EditRequest],
    config: AlphaEditConfig,
    so_far: Intervention | None = None,
) -> Intervention:
    """All requests in one update of every edited layer; the memo then protects their keys too."""
    before = so_far or Intervention()
    protected = protected_of(before)
    alphaedit = solver(model, config, protected)
    iv = alphaedit.total(model, requests, before)
    return _remember(model, requests, alphaedit.plan, iv, protected)


def each(
    model: Model, groups: Sequence[Sequence[EditRequest]], config: AlphaEditConfig
) -> list[Intervention]:
    """One independent update per group; their optimisations and passes are shared."""
    alphaedit = solver(model, config, {})
    made = alphaedit.independent(model, groups)
    return [
        _remember(model, group, alphaedit.plan, iv, {})
        for group, iv in zip(groups, made, strict=True)
    ]


def _remember(
    model: Model,
    requests: Sequence[EditRequest],
    plan: Plan,
    iv: Intervention,
    protected: Mapping[int, Tensor],
) -> Intervention:
    """``iv`` with the requests' keys, read under it, among the protected ones."""
    memo = dict(iv.memo)
    for layer in plan.layers:
        keys_N_F, _ = measure(model, requests, plan, layer, [iv] * len(requests))
        before_F_M = protected.get(layer, keys_N_F.T[:, :0].cpu())
        memo[f"protected.{layer}"] = compressed(torch.cat([before_F_M, keys_N_F.T.cpu()], 1))
    return iv.then((), memo=memo)


ALPHAEDIT = Method(
    name="alphaedit",
    make=make,
    config=AlphaEditConfig,
    summary="updates in the null space of ordinary text, sparing earlier edits",
    paper="Fang et al. 2025 (AlphaEdit)",
    acts_on="weights",
    tunes=("lr", "clamp", "energy"),
    needs_subject=True,
    needs_stats=True,
    each=each,
)
