"""Is the answer better than the base model's? A win is 1, a tie 0.5, a loss 0."""

from __future__ import annotations

from truing.judges.rubrics.both_orders import LABELS, InBothOrders
from truing.judges.rubrics.wording import Wording

PREFERENCE = InBothOrders(
    "preference",
    Wording(
        system="You compare two answers to the same question. You reply with one letter.",
        user=(
            "Question: {question}\n"
            "First answer: {answer}\n"
            "Second answer: {base}\n\n"
            "Which is the better answer to the question? Length does not matter.\n"
            "A: the first. B: the second. C: neither is better.\n"
            "Which letter fits?"
        ),
        labels=LABELS,
        strict="Your reply must be A, B or C and nothing else.",
    ),
    ("better", "a tie", "worse"),
)
