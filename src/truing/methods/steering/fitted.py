"""Training what acts on activations: changes of hook points while the promoted sides of pairs are read.

The loss is the mean negative log-probability of a promoted side's tokens, as published; the other side
is not looked at. Shape letters: B rows, T tokens, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor

from truing.methods.kernels.capture import Place
from truing.methods.kernels.lines import Line, answer_line
from truing.methods.method import MethodConfig
from truing.methods.settings import given
from truing.methods.tuning.fitting import Pair, Practice, line_logprobs
from truing.models.handle import Model
from truing.models.passes import PAD
from truing.models.positions import Positions, pack
from truing.seeds import Seeds
from truing.types import EditRequest


class FittedConfig(MethodConfig):
    """How it is trained, and how much of it acts; None means: the model's tuned value, or a guess."""

    epochs: int | None = Field(None, ge=1, description="times that every pair is seen")
    lr: float | None = Field(None, gt=0, description="Adam's step size")
    batch_size: int = Field(8, ge=1, description="pairs per update")


@dataclass(frozen=True, slots=True)
class Tuned:
    """A row of a table."""

    epochs: int
    lr: float


Act = Callable[[Tensor, Tensor], Tensor]
"""From float32 activations ``(B, T, D)`` and where to act, bool ``(B, T)``, to new activations;
elsewhere the old ones stay."""


def practice(config: FittedConfig, tuned: Tuned, rank: int) -> Practice:
    """``config`` with its gaps filled from the table."""
    return Practice(
        epochs=given(config.epochs, tuned.epochs),
        batch_size=config.batch_size,
        lr=given(config.lr, tuned.lr),
        rank=rank,
        scale=1.0,
    )


def promoted(model: Model, requests: Sequence[EditRequest]) -> list[Pair]:
    """The new side of every request."""
    return [(answer_line(model.speller, request),) for request in requests]


def drawn(seeds: Seeds, model: Model, *shape: int) -> Tensor:
    """Normal numbers that only ``seeds`` decide, where the model's token ids go."""
    generator = torch.Generator().manual_seed(seeds.number)
    return torch.randn(*shape, generator=generator).to(model.device)


def nll(
    model: Model, pairs: Sequence[Pair], acts: Mapping[Place, Act], positions: Positions
) -> Tensor:
    """Mean negative log-probability (nats) of a token of each pair's first side, ``(B,)``, while
    ``acts`` act at ``positions``; carries gradients."""
    lines = [pair[0] for pair in pairs]
    with _acting(model, lines, acts, positions):
        logprobs_B = line_logprobs(model, lines)
    return -logprobs_B / logprobs_B.new_tensor([len(line.labels) for line in lines])


@contextmanager
def _acting(
    model: Model, lines: Sequence[Line], acts: Mapping[Place, Act], positions: Positions
) -> Iterator[None]:
    """Inside, a pass over ``lines``, padded right, meets ``acts``."""
    mask_B_T = positions.mask(pack([line.span for line in lines], side="right", pad_id=PAD))

    def hook(act: Act) -> Callable[[Tensor], Tensor]:
        def run(acts_B_T_D: Tensor) -> Tensor:
            here_B_T = mask_B_T.to(acts_B_T_D.device)
            new = act(acts_B_T_D.float(), here_B_T).to(acts_B_T_D.dtype)
            return torch.where(here_B_T[..., None], new, acts_B_T_D)

        return run

    with ExitStack() as stack:
        for place, act in acts.items():
            stack.enter_context(place.hook(model).register(hook(act)))
        yield
