"""A row's key: a hash of everything that decides the row, and of nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from truing.types import Case, EditRequest, Moment, Probe

SPEC = 1
"""Raised when the meaning of a row changes, so that old rows are not taken for new ones."""


def digest(*facts: Any) -> str:
    """32 hex digits of the SHA-256 of JSON-like facts."""
    text = json.dumps(facts, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Keys:
    """Keys of one cell's rows.

    ``shared`` identifies model, tokenizer, method with its config, benchmark and regime.
    """

    shared: str

    @classmethod
    def of(
        cls,
        *,
        model: str,
        tokenizer: str,
        method: str,
        config: Any,
        benchmark: str,
        source: str,
        regime: str,
        seed: int,
    ) -> Keys:
        facts = (model, tokenizer, method, config, benchmark, source, regime, seed)
        return cls(digest(SPEC, *facts))

    def row(
        self, made_from: str, case: Case, probe: Probe, protocol: str, moment: Moment, step: int
    ) -> str:
        """The key of one row. ``made_from`` identifies the requests in force, in order."""
        facts = asdict(probe)
        if probe.follows is None:
            del facts["follows"]
        return digest(self.shared, made_from, case.id, facts, protocol, moment, step)


def requests_in_force(before: str, requests: Sequence[EditRequest]) -> str:
    """Identifies ``requests`` made as one edit after those of ``before`` ('' for none)."""
    return digest(before, [asdict(request) for request in requests])
