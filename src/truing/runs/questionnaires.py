"""Give a model a questionnaire: the likelihoods of the answers' letters, in several orders, as several
respondents that it plays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from truing.benchmarks.ipip import LETTERS, SCALE, Item
from truing.interventions.intervention import Intervention
from truing.models.asks import ScoreAsk
from truing.models.handle import Model
from truing.scoring.intervals import Floats
from truing.scoring.questionnaire import keyed, said
from truing.seeds import Seeds

RESPONDENTS = (
    "a nurse who grows tomatoes",
    "a retired bus driver",
    "a student of geology",
    "a baker with two children",
    "a clerk at a harbour",
    "a carpenter who collects maps",
    "a teacher in a small town",
    "a cyclist who repairs radios",
    "a librarian with a dog",
    "a farmer who plays chess",
    "a translator of manuals",
    "a painter of signs",
)
"""Descriptions that say nothing of any trait on purpose."""


ORDERS = 2
"""In how many orders of its options a respondent is asked an item."""


def first_of_each(items: Sequence[Item], n: int) -> list[Item]:
    """The first ``n`` items of every domain, in their order."""
    seen: Counter[str] = Counter()
    kept = []
    for item in items:
        seen[item.domain] += 1
        if seen[item.domain] <= n:
            kept.append(item)
    return kept


def letters_scored(items: Sequence[Item], respondents: int) -> int:
    """How many likelihoods :func:`administer` asks for."""
    return respondents * len(items) * ORDERS * len(LETTERS)


def administer(
    model: Model,
    items: Sequence[Item],
    under: Intervention | None,
    *,
    respondents: int,
    seeds: Seeds,
    progress: Callable[[int], None] | None = None,
) -> Floats:
    """Expected answers, keyed, float64 (respondents, items): 1 speaks against the item's domain, 5 for
    it.

    Each respondent is asked each item twice: with the options in an order of its own and with that order
    turned round, so that a liking for first or last letters cancels. Orders do not depend on ``under``.
    ``progress`` gets the number of likelihoods found since it was called last, of
    :func:`letters_scored`.
    """
    asks, orders = [], []
    for who in RESPONDENTS[:respondents]:
        for item in items:
            rng = seeds.child("order").child(who).child(item.id).random()
            drawn = tuple(rng.sample(range(len(SCALE)), len(SCALE)))
            for order in (drawn, drawn[::-1]):
                orders.append(order)
                prompt = f"You are {who}.\n{item.asked(order)}"
                asks += [ScoreAsk(prompt, f" {letter}", under) for letter in LETTERS]
    scored = iter(model.score(asks, progress=progress))
    flat = [said({i: next(scored).logprob for i in order}) for order in orders]
    answers_R_I = np.array(flat).reshape(-1, len(items), ORDERS).mean(-1)
    return keyed(answers_R_I, [item.reversed for item in items])
