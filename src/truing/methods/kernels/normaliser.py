"""Running mean and standard deviation of vectors that arrive block by block.

Chan et al. 1983, "Algorithms for Computing the Sample Variance": blocks are merged exactly, so
statistics do not depend on how the rows were cut. Published code merges with the unbiased variance
of a block, which overestimates and is NaN for a block of one row.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

EPSILON = 1.1920929e-07
"""Keeps divisions finite where a number never varied (float32's machine epsilon)."""


@dataclass(frozen=True)
class Normaliser:
    """Statistics of ``count`` rows: ``mean_W`` and the sum of squared deviations ``spread_W``,
    float64."""

    count: int
    mean_W: Tensor
    spread_W: Tensor

    @classmethod
    def empty(cls, width: int, *, like: Tensor) -> Normaliser:
        """Before any row, on the device of ``like``."""
        zeros_W = like.new_zeros(width, dtype=torch.float64)
        return cls(0, zeros_W, zeros_W)

    def seen(self, block_R_W: Tensor) -> Normaliser:
        """With the rows of one more block."""
        block_R_W = block_R_W.double()
        rows = len(block_R_W)
        if not rows:
            return self
        mean_W = self.mean_W.to(block_R_W.device)
        own_W = block_R_W.mean(0)
        apart_W = own_W - mean_W
        whole = self.count + rows
        spread_W = self.spread_W.to(block_R_W.device) + ((block_R_W - own_W) ** 2).sum(0)
        return Normaliser(
            whole,
            mean_W + apart_W * (rows / whole),
            spread_W + apart_W**2 * (self.count * rows / whole),
        )

    @property
    def deviation_W(self) -> Tensor:
        """The sample standard deviation; zeros before the second row."""
        return (self.spread_W / (self.count - 1 + EPSILON)).clamp_min(0).sqrt()

    def normalised(self, rows_R_W: Tensor) -> Tensor:
        """Rows in units of the statistics, float64. Columns that never varied become zeros."""
        away_R_W = rows_R_W.double() - self.mean_W.to(rows_R_W.device)
        return away_R_W / (self.deviation_W.to(rows_R_W.device) + EPSILON)
