"""MEMIT: a least-squares update of several MLPs for many facts at once.

Meng et al. 2023, "Mass-Editing Memory in a Transformer". For every request z is optimised, what the
last edited block should put out at the subject's last token. Then, from the lowest edited layer
up, each layer closes an equal share of what is still missing: R = (Z - H) / (layers left) with H
measured on the weights edited so far, dW = R K^T (w C + K K^T)^-1 (eq. 14; w is ``weight``, the
number of old memories that C stands for; K K^T is a sum over the edits).

A key is the mean of the bare prompt's key and the mean key over prefixes. The objective reads the
model's own logits; the published code recomputes them from the last block, which is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from truing.errors import BadInput, EditFailed, NotPossible
from truing.interventions.intervention import Intervention, LowRank, Origin, WeightDelta
from truing.methods.kernels import contexts
from truing.methods.kernels.capture import Place, capture
from truing.methods.kernels.lines import essence_line, subject_line, target_line
from truing.methods.kernels.solve import Factored, Factors, least_squares
from truing.methods.kernels.values import Objective, Wanted, Wish, optimise
from truing.methods.method import Method, MethodConfig
from truing.methods.requests import check
from truing.methods.settings import given, look_up
from truing.methods.stats import Source, stats_for
from truing.models.asks import Change
from truing.models.handle import Model
from truing.seeds import Seeds
from truing.types import EditRequest


class MemitConfig(MethodConfig):
    """Hyper-parameters; None means: the model's tuned value, or a guess by depth."""

    layers: tuple[int, ...] | None = Field(
        None, min_length=1, description="edited layers, ascending; z is read at the last"
    )
    steps: int | None = Field(
        None, ge=1, description="passes of the optimisation; one less updates"
    )
    lr: float | None = Field(None, gt=0, description="Adam's step size")
    weight_decay: float | None = Field(None, ge=0, description="weight of ||delta|| / ||start||^2")
    clamp: float | None = Field(None, ge=0, description="largest ||delta|| in units of ||start||")
    weight: float | None = Field(None, gt=0, description="w: how many old memories C stands for")
    kl: float = Field(0.0625, ge=0, description="weight of the KL term that keeps the subject")
    stats: Source = Field("auto", description="second moments: auto or a file (none is refused)")
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

    layers: tuple[int, ...]
    steps: int
    lr: float
    weight_decay: float
    clamp: float
    weight: float
    sampled: tuple[tuple[int, int], ...] = ((10, 5),)


_SEVEN_B = Tuned((4, 5, 6, 7, 8), steps=25, lr=0.5, weight_decay=1e-3, clamp=4, weight=15000)
TABLE = {
    "pocket": Tuned(
        (0,), steps=50, lr=5.0, weight_decay=1e-3, clamp=8, weight=20, sampled=((6, 1),)
    ),
    "gpt2-xl": Tuned(
        (13, 14, 15, 16, 17), steps=20, lr=0.5, weight_decay=0.5, clamp=0.75, weight=20000
    ),
    "gpt-j-6b": Tuned(
        (3, 4, 5, 6, 7, 8), steps=25, lr=0.5, weight_decay=0.5, clamp=0.75, weight=15000
    ),
    "llama-2-7b": _SEVEN_B,
    "llama-3-8b": _SEVEN_B,
    "mistral-7b": _SEVEN_B,
    "qwen2.5-7b": _SEVEN_B,
}


def guess(n_layers: int) -> Tuned:
    """For models that nobody tuned: an eighth to a quarter of the depth, the 7B settings."""
    last = max(n_layers - 2, 0)
    first, top = min(round(0.125 * n_layers), last), min(round(0.25 * n_layers), last)
    return Tuned(tuple(range(first, top + 1)), 25, 0.5, 1e-3, 4, 15000)


