"""Activation ops are what their formulas say, row by row."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from truing.errors import BadInput
from truing.interventions.ops import OPS

INF = float("inf")
ON_VECTORS = [name for name in OPS if not OPS.get(name).reads]
"""Ops that read the activation itself; those that read latents: test_latents.py."""


def run(
    name: str,
    acts: torch.Tensor,
    vectors: list[torch.Tensor],
    scale: list[float],
    low: float = -INF,
    high: float = INF,
) -> torch.Tensor:
    op = OPS.get(name)
    stacked = torch.stack([op.prepare(v) for v in vectors])
    n = len(vectors)
    return op.run(acts, stacked, torch.tensor(scale), torch.full((n,), low), torch.full((n,), high))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(-3, 3))
def test_add_adds_each_rows_own_vector(seed: int, scale: float) -> None:
    g = torch.Generator().manual_seed(seed)
    acts = torch.randn(2, 3, 5, generator=g)
    a, b = torch.randn(5, generator=g), torch.randn(5, generator=g)
    new = run("add", acts, [a, b], [scale, 1.0])
    torch.testing.assert_close(new[0], acts[0] + scale * a)
    torch.testing.assert_close(new[1], acts[1] + b)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 3))
def test_ablate_leaves_nothing_of_the_subspace_and_all_of_the_rest(seed: int, m: int) -> None:
    g = torch.Generator().manual_seed(seed)
    acts = torch.randn(1, 4, 6, generator=g)
    vectors = torch.randn(m, 6, generator=g)
    new = run("ablate", acts, [vectors], [1.0])
    assert (new @ vectors.T).abs().max() < 1e-4
    away = acts - new
    coordinates = torch.linalg.lstsq(vectors.T.double(), away[0].T.double()).solution
    torch.testing.assert_close(
        vectors.T.double() @ coordinates, away[0].T.double(), atol=1e-5, rtol=1e-4
    )
    torch.testing.assert_close(run("ablate", new, [vectors], [1.0]), new, atol=1e-5, rtol=1e-4)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(-2, 0), st.floats(0, 2))
def test_clamp_bounds_the_coordinate_only(seed: int, low: float, high: float) -> None:
    g = torch.Generator().manual_seed(seed)
    acts = 3 * torch.randn(1, 4, 6, generator=g)
    vector = torch.randn(6, generator=g)
    unit = vector / vector.norm()
    new = run("clamp", acts, [vector], [1.0], low, high)
    torch.testing.assert_close(new @ unit, (acts @ unit).clamp(low, high), atol=1e-5, rtol=1e-4)
    rest = acts - (acts @ unit)[..., None] * unit
    torch.testing.assert_close(new - (new @ unit)[..., None] * unit, rest, atol=1e-5, rtol=1e-4)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(-3, 3))
def test_add_keep_norm_turns_and_does_not_stretch(seed: int, scale: float) -> None:
    g = torch.Generator().manual_seed(seed)
    acts = 3 * torch.randn(2, 4, 6, generator=g)
    vectors = [torch.randn(6, generator=g) for _ in range(2)]
    new = run("add-keep-norm", acts, vectors, [scale, 1.0])
    torch.testing.assert_close(new.norm(dim=-1), acts.norm(dim=-1), atol=1e-5, rtol=1e-4)
    added = run("add", acts, vectors, [scale, 1.0])
    cosine = torch.nn.functional.cosine_similarity(new, added, dim=-1)
    torch.testing.assert_close(cosine, torch.ones_like(cosine), atol=1e-5, rtol=0)


def test_add_keep_norm_leaves_what_has_no_length_to_keep_or_to_give() -> None:
    vector = torch.tensor([1.0, 2.0])
    acts = torch.stack([torch.zeros(2), -vector])[None]
    assert torch.equal(run("add-keep-norm", acts, [vector], [1.0]), acts)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(-3, 3))
def test_replace_along_sets_the_coordinate_and_nothing_else(seed: int, scale: float) -> None:
    g = torch.Generator().manual_seed(seed)
    acts = 3 * torch.randn(1, 4, 6, generator=g)
    vector = torch.randn(6, generator=g)
    unit = vector / vector.norm()
    new = run("replace-along", acts, [vector], [scale])
    along = torch.full((1, 4), scale) * vector.norm()
    torch.testing.assert_close(new @ unit, along, atol=1e-4, rtol=1e-4)
    ablated = run("ablate", acts, [vector], [1.0])
    torch.testing.assert_close(new, run("add", ablated, [vector], [scale]), atol=1e-4, rtol=1e-4)
    value = scale * float(vector.norm())
    clamped = run("clamp", acts, [vector], [1.0], value, value)
    torch.testing.assert_close(new, clamped, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", [name for name in ON_VECTORS if OPS.get(name).graded])
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_strength_0_is_the_identity_bit_for_bit(name: str, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    acts = 10 ** (4 * torch.rand(2, 5, 33, generator=g) - 2) * torch.randn(2, 5, 33, generator=g)
    acts[0, 0] = 0
    vectors = [torch.randn(33, generator=g) for _ in range(2)]
    assert torch.equal(run(name, acts, vectors, [0.0, 0.0], -0.1, 0.1), acts)


def test_a_direction_of_length_zero_is_refused_where_one_is_needed() -> None:
    for name in ON_VECTORS:
        if name in ("add", "add-keep-norm"):
            run(name, torch.ones(1, 1, 3), [torch.zeros(3)], [1.0])
        else:
            with pytest.raises(BadInput, match="length zero"):
                OPS.get(name).prepare(torch.zeros(3))
