"""From the activations of contrast pairs to a direction. Float64; one vector ``(D,)`` each.

Every direction points from the old side to the new one. Shape letters: N pairs, D width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from truing.errors import EditFailed
from truing.methods.steering.pairs import Sides

Direction = Callable[[Sides], Tensor]
Centre = Literal["none", "differences"]


def mean_difference(sides: Sides) -> Tensor:
    """``mean(new - old)``, in the activations' own units (Rimsky et al. 2024, equation 1)."""
    return sides.differences_N_D.double().mean(0)


def principal(sides: Sides, centre: Centre = "none") -> Tensor:
    """The first principal component, of length one.

    ``none``: of the differences as they are, or, which is the same, of both sides with each pair
    centred on its middle (repeng's ``pca_center``; LAT, whose random signs leave no mean to take off).
    ``differences``: of the differences less their mean (repeng's ``pca_diff``), which leaves out what
    all pairs have in common.
    """
    differences_N_D = sides.differences_N_D.double()
    if centre == "differences":
        differences_N_D = differences_N_D - differences_N_D.mean(0)
    _, _, axes = torch.linalg.svd(differences_N_D, full_matrices=False)
    return signed(axes[0], sides)


def logistic(sides: Sides, penalty: float = 1.0) -> Tensor:
    """The weights of a logistic regression that tells the sides apart, of length one.

    No intercept; ``penalty / 2 |w|^2`` beside the summed loss over standardised activations (each
    pair centred on its middle, one scale for all features).
    """
    half_N_D = sides.differences_N_D.double().numpy() / 2
    scale = float(np.sqrt((half_N_D**2).sum(1).mean())) or 1.0
    x_N_D = half_N_D / scale

    def loss(w_D: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[float, object]:
        z_N = x_N_D @ w_D
        value = np.logaddexp(0, -z_N).sum() + penalty / 2 * float(w_D @ w_D)
        slope_N = -1 / (1 + np.exp(np.clip(z_N, -500, 500)))
        return float(value), x_N_D.T @ slope_N + penalty * w_D

    found = minimize(loss, np.zeros(x_N_D.shape[1]), jac=True, method="L-BFGS-B")
    weights = torch.from_numpy(np.asarray(found.x, dtype=np.float64))
    return signed(weights / weights.norm(), sides)


def anywhere(like: Tensor, draw: torch.Generator) -> Tensor:
    """A random direction, evenly over the sphere, as long as ``like`` (each row of it), in its dtype
    and among the coordinates in which ``like`` is not zero."""
    drawn = torch.randn(like.shape, generator=draw, dtype=torch.float64)
    return as_long(drawn * (like != 0).cpu(), like)


def as_long(vector: Tensor, like: Tensor) -> Tensor:
    """``vector`` (each row of it) of the length of ``like``, and in its dtype."""
    unit = torch.nn.functional.normalize(vector.double().cpu(), dim=-1)
    scaled: Tensor = unit * like.double().cpu().norm(dim=-1, keepdim=True)
    return scaled.to(like)


def unlabelled(sides: Sides, seed: int) -> Tensor:
    """The mean difference after each pair's sides are swapped by the toss of a coin; never all alike."""
    draw = torch.Generator().manual_seed(seed)
    n = len(sides.new_N_D)
    signs_N = 2.0 * torch.randint(0, 2, (n,), generator=draw).double() - 1
    if abs(float(signs_N.sum())) == n > 1:
        signs_N[n // 2 :] *= -1
    return (signs_N[:, None].to(sides.new_N_D.device) * sides.differences_N_D.double()).mean(0)


def signed(axis_D: Tensor, sides: Sides) -> Tensor:
    """``axis_D`` turned so that the new side lies in its direction, by the mean of the pairs."""
    along = float(sides.differences_N_D.double().mean(0) @ axis_D)
    return axis_D if along >= 0 else -axis_D


def agreement(direction_D: Tensor, sides: Sides) -> float:
    """Share of pairs whose new side lies further along the direction than their old one."""
    return float((sides.differences_N_D.double() @ direction_D > 0).double().mean())


def checked(direction_D: Tensor, what: str) -> Tensor:
    """``direction_D``, finite and not of length zero; else ``EditFailed``."""
    if not bool(torch.isfinite(direction_D).all()) or float(direction_D.norm()) == 0:
        raise EditFailed(
            f"{what}: the two sides do not differ, or are not finite",
            "Read another layer, or give pairs whose continuations differ.",
        )
    return direction_D
