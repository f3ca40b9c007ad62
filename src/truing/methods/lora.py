"""LoRA: low-rank factors beside chosen matrices, fine-tuned on the new answers.

Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models": h = W x + (alpha / r) B A x (eq. 3
and section 4.1), A random, B zero at the start. As an editing baseline: a fixed number of Adam steps on
the target given the prompt, with the settings that Huang et al. 2025, "HalluEditBench" and EasyEdit share.

The factors are trained by :mod:`truing.methods.kernels.factors` on side branches: the live model is never
wrapped and needs no unwrapping, quantised matrices stay as they are, and independent edits train side by
side. From the same start the steps are those of ``peft`` (a test compares them), and the result is
exported to a PEFT adapter as it is, alpha / r folded into B.

What the reference does and Truing does not: it asks for AdaLoRA without its schedule, which is a fixed
rank-12 adapter of another shape scaled by alpha / 12 whatever ``r`` says, and which ``peft`` now refuses
(here: plain LoRA of the declared rank); it never leaves training mode, so that dropout stays on while
answers are measured (here: training only, seeded per edit); in its quantised variant the labels are not
where the targets are. A loss over several requests is the mean of their means, not over all tokens,
so that long targets do not count more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, field_validator

from truing.errors import EditFailed, NotPossible
from truing.interventions.intervention import Intervention, LowRank, Origin, WeightDelta
from truing.methods.kernels.factors import Branches, Practice, train_factors
from truing.methods.kernels.lines import answer_line
from truing.methods.kernels.train import Lesson
from truing.methods.method import Method, MethodConfig
from truing.methods.requests import check
from truing.methods.settings import given, look_up
from truing.models.families import Packing
from truing.models.handle import Model
from truing.models.sites import Slot
from truing.seeds import Seeds
from truing.types import EditRequest

Target = Literal["q", "k", "v", "qkv", "o", "gate", "up", "down"]
RANK, ALPHA, DROPOUT = 8, 32.0, 0.1
"""Published for every model."""


class LoraConfig(MethodConfig):
    """Hyper-parameters; None means: the model's tuned value, or a guess."""

    rank: int = Field(RANK, ge=1, description="rank of every delta")
    alpha: float = Field(ALPHA, gt=0, description="deltas are scaled by alpha / rank")
    targets: tuple[Target, ...] | None = Field(
        None,
        min_length=1,
        description="matrices by what they are; qkv is the whole input projection of attention",
    )
    layers: tuple[int, ...] | None = Field(None, min_length=1, description="None: all layers")
    steps: int | None = Field(None, ge=1, description="epochs over the requests")
    lr: float | None = Field(None, gt=0, description="Adam's step size")
    dropout: float | None = Field(
        None, ge=0, lt=1, description="of the side branches' inputs, while training only"
    )
    weight_decay: float = Field(0.0, ge=0, description="L2 on the factors, in the gradient")
    stop_below: float | None = Field(
        None, ge=0, description="end once an epoch's mean loss (nats) is below; 0: take every step"
    )
    batch_size: int = Field(1, ge=1, description="requests per update")

    @field_validator("targets")
    @classmethod
    def _apart(cls, targets: tuple[Target, ...] | None) -> tuple[Target, ...] | None:
        named = targets or ()
        if len(set(named)) < len(named) or ("qkv" in named and {"q", "k", "v"} & set(named)):
            raise ValueError("a matrix is named twice (qkv holds q, k and v)")
        return targets


@dataclass(frozen=True, slots=True)
class Tuned:
    """A row of the table: published settings, or measured ones for the embedded model."""

    targets: tuple[Target, ...]
    steps: int
    lr: float = 5e-3
    dropout: float = DROPOUT
    stop_below: float = 0.0


_SEVEN_B = Tuned(("q", "v"), steps=70)
TABLE = {
    "pocket": Tuned(("up", "down"), steps=40, lr=1e-3, stop_below=0.05),
    "gpt2-xl": Tuned(("qkv",), steps=30),
    "gpt-j-6b": Tuned(("up", "down"), steps=50),
    "llama-2-7b": _SEVEN_B,
    "llama-3-8b": _SEVEN_B,
    "mistral-7b": _SEVEN_B,
    "qwen2.5-7b": Tuned(("q", "v"), steps=60),
}


def guess(packing: Packing) -> Tuned:
    """For models that nobody tuned: as the 7B models; where heads interleave, the whole projection."""
    return Tuned(("qkv",), steps=70) if packing == "interleaved" else _SEVEN_B


