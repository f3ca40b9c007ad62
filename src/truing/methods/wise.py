"""WISE: edits in a side weight, met only by prompts that move its activations far enough.

Wang et al. 2024, "WISE: Rethinking the Knowledge Memory for Lifelong Model Editing of Large Language
Models". A copy of one matrix is trained on every edit in turn, through a random mask; a margin loss
drives apart how far it moves the edits' prompts and other text (eq. 6). A prompt whose distance reaches
``ratio`` times the least that an edit's prompts had meets the side weight, others the original (eq. 4).
After ``save_every`` edits a new side weight begins, after ``merge_every`` they merge by TIES.

Which weight answers is decided once, for every row, by its prompt (:class:`Routed`). Published code
decides anew in every pass, by one mean over the whole batch, generated tokens and padding included;
``decides="each-pass"`` is that rule for a row by itself. Published code also divides a target's loss by one
token too many, counts prompt tokens of edits as answers where the other text is the longest row, lets weight decay
move entries outside the mask, and multiplies transposed weights of GPT-2 the wrong way round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from truing.interventions.intervention import (
    ByDistance,
    Dense,
    Intervention,
    Origin,
    Routed,
    WeightDelta,
)
from truing.interventions.routed import Decides
from truing.methods.kernels import contexts
from truing.methods.kernels.lines import Line, answer_line
from truing.methods.kernels.sides import Margins, Side, SideTraining, drawn_mask, ties, train_side
from truing.methods.method import Method, MethodConfig
from truing.methods.neutral import NEUTRAL
from truing.methods.requests import check
from truing.methods.settings import at_depth, given, look_up
from truing.models.arch import Slot
from truing.models.handle import Model
from truing.seeds import Seeds
from truing.types import EditRequest

STARTERS = ("I", "You", "Because", "Yes", "Q:")


class WiseConfig(MethodConfig):
    """Hyper-parameters; None means: the model's tuned value, or a guess by depth."""

    layer: int | None = Field(None, ge=0, description="the layer whose matrix gets side weights")
    module: Literal["up", "down"] | None = Field(
        None,
        description="up: the first projection of the MLP (without a gate: c_fc); down: the last",
    )
    steps: int | None = Field(None, ge=1, description="updates per edit")
    lr: float | None = Field(None, gt=0, description="SGD's step size")
    margins: tuple[float, float, float] | None = Field(
        None,
        description="distances: of other text at most, of edits at least, between them at least",
    )
    ratio: float | None = Field(
        None, gt=0, description="a side weight acts from this share of its edits' least distance on"
    )
    mask: float = Field(0.2, gt=0, le=1, description="share of entries that a side weight trains")
    limit: float = Field(1.0, gt=0, description="largest change of any entry (L-infinity)")
    weight_decay: float = Field(1e-5, ge=0, description="L2 on the entries that are trained")
    save_every: int = Field(500, ge=1, description="edits per side weight")
    merge_every: int | Literal["never"] = Field(
        1000, description="edits after which side weights merge into one, or never"
    )
    density: float = Field(0.53, gt=0, le=1, description="share of entries that TIES keeps")
    contexts: tuple[str, ...] | None = Field(
        None, description="prefixes beside the bare prompt; None samples them from the model"
    )
    sampled: tuple[tuple[int, int], ...] | None = Field(
        None, description="(tokens, how many) of the sampled prefixes"
    )
    irrelevant: tuple[str, ...] | None = Field(
        None, min_length=1, description="text that no edit is about; None: built-in sentences"
    )
    against: int | None = Field(
        None, ge=1, description="how many irrelevant texts each edit is set against"
    )
    decides: Decides = Field(
        "once", description="once: when the prompt is read; each-pass: every token, as published"
    )

    @model_validator(mode="after")
    def _whole_sides(self) -> WiseConfig:
        if self.merge_every != "never" and self.merge_every % self.save_every:
            raise ValueError("merge_every must be a multiple of save_every")
        return self


@dataclass(frozen=True, slots=True)
class Tuned:
    """A row of the table: published settings, or measured ones for the embedded model."""

    layer: int
    module: Literal["up", "down"] = "down"
    steps: int = 70
    lr: float = 1.0
    margins: tuple[float, float, float] = (5.0, 20.0, 10.0)
    ratio: float = 0.88
    sampled: tuple[tuple[int, int], ...] = ((5, 5), (10, 5))
    against: int = 1


