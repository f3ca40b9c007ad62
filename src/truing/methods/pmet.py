"""PMET: MEMIT whose values are sought for attention and MLP together, and kept for the MLP alone.

Li et al. 2024, "PMET: Precise Model Editing in a Transformer". Two vectors per request are
optimised together, what attention and what the MLP of the last edited layer should put out at the
subject's last token, so that the MLP's need not do what attention extracts anyway. Only the MLP's
is written: R = (z_mlp - MLP output) / sqrt(layers left) and dW = R K^T (w C + K K^T)^-1 (eq. 13
to 15; the root moves more of the change to the lower layers). Everything else is
:mod:`truing.methods.layered`.

A request whose target is the likeliest answer under every prefix has its loss weighed by 0.1 for
as long as that holds, and is done once the KL term is at most 0.01.

The published code decides "likeliest" by the equality of two rounded means (here: every label is
the argmax), chooses modules by parts of the model's name, adds the target's space for GPT models
only, and gives the function that collects statistics no settings, so that it fails where they are
not there yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pydantic import Field

from truing.interventions.intervention import Intervention
from truing.methods.kernels.capture import Place
from truing.methods.kernels.values import Wanted, Won, optimise_together
from truing.methods.layered import LayeredConfig, Plan, Solver, Tuned, guessed_layers, wishes_of
from truing.methods.memit import LeastSquares
from truing.methods.method import Method
from truing.methods.settings import given, look_up
from truing.methods.stats import stats_for
from truing.models.handle import Model
from truing.types import EditRequest

WON = Won(weight=0.1, kl=0.01)


class PmetConfig(LayeredConfig):
    """Hyper-parameters; None means: the model's tuned value, or a guess by depth. ``weight_decay``
    and ``clamp`` hold for both vectors."""

    kl: float | None = Field(  # type: ignore[assignment]
        None, ge=0, description="weight of the KL term that keeps the subject"
    )
    weight: float | None = Field(None, gt=0, description="w: how many old memories C stands for")


@dataclass(frozen=True, slots=True, kw_only=True)
class PmetTuned(Tuned):
    """Settings of one model."""

    kl: float = 0.0625
    weight: float = 15000


TABLE = {
    "pocket": PmetTuned(layers=(0,), steps=50, lr=2.0, clamp=8, weight=20, sampled=((6, 1),)),
    "gpt-j-6b": PmetTuned(
        layers=(3, 4, 5, 6, 7, 8), steps=30, lr=0.2, weight_decay=0.5, clamp=0.75, kl=1.0
    ),
    "llama-2-7b": PmetTuned(
        layers=(4, 5, 6, 7, 8), steps=20, weight_decay=0.5, clamp=1.0, weight=6000
    ),
}


def guess(n_layers: int) -> PmetTuned:
    """For models that nobody tuned: the 7B settings at a like depth."""
    return PmetTuned(
        layers=guessed_layers(n_layers), steps=20, weight_decay=0.5, clamp=1.0, weight=6000
    )


def targets(model: Model, requests: Sequence[EditRequest], plan: Plan) -> list[Wanted]:
    """z of the MLP for every request, sought together with attention's."""
    places = [plan.last, Place("attn_out", plan.layers[-1])]
    found = optimise_together(model, places, wishes_of(model, requests, plan), plan.objective, WON)
    return [mlp for mlp, _ in found]


def solver(model: Model, config: PmetConfig) -> Solver:
    """PMET on ``model``: settings resolved, prefixes sampled, statistics factored."""
    tuned, source = look_up(model, TABLE, guess)
    config = config.model_copy(update={"kl": given(config.kl, tuned.kl)})
    plan = Plan.of(model, config, tuned, source)
    weight = given(config.weight, tuned.weight)
    stats = stats_for(model, plan.layers, config.stats, allow_other=config.allow_other_stats)
    record = {**plan.record, "weight": weight, "stats": dict(stats.note)}
    plan = replace(plan, record=record, site="mlp_out", spreading="root")
    return Solver("pmet", plan, LeastSquares(stats.factors, weight), config.seed, targets)


def make(
    model: Model,
    requests: Sequence[EditRequest],
    config: PmetConfig,
    so_far: Intervention | None = None,
) -> Intervention:
    """All requests in one update of every edited layer."""
    return solver(model, config).total(model, requests, so_far or Intervention())


def each(
    model: Model, groups: Sequence[Sequence[EditRequest]], config: PmetConfig
) -> list[Intervention]:
    """One independent update per group; their optimisations and passes are shared."""
    return solver(model, config).independent(model, groups)


PMET = Method(
    name="pmet",
    make=make,
    config=PmetConfig,
    summary="MEMIT with values sought for attention and MLP together",
    paper="Li et al. 2024 (PMET)",
    acts_on="weights",
    tunes=("lr", "clamp", "weight"),
    needs_subject=True,
    needs_stats=True,
    each=each,
)
