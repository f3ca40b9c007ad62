"""What judges have replied, on disk: nothing is asked, or paid for, twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from truing.models.answers import Answers
from truing.servers.reply import Reply
from truing.types import Chat

_REPLY = TypeAdapter(Reply)


class Replies:
    """Replies by key in one SQLite file, safe under concurrent processes. A file or an entry that
    cannot be read is as if it were not there."""

    def __init__(self, path: Path) -> None:
        self._texts = Answers(path, "judges' replies")

    def get(self, keys: Sequence[str]) -> dict[str, Reply]:
        """The stored replies of those ``keys`` that are known."""
        found: dict[str, Reply] = {}
        for key, text in self._texts.get(keys).items():
            try:
                found[key] = _REPLY.validate_json(text)
            except ValidationError:
                continue
        return found

    def put(self, key: str, reply: Reply) -> None:
        """Store a reply that has a text; a failure is no reply and is asked again."""
        if reply.text is not None:
            self._texts.put({key: json.dumps(asdict(reply), ensure_ascii=False)})


def key_of(facts: Mapping[str, Any], rubric: str, labels: Sequence[str], chat: Chat) -> str:
    """The key of one reply: who is asked, by which rubric (its digest), for which labels, what."""
    asked = [dict(facts), rubric, list(labels), [asdict(message) for message in chat]]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
