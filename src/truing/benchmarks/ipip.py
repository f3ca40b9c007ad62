"""Items of a questionnaire about oneself: the 120-item form of the IPIP-NEO (Johnson 2014, "Measuring
thirty facets of the Five Factor Model", Journal of Research in Personality 51; public domain)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from truing.benchmarks import files
from truing.errors import BadInput

DOMAINS: Mapping[str, str] = MappingProxyType(
    {
        "N": "neuroticism",
        "E": "extraversion",
        "O": "openness",
        "A": "agreeableness",
        "C": "conscientiousness",
    }
)
LETTERS = "ABCDE"
SCALE = (
    "Very inaccurate",
    "Moderately inaccurate",
    "Neither accurate nor inaccurate",
    "Moderately accurate",
    "Very accurate",
)
"""What can be said of an item: 1 to 5."""


@dataclass(frozen=True, slots=True)
class Item:
    """``text`` is said of oneself, in the first person without "I". ``reversed`` items speak against
    their domain."""

    id: str
    text: str
    domain: str
    reversed: bool

    def asked(self, order: tuple[int, ...]) -> str:
        """The question, with the answers (numbers of ``SCALE`` from 0) in ``order`` under letters."""
        lines = (f"{letter}. {SCALE[i]}" for letter, i in zip(LETTERS, order, strict=True))
        return (
            f"How accurately does this statement describe you?\nStatement: I {_lower(self.text)}.\n"
            + "\n".join(lines)
            + "\nAnswer:"
        )


class _Record(BaseModel):
    model_config = ConfigDict(extra="ignore")
    id: str
    text: str
    keyed: Literal["plus", "minus"]
    domain: Literal["N", "E", "O", "A", "C"]


def read(path: Path) -> tuple[Item, ...]:
    """The items of a file. Raises ``BadInput`` for a file or record that is none, and for an id that
    is there twice."""
    items: dict[str, Item] = {}
    for record in files.read(path).records:
        try:
            found = _Record.model_validate(record.fields)
        except ValidationError as error:
            where = ".".join(str(part) for part in error.errors()[0]["loc"])
            raise BadInput(
                f"{path} {record.where} is no item: {where} {error.errors()[0]['msg'].lower()}",
                "An item has id, text, keyed (plus, minus) and domain (N, E, O, A, C).",
            ) from None
        if found.id in items:
            raise BadInput(f"{path} {record.where}: id {found.id} is there twice", "Keep one.")
        items[found.id] = Item(
            found.id, found.text.strip(), DOMAINS[found.domain], found.keyed == "minus"
        )
    return tuple(items.values())


def _lower(text: str) -> str:
    text = text.rstrip(".")
    return text[:1].lower() + text[1:]
