"""UltraEdit: an update from one backward pass, without locating or optimising anything.

Gu et al. 2025, "UltraEdit: Training-, Subject-, and Memory-Free Lifelong Editing in Language
Models". At every token that predicts a target token, each edited matrix W hands over its input h
and the gradient g of the loss at its output, all on the weights before the call. Both are measured
against everything seen so far, h^ = (h - mean) / std and g^ alike (the lifelong normaliser, shared
by all matrices of a shape). The output shall move by v = -lr ||h^||^2 g^, and a ridge regression
makes dW of it (eq. 8): dW = V^T (H H^T + I)^-1 H. That is MEMIT's update with w C = I and the tokens
as keys, and is solved as such.

The normaliser travels in the intervention's ``memo``: a chain goes on where it stopped, independent
edits know nothing of each other. What is normalised is centred, so the first token that a
normaliser ever sees moves nothing: give many facts per call (published: 100).

The published code merges blocks with their unbiased variance, which overestimates and is NaN for a
block of one token; the widely used port collects all tokens instead of the answer's and starts a
new normaliser at every call, so that nothing is lifelong about it.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from truing.errors import BadInput, EditFailed, TruingWarning
from truing.interventions.intervention import Intervention, LowRank, Origin, WeightDelta
from truing.methods.kernels.gradient_factors import Signal, gradient_factors
from truing.methods.kernels.lines import answer_line
from truing.methods.kernels.normaliser import Normaliser
from truing.methods.kernels.solve import Factors, least_squares
from truing.methods.method import Method, MethodConfig
from truing.methods.requests import check
from truing.methods.settings import at_depth, given, look_up
from truing.models.arch import Slot
from truing.models.handle import Model
from truing.types import EditRequest

MEMO = "ultraedit"


class UltraEditConfig(MethodConfig):
    """Hyper-parameters; None means: the model's tuned value, or a guess by depth. Where ``gate``,
    ``up`` or ``down`` is given, only the given ones are edited."""

    gate: tuple[int, ...] | None = Field(None, description="layers whose gate projection is edited")
    up: tuple[int, ...] | None = Field(None, description="layers whose up projection is edited")
    down: tuple[int, ...] | None = Field(None, description="layers whose down projection is edited")
    lr: float | None = Field(None, gt=0, description="how far the normalised gradients reach")
    minibatch: int = Field(
        10, ge=1, description="requests whose mean loss is differentiated, longest first"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """A row of the table: published settings, or measured ones for the embedded model."""

    gate: tuple[int, ...] = ()
    up: tuple[int, ...] = ()
    down: tuple[int, ...] = ()
    lr: float = 1e-6


TABLE = {
    "pocket": Tuned(down=(2, 3), lr=1e-2),
    "gpt-j-6b": Tuned(down=tuple(range(18, 27))),
    "llama-3-8b": Tuned(gate=tuple(range(11, 16)), up=tuple(range(18, 25))),
    "mistral-7b": Tuned(down=(29, 30)),
    "qwen2.5-7b": Tuned(gate=tuple(range(18, 27)), up=tuple(range(18, 27))),
}


def guess(n_layers: int) -> Tuned:
    """For models that nobody tuned: the down projections of the last third but the last layer."""
    return Tuned(down=tuple(range(at_depth(n_layers, 0.66), at_depth(n_layers, 1) + 1)))


@dataclass(frozen=True)
class _Plan:
    """Everything that is the same for all requests. ``record`` goes into the origin."""

    slots: tuple[Slot, ...]
    lr: float
    minibatch: int
    record: Mapping[str, Any]


def _plan(model: Model, config: UltraEditConfig) -> _Plan:
    tuned, source = look_up(model, TABLE, guess)
    asked = {"gate": config.gate, "up": config.up, "down": config.down}
    if all(layers is None for layers in asked.values()):
        asked = {"gate": tuned.gate, "up": tuned.up, "down": tuned.down}
    chosen = {kind: tuple(sorted(set(layers or ()))) for kind, layers in asked.items()}
    slots = [_slot(model, kind, layer) for kind, layers in chosen.items() for layer in layers]
    if not slots:
        raise BadInput("no matrix is to be edited", "Name layers in gate, up or down.")
    lr = given(config.lr, tuned.lr)
    record = {
        **config.model_dump(mode="json"),
        **{kind: list(layers) for kind, layers in chosen.items()},
        "lr": lr,
        "settings": source,
    }
    return _Plan(tuple(slots), lr, config.minibatch, record)


def _slot(model: Model, kind: str, layer: int) -> Slot:
    if kind == "down":
        return model.arch.down(layer)
    *gate, up = model.arch.mlp_in(layer)
    if kind == "up":
        return up
    if not gate:
        raise BadInput(
            f"the MLPs of '{model.name}' have no gate projection", "Name layers in up or down."
        )
    return gate[0]


@dataclass(frozen=True)
class _Turn:
    """What one group's answer tokens (N) hand over at every slot."""

    inputs_N_F: tuple[Tensor, ...]
    grads_N_D: tuple[Tensor, ...]


