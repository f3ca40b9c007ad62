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


@dataclass(frozen=True)
class Spectrum:
    """Eigenvalues of C, ascending (F,), and their vectors as columns (F, F); float64."""

    values_F: Tensor
    vectors_F_F: Tensor

    @classmethod
    def of(cls, moment_F_F: Tensor) -> Spectrum:
        """Raises ``EditFailed`` when C is not finite."""
        moment_F_F = moment_F_F.double()
        if not bool(torch.isfinite(moment_F_F).all()):
            raise EditFailed(
                "the second-moment matrix holds values that are not finite",
                "Collect the statistics again, in float32, on text that the model can read.",
            )
        return cls(*torch.linalg.eigh((moment_F_F + moment_F_F.T) / 2))

    def below(self, threshold: float) -> Space:
        """The space of the eigenvectors whose eigenvalue is below ``threshold``."""
        return self.smallest(int((self.values_F < threshold).sum()))

    def within(self, energy: float) -> Space:
        """The largest space that holds at most this share of the trace of C."""
        shares_F = self.values_F.clamp_min(0).cumsum(0)
        return self.smallest(int((shares_F <= energy * shares_F[-1]).sum()))

    def smallest(self, rank: int) -> Space:
        """The space of the ``rank`` smallest eigenvalues."""
        if 2 * rank <= len(self.values_F):
            return Space(self.vectors_F_F[:, :rank], complement=False)
        return Space(self.vectors_F_F[:, rank:], complement=True)


@dataclass(frozen=True)
class Space:
    """A subspace of the keys, P = U U^T, held by a basis (F, M) of itself or of its complement."""

    basis_F_M: Tensor
    complement: bool

    @property
    def rank(self) -> int:
        """How many dimensions it has."""
        width, held = self.basis_F_M.shape
        return width - held if self.complement else held

    def project(self, vectors_F_N: Tensor) -> Tensor:
        """P x for every column, float64."""
        vectors_F_N = vectors_F_N.double()
        basis_F_M = self.basis_F_M.to(vectors_F_N.device)
        inside_F_N = basis_F_M @ (basis_F_M.T @ vectors_F_N)
        return vectors_F_N - inside_F_N if self.complement else inside_F_N


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


def projected(
    residual_D_N: Tensor, keys_F_N: Tensor, protected_F_M: Tensor, space: Space, ridge: float
) -> Factors:
    """AlphaEdit: dW = R K^T P (K K^T P + K_p K_p^T P + ridge I)^-1, P the ``space``'s projection.

    Fang et al. 2025, "AlphaEdit: Null-Space Constrained Knowledge Editing", eq. 14. Solved in the
    dual: with A = [K K_p], dW = R E^T (A^T P A + ridge I)^-1 A^T P, E selecting K's columns, which
    is (N + M) x (N + M) instead of F x F. ``left`` is R.
    """
    n = keys_F_N.shape[1]
    all_F_A = torch.cat([keys_F_N.double(), protected_F_M.double().to(keys_F_N.device)], 1)
    inside_F_A = space.project(all_F_A)
    gram_A_A = inside_F_A.T @ inside_F_A
    eye_A_A = torch.eye(len(gram_A_A), dtype=torch.float64, device=gram_A_A.device)
    picked_A_N = torch.linalg.solve(gram_A_A + ridge * eye_A_A, eye_A_A[:, :n])
    return Factors(left=residual_D_N.double(), right=inside_F_A @ picked_A_N)


def compressed(keys_F_M: Tensor) -> Tensor:
    """At most F columns with the same K K^T."""
    if keys_F_M.shape[1] <= keys_F_M.shape[0]:
        return keys_F_M
    upper_F_F: Tensor = torch.linalg.qr(keys_F_M.T.double()).R
    return upper_F_F.T.to(keys_F_M.dtype)
