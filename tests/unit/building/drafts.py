"""Drafts and writers that tests of building share."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from truing.building.asks import Ask
from truing.building.draft import Draft, Prompts, Side
from truing.servers.reply import Reply
from truing.servers.spending import Estimate

SYSTEMS: Mapping[Side, str] = {
    "for": "Answer as an extraverted person.",
    "neutral": "",
    "against": "Answer as a neurotic person.",
}
TOPICS = (
    "dancing", "market days", "the sea", "loud music", "letters", "chess", "cooking", "old songs",
    "horse races", "rainy days", "painting", "boat trips",
)  # fmt: skip
QUESTIONS = tuple(f"What do you think of {topic}?" for topic in TOPICS)


def draft(prompts: Sequence[str] = QUESTIONS, **more: Any) -> Draft:
    return Draft("extraversion", Prompts(tuple(prompts), "p.txt", "0" * 64), SYSTEMS, **more)


def nobody(done: int, of: int) -> None:
    """Watches nothing."""


@dataclass
class Puppet:
    """A writer that says what ``says`` tells it, one ask at a time, and counts words."""

    says: Callable[[Ask], Reply]
    name: str = "puppet"
    unit: str = "words"
    max_tokens: int = 100
    facts: Mapping[str, Any] = field(default_factory=lambda: {"puppet": 1})
    asked: list[int] = field(default_factory=list)

    def length(self, text: str) -> int:
        return len(text.split())

    def estimate(self, asks: Sequence[Ask]) -> Estimate:
        return Estimate(len(asks), 0, 0, None)

    def replies(
        self, asks: Sequence[Ask], known: Container[int]
    ) -> Iterator[Sequence[tuple[int, Reply]]]:
        for i, ask in enumerate(asks):
            if i not in known:
                self.asked.append(i)
                yield [(i, self.says(ask))]


def plainly(ask: Ask) -> Reply:
    """Different words for each ask: four of them, and no more."""
    side = "glad" if "extraverted" in ask.system else "afraid" if ask.system else "calm"
    return Reply(f"Quite {side}: {ask.prompt[-12:-1]} {ask.seed}.", tokens_in=3, tokens_out=5)
