"""Changes of which a row's prompt picks at most one. Frozen data; nothing here touches a model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from truing.errors import BadInput
from truing.interventions.hashing import content_hash

if TYPE_CHECKING:
    from truing.interventions.parts import WeightDelta


Decides = Literal["once", "each-pass"]
"""When a change that is looked up or routed is chosen: ``once``, when the prompt is read; or, as
published code of GRACE and WISE does, anew in ``each-pass`` that reads or writes a token."""


@dataclass(frozen=True, eq=False)
class ByDistance:
    """Routes a prompt by how far each alternative moves what the module puts out.

    The distance of alternative i is the mean over the row's prompt tokens of
    ``||act(y_i) - act(y_0)||_2``, where ``y_0`` is the output without it; the largest distance that
    reaches its own of ``thresholds`` (n,) wins. ``act`` is a name of ``transformers``' activations.

    With ``decides`` ``each-pass`` the mean is over all tokens of the row so far, and every further
    token may change the choice for all of them; such answers are written without a KV cache.
    """

    act: str
    thresholds: Tensor
    decides: Decides = "once"

    @cached_property
    def digest(self) -> str:
        return content_hash(["by-distance", self.act, *anew(self.decides)], self.thresholds)


def anew(decides: Decides) -> list[str]:
    """What a digest says of ``decides``: nothing of the rule that is usual."""
    return [] if decides == "once" else [decides]


@dataclass(frozen=True, eq=False)
class ByKey:
    """Routes a prompt by the nearest of ``keys`` (m, d) to an activation at its last token.

    Within the key's radius (``radii`` (m,), Euclidean) the alternative ``leads_to`` (m,) acts. The
    hook point lies below everything that the alternatives change.
    """

    site: str
    layer: int
    keys: Tensor
    radii: Tensor
    leads_to: Tensor

    @cached_property
    def digest(self) -> str:
        facts: list[object] = ["by-key", self.site, self.layer]
        return content_hash(facts, self.keys, self.radii, self.leads_to)


@dataclass(frozen=True, eq=False)
class Routed:
    """Changes of linear weights of which at most one acts on a row: ``router`` picks it.

    The choice is made when the prompt is read, from its tokens alone, and holds for all tokens of
    the row, those generated later included (unless the router ``decides`` in each pass). A row that
    is not routed answers as without this part.
    """

    alternatives: tuple[tuple[WeightDelta, ...], ...]
    router: ByDistance | ByKey

    def __post_init__(self) -> None:
        n, router = len(self.alternatives), self.router
        if not n or not all(self.alternatives):
            raise BadInput(
                "a routed part has no alternatives, or an empty one",
                "Give at least one, each with at least one weight delta.",
            )
        if isinstance(router, ByDistance):
            places = {(d.param, d.rows) for deltas in self.alternatives for d in deltas}
            alone = all(len(deltas) == 1 for deltas in self.alternatives) and len(places) == 1
            fine = alone and tuple(router.thresholds.shape) == (n,)
            numbers: tuple[Tensor, ...] = (router.thresholds,)
            wanted = f"{n} thresholds, and alternatives that change one matrix, the same for all"
        else:
            keys, leads_to, m = router.keys, router.leads_to, len(router.keys)
            fine = keys.ndim == 2 and tuple(router.radii.shape) == tuple(leads_to.shape) == (m,)
            fine = fine and m > 0 and 0 <= int(leads_to.min()) <= int(leads_to.max()) < n
            numbers = (keys, router.radii)
            wanted = f"keys (m, d), and (m,) radii and numbers below {n}, with m of at least 1"
        if not fine:
            raise BadInput("router and alternatives do not belong together", f"Give {wanted}.")
        if not all(bool(torch.isfinite(t).all()) for t in numbers):
            raise BadInput("a router's numbers are not finite", "Check how it was made.")

    @cached_property
    def digest(self) -> str:
        changes = [[delta.digest for delta in deltas] for deltas in self.alternatives]
        return content_hash(["routed", changes, self.router.digest])
