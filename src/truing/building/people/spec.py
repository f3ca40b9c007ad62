"""What a set of edits of people is made of: which column is what, what is edited, asked and compared."""

from __future__ import annotations

import re
import tomllib
from functools import cached_property
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from truing.benchmarks import files
from truing.errors import BadInput, UnknownName

_PRESENT = {"is": "was", "are": "were", "has": "had", "works": "worked", "specializes": "specialized",
            "lives": "lived", "speaks": "spoke"}  # fmt: skip
_VERB = re.compile(rf"(?<= )({'|'.join(_PRESENT)})\b")


def _with_place(template: str) -> str:
    if template.count("{}") != 1:
        raise ValueError("a prompt holds {} once, where the name goes")
    return template.strip()


Template = Annotated[str, AfterValidator(_with_place)]


def in_the_past(template: str) -> str:
    """A template for people who are dead: whole words such as ``is`` that follow a space."""
    return _VERB.sub(lambda found: _PRESENT[found[1]], template)


class Property(BaseModel):
    """A property of people. ``column`` is the property's own name where it is left out. The first of
    ``prompts`` makes the edit and asks other people, the others ask for the edit in other words;
    ``past`` are the same prompts about the dead. ``candidates``: values to edit to, or to choose from
    (empty: every value of the column). ``categories``: a CSV file with the columns ``value`` and
    ``category``, from the folder of the specification; an edit changes the category too."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    column: str = ""
    prompts: tuple[Template, ...] = Field(min_length=1)
    past: tuple[Template, ...] = ()
    candidates: tuple[str, ...] = ()
    categories: str = ""

    def wordings(self, dead: bool) -> tuple[str, ...]:
        """The prompts about somebody, the first first."""
        return (self.past or tuple(map(in_the_past, self.prompts))) if dead else self.prompts


class Spec(BaseModel):
    """A specification. ``id``, ``name`` and ``dead`` are columns, ``groups`` too; ``separator`` stands
    between several values of a cell, cells in ``missing`` say nothing. ``edits`` and ``asks`` are
    properties. As many people of each group in ``balance`` are edited and asked about; ``compare``
    limits these groups (empty: all). ``least`` people of each group must have a value that is edited to.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = "id"
    name: str = "name"
    dead: str = ""
    separator: str = Field(";", min_length=1)
    missing: tuple[str, ...] = ()
    edits: str
    asks: str
    groups: tuple[str, ...] = Field(min_length=1)
    balance: str
    compare: tuple[str, ...] = ()
    least: int = Field(2, ge=1)
    properties: dict[str, Property]

    @property
    def edited(self) -> Property:
        return self.properties[self.edits]

    @property
    def asked(self) -> Property:
        return self.properties[self.asks]

    @cached_property
    def columns(self) -> dict[str, str]:
        """The column of each of the two properties."""
        return {name: self.properties[name].column or name for name in (self.edits, self.asks)}

    @property
    def set_name(self) -> str:
        """The name of the set, as part of a file's name."""
        return "_".join(re.sub(r"[^\w.-]+", "-", name) for name in (self.edits, self.asks))


def read_spec(path: Path) -> Spec:
    """The specification in a TOML file. Raises ``BadInput`` naming line or setting, ``UnknownName``."""
    try:
        spec = Spec.model_validate(tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}", "Check the path.") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path} is not UTF-8", "Convert it to UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{path} is not TOML: {error}", "Mend it there.") from None
    except ValidationError as error:
        raise _mistake(path, error) from None
    for name in (spec.edits, spec.asks):
        if name not in spec.properties:
            raise UnknownName(f"property in {path}", name, spec.properties)
        each = spec.properties[name]
        if each.past and len(each.past) != len(each.prompts):
            raise BadInput(
                f"{path}: '{name}' has {len(each.prompts)} prompts and {len(each.past)} in the past",
                "Give one for each, in the same order.",
            )
    if spec.columns[spec.edits] == spec.columns[spec.asks]:
        raise BadInput(f"{path}: what is edited is also asked", "Ask for another property.")
    if spec.balance not in spec.groups:
        raise UnknownName(f"column to balance in {path}", spec.balance, spec.groups)
    if spec.columns[spec.edits] == spec.balance:
        raise BadInput(
            f"{path}: people with the new value are all of one group of '{spec.balance}'",
            "Balance over another column than the one that is edited.",
        )
    return spec


_WANTED = {
    "string_type": "must be text", "string_too_short": "must not be empty", "tuple_type": "must be a list",
    "too_short": "must not be empty", "int_type": "must be a whole number", "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number", "dict_type": "must be a table", "model_type": "must be a table",
    "greater_than_equal": "must be 1 or more",
}  # fmt: skip


def _mistake(path: Path, error: ValidationError) -> BadInput:
    """The first mistake; an unknown key comes before others, since it may be one that is missing."""
    found = error.errors()
    first = next((each for each in found if each["type"] == "extra_forbidden"), found[0])
    *table, key = (str(part) for part in first["loc"] if not isinstance(part, int))
    known = Property.model_fields if table else Spec.model_fields
    of = f"[{'.'.join(table)}] in {path}" if table else f"{path}"
    if first["type"] == "extra_forbidden":
        return UnknownName(f"key of {of}", key, known)
    if first["type"] == "missing":
        return BadInput(f"{of}: '{key}' is missing", f"Keys there are: {', '.join(known)}.")
    if first["type"] == "value_error":
        return BadInput(f"{of}: '{key}': {first['ctx']['error']}: {first['input']!r}", "Mend it.")
    wanted = _WANTED.get(first["type"], "cannot be that")
    return BadInput(f"{of}: '{key}' {wanted}, and is {first['input']!r:.60}", "Mend it.")


def read_categories(path: Path) -> dict[str, str]:
    """Value to category. Raises ``BadInput`` with the line for a row without one of them and for a value
    in two categories."""
    found: dict[str, str] = {}
    for record in files.read(path).records:
        pair = [str(record.fields.get(name, "")).strip() for name in ("value", "category")]
        if not all(pair):
            raise BadInput(
                f"{path}: {record.where} lacks a value or its category",
                "Give the columns value and category.",
            )
        if found.setdefault(*pair) != pair[1]:
            raise BadInput(
                f"{path}: {record.where} puts '{pair[0]}' in '{pair[1]}', a line before in "
                f"'{found[pair[0]]}'",
                "Keep one of them.",
            )
    return found
