"""Which phrases do some texts use more than others?

The log-odds ratio with an informative Dirichlet prior (Monroe, Colaresi & Quinn 2008, "Fightin' Words",
Political Analysis 16): the prior is the two sets of texts together, so that rare phrases need evidence.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from truing.scoring import health

STRENGTH = 10.0
"""How many phrases the prior counts for, phrases that nobody used among them."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """``log_odds`` is in nats, above 0 where the first texts use the phrase more; ``z`` is that over
    its standard deviation. ``n`` and ``n_other`` count occurrences."""

    text: str
    n: int
    n_other: int
    log_odds: float
    z: float


def overused(texts: Sequence[str], others: Sequence[str], size: int) -> list[Phrase]:
    """The phrases of ``size`` words in ``texts``, those used most beyond ``others`` first."""
    ours, theirs = (_counted(each, size) for each in (texts, others))
    both = ours + theirs
    n_ours, n_theirs, n_both = ours.total(), theirs.total(), both.total()
    found = []
    for phrase, count in ours.items():
        prior = STRENGTH * both[phrase] / (n_both + 1)
        odds = _log_odds(count + prior, n_ours + STRENGTH) - _log_odds(
            theirs[phrase] + prior, n_theirs + STRENGTH
        )
        spread = math.sqrt(1 / (count + prior) + 1 / (theirs[phrase] + prior))
        found.append(Phrase(" ".join(phrase), count, theirs[phrase], odds, odds / spread))
    return sorted(found, key=lambda p: (-p.z, p.text))


def _counted(texts: Sequence[str], size: int) -> Counter[tuple[str, ...]]:
    said = (health.words(text) for text in texts)
    return Counter(words[i : i + size] for words in said for i in range(len(words) - size + 1))


def _log_odds(count: float, total: float) -> float:
    return math.log(count / (total - count))
