"""Activation ops that wait for a prompt of a certain kind. Frozen data; nothing here touches a model.

Lee et al. 2024, "Programming Refusal with Conditional Activation Steering" (CAST). Shape letters: N
prompts, D width.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from truing.errors import BadInput
from truing.interventions.hashing import content_hash
from truing.models.positions import Positions

if TYPE_CHECKING:
    from truing.interventions.parts import ActivationOp

Similarity = Literal["cosine", "projected"]
"""``cosine``: cos(h, c). ``projected``: cos(h, tanh(P h)) with P the projector on c, as CAST has it;
but for the tanh that is ``|cos(h, c)|``, so it does not tell c from -c."""
Meets = Literal["above", "below"]
Rule = Literal["any", "all"]
PROMPT = Positions("prompt", skip_first=True)
"""The prompt but for its first token (BOS), whose activation is often longer than all the others."""


def similarities(kind: Similarity, asked_N_D: Tensor, vectors_N_D: Tensor) -> Tensor:
    """How much each activation is like its direction: float32 ``(N,)`` in [-1, 1]; 0 where either
    has no length."""
    asked_N_D, vectors_N_D = asked_N_D.float(), vectors_N_D.float()
    if kind == "projected":
        along_N_1 = (asked_N_D * vectors_N_D).sum(-1, keepdim=True)
        along_N_1 = along_N_1 / vectors_N_D.square().sum(-1, keepdim=True)
        vectors_N_D = torch.tanh(along_N_1 * vectors_N_D)
    return cosine_similarity(asked_N_D, vectors_N_D, dim=-1)


@dataclass(frozen=True, eq=False)
class Condition:
    """Whether a prompt's activation is like ``vector`` ``(d,)`` at a hook point: the similarity lies
    strictly ``above`` (or ``below``) ``threshold``.

    The activation is the mean over ``positions``, all or the last of the prompt's tokens. A prompt
    without such a token (one token, of which ``skip_first`` leaves none) meets no condition.
    """

    site: str
    layer: int
    vector: Tensor
    threshold: float
    meets: Meets = "above"
    similarity: Similarity = "cosine"
    positions: Positions = PROMPT

    def __post_init__(self) -> None:
        where = f"the condition at {self.site}[{self.layer}]"
        finite = self.vector.is_floating_point() and bool(torch.isfinite(self.vector).all())
        if self.vector.ndim != 1 or not finite or not bool(self.vector.any()):
            raise BadInput(
                f"{where}: its direction {tuple(self.vector.shape)} is not finite, or has no length",
                "Give a vector (d,) that is not zero.",
            )
        if not -1 <= self.threshold <= 1:
            raise BadInput(
                f"{where}: its threshold is {self.threshold}", "A similarity lies in [-1, 1]."
            )
        if self.positions.kind not in ("prompt", "last_prompt"):
            raise BadInput(
                f"{where} reads the positions '{self.positions.kind}'",
                "The prompt decides: read 'prompt' or 'last_prompt'.",
            )

    @cached_property
    def digest(self) -> str:
        facts: list[object] = [
            "condition",
            self.site,
            self.layer,
            self.threshold,
            self.meets,
            self.similarity,
            repr(self.positions),
        ]
        return content_hash(facts, self.vector)


@dataclass(frozen=True, eq=False)
class Conditional:
    """Activation ops that act on a row only where its prompt meets ``any`` (or ``all``) of
    ``conditions``.

    Decided when the prompt is read, from its tokens alone, for all tokens of the row; a row whose
    prompt does not meet them answers as without this part. A condition reads what the parts in front
    of this one leave, and its hook point lies below every op or is that op's own.
    """

    ops: tuple[ActivationOp, ...]
    conditions: tuple[Condition, ...]
    rule: Rule = "any"

    def __post_init__(self) -> None:
        if not self.ops or not self.conditions:
            raise BadInput(
                "a conditional part without ops or without conditions", "Give at least one of each."
            )

    @cached_property
    def digest(self) -> str:
        conditions = [condition.digest for condition in self.conditions]
        return content_hash(["conditional", self.rule, conditions, [op.digest for op in self.ops]])
