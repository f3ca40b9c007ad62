"""Interventions on disk: ``intervention.json`` and ``tensors.safetensors``. Never pickle.

Loading refuses what it cannot vouch for: another base model (unless told), unknown parts or ops,
shapes that do not fit, a newer format, tensors that are missing or not the ones that were saved.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as dump_tensors
from torch import Tensor

from truing.errors import BadInput, CannotLoad, NotPossible, TruingError, WrongBase
from truing.interventions import op_headers
from truing.interventions.conditional import Conditional
from truing.interventions.fit import (
    Fit,
    check_codebook,
    check_conditional,
    check_routed,
    check_vector,
)
from truing.interventions.intervention import Base, Intervention, Origin
from truing.interventions.op_headers import ConditionalPart, OpPart
from truing.interventions.ops import OPS
from truing.interventions.parts import (
    ActivationOp,
    Codebook,
    Dense,
    LowRank,
    Orientation,
    Part,
    PromptPrefix,
    WeightDelta,
)
from truing.interventions.routed import Decides, Routed
from truing.interventions.routed_header import RoutedPart, join, split
from truing.interventions.scope import SentenceScope, WordScope
from truing.interventions.scoped import Remembered, Scoped

if TYPE_CHECKING:
    from truing.models.subject import Subject

FORMAT = "truing-intervention"
VERSION = 1
HEADER = "intervention.json"
TENSORS = "tensors.safetensors"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LowRankPart(_Strict):
    kind: Literal["low-rank"] = "low-rank"
    param: str
    rows: tuple[int, int] | None = None


class DensePart(_Strict):
    kind: Literal["dense"] = "dense"
    param: str
    rows: tuple[int, int] | None = None
    orientation: Orientation = "stored"


class CodebookPart(_Strict):
    kind: Literal["codebook"] = "codebook"
    param: str
    decides: Decides = "once"


class PrefixPart(_Strict):
    kind: Literal["prompt-prefix"] = "prompt-prefix"
    text: str
    role: Literal["user", "system"] = "user"


class WordScopePart(_Strict):
    kind: Literal["words"] = "words"
    words: tuple[str, ...]
    unlisted: float
    capital: float
    slopes: tuple[float, float]
    bias: float
    threshold: float


class SentenceScopePart(_Strict):
    kind: Literal["sentences"] = "sentences"
    encoder: str
    threshold: float


class ScopedPart(_Strict):
    kind: Literal["scoped"] = "scoped"
    scope: Annotated[WordScopePart | SentenceScopePart, Field(discriminator="kind")]
    edits: tuple[Remembered, ...]
    inside: tuple[LowRankPart, ...] = ()


Written = (
    LowRankPart
    | DensePart
    | OpPart
    | ConditionalPart
    | CodebookPart
    | RoutedPart
    | PrefixPart
    | ScopedPart
)
KINDS = {str(written.model_fields["kind"].default) for written in get_args(Written)}
AnyPart = Annotated[Written, Field(discriminator="kind")]


class Header(_Strict):
    """``intervention.json``. Tensors are named ``parts.<index>.<role>`` and ``memo.<name>``."""

    format: Literal["truing-intervention"] = "truing-intervention"
    version: Literal[1] = 1
    id: str
    parts: tuple[AnyPart, ...]
    memo: tuple[str, ...] = ()
    origin: Origin
    tensors_sha256: str


def save(iv: Intervention, folder: str | Path) -> Path:
    """Write ``iv`` into ``folder`` (made if needed); each file is replaced in one step."""
    parts: list[Written] = []
    tensors = {f"memo.{name}": tensor for name, tensor in iv.memo.items()}
    for at, part in enumerate(iv.parts):
        kind, named = _split(part)
        parts.append(kind)
        tensors |= {f"parts.{at}.{role}": tensor for role, tensor in named.items()}
    blob = dump_tensors({k: t.detach().cpu().contiguous().clone() for k, t in tensors.items()})
    header = Header(
        id=iv.id,
        parts=tuple(parts),
        memo=tuple(iv.memo),
        origin=iv.origin,
        tensors_sha256=hashlib.sha256(blob).hexdigest(),
    )
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(folder / TENSORS, blob)
        _replace(folder / HEADER, header.model_dump_json(indent=1).encode() + b"\n")
    except OSError as error:
        raise BadInput(
            f"cannot write the intervention into '{folder}': {error.strerror}",
            "Choose a folder that can be written.",
        ) from None
    return folder


def load(
    folder: str | Path, model: Subject | None = None, *, allow_other_base: bool = False
) -> Intervention:
    """Read an intervention; with ``model``, also check that it was made for it and fits it."""
    folder = Path(folder)
    header = _header(folder)
    tensors = _tensors(folder, header)
    try:
        iv = Intervention(
            tuple(_join(part, at, tensors) for at, part in enumerate(header.parts)),
            {name: tensors[f"memo.{name}"] for name in header.memo},
            header.origin,
        )
    except KeyError as error:
        raise _damaged(folder, f"tensor {error} is missing") from None
    except TruingError as error:
        raise _damaged(folder, error.what) from None
    if iv.id != header.id:
        raise _damaged(folder, "its parts are not the ones that were saved")
    if model is not None and not iv.prompt_only:
        _check_base(iv, model, folder, allow_other_base)
        try:
            Fit(model.arch).targets(iv.weights)
            for op in iv.ops:
                check_vector(model.arch, op)
            for waiting in iv.conditional:
                check_conditional(model.arch, waiting)
            for memory in iv.scoped:
                Fit(model.arch).targets(memory.inside)
            for book in iv.codebooks:
                check_codebook(model.arch, book)
            for part in iv.routed:
                check_routed(Fit(model.arch), part)
        except NotPossible:
            raise
        except TruingError as error:
            raise CannotLoad(
                f"the intervention '{folder}' does not fit '{model.name}': {error.what}",
                f"It was made for {_name(iv.origin.base)}.",
            ) from None
    return iv


def _check_base(iv: Intervention, model: Subject, folder: Path, allowed: bool) -> None:
    base = iv.origin.base
    if allowed or not base.weights or base.weights == model.fingerprint:
        return
    raise WrongBase(
        f"the intervention '{folder}' was made for {_name(base)}; '{model.name}' has other weights "
        f"({model.fingerprint[:12]} instead of {base.weights[:12]})",
        "Load the model that it was made for, or allow another base if you know that they match.",
    )


def _name(base: Base) -> str:
    revision = f" @ {base.revision}" if base.revision else ""
    return f"'{base.name}'{revision}" if base.name else "an unnamed model"


def _header(folder: Path) -> Header:
    try:
        raw = json.loads((folder / HEADER).read_bytes())
    except FileNotFoundError:
        raise CannotLoad(
            f"'{folder}' holds no intervention ({HEADER} is missing)",
            "Give the folder that `save` wrote.",
        ) from None
    except OSError as error:
        raise CannotLoad(f"cannot read '{folder / HEADER}': {error.strerror}", None) from None
    except ValueError:
        raise _damaged(folder, f"{HEADER} is not complete JSON") from None
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise CannotLoad(
            f"'{folder / HEADER}' is not an intervention (no format '{FORMAT}')",
            "Give the folder that `save` wrote.",
        )
    version = raw.get("version")
    if isinstance(version, int) and version > VERSION:
        raise CannotLoad(
            f"the intervention '{folder}' has format version {version}; "
            f"this Truing reads up to {VERSION}",
            "Install a newer Truing.",
        )
    parts = raw.get("parts")
    for part in parts if isinstance(parts, list) else ():
        kind = part.get("kind") if isinstance(part, dict) else None
        if kind not in KINDS:
            raise _unknown(folder, "part", kind, KINDS)
        ops = {"activation-op": [part], "conditional": part.get("ops")}.get(kind) or []
        for name in (op.get("op") for op in ops if isinstance(op, dict)):
            if name not in OPS:
                raise _unknown(folder, "activation op", name, set(OPS))
    try:
        return _HEADERS.validate_python(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise _damaged(folder, f"{HEADER}: {where}: {first['msg']}") from None


def _tensors(folder: Path, header: Header) -> dict[str, Tensor]:
    try:
        blob = (folder / TENSORS).read_bytes()
    except FileNotFoundError:
        raise _damaged(folder, f"{TENSORS} is missing") from None
    except OSError as error:
        raise CannotLoad(f"cannot read '{folder / TENSORS}': {error.strerror}", None) from None
    if hashlib.sha256(blob).hexdigest() != header.tensors_sha256:
        raise _damaged(folder, f"{TENSORS} is not the file that was saved (sha256 differs)")
    try:
        tensors: dict[str, Tensor] = load_tensors(blob)
    except SafetensorError as error:
        raise _damaged(folder, f"{TENSORS}: {error}") from None
    return tensors


def _damaged(folder: Path, why: str) -> CannotLoad:
    return CannotLoad(
        f"the intervention '{folder}' is damaged: {why}", "Copy both of its files again."
    )


def _unknown(folder: Path, kind: str, name: Any, known: set[str]) -> CannotLoad:
    return CannotLoad(
        f"the intervention '{folder}' has the unknown {kind} '{name}'",
        f"Known: {', '.join(sorted(known))}. A newer Truing or a plugin may read it.",
    )


def _split(part: Part) -> tuple[Written, dict[str, Tensor]]:
    if isinstance(part, PromptPrefix):
        return PrefixPart(text=part.text, role=part.role), {}
    if isinstance(part, Scoped):
        return _split_scoped(part)
    if isinstance(part, Codebook):
        named = {"keys": part.keys, "values": part.values, "radii": part.radii}
        return CodebookPart(param=part.param, decides=part.decides), named
    if isinstance(part, Routed):
        return split(part)
    if isinstance(part, ActivationOp):
        return op_headers.op_header(part), part.tensors
    if isinstance(part, Conditional):
        return op_headers.split(part)
    delta = part.delta
    if isinstance(delta, LowRank):
        named = {"left": delta.left, "right": delta.right}
        return LowRankPart(param=part.param, rows=part.rows), named
    dense = DensePart(param=part.param, rows=part.rows, orientation=delta.orientation)
    return dense, {"delta": delta.delta}


def _split_scoped(part: Scoped) -> tuple[ScopedPart, dict[str, Tensor]]:
    scope, named = part.scope, {}
    about: WordScopePart | SentenceScopePart
    if isinstance(scope, WordScope):
        named = {"scope.weights": scope.weights, "scope.vectors": scope.vectors}
        about = WordScopePart(
            words=scope.words,
            unlisted=scope.unlisted,
            capital=scope.capital,
            slopes=scope.slopes,
            bias=scope.bias,
            threshold=scope.threshold,
        )
    else:
        about = SentenceScopePart(encoder=scope.encoder, threshold=scope.threshold)
    inside = []
    for number, delta in enumerate(part.inside):
        header, tensors = _split(delta)
        assert isinstance(header, LowRankPart)
        inside.append(header)
        named |= {f"inside.{number}.{role}": tensor for role, tensor in tensors.items()}
    return ScopedPart(scope=about, edits=part.edits, inside=tuple(inside)), named


def _join(part: Written, at: int, tensors: dict[str, Tensor]) -> Part:
    def tensor(role: str) -> Tensor:
        return tensors[f"parts.{at}.{role}"]

    if isinstance(part, PrefixPart):
        return PromptPrefix(part.text, part.role)
    if isinstance(part, ScopedPart):
        scope: WordScope | SentenceScope
        if isinstance(part.scope, WordScopePart):
            facts = part.scope.model_dump(exclude={"kind"})
            scope = WordScope(
                weights=tensor("scope.weights"), vectors=tensor("scope.vectors"), **facts
            )
        else:
            scope = SentenceScope(part.scope.encoder, part.scope.threshold)
        inside = []
        for number, each in enumerate(part.inside):
            left, right = (tensor(f"inside.{number}.{role}") for role in ("left", "right"))
            inside.append(WeightDelta(each.param, LowRank(left, right), each.rows))
        return Scoped(scope, part.edits, tuple(inside))
    if isinstance(part, RoutedPart):
        return join(part, tensor)
    if isinstance(part, CodebookPart):
        tensors_of = (tensor("keys"), tensor("values"), tensor("radii"))
        return Codebook(part.param, *tensors_of, decides=part.decides)
    if isinstance(part, OpPart):
        return op_headers.op_of(part, tensor("vector"), tensor)
    if isinstance(part, ConditionalPart):
        return op_headers.join(part, tensor)
    if isinstance(part, LowRankPart):
        return WeightDelta(part.param, LowRank(tensor("left"), tensor("right")), part.rows)
    return WeightDelta(part.param, Dense(tensor("delta"), part.orientation), part.rows)


def _replace(path: Path, content: bytes) -> None:
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


_HEADERS = TypeAdapter(Header)