TABLE = {
    "pocket": Tuned(layer=2, lr=3.0, ratio=0.29, sampled=((5, 3),)),
    "gpt2-xl": Tuned(layer=8, module="up", steps=40, ratio=0.8),
    "gpt-j-6b": Tuned(layer=21, margins=(15.0, 40.0, 20.0)),
    "llama-2-7b": Tuned(layer=27),
    "llama-3-8b": Tuned(layer=29, steps=30, lr=0.9, margins=(2.0, 20.0, 10.0), ratio=0.5),
    "mistral-7b": Tuned(layer=27),
    "qwen2.5-7b": Tuned(layer=23),
}


def guess(n_layers: int) -> Tuned:
    """For models that nobody tuned: the depth and the settings of the 7B models."""
    return Tuned(at_depth(n_layers, 27 / 32))


def activation_of(model: Model) -> str:
    """The name of the MLP's activation in the model's configuration, else ``gelu``."""
    config = model.hf.config.get_text_config()
    for name in ("hidden_activation", "hidden_act", "activation_function", "activation"):
        if isinstance(value := getattr(config, name, None), str):
            return value
    return "gelu"


@dataclass(frozen=True)
class Memory:
    """Side weights in the making. ``edits`` so far; ``begun``: side weights so far; ``unmerged``:
    complete ones since the last merge; ``open``: the last of ``deltas`` goes on training.
    ``least``: the smallest mean distance of an edit's prompts, per side weight."""

    deltas: tuple[Tensor, ...] = ()
    least: tuple[float, ...] = ()
    edits: int = 0
    begun: int = 0
    unmerged: int = 0
    open: bool = False

    def learned(self, side: Side, config: WiseConfig) -> Memory:
        """With the last side weight trained on one more edit; saved and merged when it is time."""
        deltas, least = [*self.deltas[:-1], side.delta_O_I], [*self.least]
        least[-1] = min(least[-1], side.inside)
        edits, unmerged = self.edits + 1, self.unmerged
        full = edits % config.save_every == 0
        unmerged += full
        due = config.merge_every != "never" and edits % config.merge_every == 0
        if due and unmerged > 1:
            deltas[-unmerged:] = [ties(deltas[-unmerged:], config.density)]
            least[-unmerged:] = [min(least[-unmerged:])]
        unmerged = 0 if due else unmerged
        return Memory(tuple(deltas), tuple(least), edits, self.begun, unmerged, not full)

    def ready(self, slot: Slot) -> Memory:
        """With a side weight that can be trained: the last one, or a new one from the original."""
        if self.open:
            return self
        fresh = torch.zeros(slot.d_out, slot.d_in)
        return Memory(
            (*self.deltas, fresh),
            (*self.least, float("inf")),
            self.edits,
            self.begun + 1,
            self.unmerged,
            True,
        )


