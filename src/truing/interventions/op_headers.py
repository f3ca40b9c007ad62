"""Activation ops on disk, alone or waiting for conditions: what goes into ``intervention.json``, and
the names of the tensors.

The vector of an op is called ``vector``, its latents ``latents.<name>`` where it reads any. Of a
conditional part, the vector of op n is called ``ops.<n>``, its latents ``ops.<n>.latents.<name>``, and the
vector of condition n ``conditions.<n>``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from pydantic import BaseModel, ConfigDict
from torch import Tensor

from truing.interventions.conditional import Condition, Conditional, Meets, Rule, Similarity
from truing.interventions.latents import Latents
from truing.interventions.ops import OPS
from truing.interventions.parts import ActivationOp
from truing.models.positions import Positions


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OpPart(_Strict):
    kind: Literal["activation-op"] = "activation-op"
    site: str
    layer: int
    op: str
    scale: float
    low: float | None = None
    high: float | None = None
    positions: Positions


class Asked(_Strict):
    """A condition."""

    site: str
    layer: int
    threshold: float
    meets: Meets
    similarity: Similarity
    positions: Positions


class ConditionalPart(_Strict):
    kind: Literal["conditional"] = "conditional"
    ops: tuple[OpPart, ...]
    conditions: tuple[Asked, ...]
    rule: Rule


def op_header(part: ActivationOp) -> OpPart:
    """The header of ``part``, without its tensors."""
    return OpPart(
        site=part.site,
        layer=part.layer,
        op=part.op,
        scale=part.scale,
        low=part.low,
        high=part.high,
        positions=part.positions,
    )


def op_of(header: OpPart, vector: Tensor, tensor: Callable[[str], Tensor]) -> ActivationOp:
    """The op again; ``tensor`` gives each tensor besides its vector by its name."""
    names = ("weight", "bias", "threshold")
    reads = OPS.get(header.op).reads
    return ActivationOp(
        site=header.site,
        layer=header.layer,
        op=header.op,
        vector=vector,
        positions=header.positions,
        scale=header.scale,
        low=header.low,
        high=header.high,
        latents=Latents(*(tensor(f"latents.{name}") for name in names)) if reads else None,
    )


def split(part: Conditional) -> tuple[ConditionalPart, dict[str, Tensor]]:
    """The header of ``part`` and its tensors by name."""
    named = {
        f"ops.{n}.{name}".removesuffix(".vector"): tensor
        for n, op in enumerate(part.ops)
        for name, tensor in op.tensors.items()
    }
    named |= {f"conditions.{n}": asked.vector for n, asked in enumerate(part.conditions)}
    conditions = tuple(
        Asked(
            site=asked.site,
            layer=asked.layer,
            threshold=asked.threshold,
            meets=asked.meets,
            similarity=asked.similarity,
            positions=asked.positions,
        )
        for asked in part.conditions
    )
    ops = tuple(op_header(op) for op in part.ops)
    return ConditionalPart(ops=ops, conditions=conditions, rule=part.rule), named


def join(header: ConditionalPart, tensor: Callable[[str], Tensor]) -> Conditional:
    """The part again; ``tensor`` gives each by its name."""
    ops = tuple(
        op_of(op, tensor(f"ops.{n}"), _within(f"ops.{n}", tensor))
        for n, op in enumerate(header.ops)
    )
    conditions = tuple(
        Condition(
            site=asked.site,
            layer=asked.layer,
            vector=tensor(f"conditions.{n}"),
            threshold=asked.threshold,
            meets=asked.meets,
            similarity=asked.similarity,
            positions=asked.positions,
        )
        for n, asked in enumerate(header.conditions)
    )
    return Conditional(ops, conditions, header.rule)


def _within(name: str, tensor: Callable[[str], Tensor]) -> Callable[[str], Tensor]:
    return lambda role: tensor(f"{name}.{role}")
