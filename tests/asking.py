"""Models, changes and questions that several tests share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tiny import tiny
from truing.interventions.intervention import (
    ActivationOp,
    Dense,
    Intervention,
    LowRank,
    Part,
    WeightDelta,
)
from truing.models.answers import NoAnswers
from truing.models.arch import Slot
from truing.models.handle import Model
from truing.models.positions import Positions

NOWHERE = Path("/nonexistent/truing-cache")


def make(name: str = "llama", kind: str = "bytes-bos", dtype: torch.dtype = torch.float32) -> Model:
    """A tiny model without a cache."""
    hf, tok = tiny(name, kind, dtype)
    model = Model.of(hf, tok, name=name, cache=NOWHERE)
    model.answers = NoAnswers()
    return model


def noise(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def low_rank(slot: Slot, seed: int, rank: int = 1, size: float = 1.0) -> WeightDelta:
    """A delta of about ``size`` times the weight's norm."""
    left, right = noise(seed, slot.d_out, rank), noise(seed + 1, slot.d_in, rank)
    scale = size * float(slot.weight().norm() / (left @ right.T).norm())
    return WeightDelta(slot.param, LowRank(left * scale, right), slot.bounds)


def dense(slot: Slot, seed: int, size: float = 1.0) -> WeightDelta:
    delta = noise(seed, slot.d_out, slot.d_in)
    delta *= size * float(slot.weight().norm() / delta.norm())
    return WeightDelta(slot.param, Dense(delta.T if slot.transposed else delta), slot.bounds)


def op(
    model: Model,
    site: Any,
    layer: int,
    kind: str,
    seed: int,
    positions: Positions | None = None,
    width: int | None = None,
    **facts: Any,
) -> ActivationOp:
    d = model.arch.d_model if width is None else width
    return ActivationOp(
        site, layer, kind, noise(seed, d), Positions() if positions is None else positions, **facts
    )


def under(*parts: Part) -> Intervention:
    return Intervention(parts)
