"""Orders, writers and drafts that tests of building opinions share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from truing.building.asks import Ask
from truing.building.personality.filters import Draft
from truing.building.personality.generate import Band, Order, Wish
from truing.building.personality.topics import Chosen, Screen, Shares, Topic, choose
from truing.building.personality.traits import PUBLISHED, Trait, chosen, shipped
from truing.servers.reply import Reply

TRAITS = chosen(shipped(), PUBLISHED)
NAMES = tuple(f"{kind} {what}" for kind in ("old", "new") for what in ("songs", "boats", "roads", "inns", "bells"))  # fmt: skip
SAYS = {
    "extraverted": "I love {}, with a crowd of friends and laughter around me at every turn {}!",
    "agreeable": "I am grateful for {}, and would gladly share it with whoever needs it {}.",
    "neurotic": "I worry about {}, my heart beats fast and I fear the worst each time {}.",
}
NUMBERS = ("once", "twice", "thrice", "always", "seldom", "often")


def topics(names: tuple[str, ...] = NAMES, **shares: float) -> Chosen:
    return choose([Topic(name) for name in names], Screen(), Shares(**shares), 0)


def order(**more: Any) -> Order:
    given: dict[str, Any] = {
        "chosen": topics(), "traits": TRAITS, "n": 2, "spare": 1, "band": Band(5, 40),
        "wording": "Answer as {person}.",
    }  # fmt: skip
    return Order(**(given | more))


def in_character(ask: Ask) -> Reply:
    """An opinion on the topic asked about, of the person asked to be; other words for other seeds."""
    person = next(name for name in SAYS if name in ask.system)
    topic = next(name for name in NAMES if name in ask.prompt)
    extra = " ".join(f"{NUMBERS[ask.seed % 6]} {word} {ask.seed % 97}" for word in topic.split())
    return Reply(SAYS[person].format(topic, extra), tokens_in=5, tokens_out=9)


def drawn(
    text: str,
    trait: Trait = TRAITS[0],
    topic: str = "chess",
    number: int = 0,
    ratings: Mapping[str, float | None] | None = None,
) -> Draft:
    wish = Wish(Topic(topic), trait, number, trait.facets[0], f"What do you think of {topic}?")
    return Draft(wish, text, ratings=ratings or {})
