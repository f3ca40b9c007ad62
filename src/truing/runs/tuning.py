"""Choosing a method's layer and strength on a few cases, with the same number of tries per method.

A search begins with the settings that the method would take by itself. It tries other layers, those
first where tracing finds the answer, and then, around the best so far, larger and smaller values of
what the method says it is tuned by, until its tries are used or no neighbour is left. What wins is
measured beside the default on cases that the search never saw.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from truing.errors import NotPossible
from truing.methods.method import Method
from truing.types import Measure, Value

GOALS = ("efficacy", "generalization", "locality", "preference")
STEPS = ((3.0, 1 / 3), (10.0, 0.1))
"""A strength is tried at these multiples of its best value so far: near ones, then far ones."""
DEFAULT = "default"

Config = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Try:
    """Settings that differ from the method's own, and what came of them.

    ``means`` are by goal, under the protocol of the search; ``score`` is their harmonic mean, ``None``
    where one of them is missing. ``resolved`` are all settings as the method took them. ``failed``
    says why the method could not work with these.
    """

    config: Config
    means: Mapping[str, float | None]
    resolved: Config
    failed: str = ""

    @property
    def label(self) -> str:
        return label_of(self.config)

    @property
    def score(self) -> float | None:
        return None if self.failed else harmonic(list(self.means.values()))


def label_of(config: Config) -> str:
    """The settings as a name: ``layer=2 lr=0.5``."""
    parts = (f"{k}={_short(v)}" for k, v in config.items())
    return " ".join(parts) or DEFAULT


def harmonic(values: Sequence[float | None]) -> float | None:
    """Harmonic mean, as the score S of Meng et al. 2022; ``None`` where a value is, or there is none."""
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return None
    return 0.0 if min(known) <= 0 else len(known) / sum(1 / value for value in known)


@dataclass(frozen=True)
class Search:
    """One method's search. ``measure`` runs several settings on the same cases. ``effects`` are by
    layer, from tracing (``None``: not traced); ``tries`` counts the default. ``idle`` are settings
    that change nothing here."""

    method: Method
    n_layers: int
    tries: int
    effects: Sequence[float] | None
    measure: Callable[[Sequence[Config]], list[Try]]
    idle: tuple[str, ...] = ()

    def run(self) -> list[Try]:
        """Every try, the default first.

        Raises ``NotPossible`` for a method that declares nothing to tune, or cannot work at all.
        """
        fields = self.method.config.model_fields
        if not self.method.tunes and not {"layer", "layers"} & set(fields):
            raise NotPossible(
                f"{self.method.name} has nothing to tune", "Use it with its defaults."
            )
        tried = self.measure([{}])
        if tried[0].failed:
            raise NotPossible(tried[0].failed, "Mend that first; nothing was searched.")
        if tried[0].score is None:
            raise NotPossible(
                f"{self.method.name}: no score for the default settings: {dict(tried[0].means)}",
                "Search on cases with scored probes of efficacy, generalization or locality.",
            )
        tried += self._measured(self._layers(tried[0].resolved), tried)
        while True:
            around = (self._neighbours(best(tried), factors) for factors in STEPS)
            found = next(filter(None, (self._measured(each, tried) for each in around)), [])
            if not found:
                return tried
            tried += found

    def _measured(self, proposed: Sequence[Config], tried: Sequence[Try]) -> list[Try]:
        """The proposals that are new and valid, as far as tries are left."""
        seen = [label_of(t.config) for t in tried]
        new: list[Config] = []
        for config in proposed:
            if label_of(config) not in seen and self._valid(config):
                seen.append(label_of(config))
                new.append(config)
        new = new[: self.tries - len(tried)]
        return self.measure(new) if new else []

    def _valid(self, config: Config) -> bool:
        try:
            self.method.config.model_validate(dict(config))
        except ValidationError:
            return False
        return True

    def _layers(self, resolved: Config) -> list[Config]:
        """Other layers, or windows of as many layers, for at most half of the tries."""
        half = self.tries // 2
        if isinstance(layer := resolved.get("layer"), int):
            places = _ranked(self.n_layers, 1, self.effects, half, layer)
            return [{"layer": place} for place in places]
        if layers := resolved.get("layers"):
            width = len(layers)
            places = _ranked(self.n_layers, width, self.effects, half, layers[0])
            return [{"layers": tuple(range(at, at + width))} for at in places]
        return []

    def _neighbours(self, centre: Try, factors: Sequence[float]) -> list[Config]:
        """The best so far with one strength multiplied by one of ``factors``."""
        found: list[Config] = []
        for name in (n for n in self.method.tunes if n not in self.idle):
            value = centre.resolved.get(name)
            if not isinstance(value, int | float) or isinstance(value, bool) or not value:
                continue
            whole = isinstance(value, int) and name in ("steps", "k")
            for factor in factors:
                moved = max(1, round(value * factor)) if whole else _rounded(value * factor)
                found.append({**centre.config, name: moved})
        return found


def best(tried: Sequence[Try]) -> Try:
    """The highest score; of equals the first, so that a change has to earn its place."""
    return max(tried, key=lambda t: -1.0 if t.score is None else t.score)


def goals(measures: Sequence[Measure], method: str, protocol: str) -> dict[str, Value]:
    """Values by goal of one method under one protocol. Goals that are not asked about are left out;
    where an aspect has parts, the whole counts."""
    found: dict[str, Value] = {}
    for goal in GOALS:
        mine = [
            m
            for m in measures
            if (m.method, m.protocol, m.metric) == (method, protocol, goal)
            and not m.compatibility
            and m.aspect.partition("/")[0] == goal
        ]
        if mine:
            found[goal] = min(mine, key=lambda m: len(m.aspect)).value
    return found


def _ranked(
    n_layers: int, width: int, effects: Sequence[float] | None, count: int, own: int
) -> list[int]:
    """First layers of windows other than ``own``: the ``count`` with the largest mean effect, or,
    without effects, spread evenly over the depth."""
    places = [at for at in range(n_layers - width + 1) if at != own]
    if effects is not None:
        return sorted(places, key=lambda at: -sum(effects[at : at + width]))[:count]
    if len(places) <= count:
        return places
    return [places[round(i * (len(places) - 1) / max(1, count - 1))] for i in range(count)]


def _rounded(value: float) -> float:
    """Two significant digits: settings are read by people."""
    return round(value, 1 - math.floor(math.log10(abs(value))))


def _short(value: Any) -> str:
    if isinstance(value, list | tuple):
        ends = f"{value[0]}-{value[-1]}" if len(value) > 1 else f"{value[0]}"
        return ends if list(value) == list(range(value[0], value[-1] + 1)) else str(list(value))
    return f"{value:g}" if isinstance(value, float) else str(value)
