"""Is what a topic's opinions should be likelier than what they should not be? Read off one row.

After Mao et al. 2024, "Editing Personality for Large Language Models" (arXiv 2310.02168), section 4.
A row's choices are the opinions of the target trait (+, its accepted ones) and of the other traits
(-). An unedited model scores z_topic 1 and z_per near 0.5, so ES means nothing without its row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

from truing.protocols.questions import EDIT_SUCCESS
from truing.types import Choice, Response, Row

ASPECT = EDIT_SUCCESS
Reduce = Literal["text", "token"]
"""What weighs the same in a mean over opinions: every opinion, or every token of them."""


@dataclass(frozen=True, slots=True)
class EditSuccess:
    """Mean log-probability per token, in nats, of the + and of the - opinions, now and under the
    base model."""

    plus: float
    minus: float
    plus_base: float
    minus_base: float

    @property
    def z_per(self) -> float:
        return sigmoid(self.plus - self.minus)

    @property
    def z_per_base(self) -> float:
        return sigmoid(self.plus_base - self.minus_base)

    @property
    def z_per_shift(self) -> float:
        return self.z_per - self.z_per_base

    @property
    def z_topic_raw(self) -> float:
        """The ratio of the geometric mean token probabilities of the + opinions."""
        return math.exp(min(self.plus - self.plus_base, 700.0))

    @property
    def z_topic(self) -> float:
        return min(1.0, self.z_topic_raw)

    @property
    def es(self) -> float:
        return self.z_per * self.z_topic


def edit_success(row: Row, reduce: Reduce = "text") -> EditSuccess | None:
    """``None`` without scored opinions of both kinds, now or under the base model."""
    now, base = _sides(row, row.response), _sides(row, row.base)
    if now is None or base is None:
        return None
    means = (_mean(side, reduce) for side in (*now, *base))
    return EditSuccess(*means)


def ranked(row: Row, *, per_token: bool) -> float | None:
    """The share of pairs of a + and a - opinion in which the + one is likelier, a tie counting half:
    by log-probability per token, or of the whole opinions."""
    sides = _sides(row, row.response)
    if sides is None:
        return None
    plus, minus = ([_likelihood(c, per_token) for c in side] for side in sides)
    won = [(a > b) + (a == b) / 2 for a, b in product(plus, minus)]
    return math.fsum(won) / len(won)


def sigmoid(x: float) -> float:
    if x >= 0:
        return 1.0 / (1.0 + math.exp(-x))
    raised = math.exp(x)
    return raised / (1.0 + raised)


def _sides(row: Row, response: Response | None) -> tuple[list[Choice], list[Choice]] | None:
    if response is None:
        return None
    if any(not c.n_tokens or not math.isfinite(c.logprob) for c in response.choices):
        return None
    plus = [c for c in response.choices if c.text in row.accepted]
    minus = [c for c in response.choices if c.text not in row.accepted]
    return (plus, minus) if plus and minus else None


def _mean(side: Sequence[Choice], reduce: Reduce) -> float:
    if reduce == "token":
        return math.fsum(c.logprob for c in side) / sum(c.n_tokens for c in side)
    return math.fsum(_likelihood(c, per_token=True) for c in side) / len(side)


def _likelihood(choice: Choice, per_token: bool) -> float:
    return choice.logprob / choice.n_tokens if per_token else choice.logprob
