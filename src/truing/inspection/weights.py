"""What an edit left in the weights: which tensors differ, by how much, and of which rank.

``dW`` is the edited tensor minus the base tensor, as the model then holds them. Singular values are
float64. Those that rounding to the tensors' precision could have made by itself are not counted as
rank. Shape letters: M x N a matrix, K = min(M, N).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from truing.interventions.apply import edited
from truing.interventions.fit import parameter_of
from truing.interventions.intervention import Intervention, WeightDelta
from truing.models.arch import Arch

Pattern = Literal["nothing", "rounding", "low-rank", "partial", "full"]
PATTERNS: Mapping[Pattern, str] = {
    "nothing": "no weight differs",
    "rounding": "the same weights once rounded: no edit that this precision keeps",
    "low-rank": "matrices changed along few directions, as edits and adapters do",
    "partial": "some tensors changed, not along few directions, as training a part does",
    "full": "nearly all tensors changed, not along few directions, as fine-tuning does",
}
ROUNDED = {"bfloat16": torch.bfloat16, "float16": torch.float16}
LOW = 1 / 4
"""A matrix is changed in few directions when its rank is at most this share of its smaller side."""
ALL = 0.9
"""From this share of changed tensors on, nearly all are."""
SPECTRA = 64
"""Matrices whose singular values are computed, the most changed first."""


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Singular values of ``dW`` in brief. ``rank``: how many stand above rounding. ``effective``: the
    exponential of the entropy of their shares (Roy & Vetterli 2007). ``first``: share of the squared
    norm that lies in the first direction, 1 where there is no other."""

    rank: int
    effective: float
    first: float


@dataclass(frozen=True, slots=True)
class Changed:
    """One tensor that differs. ``names``: all that the model has for it. ``relative``: ``|dW| / |W|``,
    Frobenius norms, ``None`` where W is zero. ``rounding``: the precision to which one of the two is the
    other, rounded. ``spectrum``: ``None`` where it is no matrix, is rounding, or was left out."""

    names: tuple[str, ...]
    layer: int | None
    shape: tuple[int, ...]
    norm: float
    relative: float | None
    rounding: str | None = None
    spectrum: Spectrum | None = None


@dataclass(frozen=True, slots=True)
class Layer:
    """All tensors of one block together (``None``: those of no block). ``changed`` of ``tensors`` differ."""

    layer: int | None
    tensors: int
    changed: int
    relative: float | None


@dataclass(frozen=True, slots=True)
class Weights:
    """``changed`` are in the order of the model. ``elsewhere``: parts of the edit that are no weights,
    counted by kind. ``unseen``: changed matrices without a spectrum, because there were too many."""

    tensors: int
    changed: tuple[Changed, ...]
    layers: tuple[Layer, ...]
    pattern: Pattern
    elsewhere: Mapping[str, int]
    unseen: int = 0

    def __str__(self) -> str:
        if not self.changed:
            return PATTERNS[self.pattern]
        ranks = [t.spectrum.rank for t in self.changed if t.spectrum is not None]
        rank = f", of rank {_between(ranks)}" if ranks else ""
        rounded = sorted({t.rounding for t in self.changed if t.rounding})
        by = f" ({' and '.join(rounded)})" if self.pattern == "rounding" else ""
        return f"{PATTERNS[self.pattern]}{by}: {len(self.changed)} of {self.tensors} tensors differ{rank}"


def compare(arch: Arch, iv: Intervention, *, spectra: int = SPECTRA) -> Weights:
    """The weights of the model before and under ``iv``.

    Raises ``NotPossible`` for weights that are quantised or offloaded, and ``BadInput`` for an
    intervention that does not fit.
    """
    found: list[Changed] = []
    squares: dict[int | None, list[float]] = {}
    for names, base, new in _pairs(arch, iv):
        change = _wide(new) - _wide(base)
        if not bool(change.any()):
            continue
        norm, own = float(change.norm()), float(_wide(base).norm())
        layer = _layer(arch, names[0])
        squares.setdefault(layer, []).append(norm**2)
        relative = norm / own if own else None
        found.append(Changed(names, layer, tuple(base.shape), norm, relative, _rounding(base, new)))
    looked = _most_changed(found, spectra)
    spectrum = {
        names: spectrum_of(_wide(new) - _wide(base), floor(base, new))
        for names, base, new in _pairs(arch, iv)
        if names in looked
    }
    changed = tuple(
        Changed(t.names, t.layer, t.shape, t.norm, t.relative, t.rounding, spectrum.get(t.names))
        for t in found
    )
    parameters = list(arch.hf.named_parameters())
    return Weights(
        tensors=len(parameters),
        changed=changed,
        layers=_layers(arch, parameters, squares),
        pattern=pattern_of(changed, len(parameters)),
        elsewhere=Counter(type(p).__name__ for p in iv.parts if not isinstance(p, WeightDelta)),
        unseen=sum(_is_matrix(t) for t in found) - len(spectrum),
    )


