"""Which controls the steering arms of a plan get, without being asked for.

A vector moves answers also where it means nothing, by its length alone. So every arm that adds a
direction found in contrast pairs is run beside random directions of its length at its hook points and
tokens, and beside what the same pairs give when their sides are shuffled; every arm that puts an
instruction in front, beside a neutral text of as many tokens.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from truing.methods.method import METHODS
from truing.runs.cells import MethodSpec

DEFAULT_CONTROLS = 10
"""Random directions per length, where a plan does not say how many."""
PROMPTED = "instruct"
OF_LENGTH = ("layers", "read", "strength", "unit", "op", "positions", "template", "append_eos")
"""Settings that decide where a vector is added and how long it is."""


@dataclass(frozen=True, slots=True)
class Control:
    """A control, and the numbers of the methods that it belongs to."""

    spec: MethodSpec
    of: tuple[int, ...]


def takes_controls(spec: MethodSpec) -> bool:
    """Whether a method's directions come from contrast pairs, so that there are others."""
    method = METHODS.get(spec.name)
    return method.acts_on == "activations" and method.needs_old and method.copy is None


def controls_of(methods: Sequence[MethodSpec], number: int, seed: int) -> list[Control]:
    """The controls of ``methods`` with ``number`` random directions each; none for 0.

    Methods that add a vector of exactly the same length at the same places share random directions.
    ``seed`` is the one that the methods run with.
    """
    return list(_controls(methods, number, seed)) if number else []


def _controls(methods: Sequence[MethodSpec], number: int, seed: int) -> Iterator[Control]:
    names = _names(methods)
    alike: dict[str, list[int]] = {}
    for i, spec in enumerate(methods):
        if takes_controls(spec):
            alike.setdefault(_length(spec, seed) or f"of its own {i}", []).append(i)
    for group in alike.values():
        like = _like(methods[group[0]], seed)
        of = ", ".join(names[i] for i in group)
        for draw in range(1, number + 1):
            yield _control(
                "random_direction", f"random {draw} · {of}", {**like, "seed": draw}, group
            )
    for i, spec in enumerate(methods):
        if takes_controls(spec) and _shuffles(spec):
            config = {**_like(spec, seed), "seed": 1}
            yield _control("shuffled_pairs", f"shuffled · {names[i]}", config, [i])
        elif spec.name == PROMPTED:
            config = {"text": spec.settings(seed).model_dump()["text"]}
            yield _control("neutral_prefix", f"neutral · {names[i]}", config, [i])


def _control(name: str, label: str, config: dict[str, Any], of: Sequence[int]) -> Control:
    return Control(MethodSpec(name=name, label=label, config=config), tuple(of))


def _like(spec: MethodSpec, seed: int) -> dict[str, Any]:
    config = spec.settings(seed).model_dump(mode="json", exclude_none=True)
    return {"like": {"name": spec.name, "config": config}}


def _shuffles(spec: MethodSpec) -> bool:
    """Whether the method adds one vector per layer, each from all pairs."""
    return set(OF_LENGTH) <= set(METHODS.get(spec.name).config.model_fields)


def _length(spec: MethodSpec, seed: int) -> str | None:
    """What methods have in common that add equally long vectors; ``None``: only its own result tells.

    A strength in units of the activations, or of the gap between the sides, gives every direction the
    same length. A budget, or a vector as long as it was found, does not; nor does a condition add
    to the same tokens.
    """
    settings = spec.settings(seed).model_dump(mode="json")
    own = settings.get("max_kl") is not None or settings.get("unit") == "absolute"
    if own or not _shuffles(spec) or "condition" in settings:
        return None
    return json.dumps([settings[name] for name in OF_LENGTH], sort_keys=True)


def _names(methods: Sequence[MethodSpec]) -> list[str]:
    """A name of its own for every method: its label and, where others have it too, what differs."""
    found = []
    for spec in methods:
        rest = [m.config for m in methods if m.label == spec.label and m is not spec]
        differing = [
            f"{key} {value}"
            for key, value in spec.config.items()
            if any(config.get(key) != value for config in rest)
        ]
        found.append(" ".join([spec.label, *differing]))
    return found
