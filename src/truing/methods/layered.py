"""What MEMIT, EMMET, AlphaEdit and PMET share: wanted values at one layer, closed by several below.

For every request z is optimised: what the last edited block should put out at the subject's last
token (Meng et al. 2023, section 4.2). Then, from the lowest edited layer up, each layer closes an
equal share of what is still missing, R = (Z - H) / (layers left), with H measured on the weights
edited so far. How a layer turns R and its keys K into dW is the method's own :data:`Close`. PMET
seeks z for the last MLP alone and divides by the root of the layers left (its :class:`Plan` says so).

A key is the mean of the bare prompt's key and the mean key over prefixes. The objective reads the
model's own logits; published code recomputes them from the last block, which is the same.

Shape letters: N requests, C contexts of a request (the bare one first), D hidden width, F width of
the down projection's input.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from truing.errors import BadInput, EditFailed, NotPossible
from truing.interventions.intervention import Intervention, LowRank, Origin, WeightDelta
from truing.methods.kernels import contexts
from truing.methods.kernels.capture import Place, capture
from truing.methods.kernels.lines import essence_line, subject_line, target_line
from truing.methods.kernels.solve import Factors
from truing.methods.kernels.values import Objective, Wanted, Wish, optimise
from truing.methods.method import MethodConfig
from truing.methods.requests import check
from truing.methods.settings import given
from truing.methods.stats import Source
from truing.models.asks import Change
from truing.models.handle import Model
from truing.seeds import Seeds
from truing.types import EditRequest

Close = Callable[[int, Tensor, Tensor], Factors]
"""From a layer, what its share of the values lacks (D, N) and its keys (F, N), both float64, to dW."""


class LayeredConfig(MethodConfig):
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
    kl: float = Field(0.0625, ge=0, description="weight of the KL term that keeps the subject")
    stats: Source = Field("auto", description="second moments: auto or a file (none is refused)")
    allow_other_stats: bool = Field(False, description="take statistics of other weights")
    contexts: tuple[str, ...] | None = Field(
        None, description="prefixes beside the bare prompt; None samples them from the model"
    )
    sampled: tuple[tuple[int, int], ...] | None = Field(
        None, description="(tokens, how many) of the sampled prefixes"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """A row of a method's table: published settings, or measured ones for the embedded model."""

    layers: tuple[int, ...]
    steps: int = 25
    lr: float = 0.5
    weight_decay: float = 1e-3
    clamp: float = 4.0
    sampled: tuple[tuple[int, int], ...] = ((10, 5),)


def guessed_layers(n_layers: int) -> tuple[int, ...]:
    """For models that nobody tuned: an eighth to a quarter of the depth."""
    last = max(n_layers - 2, 0)
    first, top = min(round(0.125 * n_layers), last), min(round(0.25 * n_layers), last)
    return tuple(range(first, top + 1))


@dataclass(frozen=True)
class Plan:
    """Everything that is the same for all requests. ``record`` goes into the origin. z is what
    ``site`` of the last edited layer should put out; a layer closes what is missing divided by the
    number of layers left (``equal``) or its root."""

    layers: tuple[int, ...]
    objective: Objective
    prefixes: tuple[str, ...]
    record: Mapping[str, Any]
    site: Literal["resid_post", "mlp_out"] = "resid_post"
    spreading: Literal["equal", "root"] = "equal"

    @property
    def last(self) -> Place:
        """Where z is."""
        return Place(self.site, self.layers[-1])

    @classmethod
    def of(cls, model: Model, config: LayeredConfig, tuned: Tuned, settings: str) -> Plan:
        """``settings`` says where ``tuned`` came from. Samples prefixes where none are given.

        Raises ``BadInput`` for layers that are not ascending, ``NotPossible`` without statistics.
        """
        if config.stats == "none":
            raise NotPossible(
                "this method weighs new facts against old ones and needs second moments of the old",
                "Use stats='auto', a file of statistics, or rome, which can go without.",
            )
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
        prefixes = config.contexts
        if prefixes is None:
            sampled = given(config.sampled, tuned.sampled)
            prefixes = contexts.sample(model, sampled, Seeds(config.seed).child("contexts"))
        record = {
            **config.model_dump(mode="json"),
            **asdict(objective),
            "layers": list(layers),
            "contexts": list(prefixes),
            "settings": settings,
        }
        return cls(layers, objective, ("", *prefixes), record)


@dataclass(frozen=True)
class Layered:
    """The update of one layer for a group of N requests: keys (F, N) and factors of dW."""

    layer: int
    keys_F_N: Tensor
    factors: Factors


