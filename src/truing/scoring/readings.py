"""Numbers read off a row that are not right or wrong: entropy, length, margins, rates.

A judge's score lies in [0, 1] and stands in a verdict; these have units of their own and are
computed from stored rows whenever they are shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from truing.protocols.protocol import KL, LIKELIHOOD_SCORERS, Protocol
from truing.protocols.questions import is_fluency
from truing.scoring import health, personality
from truing.scoring.personality import EditSuccess
from truing.scoring.rules.likelihood import margin
from truing.types import Response, Row

ROUNDING = 1e-3
"""Nats per token. A margin that falls by less than this has not fallen."""


@dataclass(frozen=True, slots=True)
class Reading:
    """``metric`` is the glossary's name, ``judge`` what stands in a measure's ``judge``.

    ``of`` gives a row's number, ``None`` where it has none (never 0); ``bounded`` says that it lies
    in [0, 1].
    """

    metric: str
    judge: str
    of: Callable[[Row], float | None]
    bounded: bool


def sides(response: Response | None) -> tuple[float, float] | None:
    """Log-probability per token of the first and of the second of exactly two choices, in nats.

    ``None`` without a response, with another number of choices, or where a choice has no token or
    no finite likelihood.
    """
    if (
        response is None
        or len(response.choices) != 2
        or any(not c.n_tokens for c in response.choices)
    ):
        return None
    first, second = (c.logprob / c.n_tokens for c in response.choices)
    return (first, second) if math.isfinite(first) and math.isfinite(second) else None


def shift(row: Row) -> tuple[float, float] | None:
    """How far two choices moved away from the base model, in nats per token: how much likelier the
    wanted one is (promotion), and how much less likely the other one (suppression)."""
    now, base = sides(row.response), sides(row.base)
    return None if now is None or base is None else (now[0] - base[0], base[1] - now[1])


def _of_answer(read: Callable[[Response], float | None]) -> Callable[[Row], float | None]:
    return lambda row: None if row.response is None else read(row.response)


def _of_shift(read: Callable[[float, float], float]) -> Callable[[Row], float | None]:
    return lambda row: None if (moved := shift(row)) is None else read(*moved)


def _of_success(
    read: Callable[[EditSuccess], float], reduce: personality.Reduce = "text"
) -> Callable[[Row], float | None]:
    def of(row: Row) -> float | None:
        found = personality.edit_success(row, reduce)
        return None if found is None else read(found)

    return of


def _pairs_ranked(row: Row) -> float | None:
    return personality.ranked(row, per_token=True)


def _pairs_ranked_summed(row: Row) -> float | None:
    return personality.ranked(row, per_token=False)


def _entropy(response: Response) -> float | None:
    return health.ngram_entropy(health.word_tokens(response.text))


def _distinct_2(response: Response) -> float | None:
    return health.distinct_n(health.words(response.text), 2)


def _loops(response: Response) -> float | None:
    return float(health.looping(response.text))


def _empty(response: Response) -> float | None:
    return float(health.is_empty(response.text))


def _fluent(response: Response) -> float | None:
    return float(not (health.looping(response.text) or health.is_empty(response.text)))


def _capped(response: Response) -> float | None:
    return float(response.stop == "length")


def _length(response: Response) -> float | None:
    return float(len(response.token_ids)) if response.token_ids or not response.text else None


def _margin(response: Response) -> float | None:
    return margin(response.choices, per_token=False) if len(response.choices) >= 2 else None


def _drawdown(response: Response) -> float | None:
    return math.fsum(nats) / len(nats) if (nats := response.divergences) else None


def _promotion(up: float, down: float) -> float:
    return up


def _suppression(up: float, down: float) -> float:
    return down


def _margin_shift(up: float, down: float) -> float:
    return up + down


def _anti_steered(up: float, down: float) -> float:
    return float(up + down < -ROUNDING)


READINGS: Mapping[str, Reading] = MappingProxyType(
    {
        r.metric: r
        for r in (
            Reading("ngram-entropy", "health", _of_answer(_entropy), bounded=False),
            Reading("distinct-2", "health", _of_answer(_distinct_2), bounded=True),
            Reading("repetition-rate", "health", _of_answer(_loops), bounded=True),
            Reading("empty-rate", "health", _of_answer(_empty), bounded=True),
            Reading("fluent-rate", "health", _of_answer(_fluent), bounded=True),
            Reading("length-capped-rate", "health", _of_answer(_capped), bounded=True),
            Reading("mean-length", "health", _of_answer(_length), bounded=False),
            Reading("likelihood-margin", "likelihood", _of_answer(_margin), bounded=False),
            Reading("promotion", "likelihood", _of_shift(_promotion), bounded=False),
            Reading("suppression", "likelihood", _of_shift(_suppression), bounded=False),
            Reading("margin-shift", "likelihood", _of_shift(_margin_shift), bounded=False),
            Reading("anti-steered-rate", "likelihood", _of_shift(_anti_steered), bounded=True),
            Reading("es", "likelihood", _of_success(lambda s: s.es), bounded=True),
            Reading(
                "es-by-token", "likelihood", _of_success(lambda s: s.es, "token"), bounded=True
            ),
            Reading("z-per", "likelihood", _of_success(lambda s: s.z_per), bounded=True),
            Reading(
                "z-per-shift", "likelihood", _of_success(lambda s: s.z_per_shift), bounded=False
            ),
            Reading("z-topic", "likelihood", _of_success(lambda s: s.z_topic), bounded=True),
            Reading(
                "z-topic-raw", "likelihood", _of_success(lambda s: s.z_topic_raw), bounded=False
            ),
            Reading("l-plus", "likelihood", _of_success(lambda s: s.plus), bounded=False),
            Reading("l-plus-base", "likelihood", _of_success(lambda s: s.plus_base), bounded=False),
            Reading("l-minus", "likelihood", _of_success(lambda s: s.minus), bounded=False),
            Reading(
                "l-minus-base", "likelihood", _of_success(lambda s: s.minus_base), bounded=False
            ),
            Reading("drawdown", KL, _of_answer(_drawdown), bounded=False),
            Reading("pairs-ranked", "likelihood", _pairs_ranked, bounded=True),
            Reading("pairs-ranked-summed", "likelihood", _pairs_ranked_summed, bounded=True),
        )
    }
)
SHIFTS = ("promotion", "suppression", "margin-shift", "anti-steered-rate")
OPINIONS = (
    "es", "es-by-token", "z-per", "z-per-shift", "z-topic", "z-topic-raw", "l-plus", "l-plus-base",
    "l-minus", "l-minus-base", "pairs-ranked", "pairs-ranked-summed",
)  # fmt: skip


def readings_for(protocol: Protocol, row: Row) -> tuple[Reading, ...]:
    """The readings worth showing for a row under its protocol.

    Fluency texts: entropy, distinct pairs, loops, empties, length (they run to their limit, so the
    capped rate says nothing). Other free answers: loops, empties, capped, length. Likelihood
    scorers: the margin and, where the base model compared exactly two choices, how both moved; of a
    topic's opinions edit success and its parts. Under ``kl``: drawdown.
    Answers of the gold's length, and the many turns under doubt: none.
    """
    names: tuple[str, ...] = ()
    if row.aspect.startswith("robustness"):
        return ()
    if is_fluency(row.aspect):
        names = (
            "ngram-entropy",
            "distinct-2",
            "repetition-rate",
            "empty-rate",
            "fluent-rate",
            "mean-length",
        )
    elif protocol.truncation != "gold-length":
        names = (
            "repetition-rate",
            "empty-rate",
            "fluent-rate",
            "length-capped-rate",
            "mean-length",
        )
    elif protocol.scorer in LIKELIHOOD_SCORERS:
        two = row.base is not None and len(row.base.choices) == 2
        success = OPINIONS if row.aspect == personality.ASPECT else ()
        names = ("likelihood-margin", *(SHIFTS if two else ()), *success)
    elif protocol.scorer == KL:
        names = ("drawdown",)
    return tuple(READINGS[name] for name in names)
