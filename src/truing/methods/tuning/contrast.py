"""Fine-tuning as a way to steer: an adapter trained on contrast pairs, to be compared with vectors.

``sft`` learns to say the promoted side: the mean negative log-probability of its tokens. ``dpo`` learns
to prefer it to the other: Rafailov et al. 2023, "Direct Preference Optimization", eq. 7,

    -log sigmoid(beta [(log pi(y_w) - log ref(y_w)) - (log pi(y_l) - log ref(y_l))])

where ref is the model that training starts from, whose log-probabilities are computed once. The loss
lets both sides become less likely as long as the promoted one loses less; ``nll`` adds what ``sft``
minimises (Pang et al. 2024, "Iterative Reasoning Preference Optimization", eq. 2) against that.

All pairs of a call train one adapter (Hu et al. 2021, section 4.1) in minibatches that only the seed and
the pairs' texts decide. Sums of log-probabilities are over the tokens that a side has after the prompt
when both are tokenised as one text; an end token is one of them only where ``append_eos`` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pydantic import Field

from truing.interventions.intervention import Intervention, Origin, WeightDelta
from truing.methods.kernels.lines import answer_line
from truing.methods.lora import Target, slots_of
from truing.methods.method import Method, MethodConfig
from truing.methods.requests import check
from truing.methods.settings import given, look_up
from truing.methods.tuning import objectives
from truing.methods.tuning.fitting import Pair, Practice, fit
from truing.methods.tuning.objectives import Objective
from truing.models.handle import Model
from truing.models.sites import Slot
from truing.models.spans import Speller
from truing.seeds import Seeds
from truing.types import EditRequest


class SftConfig(MethodConfig):
    """Hyper-parameters; None means: the model's tuned value, or a guess."""

    rank: int = Field(8, ge=1, description="rank of every delta")
    alpha: float = Field(16.0, gt=0, description="deltas are scaled by alpha / rank")
    targets: tuple[Target, ...] | None = Field(
        None,
        min_length=1,
        description="matrices by what they are; qkv is the whole input projection of attention",
    )
    layers: tuple[int, ...] | None = Field(None, min_length=1, description="None: all layers")
    epochs: int | None = Field(None, ge=1, description="times that every pair is seen")
    lr: float | None = Field(None, gt=0, description="Adam's step size")
    batch_size: int = Field(8, ge=1, description="pairs per update")


class DpoConfig(SftConfig):
    """As :class:`SftConfig`."""

    beta: float = Field(
        0.1, gt=0, description="how soon a gained preference is enough: 1 / nats of margin"
    )
    nll: float = Field(
        0.0, ge=0, description="weight of the promoted side's own loss, nats per token"
    )


@dataclass(frozen=True, slots=True)
class Tuned:
    """A row of a table."""

    targets: tuple[Target, ...]
    epochs: int
    lr: float


EVERYWHERE: tuple[Target, ...] = ("qkv", "o", "up", "down")
SFT_TABLE = {"pocket": Tuned(EVERYWHERE, epochs=5, lr=1e-3)}
DPO_TABLE = {"pocket": Tuned(EVERYWHERE, epochs=5, lr=5e-4)}


def guess(n_layers: int) -> Tuned:
    """For models that nobody tuned: small steps, everywhere."""
    return Tuned(EVERYWHERE, epochs=5, lr=2e-4)


def _promoted(speller: Speller, request: EditRequest) -> Pair:
    return (answer_line(speller, request),)


def _both(speller: Speller, request: EditRequest) -> Pair:
    assert request.target_old is not None
    other = replace(request, target_new=request.target_old)
    return (answer_line(speller, request), answer_line(speller, other))


def _sft(config: SftConfig) -> Objective:
    return objectives.sft


def _dpo(config: DpoConfig) -> Objective:
    return partial(objectives.dpo, beta=config.beta, nll=config.nll)


@dataclass(frozen=True)
class _Kind:
    """What differs between the methods."""

    name: str
    table: Mapping[str, Tuned]
    sides: Callable[[Speller, EditRequest], Pair]
    objective: Callable[[Any], Objective]
    needs_old: bool

    def make(
        self,
        model: Model,
        requests: Sequence[EditRequest],
        config: SftConfig,
        so_far: Intervention | None = None,
    ) -> Intervention:
        """One adapter from all requests together, trained on top of ``so_far``."""
        check(model, requests, self.name, needs_subject=False, needs_old=self.needs_old)
        before = so_far if so_far is not None else Intervention()
        tuned, source = look_up(model, self.table, guess)
        targets = given(config.targets, tuned.targets)
        layers = sorted(set(given(config.layers, tuple(range(model.arch.n_layers)))))
        slots = _slots(model, layers, targets)
        practice = Practice(
            epochs=given(config.epochs, tuned.epochs),
            batch_size=config.batch_size,
            lr=given(config.lr, tuned.lr),
            rank=config.rank,
            scale=config.alpha / config.rank,
        )
        pairs = [self.sides(model.speller, request) for request in requests]
        seeds = Seeds(config.seed).child(self.name)
        with model.applied(before):
            fitted = fit(model, slots, pairs, self.objective(config), practice, seeds)
        record = {
            **config.model_dump(mode="json"),
            "targets": list(targets),
            "layers": layers,
            "epochs": practice.epochs,
            "lr": practice.lr,
            "loss": [fitted.losses[0], fitted.losses[-1]],
            "settings": source,
        }
        parts = [
            WeightDelta(slot.param, factors, slot.bounds)
            for slot, factors in zip(slots, fitted.factors, strict=True)
        ]
        numbers = {"seed": config.seed}
        origin = Origin.of(model, self.name, record, requests, seeds=numbers, so_far=before)
        return before.then(parts, origin=origin)


def _slots(model: Model, layers: Sequence[int], targets: Sequence[Target]) -> list[Slot]:
    """Every matrix once, also where two targets name it."""
    found = [s for layer in layers for name in targets for s in slots_of(model, layer, name)]
    return list({(slot.param, slot.bounds): slot for slot in found}.values())


_SFT = _Kind("sft", SFT_TABLE, _promoted, _sft, needs_old=False)
_DPO = _Kind("dpo", DPO_TABLE, _both, _dpo, needs_old=True)

SFT = Method(
    name=_SFT.name,
    make=_SFT.make,
    config=SftConfig,
    summary="train an adapter on the promoted sides of all pairs together",
    paper="supervised fine-tuning with Hu et al. 2021 (LoRA)",
    acts_on="weights",
    needs_old=_SFT.needs_old,
    tunes=("lr", "epochs"),
)
DPO = Method(
    name=_DPO.name,
    make=_DPO.make,
    config=DpoConfig,
    summary="train an adapter to prefer the promoted side of every pair",
    paper="Rafailov et al. 2023 (DPO)",
    acts_on="weights",
    needs_old=_DPO.needs_old,
    tunes=("lr", "epochs"),
)