def wishes_of(model: Model, requests: Sequence[EditRequest], plan: Plan) -> list[Wish]:
    """What every request wants of the model: its target under every prefix, its subject kept."""
    speller = model.speller
    return [
        Wish(
            request.id,
            tuple(target_line(speller, request, prefix) for prefix in plan.prefixes),
            essence_line(speller, request),
        )
        for request in requests
    ]


def targets(model: Model, requests: Sequence[EditRequest], plan: Plan) -> list[Wanted]:
    """z for every request, each optimised on its own on the model as it stands."""
    return optimise(model, plan.last, wishes_of(model, requests, plan), plan.objective)


Seek = Callable[[Model, Sequence[EditRequest], Plan], list[Wanted]]
"""How z is found, for every request on its own, on the model as it stands."""


def measure(
    model: Model,
    requests: Sequence[EditRequest],
    plan: Plan,
    layer: int,
    under: Sequence[Change | None],
) -> tuple[Tensor, Tensor]:
    """Keys ``(N, F)`` at ``layer`` and what is put out where z is ``(N, D)``, both at the
    subject's last token, each request under its own change; float32."""
    count = len(plan.prefixes)
    keys, last = Place("mlp_hidden", layer), plan.last
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
    plan: Plan,
    close: Close,
) -> list[list[Layered]]:
    """The layers' updates for every group, groups independent of each other.

    ``wanted`` holds z per request. Each layer sees the updates of the layers below: as side
    branches of the group's rows, so that all groups share their passes.
    """
    flat = [request for group in groups for request in group]
    made: list[list[Layered]] = [[] for _ in groups]
    for number, layer in enumerate(plan.layers):
        steps = [Intervention(parts_of(model, layered)) for layered in made]
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
            left = len(plan.layers) - number
            share = left if plan.spreading == "equal" else math.sqrt(left)
            residual_D_N = missing_N_D.T.double() / share
            keys_F_N = keys_N_F[rows].T.double()
            factors = close(layer, residual_D_N, keys_F_N)
            _refuse_not_finite(group, layer, factors)
            layered.append(Layered(layer, keys_F_N, factors))
    return made


def _refuse_not_finite(group: Sequence[EditRequest], layer: int, factors: Factors) -> None:
    if bool(torch.isfinite(factors.left).all() & torch.isfinite(factors.right).all()):
        return
    names = ", ".join(f"'{request.id}'" for request in group[:3])
    raise EditFailed(
        f"the update of layer {layer} for request(s) {names} is not finite",
        "Raise the method's damping, or load the model in float32.",
    )


def parts_of(model: Model, layered: Sequence[Layered]) -> tuple[WeightDelta, ...]:
    """The updates as weight deltas, float32 on the CPU."""
    parts = []
    for each in layered:
        slot = model.arch.down(each.layer)
        delta = LowRank(each.factors.left.float().cpu(), each.factors.right.float().cpu())
        parts.append(WeightDelta(slot.param, delta, slot.bounds))
    return tuple(parts)


@dataclass(frozen=True)
class Solver:
    """A method of this family on one model: its plan and how it closes a layer."""

    method: str
    plan: Plan
    close: Close
    seed: int
    seek: Seek = targets

    def total(
        self, model: Model, requests: Sequence[EditRequest], before: Intervention
    ) -> Intervention:
        """All requests in one update of every edited layer, on top of ``before``."""
        check(model, requests, self.method, needs_subject=True)
        with model.applied(before):
            wanted = self.seek(model, requests, self.plan)
            values = [w.value_D for w in wanted]
            [layered] = spread(model, [requests], [values], self.plan, self.close)
        return self._finished(model, requests, layered, wanted, before)

    def independent(
        self, model: Model, groups: Sequence[Sequence[EditRequest]]
    ) -> list[Intervention]:
        """One update per group; their optimisations and passes are shared."""
        for group in groups:
            check(model, group, self.method, needs_subject=True)
        wanted = iter(self.seek(model, [r for group in groups for r in group], self.plan))
        found = [[next(wanted) for _ in group] for group in groups]
        values = [[w.value_D for w in each] for each in found]
        made = spread(model, groups, values, self.plan, self.close)
        return [
            self._finished(model, group, layered, each, Intervention())
            for group, layered, each in zip(groups, made, found, strict=True)
        ]

    def _finished(
        self,
        model: Model,
        requests: Sequence[EditRequest],
        layered: Sequence[Layered],
        wanted: Sequence[Wanted],
        before: Intervention,
    ) -> Intervention:
        first = sum(each.nlls[0] for each in wanted) / len(wanted)
        last = sum(each.nlls[-1] for each in wanted) / len(wanted)
        record = {**self.plan.record, "nll": [first, last]}
        seeds = {"seed": self.seed}
        origin = Origin.of(model, self.method, record, requests, seeds=seeds, so_far=before)
        return before.then(parts_of(model, layered), origin=origin)
