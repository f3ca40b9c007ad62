"""Two texts are compared, the row's and the base model's, each in the first place once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from truing.judges.base import Reading, Shown
from truing.judges.rubrics.wording import Wording, heard, letter_in, values_of
from truing.scoring import normalise
from truing.servers.reply import Reply
from truing.types import Chat, Row

LABELS = ("A", "B", "C")
"""The first, the second, neither."""


@dataclass(frozen=True, slots=True)
class InBothOrders:
    """Two chats, the base model's text second and then first. ``verdicts`` names what the row's text is
    then: 1, 0.5 or 0.

    Naming the same place in both orders says something about the judge and nothing about the texts: it
    abstains. What becomes "neither" in the other order is neither. ``asked`` says of which rows with a
    base text there is a question, ``comparable`` of which pairs of texts, the base model's first.
    """

    name: str
    wording: Wording
    verdicts: tuple[str, str, str]
    asked: Callable[[Row], bool] = lambda row: True
    comparable: Callable[[str, str], bool] = lambda base, text: True

    @property
    def digest(self) -> str:
        return self.wording.digest

    @property
    def labels(self) -> tuple[str, ...]:
        return self.wording.labels

    def applies(self, row: Row) -> bool:
        return row.base is not None and self.asked(row)

    def settled(self, shown: Shown) -> Reading | None:
        base = shown.base or ""
        if not self.comparable(base, shown.answer):
            return Reading("invalid", None, "nothing to compare: a text is empty or a loop")
        if normalise.equal(shown.answer, base):
            return Reading("wrong", 0.5, f"{self.verdicts[1]}: the base model's own text")
        return None

    def chats(self, shown: Shown, strict: bool) -> tuple[Chat, ...]:
        values = values_of(shown)
        swapped = values | {"answer": values["base"], "base": values["answer"]}
        return self.wording.chat(values, strict), self.wording.chat(swapped, strict)

    def read(self, shown: Shown, replies: Sequence[Reply]) -> Reading:
        first, second = (heard(r, LABELS, letter_in("".join(LABELS))) for r in replies)
        why = f"{first.why}; in the other order {second.why}"
        if first.label is None or second.label is None:
            return Reading("invalid", None, why)
        more, same, less = self.verdicts
        match first.label + second.label:
            case "AA" | "BB":
                return Reading("abstain", None, f"it prefers a place, not an answer: {why}")
            case "AB":
                return Reading("correct", 1.0, f"{more}: {why}")
            case "BA":
                return Reading("wrong", 0.0, f"{less}: {why}")
        return Reading("wrong", 0.5, f"{same}: {why}")
