"""Closed forms of the locate-and-edit updates, in math orientation and float64.

Symbols: W (d x f) is the edited matrix, k in R^f a key (input of W), K (f x n) the keys of n edits,
R (d x n) what W K lacks, C = E[k k^T] (f x f) the raw second moment of the keys the model sees in
ordinary text. Every update is returned as two factors with dW = left @ right.T.

ROME: Meng et al. 2022, "Locating and Editing Factual Associations in GPT", eq. 2.
MEMIT: Meng et al. 2023, "Mass-Editing Memory in a Transformer", eq. 14.
The dual form solves n x n instead of f x f: R K^T (wC + K K^T)^-1 = R (I + K^T M)^-1 M^T with
M = (wC)^-1 K.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from truing.errors import EditFailed

RIDGE_STEPS = (1e-10, 1e-8, 1e-6, 1e-4, 1e-2)
"""Ridges that are tried in turn, as shares of the mean diagonal, where C is not positive definite."""


@dataclass(frozen=True)
class Factors:
    """A low-rank update dW = left @ right.T: ``left`` (d, r), ``right`` (f, r), float64."""

    left: Tensor
    right: Tensor


@dataclass(frozen=True)
class Factored:
    """A Cholesky factor of C, reused by every edit of a layer; ``lower`` None stands for C = I.

    ``ridge`` is what was added to the diagonal (0 unless C alone was not positive definite) and
    ``condition`` the ratio of the extreme eigenvalues of C, computed only when a ridge was needed.
    """

    lower: Tensor | None
    ridge: float = 0.0
    condition: float | None = None

    def solve(self, keys_F_N: Tensor) -> Tensor:
        """C^-1 K as float64 (f, n)."""
        keys_F_N = keys_F_N.double()
        if self.lower is None:
            return keys_F_N
        return torch.cholesky_solve(keys_F_N, self.lower.to(keys_F_N.device))


IDENTITY = Factored(None)


def factorise(moment_F_F: Tensor) -> Factored:
    """Factor C once. A ridge is added only where Cholesky fails, the smallest that works.

    Raises ``EditFailed`` when C is not finite or no ridge helps.
    """
    moment_F_F = moment_F_F.double()
    if not bool(torch.isfinite(moment_F_F).all()):
        raise EditFailed(
            "the second-moment matrix holds values that are not finite",
            "Collect the statistics again, in float32, on text that the model can read.",
        )
    moment_F_F = (moment_F_F + moment_F_F.T) / 2
    lower, failed = torch.linalg.cholesky_ex(moment_F_F)
    if not int(failed):
        return Factored(lower)
    eigenvalues = torch.linalg.eigvalsh(moment_F_F)
    low, high = float(eigenvalues[0]), float(eigenvalues[-1])
    condition = high / low if low > 0 else float("inf")
    scale = float(moment_F_F.diagonal().mean())
    eye = torch.eye(len(moment_F_F), dtype=torch.float64, device=moment_F_F.device)
    for step in RIDGE_STEPS:
        lower, failed = torch.linalg.cholesky_ex(moment_F_F + step * scale * eye)
        if not int(failed):
            return Factored(lower, step * scale, condition)
    raise EditFailed(
        f"the second-moment matrix cannot be factored (eigenvalues {low:.3g} to {high:.3g})",
        "Collect statistics over more text; a matrix of f x f wants well over f tokens.",
    )


def rank_one(direction_F: Tensor, key_F: Tensor, residual_D: Tensor) -> Factors:
    """ROME: dW = r u^T with u = ``direction`` / ||.|| and r = ``residual`` / (k . u).

    ``direction_F`` is C^-1 k_mean, ``key_F`` the key that shall give the new value exactly:
    (W + dW) k = W k + residual. For one key throughout (direction C^-1 k) this is eq. 2 of ROME;
    R-ROME (Gupta et al. 2024, "Rebuilding ROME") is that case with the mean key.
    """
    direction_F = direction_F.double()
    direction_F = direction_F / direction_F.norm()
    right_D = residual_D.double() / (key_F.double() @ direction_F)
    return Factors(left=right_D[:, None], right=direction_F[:, None])


def least_squares(
    residual_D_N: Tensor, keys_F_N: Tensor, solved_F_N: Tensor, damping: float = 1.0
) -> Factors:
    """dW = R (K^T M + damping I)^-1 M^T with M = ``solved_F_N`` = (wC)^-1 K.

    damping 1 is MEMIT (eq. 14) and, of n keys at once, the least-squares compromise between new
    and old memories; damping 0 fits the n keys exactly (Gupta et al. 2024, EMMET, with equality).
    ``left`` is R, so that ``right`` are the adjusted keys.
    """
    keys_F_N, solved_F_N = keys_F_N.double(), solved_F_N.double()
    n = keys_F_N.shape[1]
    gram_N_N = keys_F_N.T @ solved_F_N
    gram_N_N = gram_N_N + damping * torch.eye(n, dtype=torch.float64, device=gram_N_N.device)
    adjusted_F_N = torch.linalg.solve(gram_N_N, solved_F_N.T).T
    return Factors(left=residual_D_N.double(), right=adjusted_F_N)
