"""Which rows of a batch carry what."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Seats:
    """Which rows of the batch carry which entry of a stack. ``rows_R is None``: all carry entry 0."""

    def __init__(self, members: Sequence[int]) -> None:
        self._entry = {change: entry for entry, change in enumerate(members)}
        self.n_rows: int | None = None
        self.rows_R: Tensor | None = None
        self.which_R = torch.zeros(1, dtype=torch.long)

    def seat(self, index: Sequence[int] | None) -> None:
        if index is None:
            return
        pairs = [(row, self._entry[c]) for row, c in enumerate(index) if c in self._entry]
        self.n_rows = len(index)
        self.rows_R = torch.tensor([row for row, _ in pairs], dtype=torch.long)
        self.which_R = torch.tensor([entry for _, entry in pairs], dtype=torch.long)

    def of(self, n_rows: int) -> tuple[Tensor, Tensor]:
        """``which_R`` and ``rows_R``, written out for a batch of ``n_rows``."""
        if self.rows_R is None:
            return torch.zeros(n_rows, dtype=torch.long), torch.arange(n_rows)
        return self.which_R, self.rows_R

    @property
    def empty(self) -> bool:
        return self.rows_R is not None and self.rows_R.numel() == 0
