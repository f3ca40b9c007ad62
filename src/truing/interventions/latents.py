"""What an activation op reads before it writes: latents, gated linear functions of an activation.

Shape letters: M latents, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from truing.errors import BadInput


@dataclass(frozen=True, eq=False)
class Latents:
    """``z = u`` where ``u > threshold``, else 0, with ``u = weight h + bias``.

    ``weight`` ``(M, D)``, ``bias`` and ``threshold`` ``(M,)``. A threshold of 0 is a ReLU, a positive
    one a JumpReLU (Rajamanoharan et al. 2024, equation 3); minus infinity lets ``u`` through.
    """

    weight: Tensor
    bias: Tensor
    threshold: Tensor

    def __post_init__(self) -> None:
        m = self.weight.shape[:1]
        if self.weight.ndim != 2 or self.bias.shape != m or self.threshold.shape != m:
            shapes = ", ".join(str(tuple(each.shape)) for each in self.tensors.values())
            raise BadInput(
                f"latents of weight, bias and threshold {shapes} do not belong together",
                "Give (m, d), (m,) and (m,).",
            )
        numbers = all(each.is_floating_point() for each in self.tensors.values())
        finite = bool(self.weight.isfinite().all()) and bool(self.bias.isfinite().all())
        if not numbers or not finite or not bool((self.threshold < torch.inf).all()):
            raise BadInput("latents: their numbers are not finite", "Check how they were made.")

    @classmethod
    def linear(cls, weight: Tensor, bias: Tensor | None = None) -> Latents:
        """Without a gate; ``bias`` is 0 unless given."""
        still = weight.new_zeros(weight.shape[:1])
        return cls(weight, still if bias is None else bias, torch.full_like(still, -torch.inf))

    @property
    def tensors(self) -> dict[str, Tensor]:
        """By name."""
        return {"weight": self.weight, "bias": self.bias, "threshold": self.threshold}


def read(acts: Tensor, weight: Tensor, bias: Tensor, threshold: Tensor) -> Tensor:
    """Latents ``(..., T, M)`` of ``acts`` ``(..., T, D)``, from ``(..., M, D)``, ``(..., M)`` and
    ``(..., M)``."""
    before = acts @ weight.transpose(-1, -2) + bias.unsqueeze(-2)
    return before.where(before > threshold.unsqueeze(-2), 0.0)
