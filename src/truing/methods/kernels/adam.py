"""Adam over many independent problems at once: problems that are finished do not move."""

from __future__ import annotations

import torch
from torch import Tensor


class Adam:
    """Adam (Kingma and Ba 2015, algorithm 1) on ``values`` of shape (n, ...), one problem per row.

    All rows start together, so an active row has made as many steps as any other; a row that
    stops is frozen with its moments. betas .9/.999, eps 1e-8, no weight decay.
    """

    def __init__(self, values: Tensor, lr: float) -> None:
        self._lr = lr
        self._steps = 0
        self._first = torch.zeros_like(values)
        self._second = torch.zeros_like(values)

    def step(self, values: Tensor, grads: Tensor, active_N: Tensor) -> Tensor:
        """The next values; rows where ``active_N`` (bool) is False stay as they are."""
        self._steps += 1
        self._first.mul_(0.9).add_(grads, alpha=0.1)
        self._second.mul_(0.999).addcmul_(grads, grads, value=0.001)
        scale = self._lr / (1 - 0.9**self._steps)
        root = (self._second / (1 - 0.999**self._steps)).sqrt_().add_(1e-8)
        moved = values - scale * self._first / root
        return torch.where(active_N.view(-1, *[1] * (values.dim() - 1)), moved, values)

    def keep(self, index: Tensor) -> None:
        """Go on with the rows ``index`` only."""
        self._first, self._second = self._first[index], self._second[index]
