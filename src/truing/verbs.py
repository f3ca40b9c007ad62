"""The verbs a person types: make an edit, look at what it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from truing.errors import BadInput, NotPossible, UnknownName
from truing.interventions.intervention import Intervention
from truing.methods.method import METHODS, Method, MethodConfig
from truing.methods.variants import make
from truing.models.asks import Decoding, GenerateAsk
from truing.models.handle import Model
from truing.types import EditRequest, Prompt


def edit(
    model: Model,
    requests: Sequence[EditRequest],
    method: str | Method = "rome",
    config: MethodConfig | Mapping[str, Any] | None = None,
    so_far: Intervention | None = None,
) -> Intervention:
    """Make an intervention that answers ``requests``. Nothing changes in ``model``.

    ``config`` is the method's config or the values that differ from its defaults. ``so_far`` is an
    earlier intervention to build on; the result is always the total relative to the base.

    Raises ``UnknownName`` for a method or setting that does not exist, ``BadRequest`` for requests
    the method cannot take, ``NotPossible`` where it cannot work on this model or in this regime.
    """
    chosen = METHODS.get(method) if isinstance(method, str) else method
    settings = config if isinstance(config, MethodConfig) else configure(chosen, config or {})
    if len(requests) > 1 and not chosen.batch:
        if not chosen.sequential:
            raise NotPossible(
                f"{chosen.name} takes one request at a time and got {len(requests)}",
                "Use a method that takes several: " + ", ".join(_batch_methods()) + ".",
            )
        total = so_far
        for request in requests:
            total = make(chosen, model, [request], settings, total)
        assert total is not None
        return total
    return make(chosen, model, requests, settings, so_far)


def configure(method: Method, values: Mapping[str, Any]) -> MethodConfig:
    """The method's config with ``values`` in place of defaults.

    Raises ``UnknownName`` for a key the method does not have and ``BadInput`` for a bad value.
    """
    for key in values:
        if key not in method.config.model_fields:
            raise UnknownName(f"setting of {method.name}", key, method.config.model_fields)
    try:
        return method.config.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(
            f"{method.name}: setting '{where}' is {first['input']!r}: {first['msg']}",
            f"See `truing ls methods {method.name}` for its settings.",
        ) from None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the base and the edited model answer to one prompt."""

    prompt: Prompt
    base: str
    edited: str

    @property
    def changed(self) -> bool:
        return self.base != self.edited

    def __str__(self) -> str:
        mark = "changed" if self.changed else "same"
        return f"{self.prompt}\n  base:   {self.base.strip()}\n  edited: {self.edited.strip()}  [{mark}]"


class Comparisons(tuple[Comparison, ...]):
    """Several comparisons; ``str`` shows them one under the other."""

    def __str__(self) -> str:
        return "\n".join(str(c) for c in self)


def compare(
    model: Model,
    iv: Intervention,
    prompts: Sequence[Prompt],
    decoding: Decoding | None = None,
) -> Comparisons:
    """Ask base and edited model the same things, greedily and side by side, in one batch."""
    how = decoding or Decoding(stop=("\n",))
    asks = [GenerateAsk(p, how, under) for p in prompts for under in (None, iv)]
    answers = model.generate(asks)
    return Comparisons(
        Comparison(p, answers[2 * i].text, answers[2 * i + 1].text) for i, p in enumerate(prompts)
    )


def _batch_methods() -> list[str]:
    return [name for name in METHODS if METHODS.get(name).batch]
