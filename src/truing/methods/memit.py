"""MEMIT: a least-squares update of several MLPs for many facts at once.

Meng et al. 2023, "Mass-Editing Memory in a Transformer". The values and their spreading over layers
are :mod:`truing.methods.layered`; a layer closes its share R by
dW = R K^T (w C + K K^T)^-1 (eq. 14; w is ``weight``, the number of old memories that C stands for;
K K^T is a sum over the edits).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import Field
from torch import Tensor

from truing.interventions.intervention import Intervention
from truing.methods.kernels.solve import Factored, Factors, least_squares
from truing.methods.layered import LayeredConfig, Plan, Solver, Tuned, guessed_layers
from truing.methods.method import Method
from truing.methods.settings import given, look_up
from truing.methods.stats import stats_for
from truing.models.handle import Model
from truing.types import EditRequest


class MemitConfig(LayeredConfig):
    """Hyper-parameters; None means: the model's tuned value, or a guess by depth."""

    weight: float | None = Field(None, gt=0, description="w: how many old memories C stands for")


@dataclass(frozen=True, slots=True, kw_only=True)
class MemitTuned(Tuned):
    """Settings of one model."""

    weight: float = 15000


_SEVEN_B = MemitTuned(layers=(4, 5, 6, 7, 8))
TABLE = {
    "pocket": MemitTuned(layers=(0,), steps=50, lr=2.0, clamp=8, weight=20, sampled=((6, 1),)),
    "gpt2-xl": MemitTuned(
        layers=(13, 14, 15, 16, 17), steps=20, weight_decay=0.5, clamp=0.75, weight=20000
    ),
    "gpt-j-6b": MemitTuned(layers=(3, 4, 5, 6, 7, 8), weight_decay=0.5, clamp=0.75),
    "llama-2-7b": _SEVEN_B,
    "llama-3-8b": _SEVEN_B,
    "mistral-7b": _SEVEN_B,
    "qwen2.5-7b": _SEVEN_B,
}


def guess(n_layers: int) -> MemitTuned:
    """For models that nobody tuned: the 7B settings at a like depth."""
    return MemitTuned(layers=guessed_layers(n_layers))


@dataclass(frozen=True)
class LeastSquares:
    """Closes a layer: dW = R (K^T M + damping I)^-1 M^T with M = (weight C)^-1 K."""

    factors: Mapping[int, Factored]
    weight: float
    damping: float = 1.0

    def __call__(self, layer: int, residual_D_N: Tensor, keys_F_N: Tensor) -> Factors:
        solved_F_N = self.factors[layer].solve(keys_F_N).to(keys_F_N.device) / self.weight
        return least_squares(residual_D_N, keys_F_N, solved_F_N, self.damping)


def solver(model: Model, config: MemitConfig) -> Solver:
    """MEMIT on ``model``: settings resolved, prefixes sampled, statistics factored."""
    tuned, source = look_up(model, TABLE, guess)
    plan = Plan.of(model, config, tuned, source)
    weight = given(config.weight, tuned.weight)
    stats = stats_for(model, plan.layers, config.stats, allow_other=config.allow_other_stats)
    record = {**plan.record, "weight": weight, "stats": dict(stats.note)}
    close = LeastSquares(stats.factors, weight)
    return Solver("memit", replace(plan, record=record), close, config.seed)


def make(
    model: Model,
    requests: Sequence[EditRequest],
    config: MemitConfig,
    so_far: Intervention | None = None,
) -> Intervention:
    """All requests in one update of every edited layer."""
    return solver(model, config).total(model, requests, so_far or Intervention())


def each(
    model: Model, groups: Sequence[Sequence[EditRequest]], config: MemitConfig
) -> list[Intervention]:
    """One independent update per group; their optimisations and passes are shared."""
    return solver(model, config).independent(model, groups)


MEMIT = Method(
    name="memit",
    make=make,
    config=MemitConfig,
    summary="least-squares update of several MLPs for many facts at once",
    paper="Meng et al. 2023 (MEMIT)",
    acts_on="weights",
    tunes=("lr", "clamp", "weight"),
    needs_subject=True,
    needs_stats=True,
    each=each,
)
