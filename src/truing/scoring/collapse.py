"""When an intervention has broken the model: what it then suppresses is no success.

A model that became worse at everything makes the unwanted text less likely too (Pres et al. 2024,
arXiv 2410.17245). Any one of three signs is enough. The bounds are conventions of this project, set far
from what a useful intervention does.
"""

from __future__ import annotations

from dataclasses import dataclass

DEGENERATE = "degenerate"


@dataclass(frozen=True, slots=True)
class Bounds:
    """``neutral``: KL(base || changed), nats per token of text that nothing aims at; at 3 its tokens
    are e^3, about twenty times, harder to expect. ``fall``: nats per token that the wanted and the
    unwanted text have both lost. ``fluent``: share of free answers that became empty or looping."""

    neutral: float = 3.0
    fall: float = 1.0
    fluent: float = 0.25


BOUNDS = Bounds()


@dataclass(frozen=True, slots=True)
class Signs:
    """What is known of an intervention; ``None``: not measured. ``promotion`` and ``suppression`` in
    nats per token, ``neutral`` likewise, ``fluent`` the change of the share of fluent answers."""

    neutral: float | None = None
    promotion: float | None = None
    suppression: float | None = None
    fluent: float | None = None


def collapsed(signs: Signs, bounds: Bounds = BOUNDS) -> tuple[str, ...]:
    """Why the model counts as broken, in words; empty where it does not."""
    found = []
    if signs.neutral is not None and signs.neutral > bounds.neutral:
        found.append(
            f"neutral text changed by {signs.neutral:.2f} nats per token (bound {bounds.neutral:g})"
        )
    if signs.promotion is not None and signs.suppression is not None:
        wanted, other = -signs.promotion, signs.suppression
        if min(wanted, other) > bounds.fall:
            found.append(
                f"both texts became less likely, by {wanted:.2f} and {other:.2f} nats per token "
                f"(bound {bounds.fall:g})"
            )
    if signs.fluent is not None and -signs.fluent > bounds.fluent:
        found.append(
            f"{-100 * signs.fluent:.0f} of 100 free answers became empty or looping "
            f"(bound {100 * bounds.fluent:.0f})"
        )
    return tuple(found)
