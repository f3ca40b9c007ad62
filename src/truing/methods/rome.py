"""ROME and R-ROME: a rank-one update of one MLP at the subject's last token.

ROME: Meng et al. 2022, "Locating and Editing Factual Associations in GPT". R-ROME: Gupta et al.
2024, "Rebuilding ROME: Resolving Model Collapse during Sequential Model Editing".

Both optimise v*, what the down projection of one layer should put out at the subject's last token,
and solve for dW = r u^T with u along C^-1 k_mean, k_mean being the mean key over contexts. ROME
divides by the bare prompt's key, so that (W + dW) k_bare = v*; where k_bare and k_mean differ the
division can blow the update up. R-ROME uses k_mean throughout: (W + dW) k_mean = v*.

The KL term is read at the subject's last token of "{subject} is a" and compares with the unedited
model, KL(edited || unedited), as in the published code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from truing.errors import EditFailed
from truing.interventions.intervention import Intervention, LowRank, Origin, WeightDelta
from truing.methods.kernels import contexts
from truing.methods.kernels.capture import Place, capture
from truing.methods.kernels.lines import essence_line, subject_line, target_line
from truing.methods.kernels.solve import Factored, rank_one
from truing.methods.kernels.values import Objective, Wanted, Wish, optimise
from truing.methods.method import Method, MethodConfig
from truing.methods.requests import check
from truing.methods.settings import at_depth, given, look_up
from truing.methods.stats import Source, stats_for
from truing.models.handle import Model
from truing.seeds import Seeds
from truing.types import EditRequest

Keys = Literal["bare", "mean"]


class RomeConfig(MethodConfig):
    """Hyper-parameters; None means: the model's tuned value, or a guess by depth."""

    layer: int | None = Field(None, ge=0, description="the layer whose down projection is edited")
    steps: int | None = Field(
        None, ge=1, description="passes of the optimisation; one less updates"
    )
    lr: float | None = Field(None, gt=0, description="Adam's step size")
    weight_decay: float | None = Field(None, ge=0, description="weight of ||delta|| / ||start||^2")
    clamp: float | None = Field(None, ge=0, description="largest ||delta|| in units of ||start||")
    kl: float = Field(0.0625, ge=0, description="weight of the KL term that keeps the subject")
    stats: Source = Field("auto", description="second moments: auto, none, or a file")
    allow_other_stats: bool = Field(False, description="take statistics of other weights")
    contexts: tuple[str, ...] | None = Field(
        None, description="prefixes beside the bare prompt; None samples them from the model"
    )
    sampled: tuple[tuple[int, int], ...] | None = Field(
        None, description="(tokens, how many) of the sampled prefixes"
    )


@dataclass(frozen=True, slots=True)
class Tuned:
    """A row of the table: published settings, or measured ones for the embedded model."""

    layer: int
    steps: int
    lr: float
    weight_decay: float
    clamp: float
    sampled: tuple[tuple[int, int], ...] = ((5, 10), (10, 10))


TABLE = {
    "pocket": Tuned(layer=0, steps=50, lr=5.0, weight_decay=1e-3, clamp=8, sampled=((6, 1),)),
    "gpt2-medium": Tuned(layer=8, steps=20, lr=0.5, weight_decay=0.5, clamp=3),
    "gpt2-large": Tuned(layer=12, steps=20, lr=0.5, weight_decay=0.5, clamp=4),
    "gpt2-xl": Tuned(layer=17, steps=20, lr=0.5, weight_decay=0.5, clamp=4),
    "gpt-j-6b": Tuned(layer=5, steps=20, lr=0.5, weight_decay=0.5, clamp=4),
    "llama-2-7b": Tuned(layer=5, steps=25, lr=0.5, weight_decay=1e-3, clamp=4),
    "llama-3-8b": Tuned(layer=5, steps=25, lr=0.5, weight_decay=1e-3, clamp=4),
    "mistral-7b": Tuned(layer=5, steps=25, lr=0.5, weight_decay=1e-3, clamp=4),
    "qwen2.5-7b": Tuned(layer=5, steps=25, lr=0.5, weight_decay=1e-3, clamp=4),
}


