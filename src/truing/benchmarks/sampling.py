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

    ``how`` is ``all`` where no limit cut anything off; ``seed`` is ``None`` where none was used.
    ``ids`` are the kept cases in order.
    """

    how: Literal["all", "prefix", "seeded"]
    limit: int | None
    seed: int | None
    total: int
    selected: int
    kept: int
    ids: tuple[str, ...]

    @classmethod
    def of(
        cls, limit: int | None, how: How, seed: int, total: int, selected: int, ids: Sequence[str]
    ) -> Sampling:
        cut = selected < total
        used = seed if cut and how == "seeded" else None
        return cls(how if cut else "all", limit, used, total, selected, len(ids), tuple(ids))


def choose(keys: Sequence[str], limit: int | None, how: How, seed: int) -> list[int]:
    """Positions of the selected items, ascending.

    ``seeded`` ranks every item by a hash of the seed and its key (its content) and takes the first
    ``limit``: a sample without replacement that does not depend on the order of the items.
    """
    everything = list(range(len(keys)))
    if limit is None or limit >= len(keys):
        return everything
    if how == "prefix":
        return everything[:limit]
    return sorted(sorted(everything, key=lambda i: (_rank(seed, keys[i]), i))[:limit])


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
