"""Long texts before and after an edit (Seesaw-CF, Halevy et al. 2024, arXiv:2403.00180): which name a
right answer, and which have more of a flaw than before.

Texts of one case are not independent: intervals and tests are over cases.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import NamedTuple

from truing.scoring import normalise
from truing.scoring.agreement import (
    Agreement,
    Ratings,
    cohen_kappa,
    krippendorff_alpha,
    percent_of_pairs,
)
from truing.scoring.flaws import CHANGES, Change
from truing.scoring.observations import Observation
from truing.scoring.paired import compare, correct
from truing.scoring.stats import value_of
from truing.seeds import Seeds
from truing.types import Comparison, State, Value

DOMINATED = 0.9
"""From this share of ratings on, one label dominates: percent is high and coefficients are low."""
NET: Mapping[Change, float] = {"less": -1.0, "same": 0.0, "more": 1.0}
BEFORE = "the text before"


class Text(NamedTuple):
    """One continuation, in ``case`` and ``probe``: before the edit, after it (``None``: there is none),
    and the answers that it may name."""

    row: str
    case: str
    probe: str
    before: str | None
    after: str | None
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Naming:
    """Shares of texts that name an answer as whole words, ``after`` the edit and ``before`` it.

    ``unknown`` texts have no known answer and are in neither share. ``published`` is (before, after) by
    the published rule: an answer stands anywhere in the text, inside words too, and texts whose answer is
    unknown stay in the denominator, so that the share falls with what the tables do not say.
    """

    after: Value
    before: Value
    change: Comparison
    unknown: int
    published: tuple[float, float] | None


def naming(texts: Sequence[Text], *, seeds: Seeds) -> Naming:
    """The keyword search of section 4 of the paper, clustered by case. Texts that are not there are
    invalid, not without an answer."""
    known = [text for text in texts if _usable(text.answers)]
    after, before = (
        [_observed(text, said, _named(said, text.answers)) for text, said in zip(known, side, strict=True)]
        for side in ([t.after for t in known], [t.before for t in known])
    )  # fmt: skip
    return Naming(
        value_of(after, seeds=seeds.child("after")),
        value_of(before, seeds=seeds.child("before")),
        compare(after, before, against=BEFORE, seeds=seeds),
        len(texts) - len(known),
        _published(texts),
    )


def _usable(answers: Iterable[str]) -> list[str]:
    return [answer for answer in answers if normalise.normalise(answer)]


def _named(said: str | None, answers: tuple[str, ...]) -> float | None:
    if said is None:
        return None
    return float(any(normalise.contains(said, answer) for answer in _usable(answers)))


def _observed(text: Text, said: str | None, score: float | None) -> Observation:
    state: State = "invalid" if said is None else "correct" if score else "wrong"
    return Observation((text.case, text.probe), text.case, score, state)


def _published(texts: Sequence[Text]) -> tuple[float, float] | None:
    def share(said: Sequence[str | None]) -> float:
        pairs = zip(said, texts, strict=True)
        hits = [any(a.lower() in (s or "").lower() for a in _usable(t.answers)) for s, t in pairs]
        return sum(hits) / len(hits)

    if not texts:
        return None
    return share([t.before for t in texts]), share([t.after for t in texts])


@dataclass(frozen=True, slots=True)
class Shift:
    """What one rater says of one flaw. ``unsaid`` texts got no answer; they are never "less".

    ``net`` is the share of ``more`` minus that of ``less``, from -1 to 1, with an interval and a two-sided
    test of "an edit brings as much in as it takes away" over cases; p is corrected over flaws (Holm).
    """

    flaw: str
    rater: str
    more: int
    same: int
    less: int
    unsaid: int
    net: Comparison

    @property
    def n(self) -> int:
        return self.more + self.same + self.less


@dataclass(frozen=True, slots=True)
class Concord:
    """How far the raters of one flaw agree. ``dominated`` names the label that at least nine in ten
    ratings are: then read the coefficients, not the share."""

    flaw: str
    alpha: Agreement
    percent: Agreement
    kappas: tuple[Agreement, ...]
    dominated: Change | None


Said = Mapping[str, Change | None]
"""By row; rows that are not there were not rated."""


def shift(texts: Sequence[Text], flaw: str, rater: str, given: Said, *, seeds: Seeds) -> Shift:
    """What was said of ``texts``; p is not corrected yet."""
    told = [(text, given.get(text.row)) for text in texts]
    counts = Counter(change for _, change in told)
    ours = [
        Observation((t.case, t.probe), t.case, None if c is None else NET[c], None) for t, c in told
    ]
    none = [replace(observation, score=0.0) for observation in ours]
    net = compare(ours, none, against=BEFORE, seeds=seeds.child(rater), bounded=False)
    return Shift(flaw, rater, counts["more"], counts["same"], counts["less"], counts[None], net)


def corrected(made: Sequence[Shift]) -> list[Shift]:
    """The same with every rater's p corrected over flaws (Holm)."""
    result = list(made)
    for rater in {one.rater for one in made}:
        places = [i for i, one in enumerate(made) if one.rater == rater]
        for i, net in zip(places, correct([made[i].net for i in places]), strict=True):
            result[i] = made[i] if net is None else replace(made[i], net=net)
    return result


def concord(
    texts: Sequence[Text], flaw: str, raters: Mapping[str, Said], *, seeds: Seeds
) -> Concord:
    """Agreement of two raters or more about one flaw: Krippendorff's alpha for the order less, same, more;
    pairs that agree; Cohen's kappa of every two. What was not said is missing. Raises ``BadInput`` for
    fewer than two raters."""
    table = [[said.get(text.row) for said in raters.values()] for text in texts]
    ratings = Ratings.of(
        table, CHANGES, raters=list(raters), clusters=[text.case for text in texts]
    )
    return Concord(
        flaw,
        krippendorff_alpha(ratings, "ordinal", seeds=seeds),
        percent_of_pairs(ratings, seeds=seeds),
        tuple(cohen_kappa(ratings.only(*two), seeds=seeds) for two in combinations(raters, 2)),
        _dominating(table),
    )


def _dominating(table: Sequence[Sequence[Change | None]]) -> Change | None:
    counts = Counter(change for unit in table for change in unit if change is not None)
    if not counts:
        return None
    label, most = counts.most_common(1)[0]
    return label if most >= DOMINATED * counts.total() else None
