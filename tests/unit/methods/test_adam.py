"""The batched Adam is torch's Adam, problem by problem."""

from __future__ import annotations

import torch

from truing.methods.kernels.adam import Adam


def test_every_row_moves_as_under_torch() -> None:
    rng = torch.Generator().manual_seed(0)
    values = torch.randn(3, 5, generator=rng)
    ours, adam = values.clone(), Adam(values, 0.3)
    theirs = torch.nn.Parameter(values.clone())
    optimiser = torch.optim.Adam([theirs], lr=0.3)
    everything = torch.ones(3, dtype=torch.bool)
    for _ in range(7):
        grads = torch.randn(3, 5, generator=rng)
        ours = adam.step(ours, grads, everything)
        theirs.grad = grads
        optimiser.step()
    assert torch.allclose(ours, theirs.detach(), atol=1e-6)


def test_finished_rows_stay_and_others_do_not_notice() -> None:
    grads = torch.tensor([[1.0, -2.0], [0.5, 3.0]])
    values = torch.zeros(2, 2)
    both, one = Adam(values, 0.1), Adam(values[1:], 0.1)
    here = both.step(values, grads, torch.tensor([False, True]))
    alone = one.step(values[1:], grads[1:], torch.tensor([True]))
    assert torch.equal(here[0], values[0])
    assert torch.equal(here[1:], alone)
    both.keep(torch.tensor([1]))
    assert torch.equal(
        both.step(here[1:], grads[1:], torch.tensor([True])),
        one.step(alone, grads[1:], torch.tensor([True])),
    )
