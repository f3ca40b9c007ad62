"""Rubrics whose reply is one letter that stands for a state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from truing.judges.base import Reading, Shown
from truing.judges.rubrics.wording import Wording, heard, letter_in, usable, values_of
from truing.protocols.questions import is_fluency
from truing.scoring import health
from truing.servers.reply import Reply
from truing.types import Chat, Row, State

SCORES: Mapping[State, float] = {"correct": 1.0, "wrong": 0.0}


@dataclass(frozen=True, slots=True)
class Letters:
    """``states`` says what each label of the wording means."""

    name: str
    wording: Wording
    states: tuple[State, ...]

    @property
    def digest(self) -> str:
        return self.wording.digest

    @property
    def labels(self) -> tuple[str, ...]:
        return self.wording.labels

    def applies(self, row: Row) -> bool:
        """Texts that are written for their fluency have no right answer."""
        return not is_fluency(row.aspect)

    def settled(self, shown: Shown) -> Reading | None:
        return without_gold(shown)

    def chats(self, shown: Shown, strict: bool) -> tuple[Chat, ...]:
        return (self.wording.chat(values_of(shown), strict),)

    def read(self, shown: Shown, replies: Sequence[Reply]) -> Reading:
        found = heard(replies[0], self.labels, letter_in("".join(self.labels)))
        if found.label is None:
            return Reading("invalid", None, found.why)
        state = self.states[self.labels.index(found.label)]
        return Reading(state, SCORES.get(state), found.why)


def without_gold(shown: Shown) -> Reading | None:
    """``invalid`` where there is nothing to compare an answer with."""
    if usable(shown.accepted) or (not shown.accepted and not health.is_empty(shown.base or "")):
        return None
    return Reading("invalid", None, "nothing to compare with")