def _turns(model: Model, groups: Sequence[Sequence[EditRequest]], plan: _Plan) -> list[_Turn]:
    """Passes are shared by all groups; the loss is the mean over a minibatch's target tokens."""
    lines = [[answer_line(model.speller, request) for request in group] for group in groups]
    flat = [line for group in lines for line in group]
    seen = iter(gradient_factors(model, plan.slots, flat))
    turns = []
    for group in lines:
        found = [tuple(each.at(line.reads) for each in next(seen)) for line in group]
        order = sorted(range(len(group)), key=lambda i: -len(group[i].ids))
        share = [0.0] * len(group)  # of the minibatch's tokens
        for at in range(0, len(order), plan.minibatch):
            batch = order[at : at + plan.minibatch]
            tokens = sum(len(group[j].reads) for j in batch)
            for i in batch:
                share[i] = len(group[i].reads) / tokens
        per_slot: list[list[Signal]] = [list(each) for each in zip(*found, strict=True)]
        turns.append(
            _Turn(
                tuple(torch.cat([signal.inputs_R_F for signal in each]) for each in per_slot),
                tuple(
                    torch.cat([s * signal.grads_R_D for signal, s in zip(each, share, strict=True)])
                    for each in per_slot
                ),
            )
        )
    return turns


def _name(slot: Slot) -> str:
    return f"{MEMO}.{slot.d_in}x{slot.d_out}"


def normalisers_of(so_far: Intervention) -> dict[str, Normaliser]:
    """The statistics that earlier edits left, by shape."""
    return {
        name.removesuffix(".count"): Normaliser(
            int(count), *so_far.memo[name.removesuffix("count") + "moments"]
        )
        for name, count in so_far.memo.items()
        if name.startswith(f"{MEMO}.") and name.endswith(".count")
    }


def _memo(normalisers: Mapping[str, Normaliser]) -> dict[str, Tensor]:
    memo = {}
    for name, each in normalisers.items():
        memo[f"{name}.count"] = torch.tensor([each.count])
        memo[f"{name}.moments"] = torch.stack([each.mean_W, each.spread_W]).cpu()
    return memo


def learned(normaliser: Normaliser, inputs_N_F: Tensor, grads_N_D: Tensor, lr: float) -> Factors:
    """One matrix's update from what its tokens handed over (the paper's eq. 6 to 8)."""
    both_N_W = normaliser.normalised(torch.cat([inputs_N_F, grads_N_D], 1))
    width = inputs_N_F.shape[1]
    strength_N = lr * both_N_W[:, :width].square().sum(1)
    return shift(inputs_N_F, -strength_N[:, None] * both_N_W[:, width:])


