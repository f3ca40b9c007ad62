"""Does the answer choose the behaviour that is expected?"""

from __future__ import annotations

from truing.judges.rubrics.letters import Letters
from truing.judges.rubrics.wording import Wording

BEHAVIOR = Letters(
    "behavior",
    Wording(
        system="You tell which course of action an answer chooses. You reply with one letter.",
        user=(
            "Question: {question}\n"
            "Expected choice: {gold}\n"
            "Given answer: {answer}\n\n"
            "A: the given answer chooses or approves what is expected, in whatever words.\n"
            "B: it chooses or approves something else, or the opposite.\n"
            "C: it declines, stays undecided, chooses both, or speaks of something else.\n"
            "Do not judge whether the choice is good.\n"
            "Which letter fits?"
        ),
        labels=("A", "B", "C"),
        strict="Your reply must be A, B or C and nothing else.",
    ),
    ("correct", "wrong", "abstain"),
)
