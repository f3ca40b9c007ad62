"""What ``truing train serac`` leaves: ``serac.json`` and ``tensors.safetensors``. Never pickle.

A trained scope, the low-rank adapter that makes the base model the counterfactual model, and in the
header for which weights, with which settings and on which cases they were trained. Loading refuses what is
damaged, newer, or made for another base.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as dump_tensors
from torch import Tensor

from truing.errors import BadInput, TruingError, WrongBase
from truing.headers import HeaderFile
from truing.interventions.intervention import Base, LowRank, WeightDelta
from truing.interventions.scope import WordScope
from truing.methods.mend_checkpoint import training_of, write
from truing.methods.mend_editor import Matrix
from truing.models.handle import Model

FORMAT = "truing-serac"
VERSION = 1
HEADER = "serac.json"
TENSORS = "tensors.safetensors"


class Words(BaseModel):
    """A :class:`~truing.interventions.scope.WordScope` without its tensors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    words: tuple[str, ...]
    unlisted: float
    capital: float
    slopes: tuple[float, float]
    bias: float
    threshold: float


class Header(BaseModel):
    """``serac.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["truing-serac"] = "truing-serac"
    version: Literal[1] = 1
    base: Base
    matrices: tuple[Matrix, ...]
    wording: str
    scope: Words
    step: int = Field(0, description="updates that were made")
    config: dict[str, Any] = Field({}, description="settings of the training, all resolved")
    metrics: dict[str, float] = Field({}, description="means over the validation cases")
    data: dict[str, Any] = Field({}, description="data set, and the ids of its parts")
    versions: dict[str, str] = {}
    tensors_sha256: str = ""


@dataclass(frozen=True, eq=False)
class Trained:
    """A checkpoint in memory: the scope, and the counterfactual model's deltas."""

    header: Header
    scope: WordScope
    inside: tuple[WeightDelta, ...]

    @property
    def facts(self) -> dict[str, Any]:
        """What the origin of an edit records of it."""
        return {
            "base": self.header.base.name,
            "step": self.header.step,
            "training": training_of(self.header.base, self.header.config, self.header.data),
            "sha256": self.header.tensors_sha256,
            "metrics": self.header.metrics,
            "trained_on": len(self.header.data.get("trained_on", ())),
        }


def header_of(scope: WordScope) -> Words:
    return Words(
        words=scope.words,
        unlisted=scope.unlisted,
        capital=scope.capital,
        slopes=scope.slopes,
        bias=scope.bias,
        threshold=scope.threshold,
    )


def save(header: Header, scope: WordScope, factors: Sequence[LowRank], folder: Path) -> Header:
    """Write both files, each in one step; the header is completed with the tensors' hash."""
    tensors = {"scope.weights": scope.weights, "scope.vectors": scope.vectors}
    for number, delta in enumerate(factors):
        tensors |= {f"adapter.{number}.left": delta.left, f"adapter.{number}.right": delta.right}
    blob = dump_tensors({name: t.detach().cpu().contiguous() for name, t in tensors.items()})
    header = header.model_copy(update={"tensors_sha256": hashlib.sha256(blob).hexdigest()})
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / TENSORS, blob)
        write(folder / HEADER, header.model_dump_json(indent=1).encode() + b"\n")
    except OSError as error:
        raise BadInput(
            f"cannot write the editor into '{folder}': {error.strerror}",
            "Choose a folder that can be written.",
        ) from None
    return header


def load(folder: Path) -> Trained:
    """Read once per change of its files. Raises ``CannotLoad``."""
    try:
        stamps = tuple((folder / name).stat().st_mtime_ns for name in (HEADER, TENSORS))
    except OSError:
        return _load(folder)  # says what is wrong
    return _remembered(str(folder.resolve()), stamps)


@lru_cache(maxsize=2)
def _remembered(folder: str, stamps: tuple[int, ...]) -> Trained:
    return _load(Path(folder))


def check_base(model: Model, trained: Trained, folder: Path, *, allow_other_base: bool) -> None:
    """Raise ``WrongBase`` where the checkpoint was made for other weights (unless allowed) or for
    matrices that the model does not have in that shape."""
    header = trained.header
    made_for = f"'{header.base.name}'" if header.base.name else "an unnamed model"
    for matrix in header.matrices:
        if not _fits(model, matrix):
            raise WrongBase(
                f"the editor '{folder}' has a delta of '{matrix.param}' as {matrix.d_in} -> "
                f"{matrix.d_out}; '{model.name}' has no such matrix",
                f"It was trained for {made_for}; train one for this model: truing train serac.",
            )
    if not allow_other_base and header.base.weights != model.fingerprint:
        raise WrongBase(
            f"the editor '{folder}' was trained for {made_for}; '{model.name}' has other weights "
            f"({model.fingerprint[:12]} instead of {header.base.weights[:12]})",
            "Train one for this model (truing train serac), or set allow_other_base if you know "
            "that they match.",
        )


def _fits(model: Model, matrix: Matrix) -> bool:
    try:
        found = model.arch.slot(matrix.param)
        if matrix.rows is not None:
            found = replace(found, rows=slice(*matrix.rows))
        return Matrix.of(found) == matrix
    except TruingError:
        return False


def _load(folder: Path) -> Trained:
    header = _HEADERS.read(folder)
    try:
        blob = (folder / TENSORS).read_bytes()
    except OSError as error:
        raise _HEADERS.damaged(folder, f"{TENSORS}: {error.strerror}") from None
    if hashlib.sha256(blob).hexdigest() != header.tensors_sha256:
        raise _HEADERS.damaged(folder, f"{TENSORS} is not the file that was saved (sha256 differs)")
    try:
        tensors: dict[str, Tensor] = load_tensors(blob)
        scope = WordScope(
            **header.scope.model_dump(),
            weights=tensors["scope.weights"],
            vectors=tensors["scope.vectors"],
        )
        inside = [
            WeightDelta(
                matrix.param,
                LowRank(tensors[f"adapter.{number}.left"], tensors[f"adapter.{number}.right"]),
                matrix.rows,
            )
            for number, matrix in enumerate(header.matrices)
        ]
    except KeyError as error:
        raise _HEADERS.damaged(folder, f"tensor {error} is missing") from None
    except TruingError as error:
        raise _HEADERS.damaged(folder, error.what) from None
    except SafetensorError as error:
        raise _HEADERS.damaged(folder, f"{TENSORS}: {error}") from None
    return Trained(header, scope, tuple(inside))


_HEADERS = HeaderFile(
    HEADER,
    FORMAT,
    VERSION,
    "SERAC editor",
    "truing train serac",
    "MODEL --data FILE --out FOLDER",
    TypeAdapter(Header),
)
