"""Drawing a fixed number of different items per skill."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping

from truing.benchmarks.capability.sets import Item

Skill = Callable[[random.Random], Iterator[Item]]
"""Items of one kind, endless or not; prompts may repeat."""


def drawn(of: str, skills: Mapping[str, Skill], each: int) -> list[tuple[str, Item]]:
    """``each`` items per skill with ids ``skill/number``, fewer where a skill has fewer.

    The same items every time; no prompt twice within a skill.
    """
    made: list[tuple[str, Item]] = []
    for name, skill in skills.items():
        found: dict[object, Item] = {}
        for item in skill(random.Random(f"truing-{of}-{name}")):
            found.setdefault(item.prompt, item)
            if len(found) == each:
                break
        made += [(f"{name}/{number}", item) for number, item in enumerate(found.values())]
    return made