def shift(inputs_N_F: Tensor, values_N_D: Tensor) -> Factors:
    """dW = V^T (H H^T + I)^-1 H, at most F columns of each factor."""
    inputs_N_F, values_N_D = inputs_N_F.double(), values_N_D.double()
    if len(inputs_N_F) > inputs_N_F.shape[1]:  # the same for Q^T H and Q^T V
        turned_N_F, inputs_N_F = torch.linalg.qr(inputs_N_F)
        values_N_D = turned_N_F.T @ values_N_D
    return least_squares(values_N_D.T, inputs_N_F.T, inputs_N_F.T)


def _finished(
    model: Model,
    requests: Sequence[EditRequest],
    config: UltraEditConfig,
    plan: _Plan,
    turn: _Turn,
    before: Intervention,
) -> Intervention:
    """All statistics first, then the updates, as published."""
    normalisers = normalisers_of(before)
    for slot, inputs_N_F, grads_N_D in zip(
        plan.slots, turn.inputs_N_F, turn.grads_N_D, strict=True
    ):
        both_N_W = torch.cat([inputs_N_F, grads_N_D], 1)
        known = normalisers.get(_name(slot), Normaliser.empty(both_N_W.shape[1], like=both_N_W))
        normalisers[_name(slot)] = known.seen(both_N_W)
    parts = []
    for slot, inputs_N_F, grads_N_D in zip(
        plan.slots, turn.inputs_N_F, turn.grads_N_D, strict=True
    ):
        factors = learned(normalisers[_name(slot)], inputs_N_F, grads_N_D, plan.lr)
        delta = LowRank(factors.left.float().cpu(), factors.right.float().cpu())
        if not bool(delta.left.isfinite().all() & delta.right.isfinite().all()):
            raise EditFailed(
                f"the update of '{slot.param}' for request '{requests[0].id}' is not finite",
                "Load the model in float32 or bfloat16.",
            )
        if bool(delta.left.any()):
            parts.append(WeightDelta(slot.param, delta, slot.bounds))
    if not parts:
        warnings.warn(
            f"ultraedit changes nothing for request '{requests[0].id}': the normaliser has seen a "
            "single token, which it has nothing to compare with. Give several facts per call",
            TruingWarning,
            stacklevel=3,
        )
    tokens = {name: each.count for name, each in normalisers.items()}
    origin = Origin.of(
        model,
        "ultraedit",
        {**plan.record, "tokens": tokens},
        requests,
        seeds={"seed": config.seed},
        so_far=before,
    )
    memo = {**before.memo, **_memo(normalisers)}
    return before.then(parts, memo=memo, origin=origin)


def make(
    model: Model,
    requests: Sequence[EditRequest],
    config: UltraEditConfig,
    so_far: Intervention | None = None,
) -> Intervention:
    """All requests in one turn: one pass there and back, one solve per matrix."""
    check(model, requests, "ultraedit", needs_subject=False)
    plan = _plan(model, config)
    before = so_far or Intervention()
    with model.applied(before):
        [turn] = _turns(model, [requests], plan)
    return _finished(model, requests, config, plan, turn, before)


def each(
    model: Model, groups: Sequence[Sequence[EditRequest]], config: UltraEditConfig
) -> list[Intervention]:
    """One turn per group, each with a normaliser of its own; passes are shared."""
    for group in groups:
        check(model, group, "ultraedit", needs_subject=False)
    plan = _plan(model, config)
    return [
        _finished(model, group, config, plan, turn, Intervention())
        for group, turn in zip(groups, _turns(model, groups, plan), strict=True)
    ]


ULTRAEDIT = Method(
    name="ultraedit",
    make=make,
    config=UltraEditConfig,
    summary="a ridge regression on normalised gradients of one backward pass",
    paper="Gu et al. 2025 (UltraEdit)",
    acts_on="weights",
    tunes=("lr",),
    each=each,
)
