"""Control vectors as GGUF files: one layout that llama.cpp, repeng and EasySteer share.

The tensor ``direction.N`` is added to the output of block N (0-based) at every token, with no offset:
Truing's own numbering; GLP keys (:mod:`.glp`) say so, and for which model. llama.cpp's loader (common/common.cpp) takes a file whole or not at all, and
has no place for block 0; repeng leaves block 0 out, EasySteer writes it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from truing.errors import BadInput, CannotLoad, NotPossible
from truing.interventions.interop import gguf, glp
from truing.interventions.interop.additive import added, check_width, only_ops
from truing.interventions.intervention import Intervention

if TYPE_CHECKING:
    from truing.models.handle import Model

ARCHITECTURE = "controlvector"
BASE = "truing.base.weights"
_NAME = re.compile(r"direction\.([0-9]{1,6})")


def export(iv: Intervention, model: Model, file: str | Path, *, drop_block_0: bool = False) -> Path:
    """Write a control vector that llama.cpp loads: what ``iv`` adds, strengths multiplied in.

    Vectors of one block are summed. ``drop_block_0`` leaves out what llama.cpp cannot apply.
    Raises NotPossible, naming the part, for everything that a control vector cannot say.
    """
    only_ops(iv, "a control vector")
    directions = added(iv.ops, "a control vector")
    if drop_block_0:
        directions.pop(0, None)
    if 0 in directions:
        raise NotPossible(
            "llama.cpp refuses a control vector that steers block 0, and this does",
            "Export without block 0 if that is meant, or steer another block.",
        )
    if not directions:
        raise NotPossible("nothing but block 0 is steered", "Steer another block.")
    file = Path(file)
    if file.exists():
        raise BadInput(f"'{file}' exists", "Give a new file.")
    write(file, "add", directions, iv, model)
    return file


def write(
    file: Path, mode: str, directions: Mapping[int, Tensor], iv: Intervention, model: Model
) -> None:
    """Write ``directions`` (block -> (d,)), which come from ``iv``, as they are; ``mode``: what is
    done with them (:data:`.glp.OPS`)."""
    for layer, vector in directions.items():
        check_width(model, layer, vector, "the control vector")
    metadata: dict[str, gguf.Value] = {
        "general.architecture": ARCHITECTURE,
        f"{ARCHITECTURE}.model_hint": str(model.hf.config.model_type),
        f"{ARCHITECTURE}.layer_count": len(directions),
        f"{ARCHITECTURE}.method": iv.origin.method,
        BASE: model.fingerprint,
        "truing.origin": json.dumps(asdict(iv.origin), default=str),
        **glp.keys(mode, directions, iv.origin, model),
    }
    tensors = [(f"direction.{layer}", vector) for layer, vector in directions.items()]
    try:
        gguf.write(file, metadata, tensors)
    except OSError as error:
        raise BadInput(
            f"cannot write '{file}': {error.strerror}", "Choose a place that can be written."
        ) from None


def problem(file: gguf.Gguf, lowest: int = 1) -> str | None:
    """Why llama.cpp refuses the file, in words; ``None``: it takes it.

    ``lowest`` is the first block that there is a place for (EasySteer: 0).
    """
    if not file.tensors:
        return "it holds no tensors"
    for tensor in file.tensors:
        name = _NAME.fullmatch(tensor.name)
        if name is None:
            return f"the tensor '{tensor.name}' is not called direction.N"
        if int(name[1]) < lowest:
            return f"'{tensor.name}' is below direction.{lowest}"
        if tensor.data is None:
            return f"'{tensor.name}' is not float32"
        if len(tensor.shape) != 1:
            return f"'{tensor.name}' has {len(tensor.shape)} dimensions instead of 1"
        if tensor.shape != file.tensors[0].shape:
            return f"'{tensor.name}' and '{file.tensors[0].name}' have different widths"
    return None


def directions_of(file: gguf.Gguf, path: Path) -> list[tuple[int, Tensor]]:
    """The vectors of a control vector file by block, in its order. Raises CannotLoad for others."""
    wrong = problem(file, lowest=0)
    if wrong is None and file.metadata.get("general.architecture") != ARCHITECTURE:
        wrong = f"its general.architecture is not '{ARCHITECTURE}'"
    if wrong is not None:
        raise CannotLoad(f"'{path}' is not a control vector: {wrong}", "Give another file.")
    found = [(int(t.name.removeprefix("direction.")), t.data) for t in file.tensors]
    return [(layer, data) for layer, data in found if data is not None]
