"""How a MEND editor is trained: settings, their published values per model, and guesses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from truing.errors import BadInput, UnknownName
from truing.methods.context import telling
from truing.methods.mend_editor import Matrix, automatic_rank
from truing.methods.settings import look_up
from truing.models.arch import Slot
from truing.models.handle import Model


class MendTraining(BaseModel):
    """Settings; None means: the model's published or measured value, or a guess."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layers: tuple[int, ...] | None = Field(
        None, min_length=1, description="edited layers; the last three where nobody chose"
    )
    matrices: Literal["mlp", "down"] = Field(
        "mlp", description="mlp: all of the MLP's matrices; down: its output projection only"
    )
    rank: int | None = Field(None, ge=1, description="rank of the network's two layers")
    alpha: float | None = Field(None, gt=0, description="where every matrix's step size starts")
    lr: float | None = Field(None, gt=0, description="Adam's step size for the networks")
    alpha_lr: float | None = Field(None, gt=0, description="Adam's step size for alpha")
    steps: int | None = Field(None, ge=1, description="updates at most")
    batch: int | None = Field(None, ge=1, description="edits of a pass, each on its own copy")
    accumulate: int | None = Field(None, ge=1, description="passes of an update")
    edits: int = Field(1, ge=1, description="requests of one edit; as many as edits will have")
    rephrases: int = Field(1, ge=0, description="rephrases per edit that its loss is read on")
    unrelated: int = Field(2, ge=0, description="the case's own locality prompts per edit")
    others: int = Field(1, ge=0, description="prompts of other cases per edit that should stay")
    wording: str | None = Field(
        None, description="text whose gradient makes the edit; its fields and tags, or the request"
    )
    edit_weight: float | None = Field(None, gt=0, description="weight of the edit loss (c_edit)")
    locality_weight: float = Field(1.0, ge=0, description="weight of KL(base || edited) (c_loc)")
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
    seed: int = Field(0, description="decides the split, the network's start and every draw")

    @field_validator("wording")
    @classmethod
    def _names_what_is_wanted(cls, wording: str | None) -> str | None:
        return None if wording is None else telling(wording)


def parse(values: Mapping[str, Any]) -> MendTraining:
    """Raises ``UnknownName`` for a setting that does not exist, ``BadInput`` for a bad value."""
    fields = MendTraining.model_fields
    for key in values:
        if key not in fields:
            raise UnknownName("setting of a MEND training", key, fields)
    try:
        return MendTraining.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise BadInput(
            f"setting '{name}' is {first['input']!r}: {first['msg']}",
            f"{name}: {fields[name].description}.",
        ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """A row of the table: published settings, or measured ones for the embedded model. No layers
    means the last three; no rank, the automatic one. Steps are updates: the published code counts
    edits, of which ten make an update."""

    layers: tuple[int, ...] = ()
    rank: int | None = None
    alpha: float = 1e-4
    lr: float = 1e-6
    alpha_lr: float = 1e-4
    steps: int = 50_000
    batch: int = 1
    accumulate: int = 10
    edit_weight: float = 0.1
    validate_every: int = 500
    patience: int = 2_000


_PUBLISHED = Tuned()
TABLE = {
    "pocket": Tuned(  # 2 min 40 s on one core; 192 unseen requests: efficacy .95, locality .97
        layers=(2, 3, 4),
        rank=64,
        alpha=2e-3,
        lr=2e-4,
        alpha_lr=1e-4,
        steps=300,
        batch=10,
        accumulate=1,
        edit_weight=0.3,
        validate_every=50,
        patience=150,
    ),
    "gpt2-xl": replace(_PUBLISHED, layers=(45, 46, 47)),
    "gpt-j-6b": replace(_PUBLISHED, layers=(25, 26, 27)),
    "llama-2-7b": replace(_PUBLISHED, layers=(29, 30, 31)),
    "llama-3-8b": replace(_PUBLISHED, layers=(29, 30, 31)),
    "mistral-7b": replace(_PUBLISHED, layers=(29, 30, 31)),
    "qwen2.5-7b": replace(_PUBLISHED, layers=(25, 26, 27)),
}


def guess(n_layers: int) -> Tuned:
    """For models that nobody tuned: the published settings at the last three layers."""
    return _PUBLISHED


@dataclass(frozen=True)
class Settings:
    """Everything resolved for one model. ``record`` is JSON-like and goes into the checkpoint."""

    chosen: MendTraining
    slots: tuple[Slot, ...]
    layers: tuple[int, ...]
    rank: int
    alpha: float
    lr: float
    alpha_lr: float
    steps: int
    batch: int
    accumulate: int
    edit_weight: float
    validate_every: int
    patience: int
    source: str

    @classmethod
    def of(cls, model: Model, chosen: MendTraining) -> Settings:
        """Raises ``BadInput`` for layers that are not there, ``NotPossible`` for experts."""
        tuned, source = look_up(model, TABLE, guess)
        n = model.arch.n_layers
        layers = chosen.layers or tuned.layers or tuple(range(max(0, n - 3), n))
        if list(layers) != sorted(set(layers)):
            raise BadInput(f"layers are {list(layers)}", "Give each layer once, ascending.")
        slots = tuple(s for layer in layers for s in matrices_of(model, layer, chosen.matrices))
        values = {k: v for k, v in asdict(tuned).items() if k not in ("layers", "rank")}
        values |= {k: v for k in values if (v := getattr(chosen, k)) is not None}
        rank = chosen.rank or tuned.rank
        if rank is None:
            rank = max(automatic_rank(slot.d_in, slot.d_out) for slot in slots)
        return cls(chosen, slots, layers, rank, source=source, **values)

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        return tuple(Matrix.of(slot) for slot in self.slots)

    @property
    def record(self) -> dict[str, Any]:
        resolved = {
            name: getattr(self, name) for name in Tuned.__dataclass_fields__ if name != "layers"
        }
        return {
            **self.chosen.model_dump(mode="json"),
            **resolved,
            "layers": list(self.layers),
            "settings": self.source,
        }


def matrices_of(model: Model, layer: int, which: Literal["mlp", "down"]) -> tuple[Slot, ...]:
    """The matrices of one layer that are edited."""
    down = model.arch.down(layer)
    return (down,) if which == "down" else (*model.arch.mlp_in(layer), down)
