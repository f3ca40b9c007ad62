"""A vector trained to prefer one side of contrast pairs: bi-directional preference optimisation.

Cao et al. 2024, "Personalized Steering of Large Language Models: Versatile Steering Vectors Through
Bi-directional Preference Optimization". With ``m(v)`` the log-probability of the new side
minus that of the old one under ``v``, the loss of a pair is the mean over ``d = 1, -1`` of
``-log sigmoid(d * beta * (m(d * v) - m(0)))``: added it promotes, taken away it suppresses. Where the
paper lets the length grow, here it is fixed while training, so that a direction is all that is learnt
and strengths compare with the other methods'. Shape letters: B rows, T tokens, L labels, N pairs,
V vocabulary, D width.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import logsigmoid, normalize

from truing.methods.kernels.adam import Adam
from truing.methods.kernels.lines import Line, answer_line
from truing.methods.kernels.upward import Passes, best_passes, frozen
from truing.methods.steering import directions
from truing.methods.steering.vectors import Seen, VectorConfig, method
from truing.models.handle import Model
from truing.models.passes import PAD
from truing.models.positions import Positions, pack
from truing.types import EditRequest


class TrainedConfig(VectorConfig):
    """As :class:`VectorConfig`, and how the direction is trained."""

    steps: int = Field(20, ge=1, description="updates by Adam, each over all pairs")
    lr: float = Field(0.1, gt=0, description="Adam's rate, for a vector of root mean square 1")
    beta: float = Field(0.1, gt=0, description="how soon a pair that is won counts less, per nat")
    reach: float = Field(
        0.5, gt=0, description="length while training, of the layer's mean activation length"
    )


def trained(config: TrainedConfig, seen: Seen) -> Tensor:
    """The direction after ``steps`` updates from the mean difference, float64 ``(D,)``, of the length
    that it was trained at."""
    layer, sides = seen.place.layer, seen.sides
    start_D = directions.checked(
        directions.mean_difference(sides), f"trained_vector at layer {layer}"
    )
    rms_1_D = (normalize(start_D, dim=0) * math.sqrt(len(start_D))).float()[None]
    length = config.reach * sides.typical_norm
    adam = Adam(rms_1_D, config.lr)
    moving = torch.ones(1, dtype=torch.bool, device=rms_1_D.device)
    lots = [
        _Lot.of(seen.model, requests, layer, config.positions)
        for requests in _lots(seen.model, seen.requests)
    ]
    with frozen(seen.model.hf):
        for _ in range(config.steps):
            slope_1_D = torch.zeros_like(rms_1_D)
            for lot in lots:
                for sign in (1.0, -1.0):
                    rms_1_D.requires_grad_(True)
                    vector_D = sign * length * normalize(rms_1_D[0], dim=0)
                    gain_N = lot.gains(seen, vector_D)
                    loss = -logsigmoid(sign * config.beta * gain_N).sum()
                    (slope,) = torch.autograd.grad(loss, rms_1_D)
                    slope_1_D += slope / (2 * len(seen.requests))
            rms_1_D = adam.step(rms_1_D.detach(), slope_1_D, moving)
    return length * normalize(rms_1_D[0].double(), dim=0)


@dataclass(frozen=True)
class _Lot:
    """Pairs whose rows share a pass. ``steered_B_T``: where the vector is added. Of each label: its
    token and its pair's number, and 1 on the new side, -1 on the old. ``margin_N``: ``m(0)``."""

    passes: Passes
    steered_B_T: Tensor
    label_L: Tensor
    pair_L: Tensor
    side_L: Tensor
    margin_N: Tensor

    @classmethod
    def of(
        cls, model: Model, requests: Sequence[EditRequest], layer: int, positions: Positions
    ) -> _Lot:
        lines = [line for request in requests for line in _both(model, request)]
        passes, logits_L_V = best_passes(model, lines, [0] * len(lines), layer + 1)
        layout = pack([line.span for line in lines], side="right", pad_id=PAD)
        rows = [row for row, line in enumerate(lines) for _ in line.labels]
        row_L = torch.tensor(rows, device=logits_L_V.device)
        label_L = torch.tensor([label for line in lines for label in line.labels])
        lot = cls(
            passes,
            positions.mask(layout),
            label_L.to(row_L),
            row_L // 2,
            1.0 - 2.0 * (row_L % 2),
            logits_L_V.new_zeros(len(requests)),
        )
        return replace(lot, margin_N=lot._margins(logits_L_V).detach())

    def gains(self, seen: Seen, vector_D: Tensor) -> Tensor:
        """``m(v) - m(0)`` of every pair, in nats."""

        def add(acts_B_T_D: Tensor) -> Tensor:
            where = self.steered_B_T.to(acts_B_T_D.device)[..., None]
            return acts_B_T_D + (where * vector_D.to(acts_B_T_D.device)).to(acts_B_T_D.dtype)

        with seen.place.hook(seen.model).register(add):
            logits_L_V = self.passes.logits()
        return self._margins(logits_L_V) - self.margin_N

    def _margins(self, logits_L_V: Tensor) -> Tensor:
        logprob_L = logits_L_V.log_softmax(-1).gather(1, self.label_L[:, None])[:, 0]
        return torch.zeros_like(self.margin_N).index_add(0, self.pair_L, self.side_L * logprob_L)


def _both(model: Model, request: EditRequest) -> tuple[Line, Line]:
    """The new side's line and the old one's."""
    old = replace(request, target_new=(request.target_old or "").strip())
    return answer_line(model.speller, request), answer_line(model.speller, old)


def _lots(model: Model, requests: Sequence[EditRequest]) -> Iterator[list[EditRequest]]:
    """Pairs that are differentiated together: within a quarter of the token budget, whose activations
    are kept, and 2^26 logits."""
    vocabulary = int(model.hf.config.get_text_config().vocab_size)
    lot: list[EditRequest] = []
    width = reads = 0
    for request in requests:
        lines = _both(model, request)
        wide = max(len(line.ids) for line in lines)
        more = sum(len(line.reads) for line in lines)
        rows = 2 * (len(lot) + 1)
        full = rows * max(width, wide) > model.budget.tokens // 4
        if lot and (full or (reads + more) * vocabulary > 2**26):
            yield lot
            lot, width, reads = [], 0, 0
        lot.append(request)
        width, reads = max(width, wide), reads + more
    yield lot


TRAINED_VECTOR = method(
    "trained_vector",
    trained,
    TrainedConfig,
    "a vector trained to prefer one side of contrast pairs, added to the residual stream",
    "Cao et al. 2024 (BiPO), at a fixed length",
)
