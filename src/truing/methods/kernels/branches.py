"""Passes in which every row meets its own low-rank change of some matrices, with gradients.

``y = W x + left^T (right x)``: what the engine does per row for answers, here differentiable in the
factors, so that whatever makes the factors can be trained through the edited model.

Shape letters: E changes, R rank, B rows of a batch, T tokens, F inputs and D outputs of a matrix.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from truing.models.arch import Slot


@dataclass(frozen=True, eq=False)
class Branch:
    """Changes of one matrix: dW of change e is ``left_E_R_D[e].T @ right_E_R_F[e]``. Ranks are
    padded with zeros."""

    slot: Slot
    left_E_R_D: Tensor
    right_E_R_F: Tensor


@contextmanager
def branched(branches: Sequence[Branch], which_B: Tensor) -> Iterator[None]:
    """Inside, row b of every pass meets change ``which_B[b]`` of each branch, in float32."""
    with ExitStack() as stack:
        for branch in branches:
            hook = _hook(branch, which_B)
            stack.callback(branch.slot.module.register_forward_hook(hook, with_kwargs=True).remove)
        yield


def _hook(branch: Branch, which_B: Tensor) -> Any:
    which_B = which_B.to(branch.left_E_R_D.device)
    left_B_R_D = branch.left_E_R_D[which_B]
    right_B_F_R = branch.right_E_R_F[which_B].transpose(1, 2)

    def add(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Tensor) -> Tensor:
        acts = args[0] if args else next(iter(kwargs.values()))
        acts_B_T_F = acts.reshape(len(which_B), -1, acts.shape[-1]).float()
        right = right_B_F_R.to(acts.device)
        change_B_T_D = torch.bmm(torch.bmm(acts_B_T_F, right), left_B_R_D.to(acts.device))
        bounds = branch.slot.bounds
        if bounds is not None:
            change_B_T_D = pad(change_B_T_D, (bounds[0], out.shape[-1] - bounds[1]))
        return (out.float() + change_B_T_D.reshape(out.shape)).to(out.dtype)

    return add
