"""Is the answer right?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from truing.judges.base import Reading, Shown
from truing.judges.rubrics.letters import Letters, without_gold
from truing.judges.rubrics.wording import Wording, values_of
from truing.protocols.questions import is_fluency
from truing.servers.reply import Reply
from truing.types import Chat, Row

CORRECTNESS = Letters(
    "correctness",
    Wording(
        system="You compare a given answer with the accepted one. You reply with one letter.",
        user=(
            "Question: {question}\n"
            "Accepted answer: {gold}\n"
            "Given answer: {answer}\n\n"
            "A: the given answer says what the accepted answer says, in whatever words, and nothing "
            "that contradicts it.\n"
            "B: it says something else, leaves out a part, or contradicts itself.\n"
            "C: it declines to answer.\n"
            "Judge by the accepted answer, also where it is not true of the world.\n"
            "Which letter fits?"
        ),
        labels=("A", "B", "C"),
        strict="Your reply must be A, B or C and nothing else.",
    ),
    ("correct", "wrong", "abstain"),
)


@dataclass(frozen=True, slots=True)
class Published:
    """The grading of Yang et al. 2025 ("The Mirage of Model Editing"): right only where the reply
    is exactly ``A``; every other reply counts 0, and nothing is asked twice. For comparison."""

    name: str
    wording: Wording

    @property
    def digest(self) -> str:
        return self.wording.digest

    @property
    def labels(self) -> tuple[str, ...]:
        return self.wording.labels

    def applies(self, row: Row) -> bool:
        return not is_fluency(row.aspect)

    def settled(self, shown: Shown) -> Reading | None:
        return without_gold(shown)

    def chats(self, shown: Shown, strict: bool) -> tuple[Chat, ...]:
        return (self.wording.chat(values_of(shown), strict=False),)

    def read(self, shown: Shown, replies: Sequence[Reply]) -> Reading:
        text = replies[0].text
        if text is None:
            return Reading("invalid", None, f"no reply: {replies[0].error or 'nothing came back'}")
        right = text == "A"
        why = "the reply is A" if right else "the reply is not exactly A"
        return Reading("correct" if right else "wrong", float(right), why)


PUBLISHED = Published(
    "correctness-published",
    Wording(
        system="",
        user=(
            "Grade a predicted answer as CORRECT or INCORRECT, given the question and the gold "
            "target.\n"
            "CORRECT: the prediction holds the important information of the gold target and "
            "contradicts none of it. Order, letter case, hesitation and a whole sentence around the "
            "answer do not matter.\n"
            "INCORRECT: a part of the gold target is missing, a contradicting or additional fact is "
            "claimed, or the answer is said over and over.\n\n"
            "Question: {question}\n"
            "Gold target: {gold}\n"
            "Predicted answer: {answer}\n\n"
            'Reply with "A" for CORRECT or "B" for INCORRECT, and with nothing else.'
        ),
        labels=("A", "B"),
    ),
)
