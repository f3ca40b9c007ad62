"""How a language model rates texts for every trait: the rubrics ``personality-TRAIT``, one ask each.

The judge is a :class:`truing.building.asks.Writer`, so its replies are kept and gone on with as others
are, and its budget is bounded in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from truing.building.asks import Ask
from truing.building.personality.filters import Draft
from truing.building.personality.traits import Trait
from truing.errors import BadInput
from truing.judges.base import Rubric, Shown
from truing.judges.rubrics import RUBRICS
from truing.servers.reply import Reply

MAX_TOKENS = 8
LOW, HIGH = 1, 5


def rubrics_of(traits: Sequence[Trait]) -> tuple[Rubric, ...]:
    """Raises ``BadInput`` for a trait that no rubric rates."""
    for trait in traits:
        if f"personality-{trait.name}" not in RUBRICS:
            raise BadInput(
                f"there is no rubric personality-{trait.name}, which the judge would be asked",
                "Register one in a plugin, or build without --judge.",
            )
    return tuple(RUBRICS.get(f"personality-{trait.name}") for trait in traits)


def asks_of(drafts: Sequence[Draft], traits: Sequence[Trait]) -> list[Ask]:
    """About every draft that nothing speaks against, for every trait in their order."""
    rubrics = rubrics_of(traits)
    return [_ask(rubric, draft) for draft in drafts if not draft.dropped for rubric in rubrics]


def rated(
    drafts: Sequence[Draft], traits: Sequence[Trait], replies: Sequence[Reply]
) -> list[Draft]:
    """The drafts with their ratings, from the replies to :func:`asks_of`."""
    rubrics, left = rubrics_of(traits), iter(replies)
    return [
        draft
        if draft.dropped
        else replace(
            draft,
            ratings={
                trait.name: _rating(rubric, draft, next(left))
                for trait, rubric in zip(traits, rubrics, strict=True)
            },
        )
        for draft in drafts
    ]


def _shown(draft: Draft) -> Shown:
    return Shown(draft.id, "opinion", draft.wish.question, draft.text, (), None, draft.text)


def _ask(rubric: Rubric, draft: Draft) -> Ask:
    (chat,) = rubric.chats(_shown(draft), False)
    system = "\n".join(message.content for message in chat if message.role == "system")
    user = "\n".join(message.content for message in chat if message.role == "user")
    return Ask(user, system)


def _rating(rubric: Rubric, draft: Draft, reply: Reply) -> float | None:
    reading = rubric.read(_shown(draft), (reply,))
    return None if reading.score is None else LOW + reading.score * (HIGH - LOW)
