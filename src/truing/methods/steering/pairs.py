"""Contrast pairs and what a model does inside when it reads their two sides.

A pair is an edit request with both targets: one prompt, ``target_new`` (the side to promote) and
``target_old`` (the side to suppress). Shape letters: N pairs, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from truing.methods.kernels.capture import Place, capture
from truing.methods.kernels.lines import Line
from truing.models.handle import Model
from truing.types import EditRequest

Read = Literal["last", "answer"]
"""Where a side is read: at its last token, or as the mean over the tokens of its answer."""


@dataclass(frozen=True)
class Sides:
    """Activations of the two sides of every pair at one place, float32 ``(N, D)`` each."""

    new_N_D: Tensor
    old_N_D: Tensor

    @property
    def differences_N_D(self) -> Tensor:
        return self.new_N_D - self.old_N_D

    @property
    def typical_norm(self) -> float:
        """Mean length of the activations of both sides: the unit of relative strengths."""
        return float(torch.cat([self.new_N_D, self.old_N_D]).norm(dim=1).mean())


def read_sides(
    model: Model, requests: Sequence[EditRequest], places: Sequence[Place], read: Read
) -> dict[Place, Sides]:
    """Both sides of every pair, with what is in force."""
    lines: list[Line] = []
    tokens: list[range] = []
    for side in ("target_new", "target_old"):
        for request in requests:
            span = model.speller.join(request.prompt, getattr(request, side))
            last = len(span.ids) - 1
            lines.append(Line(span.ids, last))
            tokens.append(range(last if read == "last" else span.start, last + 1))
    caught = capture(model, lines, places, tokens=tokens)
    n = len(requests)
    return {place: Sides(acts[:n], acts[n:]) for place, acts in caught.items()}