def slots_of(model: Model, layer: int, target: Target) -> tuple[Slot, ...]:
    """The matrices of a layer that ``target`` names."""
    arch = model.arch
    if target == "o":
        return (arch.attn_proj(layer),)
    if target == "down":
        return (arch.down(layer),)
    if target in ("gate", "up"):
        *gate, up = arch.mlp_in(layer)
        if target == "gate" and not gate:
            raise NotPossible(
                f"the MLP of {arch.family.name} has no gate", "Leave it out of targets."
            )
        return (up,) if target == "up" else (gate[0],)
    if target == "qkv":
        if arch.family.packing == "separate":
            return arch.attn_in(layer)
        arch.block(layer)
        return (arch.slot(f"{arch.blocks}.{layer}.{arch.family.attn_in[0]}.weight"),)
    if arch.family.packing == "interleaved":
        raise NotPossible(
            f"{arch.family.name} has no separate query, key and value projections",
            "Use the target qkv, the whole projection.",
        )
    return (arch.attn_in(layer)["qkv".index(target)],)


@dataclass(frozen=True)
class _Plan:
    """Settings resolved for a model."""

    slots: tuple[Slot, ...]
    start: int
    practice: Practice
    record: dict[str, Any]

    @classmethod
    def of(cls, model: Model, config: LoraConfig) -> _Plan:
        tuned, source = look_up(model, TABLE, lambda _: guess(model.arch.family.packing))
        targets = given(config.targets, tuned.targets)
        layers = sorted(set(given(config.layers, tuple(range(model.arch.n_layers)))))
        slots = [s for layer in layers for name in targets for s in slots_of(model, layer, name)]
        practice = Practice(
            epochs=given(config.steps, tuned.steps),
            lr=given(config.lr, tuned.lr),
            rank=config.rank,
            scale=config.alpha / config.rank,
            dropout=given(config.dropout, tuned.dropout),
            decay=config.weight_decay,
            stop_below=given(config.stop_below, tuned.stop_below),
        )
        record = {
            **config.model_dump(mode="json"),
            "targets": list(targets),
            "layers": layers,
            "steps": practice.epochs,
            "lr": practice.lr,
            "dropout": practice.dropout,
            "stop_below": practice.stop_below,
            "settings": source,
        }
        return cls(tuple(slots), layers[0], practice, record)

    def train(
        self, model: Model, groups: Sequence[Sequence[EditRequest]], config: LoraConfig
    ) -> list[Branches]:
        lessons = [_lesson(model, group, config.batch_size) for group in groups]
        seeds = [_seeds(config, group) for group in groups]
        return train_factors(model, self.slots, self.start, lessons, seeds, self.practice)

    def total(
        self,
        model: Model,
        requests: Sequence[EditRequest],
        config: LoraConfig,
        learned: Branches,
        so_far: Intervention,
    ) -> Intervention:
        parts = []
        for slot, (left_D_K, right_F_K) in zip(self.slots, learned.factors, strict=True):
            if not bool(left_D_K.isfinite().all() and right_F_K.isfinite().all()):
                raise EditFailed(
                    f"the factors trained for request '{requests[0].id}' are not finite",
                    "Lower lr or alpha.",
                )
            parts.append(WeightDelta(slot.param, LowRank(left_D_K, right_F_K), slot.bounds))
        record = {**self.record, "nll": [learned.losses[0], learned.losses[-1]]}
        seeds = {"seed": config.seed}
        origin = Origin.of(model, "lora", record, requests, seeds=seeds, so_far=so_far)
        return so_far.then(parts, origin=origin)


def _lesson(model: Model, requests: Sequence[EditRequest], size: int) -> Lesson:
    check(model, requests, "lora", needs_subject=False)
    lines = [answer_line(model.speller, request) for request in requests]
    return Lesson(
        ", ".join(request.id for request in requests[:3]),
        tuple(tuple(lines[at : at + size]) for at in range(0, len(lines), size)),
    )


def _seeds(config: LoraConfig, requests: Sequence[EditRequest]) -> Seeds:
    """Decided by the seed and by what is edited, so that neither order nor company matters."""
    seeds = Seeds(config.seed).child("lora")
    for request in requests:
        seeds = seeds.child(request.id)
    return seeds


def make(
    model: Model,
    requests: Sequence[EditRequest],
    config: LoraConfig,
    so_far: Intervention | None = None,
) -> Intervention:
    """``steps`` times over all requests, ``batch_size`` of them per update.

    After ``so_far`` a further adapter is trained on top of what is there; ranks add up. (The reference
    goes on with the one adapter, with a fresh Adam for every edit.)
    """
    before = so_far if so_far is not None else Intervention()
    with model.applied(before):
        plan = _Plan.of(model, config)
        [learned] = plan.train(model, [requests], config)
    return plan.total(model, requests, config, learned, before)


def each(
    model: Model, groups: Sequence[Sequence[EditRequest]], config: LoraConfig
) -> list[Intervention]:
    """An adapter of its own for every group; adapters are trained side by side."""
    plan = _Plan.of(model, config)
    learned = plan.train(model, groups, config)
    return [
        plan.total(model, group, config, own, Intervention())
        for group, own in zip(groups, learned, strict=True)
    ]


LORA = Method(
    name="lora",
    make=make,
    config=LoraConfig,
    summary="train low-rank factors beside chosen matrices",
    paper="Hu et al. 2021 (LoRA)",
    acts_on="weights",
    tunes=("lr", "steps"),
    each=each,
)
