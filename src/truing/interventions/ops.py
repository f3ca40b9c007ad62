"""The operations that an :class:`~truing.interventions.parts.ActivationOp` can name.

Every op is one pure function over the rows that carry it, so that rows with other vectors and
strengths share one call: ``acts_R_T_D`` float32, ``vectors_R_M_D`` float32, ``scale_R``,
``low_R``, ``high_R`` float32; returns new activations of the same shape. Positions are masked by
the caller. An op that ``reads`` gets the latents ``(R, T, M)`` in place of the activations
(:mod:`truing.interventions.latents`) and returns what is added to them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from truing.errors import BadInput
from truing.registry import Entry, Registry

if TYPE_CHECKING:
    from truing.interventions.parts import ActivationOp

Run = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Op:
    """One activation op. ``prepare`` turns an op's vector into the ``(m, d)`` that ``run`` reads.

    ``several``: vectors may be ``(m, d)``. ``bounded``: takes ``low`` and ``high``. ``reads``: takes
    latents, one per vector. ``graded``: scale 0 leaves activations as they are, so that scale
    is how much of the op there is.
    """

    name: str
    prepare: Callable[[Tensor], Tensor]
    run: Run
    several: bool
    bounded: bool
    graded: bool = True
    reads: bool = False

    def check(self, part: ActivationOp) -> None:
        """Raise BadInput where ``part`` does not fit."""
        vector = part.vector
        where = f"op '{self.name}' at {part.site}[{part.layer}]"
        if vector.ndim not in ((1, 2) if self.several else (1,)) or 0 in vector.shape:
            shapes = "(d,) or (m, d)" if self.several else "(d,)"
            raise BadInput(
                f"{where}: the vector has shape {tuple(vector.shape)}", f"It needs {shapes}."
            )
        if not vector.is_floating_point() or not bool(torch.isfinite(vector).all()):
            raise BadInput(f"{where}: the vector is not finite", "Check how it was made.")
        if not torch.isfinite(torch.tensor(part.scale)):
            raise BadInput(f"{where}: the scale is {part.scale}", "Give a finite number.")
        bounds = (part.low, part.high)
        if self.bounded and bounds == (None, None):
            raise BadInput(f"{where}: neither 'low' nor 'high' is given", "Give at least one.")
        if not self.bounded and bounds != (None, None):
            raise BadInput(f"{where}: takes no bounds", "Leave 'low' and 'high' out.")
        if part.low is not None and part.high is not None and part.low > part.high:
            raise BadInput(f"{where}: low {part.low} is above high {part.high}", "Swap them.")
        if self.prepare is not _as_is:
            self.prepare(vector)
        self._check_latents(part, where)

    def _check_latents(self, part: ActivationOp, where: str) -> None:
        if not self.reads and part.latents is not None:
            raise BadInput(f"{where}: reads no latents", "Leave 'latents' out.")
        if not self.reads:
            return
        if part.latents is None:
            raise BadInput(f"{where}: no latents are given", "Say what it reads: Latents(...).")
        got, want = tuple(part.latents.weight.shape), tuple(_as_is(part.vector).shape)
        if got != want:
            raise BadInput(
                f"{where}: the latents' weight has shape {got}, the vectors {want}",
                "Give one latent per vector, of the same width.",
            )


def _as_is(vector: Tensor) -> Tensor:
    return vector.float().reshape(-1, vector.shape[-1])


def _unit(vector: Tensor) -> Tensor:
    wide = vector.to(torch.float64).reshape(1, -1)
    norm = wide.norm()
    if norm == 0:
        raise BadInput("a direction of length zero", "Check how the vector was made.")
    unit: Tensor = wide / norm
    return unit.float()


def _direction(vector: Tensor) -> Tensor:
    """The vector with its own length, which must not be zero."""
    _unit(vector)
    return _as_is(vector)


def _basis(vectors: Tensor) -> Tensor:
    """Orthonormal rows spanning the rows of ``vectors`` (m, d)."""
    if vectors.ndim == 1:
        return _unit(vectors)
    wide = vectors.to(torch.float64)
    q, r = torch.linalg.qr(wide.T)
    if wide.shape[0] > wide.shape[1] or bool((r.diagonal().abs() < 1e-10 * r.norm()).any()):
        raise BadInput(
            f"{wide.shape[0]} directions span fewer dimensions", "Drop the dependent directions."
        )
    rows: Tensor = q.T
    return rows.float()


def _add(acts: Tensor, vectors: Tensor, scale: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """``h + scale v`` (contrastive activation addition: Rimsky et al. 2024)."""
    return acts + scale[:, None, None] * vectors


def _add_keep_norm(
    acts: Tensor, vectors: Tensor, scale: Tensor, low: Tensor, high: Tensor
) -> Tensor:
    """``(h + scale v) |h| / |h + scale v|``: turned towards the vector, as long as before (the
    rescaling that repeng and CAST offer). Where the sum has no length, ``h`` stays."""
    moved = acts + scale[:, None, None] * vectors
    before, after = acts.norm(dim=-1, keepdim=True), moved.norm(dim=-1, keepdim=True)
    return torch.where(after > 0, moved * (before / after.where(after > 0, 1.0)), acts)


def _ablate(acts: Tensor, vectors: Tensor, scale: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """``h - scale Q^T Q h``; scale 1 removes the subspace (directional ablation: Arditi et al. 2024)."""
    along = acts @ vectors.transpose(1, 2)
    return acts - scale[:, None, None] * (along @ vectors)


def _replace_along(
    acts: Tensor, vectors: Tensor, scale: Tensor, low: Tensor, high: Tensor
) -> Tensor:
    """``h - u u^T h + scale v`` with ``u = v / |v|``: ablate, then add. The coordinate along the
    unit vector becomes ``scale |v|`` whatever it was; all else stays."""
    along = (acts @ vectors.transpose(1, 2)) / vectors.square().sum(-1, keepdim=True)
    return acts + (scale[:, None, None] - along) * vectors


def _clamp(acts: Tensor, vectors: Tensor, scale: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Move the coordinate along the unit vector into [low, high]; ``scale`` is the part moved."""
    along = acts @ vectors.transpose(1, 2)
    inside = along.maximum(low[:, None, None]).minimum(high[:, None, None])
    return acts + scale[:, None, None] * (inside - along) @ vectors


