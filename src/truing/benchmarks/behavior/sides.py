"""Questions with a right and a wrong answer, and what an edit's direction makes of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from truing.benchmarks.behavior.scenario import REFUSAL, Asked, Direction, Scenario


@dataclass(frozen=True, slots=True)
class Question:
    """``right`` and ``wrong``: how either answer may be said, first as an edit would say it."""

    kind: str
    prompt: str
    right: tuple[str, ...]
    wrong: tuple[str, ...]

    def asked(self, direction: Direction) -> Asked:
        """The question of an edit toward ``direction``; what is right is so whatever the direction.

        The choices are the target, then what it stands against: the wrong answer for ``good``, the
        right one else.
        """
        wanted = {"good": self.right, "bad": self.wrong, "abstention": (REFUSAL,)}[direction]
        sides = (wanted, *(side for side in (self.right, self.wrong) if side != wanted))
        return Asked(self.kind, self.prompt, wanted, self.right, tuple(side[0] for side in sides))


def scenario(
    questions: Iterable[Question],
    edited: str,
    direction: Direction,
    *,
    subject: str | None = None,
    rule: str = "",
    label: str = "",
) -> Scenario:
    """The scenario whose question of the kind ``edited`` is edited; the others are generalization."""
    asked = [q.asked(direction) for q in sorted(questions, key=lambda q: q.kind != edited)]
    target_new, target_old, *_ = asked[0].choices
    return Scenario(target_new, tuple(asked), subject, target_old, rule, label)
