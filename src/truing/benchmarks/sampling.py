"""Which records are taken, decided by content and written down."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

How = Literal["prefix", "seeded"]


@dataclass(frozen=True, slots=True)
class Sampling:
    """What was selected: ``total`` records there were, ``selected`` were taken, ``kept`` are cases.

    ``how`` is ``all`` where nothing was cut off; ``seed`` is ``None`` where none was used. ``skip``
    counts the items left out in front of the selected ones. ``ids`` are the kept cases in order.
    """

    how: Literal["all", "prefix", "seeded"]
    limit: int | None
    seed: int | None
    total: int
    selected: int
    kept: int
    ids: tuple[str, ...]
    skip: int = 0


@dataclass(frozen=True, slots=True)
class Selection:
    """Which items to take: ``limit`` of them (``None``: all), the first ``skip`` left out.

    ``prefix`` takes them as they come. ``seeded`` ranks every item by a hash of the seed and its key
    (its content): a sample without replacement that does not depend on the order of the items. Equal
    settings with ``skip`` n and ``limit`` n select disjoint items.
    """

    limit: int | None = None
    how: How = "prefix"
    seed: int = 0
    skip: int = 0

    def of(self, keys: Sequence[str]) -> list[int]:
        """Positions of the selected items, ascending."""
        ranked = list(range(len(keys)))
        if self.how == "seeded":
            ranked.sort(key=lambda i: (_rank(self.seed, keys[i]), i))
        stop = None if self.limit is None else self.skip + self.limit
        return sorted(ranked[self.skip : stop])

    def record(self, total: int, selected: int, ids: Sequence[str]) -> Sampling:
        """What was selected, for the books."""
        cut = selected < total
        used = self.seed if cut and self.how == "seeded" else None
        how = self.how if cut else "all"
        return Sampling(how, self.limit, used, total, selected, len(ids), tuple(ids), self.skip)


def _rank(seed: int, key: str) -> bytes:
    return hashlib.sha256(f"{seed}\x1f{key}".encode("utf-8", "surrogatepass")).digest()


def distinct(ids: Sequence[str]) -> list[str]:
    """The same ids; the second and later of equal ones get ``#2``, ``#3``, ..."""
    taken = set(ids)
    seen: dict[str, int] = {}
    result = []
    for id in ids:
        count = seen.get(id, 0) + 1
        name = id
        while count > 1 and (name := f"{id}#{count}") in taken:
            count += 1
        seen[id] = count
        taken.add(name)
        result.append(name)
    return result
