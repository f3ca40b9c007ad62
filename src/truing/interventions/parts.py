"""What an intervention is made of. Frozen data; nothing here touches a model.

Shapes: a weight in math orientation is ``W: (d_out, d_in)`` with ``y = W x``, whatever the module
stores (``Conv1D`` stores the transpose).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from truing.errors import BadInput
from truing.interventions.conditional import Conditional
from truing.interventions.hashing import content_hash as _digest
from truing.interventions.latents import Latents
from truing.interventions.ops import OPS
from truing.interventions.routed import Decides, Routed, anew
from truing.interventions.scoped import Scoped
from truing.interventions.scoped import merged as joined
from truing.models.positions import Positions

Orientation = Literal["stored", "math"]


@dataclass(frozen=True, eq=False)
class LowRank:
    """``dW = left @ right.T`` in math orientation; ``left: (d_out, r)``, ``right: (d_in, r)``."""

    left: Tensor
    right: Tensor

    def __post_init__(self) -> None:
        if self.left.ndim != 2 or self.right.ndim != 2 or self.left.shape[1] != self.right.shape[1]:
            raise BadInput(
                f"a low-rank delta needs factors (d_out, r) and (d_in, r), got "
                f"{tuple(self.left.shape)} and {tuple(self.right.shape)}",
                "Pass the factors of left @ right.T.",
            )

    @property
    def rank(self) -> int:
        return self.left.shape[1]

    def math(self) -> Tensor:
        """The delta as one ``(d_out, d_in)`` matrix, float32 or better."""
        wide = torch.promote_types(self.left.dtype, torch.float32)
        return self.left.to(wide) @ self.right.to(wide).T


@dataclass(frozen=True, eq=False)
class Dense:
    """A full delta. ``stored``: in the parameter's own shape (any rank); ``math``: (d_out, d_in)."""

    delta: Tensor
    orientation: Orientation = "stored"

    def __post_init__(self) -> None:
        if self.orientation == "math" and self.delta.ndim != 2:
            raise BadInput(
                f"a delta in math orientation is a matrix, got shape {tuple(self.delta.shape)}",
                "Pass orientation='stored' for biases, norms and other shapes.",
            )


@dataclass(frozen=True, eq=False)
class WeightDelta:
    """A change of one parameter (full name, e.g. ``model.layers.3.mlp.down_proj.weight``).

    ``rows`` (start, stop) limits it to a range of output features of a fused projection.
    """

    param: str
    delta: LowRank | Dense
    rows: tuple[int, int] | None = None

    @cached_property
    def content(self) -> str:
        """Content hash of the delta without the parameter's name."""
        if isinstance(self.delta, LowRank):
            return _digest(["low-rank", self.rows], self.delta.left, self.delta.right)
        return _digest(["dense", self.rows, self.delta.orientation], self.delta.delta)

    @cached_property
    def digest(self) -> str:
        return _digest(["weight", self.param, self.content])