def spectrum_of(change_M_N: Tensor, floor: float) -> Spectrum:
    """The singular values above ``floor`` in brief; of a change that has none above it, the first."""
    values_K = torch.linalg.svdvals(change_M_N.double())
    rank = int((values_K > floor).sum())
    kept = values_K[: max(rank, 1)]
    share = kept / kept.sum()
    entropy = -float((share * share.clamp(min=1e-300).log()).sum())
    return Spectrum(rank, math.exp(entropy), float(kept[0] ** 2 / (kept**2).sum()))


def floor(base: Tensor, new: Tensor) -> float:
    """The largest singular value that rounding ``new`` to its precision could make, which may be lower
    than that of its dtype: a bfloat16 checkpoint that was read as float32.

    Rounding moves an entry w by at most u|w|; independent errors e of such sizes have a spectral norm of
    about the largest row norm plus the largest column norm (Bandeira & van Handel 2016).
    """
    unit = torch.finfo(_precision(base, new)).eps / 2
    size_M_N = torch.maximum(_wide(base).abs(), _wide(new).abs())
    return unit * float(size_M_N.norm(dim=1).max() + size_M_N.norm(dim=0).max())


def pattern_of(changed: Sequence[Changed], tensors: int) -> Pattern:
    """What the changed ones of ``tensors`` look like together. Those that rounding explains say nothing
    where others differ too."""
    if not changed:
        return "nothing"
    real = [t for t in changed if t.rounding is None]
    if not real:
        return "rounding"
    ranks = [(t.spectrum.rank, min(t.shape)) for t in real if t.spectrum is not None]
    if ranks and all(1 <= rank <= max(1.0, LOW * side) for rank, side in ranks):
        return "low-rank"
    return "full" if len(real) >= ALL * tensors else "partial"


def _pairs(arch: Arch, iv: Intervention) -> Iterator[tuple[tuple[str, ...], Tensor, Tensor]]:
    """Every tensor that ``iv`` writes, once: its names, its values now, and its values then."""
    groups: dict[int, list[WeightDelta]] = {}
    for part in iv.weights:
        groups.setdefault(id(parameter_of(arch, part.param)), []).append(part)
    for parts in groups.values():
        names = tuple(dict.fromkeys(part.param for part in parts))
        [new] = edited(arch, parts).values()
        yield names, parameter_of(arch, names[0]).detach(), new


def _rounding(base: Tensor, new: Tensor) -> str | None:
    """The precision to which the one is the other, rounded.

    A difference of two float32 numbers may itself be off by a rounding of float32.
    """
    one, other = _wide(base), _wide(new)
    for name, kind in ROUNDED.items():
        for full, short in ((one, other), (other, one)):
            off = (full.to(kind).to(full.dtype) - short).abs()
            if bool((off <= torch.finfo(torch.float32).eps * full.abs()).all()):
                return name
    return None


def _precision(base: Tensor, new: Tensor) -> torch.dtype:
    """The lowest precision that holds ``new``, to a rounding of float32 as in :func:`_rounding`."""
    one, other = _wide(base), _wide(new)
    slack = torch.finfo(torch.float32).eps * (one.abs() + other.abs())
    exact = (k for k in ROUNDED.values() if bool(((other.to(k) - other).abs() <= slack).all()))
    return next(exact, new.dtype)


def _most_changed(found: Sequence[Changed], count: int) -> set[tuple[str, ...]]:
    matrices = [t for t in found if _is_matrix(t)]
    matrices.sort(key=lambda t: -math.inf if t.relative is None else -t.relative)
    return {t.names for t in matrices[:count]}


def _is_matrix(tensor: Changed) -> bool:
    return len(tensor.shape) == 2 and tensor.rounding is None


def _layers(
    arch: Arch,
    parameters: Sequence[tuple[str, Tensor]],
    squares: Mapping[int | None, Sequence[float]],
) -> tuple[Layer, ...]:
    own: dict[int | None, list[float]] = {}
    for name, parameter in parameters:
        own.setdefault(_layer(arch, name), []).append(float(_wide(parameter).norm()) ** 2)
    found = []
    for layer in sorted(own, key=lambda at: arch.n_layers if at is None else at):
        moved, size = math.fsum(squares.get(layer, ())), math.fsum(own[layer])
        relative = math.sqrt(moved / size) if size else None
        found.append(Layer(layer, len(own[layer]), len(squares.get(layer, ())), relative))
    return tuple(found)


def _layer(arch: Arch, name: str) -> int | None:
    head, inside, rest = name.partition(f"{arch.blocks}.")
    return int(rest.partition(".")[0]) if inside and not head else None


def _wide(tensor: Tensor) -> Tensor:
    return tensor.detach().to(torch.promote_types(tensor.dtype, torch.float32))


def _between(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"
