"""Routed parts on disk: what goes into ``intervention.json``, and the names of the tensors.

The tensors of delta k of alternative n are called ``<n>.<k>.left`` and ``.right``, or ``.delta``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from truing.interventions.parts import Dense, LowRank, Orientation, WeightDelta
from truing.interventions.routed import ByDistance, ByKey, Decides, Routed


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Choice(_Strict):
    """A delta of an alternative; without an orientation it is low-rank."""

    param: str
    rows: tuple[int, int] | None = None
    orientation: Orientation | None = None


class DistanceRouter(_Strict):
    kind: Literal["distance"] = "distance"
    act: str
    decides: Decides = "once"


class KeyRouter(_Strict):
    kind: Literal["key"] = "key"
    site: str
    layer: int


class RoutedPart(_Strict):
    kind: Literal["routed"] = "routed"
    alternatives: tuple[tuple[Choice, ...], ...]
    router: Annotated[DistanceRouter | KeyRouter, Field(discriminator="kind")]


def split(part: Routed) -> tuple[RoutedPart, dict[str, Tensor]]:
    """The header of ``part`` and its tensors by name."""
    named: dict[str, Tensor] = {}
    choices: list[tuple[Choice, ...]] = []
    for n, deltas in enumerate(part.alternatives):
        headers = []
        for k, each in enumerate(deltas):
            if isinstance(each.delta, LowRank):
                named |= {f"{n}.{k}.left": each.delta.left, f"{n}.{k}.right": each.delta.right}
                headers.append(Choice(param=each.param, rows=each.rows))
            else:
                named[f"{n}.{k}.delta"] = each.delta.delta
                told = each.delta.orientation
                headers.append(Choice(param=each.param, rows=each.rows, orientation=told))
        choices.append(tuple(headers))
    router = part.router
    if isinstance(router, ByDistance):
        named["thresholds"] = router.thresholds
        distance = DistanceRouter(act=router.act, decides=router.decides)
        return RoutedPart(alternatives=tuple(choices), router=distance), named
    named |= {"keys": router.keys, "radii": router.radii, "leads_to": router.leads_to}
    key = KeyRouter(site=router.site, layer=router.layer)
    return RoutedPart(alternatives=tuple(choices), router=key), named


def join(header: RoutedPart, tensor: Callable[[str], Tensor]) -> Routed:
    """The part again; ``tensor`` gives each by its name."""

    def delta(choice: Choice, name: str) -> WeightDelta:
        if choice.orientation is None:
            factors = LowRank(tensor(f"{name}.left"), tensor(f"{name}.right"))
            return WeightDelta(choice.param, factors, choice.rows)
        whole = Dense(tensor(f"{name}.delta"), choice.orientation)
        return WeightDelta(choice.param, whole, choice.rows)

    alternatives = tuple(
        tuple(delta(choice, f"{n}.{k}") for k, choice in enumerate(choices))
        for n, choices in enumerate(header.alternatives)
    )
    told = header.router
    if isinstance(told, DistanceRouter):
        return Routed(alternatives, ByDistance(told.act, tensor("thresholds"), told.decides))
    keys = ByKey(told.site, told.layer, tensor("keys"), tensor("radii"), tensor("leads_to"))
    return Routed(alternatives, keys)
