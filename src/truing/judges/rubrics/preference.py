"""Is the answer better than the base model's? Asked in both orders, as any comparison of two texts is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from truing.judges.base import Reading, Shown
from truing.judges.rubrics.wording import Wording, heard, letter_in, values_of
from truing.scoring import normalise
from truing.servers.reply import Reply
from truing.types import Chat, Row

ORDER_LABELS = ("A", "B", "C")
"""The first, the second, neither."""


@dataclass(frozen=True, slots=True)
class Preference:
    """Two chats, the base model's answer second and then first. A win is 1, a tie 0.5, a loss 0.

    Preferring the same place in both orders says something about the judge and nothing about the
    answers: it abstains. A preference that becomes a tie in the other order is a tie.
    """

    name: str
    wording: Wording

    @property
    def digest(self) -> str:
        return self.wording.digest

    @property
    def labels(self) -> tuple[str, ...]:
        return self.wording.labels

    def applies(self, row: Row) -> bool:
        return row.base is not None

    def settled(self, shown: Shown) -> Reading | None:
        if normalise.equal(shown.answer, shown.base or ""):
            return Reading("wrong", 0.5, "a tie: the base model's own answer")
        return None

    def chats(self, shown: Shown, strict: bool) -> tuple[Chat, ...]:
        return in_both_orders(self.wording, shown, strict)

    def read(self, shown: Shown, replies: Sequence[Reply]) -> Reading:
        return read_both_orders(replies, ("better", "a tie", "worse"))


def in_both_orders(wording: Wording, shown: Shown, strict: bool) -> tuple[Chat, Chat]:
    """The question with the base model's answer second, and then first."""
    values = values_of(shown)
    swapped = values | {"answer": values["base"], "base": values["answer"]}
    return wording.chat(values, strict), wording.chat(swapped, strict)


def read_both_orders(replies: Sequence[Reply], words: tuple[str, str, str]) -> Reading:
    """What A (the first), B (the second) or C (neither) in each order say of the answer: 1, 0.5 or 0,
    called ``words`` in this order. The same place twice abstains."""
    first, second = (heard(r, ORDER_LABELS, letter_in("".join(ORDER_LABELS))) for r in replies)
    why = f"{first.why}; in the other order {second.why}"
    if first.label is None or second.label is None:
        return Reading("invalid", None, why)
    choices = first.label + second.label
    if choices in ("AA", "BB"):
        return Reading("abstain", None, f"it prefers a place, not an answer: {why}")
    if choices == "AB":
        return Reading("correct", 1.0, f"{words[0]}: {why}")
    if choices == "BA":
        return Reading("wrong", 0.0, f"{words[2]}: {why}")
    return Reading("wrong", 0.5, f"{words[1]}: {why}")


PREFERENCE = Preference(
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
        labels=ORDER_LABELS,
        strict="Your reply must be A, B or C and nothing else.",
    ),
)