@dataclass(frozen=True)
class _Plan:
    """Everything that is the same for all requests. ``record`` goes into the origin."""

    layers: tuple[int, ...]
    objective: Objective
    weight: float
    prefixes: tuple[str, ...]
    factors: dict[int, Factored]
    record: dict[str, Any]


def _plan(model: Model, config: MemitConfig) -> _Plan:
    if config.stats == "none":
        raise NotPossible(
            "memit weighs new facts against old ones and needs second moments of the old",
            "Use stats='auto', a file of statistics, or rome, which can go without.",
        )
    tuned, source = look_up(model, TABLE, guess)
    layers = given(config.layers, tuned.layers)
    if list(layers) != sorted(set(layers)):
        raise BadInput(f"layers are {list(layers)}", "Give each layer once, ascending.")
    for layer in layers:
        model.arch.down(layer)
    objective = Objective(
        steps=given(config.steps, tuned.steps),
        lr=given(config.lr, tuned.lr),
        weight_decay=given(config.weight_decay, tuned.weight_decay),
        clamp=given(config.clamp, tuned.clamp),
        kl=config.kl,
    )
    weight = given(config.weight, tuned.weight)
    prefixes = config.contexts
    if prefixes is None:
        sampled = given(config.sampled, tuned.sampled)
        prefixes = contexts.sample(model, sampled, Seeds(config.seed).child("contexts"))
    stats = stats_for(model, layers, config.stats, allow_other=config.allow_other_stats)
    record = {
        **config.model_dump(mode="json"),
        **asdict(objective),
        "layers": list(layers),
        "weight": weight,
        "contexts": list(prefixes),
        "stats": dict(stats.note),
        "settings": source,
    }
    return _Plan(layers, objective, weight, ("", *prefixes), dict(stats.factors), record)


@dataclass(frozen=True)
class Layered:
    """The update of one layer for a group of n requests: keys (f, n) and factors of dW."""

    layer: int
    keys_F_N: Tensor
    factors: Factors


def targets(model: Model, requests: Sequence[EditRequest], plan: _Plan) -> list[Wanted]:
    """z for every request, each optimised on its own on the model as it stands."""
    speller = model.speller
    wishes = [
        Wish(
            request.id,
            tuple(target_line(speller, request, prefix) for prefix in plan.prefixes),
            essence_line(speller, request),
        )
        for request in requests
    ]
    return optimise(model, Place("resid_post", plan.layers[-1]), wishes, plan.objective)


def measure(
    model: Model,
    requests: Sequence[EditRequest],
    plan: _Plan,
    layer: int,
    under: Sequence[Change | None],
) -> tuple[Tensor, Tensor]:
    """Keys ``(N, f)`` at ``layer`` and block outputs ``(N, d)`` at the last edited layer, both at
    the subject's last token, each request under its own change; float32."""
    count = len(plan.prefixes)
    keys, last = Place("mlp_hidden", layer), Place("resid_post", plan.layers[-1])
    lines = [subject_line(model.speller, request, p) for request in requests for p in plan.prefixes]
    acts = capture(model, lines, [keys, last], [change for change in under for _ in plan.prefixes])
    keys_N_C_F = acts[keys].reshape(len(requests), count, -1)
    bare_N_F, prefixed_N_C_F = keys_N_C_F[:, 0], keys_N_C_F[:, 1:]
    mean_N_F = (bare_N_F + prefixed_N_C_F.mean(1)) / 2 if count > 1 else bare_N_F
    return mean_N_F, acts[last][::count]