def guess(n_layers: int) -> Tuned:
    """For models that nobody tuned: a fifth of the depth, the settings of the 7B models."""
    return Tuned(at_depth(n_layers, 0.2), steps=25, lr=0.5, weight_decay=1e-3, clamp=4)


@dataclass(frozen=True)
class _Plan:
    """Everything that is the same for all requests. ``record`` goes into the origin."""

    layer: int
    objective: Objective
    prefixes: tuple[str, ...]
    factor: Factored
    record: dict[str, Any]


def _plan(model: Model, config: RomeConfig) -> _Plan:
    tuned, source = look_up(model, TABLE, guess)
    layer = given(config.layer, tuned.layer)
    model.arch.down(layer)
    objective = Objective(
        steps=given(config.steps, tuned.steps),
        lr=given(config.lr, tuned.lr),
        weight_decay=given(config.weight_decay, tuned.weight_decay),
        clamp=given(config.clamp, tuned.clamp),
        kl=config.kl,
    )
    prefixes = config.contexts
    if prefixes is None:
        sampled = given(config.sampled, tuned.sampled)
        prefixes = contexts.sample(model, sampled, Seeds(config.seed).child("contexts"))
    stats = stats_for(model, [layer], config.stats, allow_other=config.allow_other_stats)
    record = {
        **config.model_dump(mode="json"),
        **asdict(objective),
        "layer": layer,
        "contexts": list(prefixes),
        "stats": dict(stats.note),
        "settings": source,
    }
    return _Plan(layer, objective, ("", *prefixes), stats.factors[layer], record)


@dataclass(frozen=True)
class RankOne:
    """One edit: ``keys_C_F``, ``outs_C_D`` float32 at the subject under each context (the bare
    prompt first), the value that was found, and dW = left @ right.T (d, 1), (f, 1) float64."""

    keys_C_F: Tensor
    outs_C_D: Tensor
    wanted: Wanted
    left: Tensor
    right: Tensor


def rank_ones(
    model: Model, requests: Sequence[EditRequest], plan: _Plan, keys: Keys
) -> list[RankOne]:
    """An independent edit of the model as it stands for every request, all in one batch."""
    count = len(plan.prefixes)
    key_place, out_place = Place("mlp_hidden", plan.layer), Place("mlp_out", plan.layer)
    speller = model.speller
    acts = capture(
        model,
        [subject_line(speller, request, p) for request in requests for p in plan.prefixes],
        [key_place, out_place],
    )
    wishes = [
        Wish(
            request.id,
            tuple(target_line(speller, request, prefix) for prefix in plan.prefixes),
            essence_line(speller, request),
        )
        for request in requests
    ]
    found = optimise(model, out_place, wishes, plan.objective)
    edits = []
    for number, (request, wanted) in enumerate(zip(requests, found, strict=True)):
        rows = slice(number * count, (number + 1) * count)
        keys_C_F, outs_C_D = acts[key_place][rows], acts[out_place][rows]
        mean_F = keys_C_F.double().mean(0)
        direction_F = plan.factor.solve(mean_F[:, None])[:, 0].to(mean_F.device)
        if keys == "mean":
            residual_D = wanted.value_D.double() - outs_C_D.double().mean(0)
            factors = rank_one(direction_F, mean_F, residual_D)
        else:
            factors = rank_one(direction_F, keys_C_F[0], wanted.delta_D)
        if not bool(torch.isfinite(factors.left).all() & torch.isfinite(factors.right).all()):
            raise EditFailed(
                f"the update of request '{request.id}' is not finite: its key has no share in the "
                "direction of the update",
                "Use r_rome, or other contexts.",
            )
        edits.append(RankOne(keys_C_F, outs_C_D, wanted, factors.left, factors.right))
    return edits