@dataclass(frozen=True, eq=False)
class ActivationOp:
    """A change of activations at one hook point (layer l = block l, 0-based).

    ``op`` names an entry of :data:`truing.interventions.ops.OPS`. ``vector`` is ``(d,)`` or, for
    ops over a subspace, ``(m, d)``. ``scale`` is the strength; ``low``/``high`` bound ``clamp`` in
    units of the activation along the unit vector, ``feature-clamp`` in units of the feature
    (``None``: unbounded on that side). ``latents``: what an op that reads them reads, one per vector.
    """

    site: str
    layer: int
    op: str
    vector: Tensor
    positions: Positions
    scale: float = 1.0
    low: float | None = None
    high: float | None = None
    latents: Latents | None = None

    def __post_init__(self) -> None:
        OPS.get(self.op).check(self)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Everything that it is made of, by name."""
        read = {} if self.latents is None else self.latents.tensors
        return {"vector": self.vector, **{f"latents.{name}": each for name, each in read.items()}}

    @cached_property
    def digest(self) -> str:
        facts = [
            "op",
            self.site,
            self.layer,
            self.op,
            self.scale,
            self.low,
            self.high,
            repr(self.positions),
        ]
        return _digest(facts, *self.tensors.values())


@dataclass(frozen=True, eq=False)
class Codebook:
    """Values for what a linear module puts out at the last prompt token, looked up by its input.

    ``param`` is the module's weight. The nearest of ``keys`` (n, d_in) decides: within its radius
    (``radii`` (n,), Euclidean) the output becomes its row of ``values`` (n, d_out). The decision
    falls once, when the prompt is read; the tokens that follow meet it through the KV cache only.
    With ``decides`` ``each-pass`` every generated token is looked up as well, and replaced on a hit.
    """

    param: str
    keys: Tensor
    values: Tensor
    radii: Tensor
    decides: Decides = "once"

    def __post_init__(self) -> None:
        n = self.keys.shape[0]
        shapes = self.keys.ndim, self.values.ndim, tuple(self.radii.shape), self.values.shape[0]
        if not n or shapes != (2, 2, (n,), n):
            raise BadInput(
                f"codebook of '{self.param}': keys {tuple(self.keys.shape)}, values "
                f"{tuple(self.values.shape)} and radii {tuple(self.radii.shape)} do not belong together",
                "Give (n, d_in), (n, d_out) and (n,), with n of at least 1.",
            )
        if not all(bool(torch.isfinite(t).all()) for t in (self.keys, self.values, self.radii)):
            raise BadInput(
                f"codebook of '{self.param}': its numbers are not finite", "Check how it was made."
            )

    @cached_property
    def digest(self) -> str:
        facts: list[object] = ["codebook", self.param, *anew(self.decides)]
        return _digest(facts, self.keys, self.values, self.radii)


@dataclass(frozen=True)
class PromptPrefix:
    """Text put in front of a string prompt or of the first user message, exactly as written.

    The text carries its own separator (a space or newline at its end). Several prefixes join in
    the order of the parts. One with the role ``system`` is the chat's system message instead, in
    place of one that is there; a string prompt has it in front of everything else.
    """

    text: str
    role: Literal["user", "system"] = "user"

    @cached_property
    def digest(self) -> str:
        return _digest(["prefix", self.text, *([] if self.role == "user" else [self.role])])


Part = WeightDelta | ActivationOp | Conditional | Codebook | Routed | PromptPrefix | Scoped


def digest(parts: Iterable[Part]) -> str:
    """Content hash of parts in order: 64 hex digits."""
    return hashlib.sha256(" ".join(part.digest for part in parts).encode()).hexdigest()


def total(parts: Iterable[Part]) -> tuple[Part, ...]:
    """Merge the weight deltas of each (parameter, rows), and memories that differ only in their
    edits; keep everything else in order.

    Low-rank factors are concatenated, dense deltas added; a sum whose rank exceeds half the
    smaller side is stored dense.
    """
    order: list[object] = []
    groups: dict[object, list[WeightDelta]] = {}
    memories: dict[str, list[Scoped]] = {}
    for part in parts:
        if isinstance(part, WeightDelta):
            key = (part.param, part.rows)
            if key not in groups:
                order.append(key)
            groups.setdefault(key, []).append(part)
        elif isinstance(part, Scoped):
            if part.family not in memories:
                order.append(part.family)
            memories.setdefault(part.family, []).append(part)
        else:
            order.append(part)
    merged: list[Part] = []
    for item in order:
        if isinstance(item, tuple):
            merged += _sum(groups[item])
        elif isinstance(item, str):
            merged.append(joined(memories[item]))
        else:
            assert isinstance(item, ActivationOp | Conditional | Codebook | Routed | PromptPrefix)
            merged.append(item)
    return tuple(merged)


def _sum(parts: list[WeightDelta]) -> list[WeightDelta]:
    if len(parts) == 1 and (isinstance(parts[0].delta, Dense) or not _wide(parts[0].delta)):
        return parts
    param, rows = parts[0].param, parts[0].rows
    low = [part.delta for part in parts if isinstance(part.delta, LowRank)]
    dense: dict[Orientation, Tensor] = {}
    for part in parts:
        if isinstance(part.delta, Dense):
            before = dense.get(part.delta.orientation)
            delta = part.delta.delta
            dense[part.delta.orientation] = delta if before is None else _add(before, delta, param)
    if low:
        joined = _concatenate(low, param)
        if _wide(joined) or "math" in dense:
            before = dense.get("math")
            full = joined.math()
            dense["math"] = full if before is None else _add(before, full, param)
            low = []
        else:
            low = [joined]
    deltas: list[LowRank | Dense] = [*low, *(Dense(d, o) for o, d in dense.items())]
    return [WeightDelta(param, delta, rows) for delta in deltas]


def _wide(delta: LowRank) -> bool:
    return delta.rank > min(delta.left.shape[0], delta.right.shape[0]) / 2


def _concatenate(deltas: list[LowRank], param: str) -> LowRank:
    shapes = {(d.left.shape[0], d.right.shape[0]) for d in deltas}
    if len(shapes) > 1:
        raise BadInput(
            f"deltas of '{param}' have different shapes: {sorted(shapes)}",
            "Only changes of the same model add up.",
        )
    wide = torch.float32
    for delta in deltas:
        wide = torch.promote_types(wide, torch.promote_types(delta.left.dtype, delta.right.dtype))
    home = deltas[0].left.device
    return LowRank(
        torch.cat([d.left.to(home, wide) for d in deltas], dim=1),
        torch.cat([d.right.to(home, wide) for d in deltas], dim=1),
    )


def _add(a: Tensor, b: Tensor, param: str) -> Tensor:
    if a.shape != b.shape:
        raise BadInput(
            f"deltas of '{param}' have different shapes: {tuple(a.shape)} and {tuple(b.shape)}",
            "Only changes of the same model add up.",
        )
    wide = torch.promote_types(torch.promote_types(a.dtype, b.dtype), torch.float32)
    return a.to(wide) + b.to(a.device, wide)
