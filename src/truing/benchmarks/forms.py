"""Layouts of records: which fields make a record one of a kind, and how it becomes a draft."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from truing.benchmarks.draft import Unchecked
from truing.benchmarks.files import Record
from truing.errors import BadInput
from truing.registry import Registry

if TYPE_CHECKING:
    from truing.benchmarks.benchmark import Benchmark

Fields = Mapping[str, Any]
ID_FIELDS = ("id", "case_id")


def id_field(fields: Fields) -> str | None:
    """The record's own id, from ``id`` or ``case_id``; ``None`` without a usable one."""
    for name in ID_FIELDS:
        value = fields.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, str) and 0 < len(value.strip()) <= 200 and value.strip().isprintable():
            return value.strip()
    return None


def no_remarks(fields: Fields) -> Iterable[str]:
    """Nothing to say about a record's layout."""
    return ()


@dataclass(frozen=True, slots=True)
class Form:
    """One layout of records.

    ``needs`` lists the fields that a record must have; where several names mean the same, any of
    them will do. ``draft`` turns such a record into what can be checked, mostly a
    :class:`~truing.benchmarks.draft.Draft` (``ValidationError`` of pydantic and ``Rejected``
    quarantine it). ``remarks`` are notes about how fields were read.
    """

    name: str
    needs: tuple[tuple[str, ...], ...]
    draft: Callable[[Fields, Any], Unchecked]
    identify: Callable[[Fields], str | None] = id_field
    remarks: Callable[[Fields], Iterable[str]] = no_remarks

    def fits(self, fields: Fields) -> bool:
        return all(any(name in fields for name in names) for names in self.needs)

    def missing(self, fields: Fields) -> tuple[str, str]:
        """The first needed field that is absent, and a sentence about it."""
        for names in self.needs:
            if not any(name in fields for name in names):
                near = difflib.get_close_matches(
                    names[0], [str(f) for f in fields], n=1, cutoff=0.6
                )
                hint = f" (is '{near[0]}' it?)" if near else ""
                return names[0], f"the field {names[0]} is missing{hint}"
        return "", "the record fits no layout"

    def wanted(self) -> str:
        return ", ".join("|".join(names) for names in self.needs)


def form_of(forms: Sequence[Form], record: Record) -> Form | None:
    """The first layout that the record fits."""
    return next((form for form in forms if not record.trouble and form.fits(record.fields)), None)


def explain(
    benchmark: Benchmark, registry: Registry[Benchmark], records: Sequence[Record], path: Path
) -> BadInput:
    """Why no record of a file fits the benchmark, and what would."""
    readable = [record for record in records if not record.trouble]
    if not readable:
        first = records[0]
        return BadInput(
            f"{path}: none of {len(records)} records can be read; {first.where}: {first.trouble}",
            "Each record is an object with fields.",
        )
    fields = readable[0].fields
    found = ", ".join(str(name)[:40] for name in list(fields)[:10]) or "none"
    wanted = " or ".join(f"({form.wanted()})" for form in benchmark.forms)
    others = [
        name
        for name in registry
        if name != benchmark.name
        and any(form_of(registry.get(name).forms, record) for record in readable[:20])
    ]
    others.sort(key=lambda name: name == "custom")
    if others:
        what_next = f"Did you mean the benchmark {' or '.join(others)}?"
    else:
        form = min(benchmark.forms, key=lambda form: _distance(form, fields))
        what_next = f"{form.missing(fields)[1][0].upper()}{form.missing(fields)[1][1:]}."
    return BadInput(
        f"{path} has no records of {benchmark.name}: found the fields {found}; expected {wanted}",
        what_next,
    )


def _distance(form: Form, fields: Fields) -> int:
    return sum(not any(name in fields for name in names) for names in form.needs)


def complaint(error: ValidationError) -> tuple[str, str]:
    """The place in a record that is wrong, and a sentence about it."""
    first = error.errors()[0]
    where = _place(first["loc"])
    return where, f"{where}: {_plain(first)}"


def _place(parts: Sequence[Any]) -> str:
    """A position in a record, as ``locality[0].prompt``. Names of union members are left out."""
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        elif isinstance(part, str) and part.isidentifier() and part not in _UNION_MEMBERS:
            text += f".{part}" if text else part
    return text or "record"


_UNION_MEMBERS = frozenset(("str", "int", "float", "list", "dict", "tuple"))


def _plain(error: Any) -> str:
    """One validation error as a person says it."""
    if error["type"] == "missing":
        return "the field is missing"
    given = error["input"]
    kind = {dict: "an object", list: "a list", str: "text", type(None): "null"}.get(type(given))
    what = kind or f"{type(given).__name__} {given!r}"[:60]
    return f"{error['msg'][0].lower()}{error['msg'][1:]}, but it is {what}"
