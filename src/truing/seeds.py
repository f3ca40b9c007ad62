"""Named streams of randomness: results do not depend on the order of work."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Seeds:
    """A path in a tree of seeds. ``Seeds(0).child("case-17").child("contexts").number``."""

    root: int
    path: tuple[str, ...] = ()

    def child(self, name: str) -> Seeds:
        return Seeds(self.root, (*self.path, name))

    @property
    def number(self) -> int:
        """A 63-bit integer that only the root and the path decide."""
        text = "\x1f".join((str(self.root), *self.path))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1

    def random(self) -> random.Random:
        return random.Random(self.number)