def _part(model: Model, layer: int, edit: RankOne) -> WeightDelta:
    slot = model.arch.down(layer)
    delta = LowRank(edit.left.float().cpu(), edit.right.float().cpu())
    return WeightDelta(slot.param, delta, slot.bounds)


def _finished(
    model: Model,
    name: str,
    request: EditRequest,
    config: RomeConfig,
    plan: _Plan,
    edit: RankOne,
    so_far: Intervention,
) -> Intervention:
    record = {**plan.record, "nll": [edit.wanted.nlls[0], edit.wanted.nlls[-1]]}
    origin = Origin.of(model, name, record, [request], seeds={"seed": config.seed}, so_far=so_far)
    return so_far.then([_part(model, plan.layer, edit)], origin=origin)


def _make(
    name: str,
    keys: Keys,
    model: Model,
    requests: Sequence[EditRequest],
    config: RomeConfig,
    so_far: Intervention | None,
) -> Intervention:
    """Requests are edited in one after another, each on top of those before it."""
    check(model, requests, name, needs_subject=True)
    plan = _plan(model, config)
    total = so_far if so_far is not None else Intervention()
    for request in requests:
        with model.applied(total):
            [edit] = rank_ones(model, [request], plan, keys)
        total = _finished(model, name, request, config, plan, edit, total)
    return total


def _each(
    name: str,
    keys: Keys,
    model: Model,
    groups: Sequence[Sequence[EditRequest]],
    config: RomeConfig,
) -> list[Intervention]:
    """Groups of one request are made together; longer ones are chains of their own."""
    for group in groups:
        check(model, group, name, needs_subject=True)
    plan = _plan(model, config)
    singles = [group[0] for group in groups if len(group) == 1]
    edits = iter(rank_ones(model, singles, plan, keys) if singles else [])
    return [
        _finished(model, name, group[0], config, plan, next(edits), Intervention())
        if len(group) == 1
        else _make(name, keys, model, group, config, None)
        for group in groups
    ]


def make_rome(
    model: Model,
    requests: Sequence[EditRequest],
    config: RomeConfig,
    so_far: Intervention | None = None,
) -> Intervention:
    """ROME: one rank-one update per request, so that (W + dW) k_bare = v*."""
    return _make("rome", "bare", model, requests, config, so_far)


def make_r_rome(
    model: Model,
    requests: Sequence[EditRequest],
    config: RomeConfig,
    so_far: Intervention | None = None,
) -> Intervention:
    """R-ROME: one rank-one update per request, so that (W + dW) k_mean = v*."""
    return _make("r_rome", "mean", model, requests, config, so_far)


def each_rome(
    model: Model, groups: Sequence[Sequence[EditRequest]], config: RomeConfig
) -> list[Intervention]:
    return _each("rome", "bare", model, groups, config)


def each_r_rome(
    model: Model, groups: Sequence[Sequence[EditRequest]], config: RomeConfig
) -> list[Intervention]:
    return _each("r_rome", "mean", model, groups, config)


ROME = Method(
    name="rome",
    make=make_rome,
    config=RomeConfig,
    summary="rank-one update of one MLP at the subject's last token",
    paper="Meng et al. 2022 (ROME)",
    acts_on="weights",
    tunes=("lr", "clamp"),
    needs_subject=True,
    needs_stats=True,
    batch=False,
    each=each_rome,
)

R_ROME = Method(
    name="r_rome",
    make=make_r_rome,
    config=RomeConfig,
    summary="ROME with the mean key used throughout",
    paper="Gupta et al. 2024 (R-ROME)",
    acts_on="weights",
    tunes=("lr", "clamp"),
    needs_subject=True,
    needs_stats=True,
    batch=False,
    each=each_r_rome,
)
