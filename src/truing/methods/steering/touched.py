"""What was seen of an intervention's effect on a model: plain numbers, their sum and their words.

:func:`truing.methods.steering.effect.effect` sees it. Divergences are KL(base || changed) in nats.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Count:
    """Forward passes that met a hook point, tokens in them (no padding), and tokens changed there."""

    passes: int = 0
    tokens: int = 0
    changed: int = 0


@dataclass(frozen=True, slots=True)
class Fired:
    """What activation ops did at one hook point while prompts were read (``prefill``) and answers
    written (``decode``). ``moved``: mean ``|dh| / |h|`` over the tokens changed; ``None``: none was."""

    site: str
    layer: int
    prefill: Count
    decode: Count
    moved: float | None


@dataclass(frozen=True, slots=True)
class Divergence:
    """Mean KL(base || changed) of next-token distributions, in nats, over ``n`` of them."""

    nats: float
    n: int


@dataclass(frozen=True, slots=True)
class Effect:
    """``fired``: one entry per hook point of the activation ops. ``first``: at the last token of each
    prompt, which decides the first answer token. ``neutral``: over the tokens of neutral text."""

    fired: tuple[Fired, ...]
    first: Divergence
    neutral: Divergence

    def __str__(self) -> str:
        places = [
            f"{f.site}[{f.layer}] changed {f.prefill.changed} of {f.prefill.tokens} prompt and "
            f"{f.decode.changed} of {f.decode.tokens} generated tokens"
            + ("" if f.moved is None else f" by {f.moved:.2g} of their length")
            for f in self.fired
        ]
        kl = (
            f"KL {self.first.nats:.3g} nats at the first answer token (n {self.first.n}), "
            f"{self.neutral.nats:.3g} per token of neutral text (n {self.neutral.n})"
        )
        return "; ".join([*places, kl])

    @property
    def warnings(self) -> tuple[str, ...]:
        """Hook points where activation ops met tokens, or none, and changed nothing."""
        return tuple(
            f"{f.site}[{f.layer}]: nothing was changed, of {f.prefill.tokens} prompt and "
            f"{f.decode.tokens} generated tokens that it met; is its strength 0, or are its positions, "
            "or its condition, never there?"
            for f in self.fired
            if not f.prefill.changed + f.decode.changed
        )


def together(effects: Sequence[Effect]) -> Effect:
    """Several interventions' effects as one: counts added up, means weighted by what they are over."""
    places = dict.fromkeys((f.site, f.layer) for each in effects for f in each.fired)
    at = {
        place: [f for each in effects for f in each.fired if (f.site, f.layer) == place]
        for place in places
    }
    return Effect(
        tuple(
            Fired(
                *place,
                _sum(f.prefill for f in found),
                _sum(f.decode for f in found),
                _mean(
                    (f.moved, f.prefill.changed + f.decode.changed)
                    for f in found
                    if f.moved is not None
                ),
            )
            for place, found in at.items()
        ),
        _divergence([each.first for each in effects]),
        _divergence([each.neutral for each in effects]),
    )


def _sum(counts: Iterable[Count]) -> Count:
    total = Count()
    for each in counts:
        total = Count(
            total.passes + each.passes, total.tokens + each.tokens, total.changed + each.changed
        )
    return total


def _mean(weighted: Iterable[tuple[float, int]]) -> float | None:
    """The weighted mean; ``None`` without any weight."""
    held = list(weighted)
    weight = sum(w for _, w in held)
    return sum(x * w for x, w in held) / weight if weight else None


def _divergence(found: Sequence[Divergence]) -> Divergence:
    return Divergence(_mean((d.nats, d.n) for d in found) or 0.0, sum(d.n for d in found))
