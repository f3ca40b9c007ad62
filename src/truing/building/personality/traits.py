"""Personality traits as data: the five factors with both poles, or a file of one's own."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from truing.errors import BadInput, UnknownName

PUBLISHED = ("extraversion", "agreeableness", "neuroticism")
"""The traits of Mao et al. 2024 (arXiv:2310.02168): two others of the five did not pass its pilot."""
RESERVED = frozenset({"ent", "target_per", "none"})
_TABLE = re.compile(r"^\s*\[\[\s*trait\s*\]\]")


class Trait(BaseModel):
    """One trait. ``person``: somebody who has it ("an extraverted person"). ``adjectives`` describe
    such a person, ``opposite`` one at the other pole. ``forbidden``: beginnings of words that give
    the trait away in a text."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    name: str = Field(min_length=1)
    person: str = Field(min_length=1)
    definition: str = Field(min_length=1)
    facets: tuple[str, ...] = Field(min_length=1)
    adjectives: tuple[str, ...] = Field(min_length=1)
    opposite: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()


def shipped() -> tuple[Trait, ...]:
    """The five factors, then their other poles."""
    text = resources.files(__package__).joinpath("traits.toml").read_text("utf-8")
    return _parsed(text, "traits.toml")


def read(path: Path) -> tuple[Trait, ...]:
    """The ``[[trait]]`` tables of a TOML file. Raises ``BadInput`` naming line, trait and field."""
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}", "Check the path.") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path} is not UTF-8", "Convert it to UTF-8.") from None
    return _parsed(text, str(path))


def chosen(traits: Sequence[Trait], names: Sequence[str]) -> tuple[Trait, ...]:
    """Those named, in the order of the names. Raises ``BadInput`` for fewer than two or one named
    twice, ``UnknownName``."""
    known = {trait.name: trait for trait in traits}
    for name in names:
        if name not in known:
            raise UnknownName("trait", name, known)
    if len(names) < 2 or len(set(names)) < len(names):
        raise BadInput(
            f"the traits are {', '.join(names) or 'none'}", "Name two or more, each once."
        )
    return tuple(known[name] for name in names)


def _parsed(text: str, where: str) -> tuple[Trait, ...]:
    try:
        tables = tomllib.loads(text).get("trait")
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{where} is not TOML: {error}", "Mend it there.") from None
    if not isinstance(tables, list) or not tables:
        raise BadInput(f"{where} holds no [[trait]]", "Begin each trait with a line [[trait]].")
    lines = [n for n, line in enumerate(text.splitlines(), 1) if _TABLE.match(line)]
    at = [f"{where} line {n}" for n in lines] if len(lines) == len(tables) else []
    found: list[Trait] = []
    for number, table in enumerate(tables):
        place = at[number] if at else f"{where} trait {number + 1}"
        trait = _trait(table, place)
        if trait.name in RESERVED or trait.name in {known.name for known in found}:
            raise BadInput(
                f"{place}: the name '{trait.name}' is {'reserved' if trait.name in RESERVED else 'taken'}",
                "Give every trait a name of its own.",
            )
        found.append(trait)
    return tuple(found)


def _trait(table: object, place: str) -> Trait:
    try:
        return Trait.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "trait"
        raise BadInput(f"{place}: field '{field}': {first['msg']}", "Mend the field.") from None
