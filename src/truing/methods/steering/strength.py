"""How much of an intervention there is: any factor of it, and the most that side effects allow."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from truing.errors import BadInput, EditFailed, NotPossible
from truing.interventions.intervention import (
    ActivationOp,
    Codebook,
    Conditional,
    Dense,
    Intervention,
    LowRank,
    Part,
    PromptPrefix,
    Routed,
    WeightDelta,
)
from truing.interventions.ops import OPS
from truing.methods.neutral import NEUTRAL
from truing.methods.steering.effect import Effect, effect, on_neutral
from truing.models.handle import Model
from truing.types import Prompt

WITHIN = 0.02
"""The strength that is found lies at most this share below the largest one."""
REACH = 2.0**12
"""Strengths are looked for between 1 / REACH and REACH."""


def scaled(iv: Intervention, factor: float) -> Intervention:
    """``iv`` with ``factor`` times its activation ops' strengths and its weight deltas.

    1 is ``iv``, 0 the base model. The memo, which belongs to the total as it was made, is left behind.
    Raises NotPossible for parts of which there is no fraction.
    """
    if not math.isfinite(factor):
        raise BadInput(f"the factor is {factor}", "Give a finite number.")
    before = iv.origin.config.get("scaled", 1.0)
    origin = replace(iv.origin, config={**iv.origin.config, "scaled": before * factor})
    return Intervention(tuple(_scaled(part, factor) for part in iv.parts), origin=origin)


def _scaled(part: Part, factor: float) -> Part:
    if isinstance(part, ActivationOp):
        return _scaled_op(part, factor)
    if isinstance(part, Conditional):
        return replace(part, ops=tuple(_scaled_op(op, factor) for op in part.ops))
    if isinstance(part, WeightDelta):
        delta = part.delta
        if isinstance(delta, LowRank):
            return replace(part, delta=LowRank(delta.left * factor, delta.right))
        return replace(part, delta=Dense(delta.delta * factor, delta.orientation))
    raise _no_fraction(_why_not(part))


def _scaled_op(op: ActivationOp, factor: float) -> ActivationOp:
    if not OPS.get(op.op).graded:
        raise _no_fraction(f"the op '{op.op}' sets a value")
    return replace(op, scale=op.scale * factor)


def _no_fraction(why: str) -> NotPossible:
    return NotPossible(
        f"{why}: there is no fraction of it",
        "Only activation ops with a strength and weight deltas can be scaled.",
    )


def _why_not(part: Part) -> str:
    if isinstance(part, Codebook):
        return "a codebook replaces what a module puts out"
    if isinstance(part, Routed):
        return "a routed change is chosen by how far it reaches"
    return "a prompt prefix is text" if isinstance(part, PromptPrefix) else "a memory holds text"


def to_budget(
    model: Model,
    make: Callable[[float], Intervention],
    max_kl: float,
    texts: Sequence[Prompt],
    *,
    neutral: Sequence[str] = NEUTRAL,
) -> tuple[float, Intervention, Effect]:
    """:func:`within`, and what its intervention does on ``texts`` (:func:`effect`)."""
    strength, iv = within(model, make, max_kl, neutral=neutral)
    return strength, iv, effect(model, iv, texts, neutral=neutral)


def within(
    model: Model,
    make: Callable[[float], Intervention],
    max_kl: float,
    *,
    neutral: Sequence[str] = NEUTRAL,
) -> tuple[float, Intervention]:
    """The largest strength at which ``make(strength)`` changes neutral text by at most ``max_kl``
    nats per token, and what it makes.

    Found by doubling or halving from 1, then by bisection; takes it that more strength changes more,
    up to the budget. Raises EditFailed where the budget cannot be reached, or not be kept.
    """
    if not max_kl > 0:
        raise BadInput(f"the budget is {max_kl} nats per token", "Give a positive number.")

    def changes(strength: float) -> float:
        return on_neutral(model, make(strength), neutral).nats

    low, high = _bracket(changes, max_kl)
    while high - low > WITHIN * high:
        middle = (low + high) / 2
        low, high = (middle, high) if changes(middle) <= max_kl else (low, middle)
    return low, make(low)


def _bracket(changes: Callable[[float], float], max_kl: float) -> tuple[float, float]:
    """A strength that keeps the budget, and twice that, which does not."""
    strength, nats = 1.0, changes(1.0)
    kept = nats <= max_kl
    while (nats <= max_kl) == kept and 1 / REACH < strength < REACH:
        strength *= 2.0 if kept else 0.5
        nats = changes(strength)
    if (nats <= max_kl) == kept:
        how = "is not reached" if kept else "is not kept"
        raise EditFailed(
            f"the budget of {max_kl:g} nats per token {how}: strength {strength:g} changes neutral "
            f"text by {nats:.3g}",
            "Does it act on answers at all? See `effect`; steer elsewhere, or change the budget.",
        )
    return (strength / 2, strength) if kept else (strength, strength * 2)
