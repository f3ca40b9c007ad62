"""A trained MEND editor on disk: ``mend.json`` and ``tensors.safetensors``. Never pickle.

The header says for which weights, matrices and shapes the editor was made, with which settings, how
good it was on its validation cases, and which cases it was trained on, so that it can be measured
on others. Loading refuses what is damaged, newer, or made for another base.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as dump_tensors

from truing.errors import BadInput, TruingError, WrongBase
from truing.headers import HeaderFile
from truing.interventions.intervention import Base
from truing.methods.mend_editor import Editor, Matrix
from truing.models.arch import Slot
from truing.models.handle import Model

FORMAT = "truing-mend"
VERSION = 1
HEADER = "mend.json"
TENSORS = "tensors.safetensors"


class Header(BaseModel):
    """``mend.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["truing-mend"] = "truing-mend"
    version: Literal[1] = 1
    base: Base
    matrices: tuple[Matrix, ...]
    rank: int
    wording: str | None = Field(None, description="how an edit is told; None: prompt and target")
    step: int = Field(0, description="updates that were made")
    config: dict[str, Any] = Field({}, description="settings of the training, all resolved")
    metrics: dict[str, float] = Field({}, description="means over the validation cases")
    data: dict[str, Any] = Field({}, description="data set, and the ids of its parts")
    versions: dict[str, str] = {}
    tensors_sha256: str = ""


def save(editor: Editor, header: Header, folder: Path) -> Header:
    """Write both files, each in one step; the header is completed with the tensors' hash."""
    blob = dump_tensors(
        {name: t.detach().cpu().contiguous() for name, t in editor.state_dict().items()}
    )
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


def load(folder: Path) -> tuple[Editor, Header]:
    """A trained editor. Read once per change of its files. Raises ``CannotLoad``."""
    try:
        stamps = tuple((folder / name).stat().st_mtime_ns for name in (HEADER, TENSORS))
    except OSError:
        return _load(folder)  # says what is wrong
    return _remembered(str(folder.resolve()), stamps)


@lru_cache(maxsize=2)
def _remembered(folder: str, stamps: tuple[int, ...]) -> tuple[Editor, Header]:
    return _load(Path(folder))


def slots_for(
    model: Model, header: Header, folder: Path, *, allow_other_base: bool = False
) -> list[Slot]:
    """The matrices of ``header`` on ``model``. Raises ``WrongBase`` where the editor was made for
    other weights (unless allowed) or for matrices that the model does not have in that shape."""
    made_for = f"'{header.base.name}'" if header.base.name else "an unnamed model"
    slots = []
    for matrix in header.matrices:
        try:
            found = model.arch.slot(matrix.param)
            if matrix.rows is not None:
                found = replace(found, rows=slice(*matrix.rows))
            fits = Matrix.of(found) == matrix
        except TruingError:
            fits = False
        if not fits:
            raise WrongBase(
                f"the editor '{folder}' edits '{matrix.param}' as {matrix.d_in} -> {matrix.d_out}; "
                f"'{model.name}' has no such matrix",
                f"It was trained for {made_for}; train one for this model: truing train mend.",
            )
        slots.append(found)
    if not allow_other_base and header.base.weights != model.fingerprint:
        raise WrongBase(
            f"the editor '{folder}' was trained for {made_for}; '{model.name}' has other weights "
            f"({model.fingerprint[:12]} instead of {header.base.weights[:12]})",
            "Train one for this model (truing train mend), or set allow_other_base if you know "
            "that they match.",
        )
    return slots


def _load(folder: Path) -> tuple[Editor, Header]:
    header = _HEADERS.read(folder)
    try:
        blob = (folder / TENSORS).read_bytes()
    except OSError as error:
        raise _HEADERS.damaged(folder, f"{TENSORS}: {error.strerror}") from None
    if hashlib.sha256(blob).hexdigest() != header.tensors_sha256:
        raise _HEADERS.damaged(folder, f"{TENSORS} is not the file that was saved (sha256 differs)")
    editor = Editor(header.matrices, rank=header.rank)
    try:
        editor.load_state_dict(load_tensors(blob))
    except (SafetensorError, RuntimeError) as error:
        raise _HEADERS.damaged(
            folder, f"{TENSORS}: {str(error).splitlines()[-1].strip()}"
        ) from None
    return editor.eval().requires_grad_(False), header


def write(path: Path, content: bytes) -> None:
    """Replace ``path`` in one step."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def training_of(base: Base, config: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    """Names the training of an editor: its checkpoints share it, however far they are and it went."""
    same = {name: value for name, value in config.items() if name != "steps"}
    text = json.dumps([base.weights, same, data], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def facts(header: Header) -> Mapping[str, Any]:
    """What the origin of an edit records of its editor."""
    return {
        "base": header.base.name,
        "step": header.step,
        "training": training_of(header.base, header.config, header.data),
        "sha256": header.tensors_sha256,
        "metrics": header.metrics,
        "trained_on": len(header.data.get("trained_on", ())),
    }


_HEADERS = HeaderFile(
    HEADER,
    FORMAT,
    VERSION,
    "MEND editor",
    "truing train mend",
    "MODEL --data FILE --out FOLDER",
    TypeAdapter(Header),
)
