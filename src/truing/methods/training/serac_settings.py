"""How a SERAC editor is trained: settings, their published values per model, and guesses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from truing.errors import BadInput, UnknownName
from truing.methods.context import telling
from truing.methods.lora import Target, guess, slots_of
from truing.methods.mend_editor import Matrix
from truing.methods.serac import WORDING
from truing.methods.settings import given, look_up
from truing.models.arch import Slot
from truing.models.handle import Model

FRAMES = ("{}", "Please answer the question:\n\nQ: {}\nA:", "Question: {}\nAnswer:")


class SeracTraining(BaseModel):
    """Settings; None means: the model's measured value, or a guess."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layers: tuple[int, ...] | None = Field(
        None, min_length=1, description="layers that the adapter changes; None: all"
    )
    targets: tuple[Target, ...] | None = Field(
        None, min_length=1, description="matrices of the adapter by what they are"
    )
    rank: int = Field(8, ge=1, description="rank of the adapter")
    lr: float | None = Field(None, gt=0, description="Adam's step size for the adapter")
    scope_lr: float = Field(0.1, gt=0, description="Adam's step size for the scope")
    kinship: int = Field(16, ge=1, description="width of a word's vector in the scope")
    steps: int | None = Field(None, ge=1, description="updates at most")
    batch: int | None = Field(None, ge=1, description="edits of a pass")
    accumulate: int | None = Field(None, ge=1, description="passes of an update")
    rephrases: int = Field(1, ge=0, description="rephrases per edit that the adapter answers")
    unrelated: int = Field(1, ge=0, description="the case's locality prompts per edit that should "
                           "stay although the edit is told")  # fmt: skip
    neighbours: int = Field(
        8, ge=0, description="prompts of the most similar other cases per edit, out of its scope"
    )
    frames: tuple[str, ...] = Field(
        FRAMES, min_length=1, description="how questions are dressed; {} is the prompt"
    )
    wording: str = Field(WORDING, description="how an edit is told; its fields and tags")
    edit_weight: float | None = Field(
        None, gt=0, description="weight of the adapter's loss (c_edit)"
    )
    locality_weight: float = Field(
        1.0, ge=0, description="weight of KL(base || adapter) on unrelated prompts"
    )
    scope_weight: float = Field(1.0, gt=0, description="weight of the scope's loss (c_loc)")
    clip: float = Field(100.0, gt=0, description="largest norm of an update's gradient")
    validate_every: int | None = Field(None, ge=1, description="updates between validations")
    validate_on: int = Field(500, ge=1, description="validation cases at most")
    patience: int | None = Field(
        None, ge=1, description="stop after so many updates without a better validation loss"
    )
    keep_every: int | None = Field(
        None,
        ge=1,
        description="updates after which the editor as it is then is kept, again and again",
    )
    validation: float = Field(0.1, gt=0, lt=1, description="share of subjects to validate on")
    held_out: float = Field(0.2, ge=0, lt=1, description="share of subjects that stay unseen")
    seed: int = Field(0, description="decides the split, the start and every draw")

    @field_validator("frames")
    @classmethod
    def _hold_the_prompt(cls, frames: tuple[str, ...]) -> tuple[str, ...]:
        if not all(frame.count("{}") == 1 for frame in frames):
            raise ValueError("every frame holds {} once")
        return frames

    @field_validator("wording")
    @classmethod
    def _names_what_is_wanted(cls, wording: str) -> str:
        return telling(wording)


def parse(values: Mapping[str, Any]) -> SeracTraining:
    """Raises ``UnknownName`` for a setting that does not exist, ``BadInput`` for a bad value."""
    fields = SeracTraining.model_fields
    for key in values:
        if key not in fields:
            raise UnknownName("setting of a SERAC training", key, fields)
    try:
        return SeracTraining.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise BadInput(
            f"setting '{name}' is {first['input']!r}: {first['msg']}",
            f"{name}: {fields[name].description}.",
        ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """A row of the table. Published (Mitchell et al. 2022, appendix): Adam at 1e-5 for whole small
    models, batch 10, accumulation 10, c_edit 0.1; an adapter takes larger steps."""

    targets: tuple[Target, ...] = ()
    lr: float = 1e-4
    steps: int = 5_000
    batch: int = 10
    accumulate: int = 10
    edit_weight: float = 0.1
    validate_every: int = 250
    patience: int = 1_500


TABLE = {
    "pocket": Tuned(
        targets=("q", "k", "v", "o", "up", "down"),
        lr=2e-3,
        steps=300,
        batch=8,
        accumulate=1,
        edit_weight=1.0,
        validate_every=50,
        patience=150,
    )
}


@dataclass(frozen=True)
class Settings:
    """Everything resolved for one model. ``record`` is JSON-like and goes into the checkpoint."""

    chosen: SeracTraining
    slots: tuple[Slot, ...]
    layers: tuple[int, ...]
    tuned: Tuned
    source: str

    @classmethod
    def of(cls, model: Model, chosen: SeracTraining) -> Settings:
        """Raises ``BadInput`` for layers that are not there or not in order."""
        row, source = look_up(model, TABLE, lambda _: Tuned())
        values = asdict(row)
        values |= {k: v for k in values if (v := getattr(chosen, k)) is not None}
        values["targets"] = values["targets"] or guess(model.arch.family.packing).targets
        layers = given(chosen.layers, tuple(range(model.arch.n_layers)))
        if list(layers) != sorted(set(layers)):
            raise BadInput(f"layers are {list(layers)}", "Give each layer once, ascending.")
        slots = (
            s for layer in layers for t in values["targets"] for s in slots_of(model, layer, t)
        )
        return cls(chosen, tuple(slots), layers, Tuned(**values), source)

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        return tuple(Matrix.of(slot) for slot in self.slots)

    @property
    def record(self) -> dict[str, Any]:
        resolved = {**asdict(self.tuned), "targets": list(self.tuned.targets)}
        return {
            **self.chosen.model_dump(mode="json"),
            **resolved,
            "layers": list(self.layers),
            "settings": self.source,
        }
