"""Steering vectors that other tools wrote, as interventions. No code in a file runs.

=======  ===================================  ====================================================
suffix   written by                           the vector of layer N acts on
=======  ===================================  ====================================================
.gguf    llama.cpp, repeng, EasySteer         the output of block N
.pt      CAA, EasyEdit2: one bare tensor      the output of block N; N is in the file's name
.svec    IBM's activation-steering (CAST)     the *input* of block N, although it was read at the
                                              output: applied where its own library applies it
=======  ===================================  ====================================================

They are added; a GGUF file may say otherwise by the keys of GLP (:mod:`.glp`).
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from pydantic import BaseModel, ValidationError
from torch import Tensor

from truing.errors import BadInput, CannotLoad, TruingWarning, WrongBase
from truing.interventions.interop import control_vector, gguf, glp
from truing.interventions.interop.additive import EVERYWHERE, check_width
from truing.interventions.intervention import ActivationOp, Intervention, Origin
from truing.models.arch import Site
from truing.models.positions import Positions

if TYPE_CHECKING:
    from truing.models.handle import Model

_LAYER = re.compile(r"(?:^|_)layer_?([0-9]+)")


@dataclass(frozen=True)
class Found:
    """What a file holds: vectors by layer, where they act, and what it tells of itself.

    ``made_for`` is a model type or empty; ``base`` the hash of the weights that it was made for.
    """

    directions: tuple[tuple[int, Tensor], ...]
    site: Site
    convention: str
    made_for: str = ""
    base: str = ""
    told: glp.Told = field(default_factory=glp.Told)


def load(
    file: str | Path,
    model: Model,
    *,
    layer: int | None = None,
    scale: float = 1.0,
    positions: Positions = EVERYWHERE,
) -> Intervention:
    """The vectors of ``file``, added (or as it says) ``scale`` times at ``positions`` (no format
    says where).

    ``layer`` is for a file that does not say it. Raises BadInput or CannotLoad for a file that
    cannot be read or does not fit the model, and WrongBase for one made for other weights.
    """
    path = Path(file)
    if path.suffix not in READERS:
        raise BadInput(
            f"'{path}' has the suffix '{path.suffix}'; vectors come as {', '.join(READERS)}",
            "Name the file as its format is called.",
        )
    found = READERS[path.suffix](path, layer)
    if found.base and found.base != model.fingerprint:
        raise WrongBase(
            f"'{path}' was made for other weights than those of '{model.name}'",
            "Load the model that it was made for.",
        )
    for caution in _cautions(found, model):
        warnings.warn(f"'{path}' {caution}", TruingWarning, stacklevel=2)
    for at, vector in found.directions:
        check_width(model, at, vector, f"'{path}'")
    config = {
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "convention": found.convention,
        "layers": [at for at, _ in found.directions],
        "scale": scale,
        "glp": dict(found.told.facts),
    }
    strength = scale * found.told.strength
    return Intervention(
        tuple(
            ActivationOp(found.site, at, found.told.op, vector, positions, strength)
            for at, vector in found.directions
        ),
        origin=Origin.of(model, "import", config, ()),
    )


def _cautions(found: Found, model: Model) -> Iterator[str]:
    """What a user should know before trusting the vectors on ``model``."""
    model_type = str(model.hf.config.model_type)
    if found.made_for not in ("", model_type):
        yield f"says that it was made for '{found.made_for}'; '{model.name}' is '{model_type}'"
    elif not found.base and (other := glp.other_base(found.told, model)):
        yield other
    yield from found.told.cautions


def _gguf(path: Path, layer: int | None) -> Found:
    _says_its_layers(path, layer)
    file = gguf.read(path)
    directions = control_vector.directions_of(file, path)
    told = glp.read(file, directions, path)
    done = {"add": "added to", "ablate": "projected out of"}[told.op]
    return Found(
        tuple(directions),
        "resid_post",
        f"control vector: direction.N is {done} the output of block N",
        str(file.metadata.get("controlvector.model_hint", "")),
        str(file.metadata.get(control_vector.BASE, "")),
        told,
    )


def _bare(path: Path, layer: int | None) -> Found:
    """One tensor, by torch's weights-only reader, which builds tensors and plain containers alone."""
    named = _LAYER.search(path.stem)
    at = int(named[1]) if named and layer is None else layer
    if at is None:
        raise BadInput(f"'{path}' does not say in its name which layer it is for", "Give a layer.")
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise BadInput(f"cannot read '{path}': {error.strerror}", "Give a tensor file.") from None
    except Exception:  # damaged bytes end in many kinds there
        raise CannotLoad(
            f"'{path}' is no tensor file, or holds more than tensors, which is not read",
            "Save the bare tensor with torch.save.",
        ) from None
    if not isinstance(held, Tensor) or not held.is_floating_point() or held.numel() < 2:
        kind = f"a tensor {tuple(held.shape)}" if isinstance(held, Tensor) else type(held).__name__
        raise CannotLoad(f"'{path}' holds {kind}; a vector is a tensor (d,)", "Save one vector.")
    vector = held.detach().float()
    vector = vector[0] if vector.ndim == 2 and len(vector) == 1 else vector
    return Found(((at, vector),), "resid_post", f"bare tensor, added to the output of block {at}")


class _Svec(BaseModel):
    model_type: str
    directions: dict[int, list[float]]


def _svec(path: Path, layer: int | None) -> Found:
    _says_its_layers(path, layer)
    try:
        held = _Svec.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BadInput(f"cannot read '{path}': {error.strerror}", "Give a .svec file.") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise CannotLoad(
            f"'{path}' is not a .svec file: {where or 'JSON'}: {first['msg']}", "Copy it again."
        ) from None
    return Found(
        tuple((at, torch.tensor(numbers)) for at, numbers in sorted(held.directions.items())),
        "resid_pre",
        "svec: directions N is added to the input of block N, as activation-steering applies it",
        held.model_type,
    )


def _says_its_layers(path: Path, layer: int | None) -> None:
    if layer is not None:
        raise BadInput(f"'{path}' says its own layers", "Leave the layer out.")


READERS: dict[str, Callable[[Path, int | None], Found]] = {
    ".gguf": _gguf,
    ".pt": _bare,
    ".svec": _svec,
}
