"""EMMET: MEMIT's update with its values as constraints that are relaxed by a damping.

Gupta et al. 2024, "A Unified Framework for Model Editing". Values and keys are those of
:mod:`truing.methods.layered`, by default at one layer; dW = R (K^T M + mu I)^-1 M^T with
M = (w C)^-1 K. mu (``damping``) 0 gives every key its value exactly (of one request: ROME), 1 is
MEMIT. Published code uses mu = 0.1 with very different w (1 to 100,000), which are very different
strengths: K^T M goes like 1/w.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pydantic import Field

from truing.interventions.intervention import Intervention
from truing.methods.layered import LayeredConfig, Plan, Solver, Tuned
from truing.methods.memit import LeastSquares
from truing.methods.method import Method
from truing.methods.settings import at_depth, given, look_up
from truing.methods.stats import stats_for
from truing.models.handle import Model
from truing.types import EditRequest


class EmmetConfig(LayeredConfig):
    """Hyper-parameters; None means: the model's tuned value, or a guess by depth."""

    weight: float | None = Field(None, gt=0, description="w: how many old memories C stands for")
    damping: float = Field(0.1, ge=0, description="mu: 0 fits the values exactly, 1 is MEMIT")


@dataclass(frozen=True, slots=True, kw_only=True)
class EmmetTuned(Tuned):
    """Settings of one model."""

    weight: float = 1.0


TABLE = {
    "pocket": EmmetTuned(layers=(0,), steps=50, lr=2.0, clamp=8, weight=1, sampled=((6, 1),)),
    "gpt2-xl": EmmetTuned(layers=(17,), steps=20, weight_decay=0.5, clamp=0.75, weight=10000),
    "gpt-j-6b": EmmetTuned(layers=(5,), weight_decay=0.5, clamp=0.75, weight=100000),
    "llama-2-7b": EmmetTuned(layers=(5,), weight=100000),
}


def guess(n_layers: int) -> EmmetTuned:
    """For models that nobody tuned: one layer where ROME edits, and a weight of one."""
    return EmmetTuned(layers=(at_depth(n_layers, 5 / 32),))


def solver(model: Model, config: EmmetConfig) -> Solver:
    """EMMET on ``model``: settings resolved, prefixes sampled, statistics factored."""
    tuned, source = look_up(model, TABLE, guess)
    plan = Plan.of(model, config, tuned, source)
    weight = given(config.weight, tuned.weight)
    stats = stats_for(model, plan.layers, config.stats, allow_other=config.allow_other_stats)
    record = {**plan.record, "weight": weight, "stats": dict(stats.note)}
    close = LeastSquares(stats.factors, weight, config.damping)
    return Solver("emmet", replace(plan, record=record), close, config.seed)


def make(
    model: Model,
    requests: Sequence[EditRequest],
    config: EmmetConfig,
    so_far: Intervention | None = None,
) -> Intervention:
    """All requests in one update of every edited layer."""
    return solver(model, config).total(model, requests, so_far or Intervention())


def each(
    model: Model, groups: Sequence[Sequence[EditRequest]], config: EmmetConfig
) -> list[Intervention]:
    """One independent update per group; their optimisations and passes are shared."""
    return solver(model, config).independent(model, groups)


EMMET = Method(
    name="emmet",
    make=make,
    config=EmmetConfig,
    summary="MEMIT's update under equality constraints, for many facts at one layer",
    paper="Gupta et al. 2024 (EMMET)",
    acts_on="weights",
    tunes=("lr", "clamp", "weight"),
    needs_subject=True,
    needs_stats=True,
    each=each,
)
