"""Rubrics whose reply is a rating on a scale of whole numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from truing.judges.base import Reading, Shown
from truing.judges.rubrics.wording import Wording, digit_in, exactly, heard, usable, values_of
from truing.servers.reply import Reply
from truing.types import Chat, Row


@dataclass(frozen=True, slots=True)
class Scale:
    """Ratings are the wording's labels, lowest first. The score is where the rating lies between
    the lowest (0) and the highest (1): the expected rating where likelihoods are told, else the
    rating that was said. ``exact`` reads only a reply that is nothing but the rating."""

    name: str
    wording: Wording
    exact: bool = False

    @property
    def digest(self) -> str:
        return self.wording.digest

    @property
    def labels(self) -> tuple[str, ...]:
        return self.wording.labels

    def applies(self, row: Row) -> bool:
        return not self.wording.needs_gold or bool(row.accepted)

    def settled(self, shown: Shown) -> Reading | None:
        if self.wording.needs_gold and not usable(shown.accepted):
            return Reading(
                "invalid", None, "the accepted answer, which names the concept, is empty"
            )
        return None

    def chats(self, shown: Shown, strict: bool) -> tuple[Chat, ...]:
        return (self.wording.chat(values_of(shown), strict),)

    def read(self, shown: Shown, replies: Sequence[Reply]) -> Reading:
        low, high = int(self.labels[0]), int(self.labels[-1])
        found = heard(replies[0], self.labels, self._said(low, high))
        if found.label is None:
            return Reading("invalid", None, found.why)
        rating, told = float(found.label), f"rating {found.label}"
        if found.shares is not None and not self.exact:
            rating = math.fsum(
                p * int(label) for p, label in zip(found.shares, self.labels, strict=True)
            )
            told = f"expected rating {rating:.2f}"
        score = min(1.0, max(0.0, (rating - low) / (high - low)))
        return Reading("correct" if score == 1.0 else "wrong", score, f"{told}: {found.why}")

    def _said(self, low: int, high: int) -> Callable[[str], str | None]:
        return exactly(self.labels) if self.exact else digit_in(low, high)
