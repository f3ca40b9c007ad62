"""Everything that is wrong with an input, told together in two lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import ValidationError

from truing.errors import BadInput, UnknownName

T = TypeVar("T")


class Problems:
    """Everything that is wrong with a plan, told together."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.found: list[BadInput] = []

    def __bool__(self) -> bool:
        return bool(self.found)

    def add(self, error: BadInput) -> None:
        self.found.append(error)

    def add_all(self, error: ValidationError, of: str) -> None:
        for each in error.errors():
            self.add(bad_value(of, each))

    def each(self, given: Any, make: Callable[[Any], T]) -> list[T]:
        """``make`` of every entry; entries that fail are noted and left out."""
        made: list[T] = []
        for entry in listed(given):
            try:
                made.append(make(entry))
            except BadInput as error:
                self.add(error)
        return made

    def stop(self) -> None:
        """Raise if anything was found."""
        if not self.found:
            return
        if len(self.found) == 1:
            raise BadInput(f"{self.source}: {self.found[0].what}", self.found[0].next)
        whats = "; ".join(error.what for error in self.found)
        hints = " ".join(
            f"{error.name}: {error.next}"
            if isinstance(error, UnknownName)
            else str(error.next or "")
            for error in self.found
        )
        raise BadInput(f"{self.source}: {len(self.found)} problems: {whats}", hints.strip())


def listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def bad_value(of: str, error: Any) -> BadInput:
    where = ".".join(str(part) for part in error["loc"])
    return BadInput(f"{of}: '{where}' is {error['input']!r}: {error['msg']}", "Mend that value.")
