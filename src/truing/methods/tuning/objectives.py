"""What a tuned model should do with the sides of a contrast pair, as a loss per pair.

Shape letters: S sides of a pair (first the one to promote), B pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import logsigmoid


@dataclass(frozen=True, eq=False)
class Likelihoods:
    """Log-probability of every side, summed over its tokens (nats): of the model in training and of
    the one that it started from; and the number of those tokens."""

    logprobs_S_B: Tensor
    reference_S_B: Tensor
    tokens_S_B: Tensor


Objective = Callable[[Likelihoods], Tensor]
"""From likelihoods to losses ``(B,)``."""


def sft(sides: Likelihoods) -> Tensor:
    """Mean negative log-probability of a token of the promoted side."""
    return -sides.logprobs_S_B[0] / sides.tokens_S_B[0]


def dpo(sides: Likelihoods, beta: float, nll: float) -> Tensor:
    """Rafailov et al. 2023, eq. 7, plus ``nll`` times :func:`sft` (Pang et al. 2024, eq. 2)."""
    gains_S_B = sides.logprobs_S_B - sides.reference_S_B
    loss_B = -logsigmoid(beta * (gains_S_B[0] - gains_S_B[1]))
    return loss_B + nll * sft(sides) if nll else loss_B
