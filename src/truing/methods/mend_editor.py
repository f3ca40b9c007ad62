"""The network of MEND: from the factors of a raw gradient to the factors of an edit.

Mitchell et al. 2022, "Fast Model Editing at Scale", section 3. Per token with input x and output
gradient delta of a matrix W:

    z  = [norm(x); norm(delta)]                     running mean and deviation of training's tokens
    z <- z + max(0, s (U V z + b) + o)              twice; s, o belong to the matrix
    x~, delta~ = split(z)
    dW = -alpha sum_t delta~_t x~_t^T               alpha belongs to the matrix

U starts at zero, so that the network starts as the identity. The non-linearity is ``clamp``: its
gradient at exactly zero, where all units start, is one. With ``relu``, whose gradient there is
zero, U never moves.

Matrices of one shape share a network and a normaliser. What the published code does otherwise: it
adds alpha times the gradient although alpha starts positive, so that training has to turn the sign
round before it learns anything (confirmed by its author); its normaliser knows that it has seen
data through an attribute that is not saved, so that going on forgets the statistics.

Shape letters: R tokens, F inputs and D outputs of a matrix, M matrices of one shape, Z = F + D.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from truing.models.arch import Slot

N_BLOCKS = 2
MOST_RANK = 1920
TINY = 1e-7
"""Added to a deviation that is divided by (as published)."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """A matrix that is edited: the full parameter name, its rows of a fused one, its shape."""

    param: str
    rows: tuple[int, int] | None
    d_in: int
    d_out: int

    @classmethod
    def of(cls, slot: Slot) -> Matrix:
        return cls(slot.param, slot.bounds, slot.d_in, slot.d_out)

    @property
    def shape(self) -> str:
        return f"{self.d_in}x{self.d_out}"


class Normaliser(nn.Module):
    """Running mean and unbiased deviation per feature. The identity until it has seen two rows."""

    count: Tensor
    mean: Tensor
    variance: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("variance", torch.zeros(width))

    @torch.no_grad()
    def observe(self, rows_R_W: Tensor) -> None:
        """Take rows into the statistics (Chan et al.'s merge, on means instead of sums)."""
        rows_R_W = rows_R_W[rows_R_W.isfinite().all(-1)]
        new = len(rows_R_W)
        if not new:
            return
        share = new / (int(self.count) + new)
        mean, variance = rows_R_W.mean(0), rows_R_W.var(0, correction=0)
        gap = mean - self.mean
        self.variance.mul_(1 - share).add_(share * variance + share * (1 - share) * gap.square())
        self.mean.add_(share * gap)
        self.count.add_(new)

    def forward(self, rows_R_W: Tensor) -> Tensor:
        count = int(self.count)
        if count < 2:
            return rows_R_W
        deviation = (self.variance * (count / (count - 1))).sqrt()
        return (rows_R_W - self.mean) / (deviation + TINY)


class Block(nn.Module):
    """``z + max(0, s (U V z + b) + o)`` with U: (Z, K), V: (K, Z); s, o: one row per matrix."""

    def __init__(self, width: int, rank: int, matrices: int, generator: torch.Generator) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.randn(rank, width, generator=generator))
        self.up = nn.Parameter(torch.zeros(width, rank))
        self.bias = nn.Parameter(torch.zeros(width))
        self.scale = nn.Parameter(torch.ones(matrices, width))
        self.shift = nn.Parameter(torch.zeros(matrices, width))

    def forward(self, z_R_Z: Tensor, matrix: int) -> Tensor:
        inner = (z_R_Z @ self.down.T) @ self.up.T + self.bias
        return z_R_Z + (self.scale[matrix] * inner + self.shift[matrix]).clamp(min=0)


class Transform(nn.Module):
    """The network of one shape."""

    def __init__(
        self, d_in: int, d_out: int, rank: int, matrices: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.inputs, self.grads = Normaliser(d_in), Normaliser(d_out)
        width = d_in + d_out
        self.blocks = nn.ModuleList(
            Block(width, min(rank, width), matrices, generator) for _ in range(N_BLOCKS)
        )

    def forward(self, inputs_R_F: Tensor, grads_R_D: Tensor, matrix: int) -> tuple[Tensor, Tensor]:
        z_R_Z = torch.cat([self.inputs(inputs_R_F), self.grads(grads_R_D)], -1)
        for block in self.blocks:
            z_R_Z = block(z_R_Z, matrix)
        cut = inputs_R_F.shape[1]
        return z_R_Z[:, cut:], z_R_Z[:, :cut]


class Editor(nn.Module):
    """All networks of an editor, and alpha of every matrix. float32.

    ``alpha`` is where every matrix's step size starts. ``seed`` decides V, the only random part.
    """

    def __init__(
        self, matrices: Sequence[Matrix], *, rank: int, alpha: float = 1e-4, seed: int = 0
    ) -> None:
        super().__init__()
        self.matrices = tuple(matrices)
        self.rank = rank
        members: dict[str, list[Matrix]] = {}
        for matrix in self.matrices:
            members.setdefault(matrix.shape, []).append(matrix)
        generator = torch.Generator().manual_seed(seed)
        self.transforms = nn.ModuleDict(
            {
                shape: Transform(group[0].d_in, group[0].d_out, rank, len(group), generator)
                for shape, group in members.items()
            }
        )
        self._place = [(m.shape, members[m.shape].index(m)) for m in self.matrices]
        self.alpha = nn.Parameter(torch.full((len(self.matrices),), alpha))

    def observe(self, number: int, inputs_R_F: Tensor, grads_R_D: Tensor) -> None:
        """Let the normalisers of matrix ``number`` see a training step's tokens."""
        transform = self._transform(number)
        transform.inputs.observe(inputs_R_F)
        transform.grads.observe(grads_R_D)

    def forward(self, number: int, inputs_R_F: Tensor, grads_R_D: Tensor) -> tuple[Tensor, Tensor]:
        """``left_R_D, right_R_F`` of the edit of matrix ``number``: dW = left.T @ right."""
        matrix = self._place[number][1]
        left_R_D, right_R_F = self._transform(number)(inputs_R_F, grads_R_D, matrix)
        return -self.alpha[number] * left_R_D, right_R_F

    def networks(self) -> list[nn.Parameter]:
        """Everything that is learned except alpha, which learns at a rate of its own."""
        return [p for name, p in self.named_parameters() if name != "alpha"]

    def _transform(self, number: int) -> Transform:
        found = self.transforms[self._place[number][0]]
        assert isinstance(found, Transform)
        return found


def automatic_rank(d_in: int, d_out: int) -> int:
    """The published bound of 1920, and an eighth of the width where that is less: the published
    rank makes editors of hundreds of millions of weights."""
    return max(1, min(MOST_RANK, (d_in + d_out) // 8))