@dataclass(frozen=True)
class Wise:
    """WISE on one model: the matrix and the settings."""

    model: Model
    slot: Slot
    layer: int
    training: SideTraining
    ratio: float
    against: int
    prefixes: tuple[str, ...]
    irrelevant: tuple[str, ...]
    config: WiseConfig
    record: dict[str, Any]

    @classmethod
    def of(cls, model: Model, config: WiseConfig) -> Wise:
        tuned, source = look_up(model, TABLE, guess)
        layer, module = given(config.layer, tuned.layer), given(config.module, tuned.module)
        slot = model.arch.down(layer) if module == "down" else model.arch.mlp_in(layer)[-1]
        training = SideTraining(
            steps=given(config.steps, tuned.steps),
            lr=given(config.lr, tuned.lr),
            limit=config.limit,
            margins=Margins(*given(config.margins, tuned.margins)),
            act=activation_of(model),
            decay=config.weight_decay,
        )
        prefixes = config.contexts
        if prefixes is None:
            sampled = given(config.sampled, tuned.sampled)
            seeds = Seeds(config.seed).child("contexts")
            prefixes = contexts.sample(model, sampled, seeds, STARTERS)
        irrelevant = given(config.irrelevant, NEUTRAL)
        ratio, against = given(config.ratio, tuned.ratio), given(config.against, tuned.against)
        record = {
            **config.model_dump(mode="json"),
            "layer": layer,
            "module": module,
            "steps": training.steps,
            "lr": training.lr,
            "margins": list(asdict(training.margins).values()),
            "ratio": ratio,
            "act": training.act,
            "contexts": list(prefixes),
            "irrelevant": list(irrelevant),
            "against": against,
            "settings": source,
        }
        return cls(
            model,
            slot,
            layer,
            training,
            ratio,
            against,
            ("", *prefixes),
            irrelevant,
            config,
            record,
        )

    def mine(self, part: object) -> bool:
        """Whether ``part`` holds the side weights of this matrix."""
        return (
            isinstance(part, Routed)
            and isinstance(part.router, ByDistance)
            and part.alternatives[0][0].param == self.slot.param
        )

    def memory_of(self, before: Intervention) -> Memory:
        """The side weights so far."""
        counts = before.memo.get(f"wise.{self.slot.param}.counts")
        part = next((part for part in before.routed if self.mine(part)), None)
        if counts is None or part is None:
            return Memory()
        deltas = []
        for [each] in part.alternatives:
            assert isinstance(each.delta, Dense)
            deltas.append(each.delta.delta)
        least = before.memo[f"wise.{self.slot.param}.least"].tolist()
        edits, begun, unmerged, is_open = counts.tolist()
        return Memory(tuple(deltas), tuple(least), edits, begun, unmerged, bool(is_open))

    def edit(self, memory: Memory, request: EditRequest) -> tuple[Memory, Side]:
        """One request into the side weight that is being trained."""
        memory = memory.ready(self.slot)
        seeds = Seeds(self.config.seed).child("wise")
        mask = drawn_mask(self.slot, self.config.mask, seeds.child(f"mask-{memory.begun}"))
        speller = self.model.speller
        lines = [answer_line(speller, request, prefix) for prefix in self.prefixes]
        chance = seeds.child(request.id).random()
        texts = chance.sample(self.irrelevant, min(self.against, len(self.irrelevant)))
        others = [Line(tuple(speller.prompt_ids(text))) for text in texts]
        side = train_side(
            self.model,
            self.slot,
            self.layer,
            request.id,
            lines,
            others,
            memory.deltas[-1],
            mask,
            self.training,
        )
        return memory.learned(side, self.config), side

    def finished(
        self,
        memory: Memory,
        sides: Sequence[Side],
        requests: Sequence[EditRequest],
        before: Intervention,
    ) -> Intervention:
        """The total: ``before`` with its side weights of this matrix replaced."""
        others = tuple(part for part in before.parts if not self.mine(part))
        alternatives = tuple(
            (WeightDelta(self.slot.param, Dense(delta, "math"), self.slot.bounds),)
            for delta in memory.deltas
        )
        least = torch.tensor(memory.least)
        routed = Routed(
            alternatives,
            ByDistance(self.training.act, self.ratio * least, self.config.decides),
        )
        counts = [memory.edits, memory.begun, memory.unmerged, int(memory.open)]
        name = f"wise.{self.slot.param}"
        memo = {
            **before.memo,
            f"{name}.counts": torch.tensor(counts),
            f"{name}.least": least,
        }
        record = {
            **self.record,
            "losses": [[side.losses[0], side.losses[-1]] for side in sides],
            "distances": [[side.inside, side.outside] for side in sides],
        }
        seeds = {"seed": self.config.seed}
        origin = Origin.of(self.model, "wise", record, requests, seeds=seeds, so_far=before)
        return Intervention((*others, routed), memo, origin)


def make(
    model: Model,
    requests: Sequence[EditRequest],
    config: WiseConfig,
    so_far: Intervention | None = None,
) -> Intervention:
    """Requests one after the other, as an edit at a time would come in; what other methods left of
    ``so_far`` is in force while they train."""
    check(model, requests, "wise", needs_subject=False)
    before = so_far or Intervention()
    wise = Wise.of(model, config)
    memory, sides = wise.memory_of(before), []
    with model.applied(Intervention(tuple(p for p in before.parts if not wise.mine(p)))):
        for request in requests:
            memory, side = wise.edit(memory, request)
            sides.append(side)
    return wise.finished(memory, sides, requests, before)


WISE = Method(
    name="wise",
    make=make,
    config=WiseConfig,
    summary="side weights of one matrix, met by prompts that move their activations",
    paper="Wang et al. 2024 (WISE)",
    acts_on="activations",
    tunes=("ratio", "lr"),
)
