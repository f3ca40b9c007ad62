"""Data cards: what a data set holds, how it was made and who has looked at it, as JSON and Markdown."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from truing.runs.lines import write_atomically
from truing.servers.reply import Reply

FORMAT = 1
Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Card:
    """``sections`` hold facts by name, JSON-like; what is not known is ``None``, never left out."""

    title: str
    summary: str
    sections: Mapping[str, Facts]

    def write(self, folder: Path) -> None:
        """``card.json`` and ``card.md``. Raises ``StoreError``."""
        whole = {"format": FORMAT, "title": self.title, "summary": self.summary, **self.sections}
        text = json.dumps(whole, ensure_ascii=False, indent=1, allow_nan=False)
        write_atomically(folder / "card.json", text + "\n")
        write_atomically(folder / "card.md", self.markdown)

    @property
    def markdown(self) -> str:
        parts = [f"# {self.title}", self.summary]
        for name, facts in self.sections.items():
            rows = [f"| {_cell(key)} | {_cell(_said(value))} |" for key, value in _flat(facts)]
            parts.append("\n".join([f"## {name.capitalize()}", "", "| | |", "|---|---|", *rows]))
        return "\n\n".join(parts) + "\n"


def file_facts(path: Path) -> dict[str, Any]:
    """Name, size and checksum of a file."""
    raw = path.read_bytes()
    return {"file": path.name, "bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}


def spread(values: Sequence[int]) -> dict[str, float]:
    """Least, mean and most of one value or more."""
    return {"min": min(values), "mean": round(fmean(values), 2), "max": max(values)}


def used(replies: Sequence[Reply]) -> dict[str, Any]:
    """What was asked and counted; ``None`` where a reply is without a count."""
    read, written = [r.tokens_in for r in replies], [r.tokens_out for r in replies]
    counts = {"tokens read": read, "tokens written": written}
    sums = {
        name: None if None in values else sum(n for n in values if n is not None)
        for name, values in counts.items()
    }
    return {"asked": len(replies), **sums}


def _flat(facts: Facts, before: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in facts.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping) and value:
            found += _flat(value, f"{name}: ")
        else:
            found.append((name, value))
    return found


def _said(value: Any) -> str:
    if value is None:
        return "not stated"
    if value == "":
        return "(empty)"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    return "none" if isinstance(value, Mapping) else str(value)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