def _low_rank(read: Tensor, vectors: Tensor, scale: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """``scale z B`` with ``z = A h + b``: LoReFT (Wu et al. 2024, equation 2: ``A = W - R``,
    ``B = R``) and LM-Steer (Han et al. 2024: ``b = 0``). With a gate: a feature times ``1 + scale``."""
    return scale[:, None, None] * (read @ vectors)


def _feature_clamp(
    read: Tensor, vectors: Tensor, scale: Tensor, low: Tensor, high: Tensor
) -> Tensor:
    """``scale (z' - z) d`` with the feature ``z`` moved into [low, high]: equal bounds set it, ``low``
    alone raises it where it is lower. What the dictionary does not reconstruct stays as it is
    (Templeton et al. 2024, "Scaling Monosemanticity", methods of feature steering)."""
    inside = read.maximum(low[:, None, None]).minimum(high[:, None, None])
    return scale[:, None, None] * ((inside - read) @ vectors)


ADD = Op("add", _as_is, _add, several=False, bounded=False)
ADD_KEEP_NORM = Op("add-keep-norm", _as_is, _add_keep_norm, several=False, bounded=False)
ABLATE = Op("ablate", _basis, _ablate, several=True, bounded=False)
CLAMP = Op("clamp", _unit, _clamp, several=False, bounded=True)
REPLACE_ALONG = Op(
    "replace-along", _direction, _replace_along, several=False, bounded=False, graded=False
)
LOW_RANK = Op("low-rank", _as_is, _low_rank, several=True, bounded=False, reads=True)
FEATURE_CLAMP = Op(
    "feature-clamp", _direction, _feature_clamp, several=False, bounded=True, reads=True
)

OPS: Registry[Op] = Registry(
    "activation op",
    {
        "add": Entry("truing.interventions.ops:ADD", "add a vector times a strength"),
        "add-keep-norm": Entry(
            "truing.interventions.ops:ADD_KEEP_NORM", "add a vector, then restore the length"
        ),
        "ablate": Entry("truing.interventions.ops:ABLATE", "project directions out"),
        "replace-along": Entry(
            "truing.interventions.ops:REPLACE_ALONG",
            "set the coordinate along a direction, whatever it was",
        ),
        "clamp": Entry(
            "truing.interventions.ops:CLAMP", "keep the coordinate along a direction in a range"
        ),
        "low-rank": Entry(
            "truing.interventions.ops:LOW_RANK", "add a low-rank affine function of the activation"
        ),
        "feature-clamp": Entry(
            "truing.interventions.ops:FEATURE_CLAMP", "keep a feature of a dictionary in a range"
        ),
    },
)
