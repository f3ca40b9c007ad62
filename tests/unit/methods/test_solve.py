"""Closed forms against worked numbers and against their primal, f x f, counterparts."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from truing.errors import EditFailed
from truing.methods.kernels.solve import (
    IDENTITY,
    Factors,
    Spectrum,
    compressed,
    factorise,
    least_squares,
    projected,
    rank_one,
)

C = torch.tensor([[2.0, 1, 0], [1, 2, 0], [0, 0, 0.01]], dtype=torch.float64)
K = torch.tensor([[1.0, 0], [0, 1], [1, 1]], dtype=torch.float64)
W = torch.tensor([[1.0, 0, 2], [0, 1, -1]], dtype=torch.float64)
V = torch.tensor([[1.0, 2], [0, -1]], dtype=torch.float64)
R = V - W @ K
WEIGHT = 2.0


def delta(factors: Factors) -> Tensor:
    return factors.left @ factors.right.T


def near(got: Tensor, want: list[list[float]]) -> bool:
    return torch.allclose(got, torch.tensor(want, dtype=torch.float64), atol=1e-6)


def solved() -> Tensor:
    return factorise(WEIGHT * C).solve(K)


@pytest.mark.parametrize(
    ("damping", "want"),
    [
        (1.0, [[-0.334981, 0.331686, -0.988468], [0.333333, -0.333333, 0]]),
        (0.1, [[-0.834996, 0.831671, -0.997340], [0.833333, -0.833333, 0]]),
        (0.0, [[-1.001664, 0.998336, -0.998336], [1, -1, 0]]),
    ],
)
def test_least_squares_gives_the_worked_numbers(damping: float, want: list[list[float]]) -> None:
    assert near(delta(least_squares(R, K, solved(), damping)), want)


def test_spreading_by_square_root_gives_the_worked_numbers() -> None:
    want = [[-0.236867, 0.234537, -0.698952], [0.235702, -0.235702, 0]]
    assert near(delta(least_squares(R / 2**0.5, K, solved())), want)


def test_without_damping_the_keys_get_their_values_exactly() -> None:
    edited = W + delta(least_squares(R, K, solved(), damping=0.0))
    assert torch.allclose(edited @ K, V, atol=1e-12)


def test_rank_one_gives_the_worked_numbers() -> None:
    key, residual = K[:, 0], R[:, 0]
    factors = rank_one(factorise(C).solve(key[:, None])[:, 0], key, residual)
    assert near(factors.right.T, [[0.006666, -0.003333, 0.999972]])
    assert near(factors.left.T, [[-1.986810, 0.993405]])
    assert near(delta(factors), [[-0.013245, 0.006623, -1.986755], [0.006623, -0.003311, 0.993377]])


def test_rank_one_without_statistics_gives_the_worked_numbers() -> None:
    key = K[:, 0]
    factors = rank_one(IDENTITY.solve(key[:, None])[:, 0], key, R[:, 0])
    assert near(delta(factors), [[-1, 0, -1], [0.5, 0, 0.5]])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 6))
def test_dual_and_primal_forms_agree(seed: int, n: int) -> None:
    d, f = 24, 40
    rng = torch.Generator().manual_seed(seed)
    keys = torch.randn(f, n, generator=rng, dtype=torch.float64)
    residual = torch.randn(d, n, generator=rng, dtype=torch.float64)
    old = torch.randn(f, 3 * f, generator=rng, dtype=torch.float64)
    moment = old @ old.T / (3 * f)
    primal = residual @ keys.T @ torch.linalg.inv(WEIGHT * moment + keys @ keys.T)
    dual = delta(least_squares(residual, keys, factorise(moment).solve(keys) / WEIGHT))
    assert torch.allclose(dual, primal, rtol=1e-9, atol=1e-11)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31))
def test_rank_one_hits_its_value_and_is_the_undamped_single_edit(seed: int) -> None:
    d, f = 24, 40
    rng = torch.Generator().manual_seed(seed)
    weight = torch.randn(d, f, generator=rng, dtype=torch.float64)
    key = torch.randn(f, generator=rng, dtype=torch.float64)
    value = torch.randn(d, generator=rng, dtype=torch.float64)
    old = torch.randn(f, 3 * f, generator=rng, dtype=torch.float64)
    factor = factorise(old @ old.T / (3 * f))
    direction = factor.solve(key[:, None])
    residual = value - weight @ key
    one = delta(rank_one(direction[:, 0], key, residual))
    assert torch.allclose((weight + one) @ key, value, atol=1e-9)
    assert torch.linalg.matrix_rank(one) == 1
    both = delta(least_squares(residual[:, None], key[:, None], direction / 7.0, damping=0.0))
    assert torch.allclose(one, both, atol=1e-9)


def test_a_definite_matrix_gets_no_ridge() -> None:
    assert factorise(C).ridge == 0.0


def test_a_singular_matrix_gets_a_ridge_and_its_condition_is_told() -> None:
    factor = factorise(torch.diag(torch.tensor([1.0, 1.0, 0.0])))
    assert factor.ridge > 0
    assert factor.condition == float("inf")


def test_a_matrix_that_is_not_finite_is_refused() -> None:
    with pytest.raises(EditFailed, match="not finite"):
        factorise(torch.full((2, 2), float("nan")))


THIRD = Spectrum.of(C).below(0.02)
"""Only the third axis: the eigenvalues of C are 0.01, 1 and 3."""
NO_KEYS = K[:, :0]


def test_alphaedit_gives_the_worked_numbers() -> None:
    assert THIRD.rank == 1
    assert near(delta(projected(R, K, NO_KEYS, THIRD, 1.0)), [[0, 0, -0.666667], [0, 0, 0]])
    assert near(delta(projected(R, K, K, THIRD, 1.0)), [[0, 0, -0.4], [0, 0, 0]])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 6), st.integers(0, 9), st.integers(1, 39))
def test_projected_edits_agree_with_the_primal_form_and_spare_what_is_cut(
    seed: int, n: int, spared: int, rank: int
) -> None:
    d, f = 24, 40
    rng = torch.Generator().manual_seed(seed)
    keys, before = (torch.randn(f, m, generator=rng, dtype=torch.float64) for m in (n, spared))
    residual = torch.randn(d, n, generator=rng, dtype=torch.float64)
    old = torch.randn(f, 3 * f, generator=rng, dtype=torch.float64)
    spectrum = Spectrum.of(old @ old.T)
    space = spectrum.smallest(rank)
    assert space.rank == rank
    got = delta(projected(residual, keys, before, space, 0.5))
    basis = spectrum.vectors_F_F[:, :rank]
    onto = basis @ basis.T
    whole = onto @ (keys @ keys.T + before @ before.T) + 0.5 * torch.eye(f, dtype=torch.float64)
    primal = torch.linalg.solve(whole, onto @ keys @ residual.T).T
    assert torch.allclose(got, primal, rtol=1e-8, atol=1e-10)
    cut = spectrum.vectors_F_F[:, rank:]
    assert float((got @ cut).abs().max()) < 1e-10


def test_with_nothing_cut_alphaedit_is_ridge_regression() -> None:
    everything = Spectrum.of(C).smallest(3)
    eye = torch.eye(3, dtype=torch.float64)
    want = R @ K.T @ torch.linalg.inv(K @ K.T + 0.7 * eye)
    assert torch.allclose(delta(projected(R, K, NO_KEYS, everything, 0.7)), want)


def test_a_share_of_the_trace_cuts_by_energy() -> None:
    spectrum = Spectrum.of(C)
    assert [spectrum.within(share).rank for share in (0.001, 0.01, 0.3)] == [0, 1, 2]


def test_compressed_keys_keep_their_products() -> None:
    rng = torch.Generator().manual_seed(0)
    many = torch.randn(5, 40, generator=rng, dtype=torch.float64)
    few = compressed(many)
    assert few.shape == (5, 5)
    assert torch.allclose(few @ few.T, many @ many.T)
    assert compressed(K) is K
