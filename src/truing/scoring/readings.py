"""Numbers read off a row that are not right or wrong: entropy, length, margins, rates.

A judge's score lies in [0, 1] and stands in a verdict; these have units of their own and are
computed from stored rows whenever they are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from truing.protocols.protocol import LIKELIHOOD_SCORERS, Protocol
from truing.protocols.questions import is_fluency
from truing.scoring import health
from truing.scoring.rules.likelihood import margin
from truing.types import Response, Row


@dataclass(frozen=True, slots=True)
class Reading:
    """``metric`` is the glossary's name, ``judge`` what stands in a measure's ``judge``.

    ``read`` gives ``None`` where the response has no such number (never 0); ``bounded`` says that
    it lies in [0, 1].
    """

    metric: str
    judge: str
    read: Callable[[Response], float | None]
    bounded: bool

    def of(self, row: Row) -> float | None:
        """The number for this row, ``None`` without a response."""
        return None if row.response is None else self.read(row.response)


def _entropy(response: Response) -> float | None:
    return health.ngram_entropy(health.word_tokens(response.text))


def _distinct_2(response: Response) -> float | None:
    return health.distinct_n(health.words(response.text), 2)


def _loops(response: Response) -> float | None:
    return float(health.looping(response.text))


def _empty(response: Response) -> float | None:
    return float(health.is_empty(response.text))


def _capped(response: Response) -> float | None:
    return float(response.stop == "length")


def _length(response: Response) -> float | None:
    return float(len(response.token_ids)) if response.token_ids or not response.text else None


def _margin(response: Response) -> float | None:
    return margin(response.choices, per_token=False) if len(response.choices) >= 2 else None


READINGS: Mapping[str, Reading] = MappingProxyType(
    {
        r.metric: r
        for r in (
            Reading("ngram-entropy", "health", _entropy, bounded=False),
            Reading("distinct-2", "health", _distinct_2, bounded=True),
            Reading("repetition-rate", "health", _loops, bounded=True),
            Reading("empty-rate", "health", _empty, bounded=True),
            Reading("length-capped-rate", "health", _capped, bounded=True),
            Reading("mean-length", "health", _length, bounded=False),
            Reading("likelihood-margin", "likelihood", _margin, bounded=False),
        )
    }
)


def readings_for(protocol: Protocol, aspect: str) -> tuple[Reading, ...]:
    """The readings worth showing for one aspect under one protocol.

    Fluency texts: entropy, distinct pairs, loops, empties, length (they run to their limit, so the
    capped rate says nothing). Other free answers: loops, empties, capped, length. Likelihood
    scorers: the margin. Answers of the gold's length: none.
    """
    names: tuple[str, ...] = ()
    if is_fluency(aspect):
        names = ("ngram-entropy", "distinct-2", "repetition-rate", "empty-rate", "mean-length")
    elif protocol.truncation != "gold-length":
        names = ("repetition-rate", "empty-rate", "length-capped-rate", "mean-length")
    elif protocol.scorer in LIKELIHOOD_SCORERS:
        names = ("likelihood-margin",)
    return tuple(READINGS[name] for name in names)