def spread(
    model: Model,
    groups: Sequence[Sequence[EditRequest]],
    wanted: Sequence[Sequence[Tensor]],
    plan: _Plan,
) -> list[list[Layered]]:
    """The layers' updates for every group, groups independent of each other.

    ``wanted`` holds z per request. Each layer sees the updates of the layers below: as side
    branches of the group's rows, so that all groups share their passes.
    """
    flat = [request for group in groups for request in group]
    made: list[list[Layered]] = [[] for _ in groups]
    for number, layer in enumerate(plan.layers):
        steps = [Intervention(tuple(_part(model, each) for each in layered)) for layered in made]
        under = [
            step if step.parts else None
            for step, group in zip(steps, groups, strict=True)
            for _ in group
        ]
        keys_N_F, now_N_D = measure(model, flat, plan, layer, under)
        at = 0
        for group, values, layered in zip(groups, wanted, made, strict=True):
            rows = slice(at, at + len(group))
            at += len(group)
            missing_N_D = torch.stack(list(values)).to(now_N_D.device) - now_N_D[rows]
            residual_D_N = missing_N_D.T.double() / (len(plan.layers) - number)
            keys_F_N = keys_N_F[rows].T.double()
            solved_F_N = plan.factors[layer].solve(keys_F_N).to(keys_F_N.device) / plan.weight
            factors = least_squares(residual_D_N, keys_F_N, solved_F_N)
            _refuse_not_finite(group, layer, factors)
            layered.append(Layered(layer, keys_F_N, factors))
    return made


def _refuse_not_finite(group: Sequence[EditRequest], layer: int, factors: Factors) -> None:
    if bool(torch.isfinite(factors.left).all() & torch.isfinite(factors.right).all()):
        return
    names = ", ".join(f"'{request.id}'" for request in group[:3])
    raise EditFailed(
        f"the update of layer {layer} for request(s) {names} is not finite",
        "Raise 'weight', or load the model in float32.",
    )


def _part(model: Model, each: Layered) -> WeightDelta:
    slot = model.arch.down(each.layer)
    delta = LowRank(each.factors.left.float().cpu(), each.factors.right.float().cpu())
    return WeightDelta(slot.param, delta, slot.bounds)


def _finished(
    model: Model,
    requests: Sequence[EditRequest],
    config: MemitConfig,
    plan: _Plan,
    layered: Sequence[Layered],
    wanted: Sequence[Wanted],
    so_far: Intervention,
) -> Intervention:
    first = sum(each.nlls[0] for each in wanted) / len(wanted)
    last = sum(each.nlls[-1] for each in wanted) / len(wanted)
    record = {**plan.record, "nll": [first, last]}
    origin = Origin.of(model, "memit", record, requests, seeds={"seed": config.seed}, so_far=so_far)
    return so_far.then([_part(model, each) for each in layered], origin=origin)


def make(
    model: Model,
    requests: Sequence[EditRequest],
    config: MemitConfig,
    so_far: Intervention | None = None,
) -> Intervention:
    """All requests in one update of every edited layer."""
    check(model, requests, "memit", needs_subject=True)
    plan = _plan(model, config)
    before = so_far if so_far is not None else Intervention()
    with model.applied(before):
        wanted = targets(model, requests, plan)
        [layered] = spread(model, [requests], [[w.value_D for w in wanted]], plan)
    return _finished(model, requests, config, plan, layered, wanted, before)


def each(
    model: Model, groups: Sequence[Sequence[EditRequest]], config: MemitConfig
) -> list[Intervention]:
    """One independent update per group; their optimisations and passes are shared."""
    for group in groups:
        check(model, group, "memit", needs_subject=True)
    plan = _plan(model, config)
    wanted = iter(targets(model, [request for group in groups for request in group], plan))
    found = [[next(wanted) for _ in group] for group in groups]
    made = spread(model, groups, [[w.value_D for w in values] for values in found], plan)
    return [
        _finished(model, group, config, plan, layered, values, Intervention())
        for group, layered, values in zip(groups, made, found, strict=True)
    ]


MEMIT = Method(
    name="memit",
    make=make,
    config=MemitConfig,
    summary="least-squares update of several MLPs for many facts at once",
    paper="Meng et al. 2023 (MEMIT)",
    acts_on="weights",
    needs_subject=True,
    needs_stats=True,
    each=each,
)
