"""Lazy, typo-aware name tables. Listing names imports nothing."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from truing.errors import BadInput, UnknownName

PLUGIN_GROUP = "truing.plugins"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a registered thing lives (``module:attribute``) and one sentence about it."""

    target: str
    summary: str


class Registry(Generic[T]):
    """Names to lazily imported objects of one kind.

    Built-ins are listed as entries; others join with :meth:`add`, usually from a module that the
    entry point group ``truing.plugins`` names or that ``--plugin FILE`` imports.
    """

    def __init__(self, kind: str, builtin: dict[str, Entry]) -> None:
        self.kind = kind
        self._entries = dict(builtin)
        self._loaded: dict[str, T] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entries))

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def summary(self, name: str) -> str:
        self._check(name)
        return self._entries[name].summary

    def get(self, name: str) -> T:
        """The object called ``name``. Raises ``UnknownName`` with the near misses."""
        self._check(name)
        if name not in self._loaded:
            module, _, attribute = self._entries[name].target.partition(":")
            self._loaded[name] = getattr(importlib.import_module(module), attribute)
        return self._loaded[name]

    def add(self, name: str, thing: T, summary: str) -> None:
        """Register ``thing``. A second thing under the same name is refused."""
        if name in self._entries:
            raise BadInput(
                f"{self.kind} '{name}' is already registered ({self._entries[name].target})",
                "Give yours another name.",
            )
        self._entries[name] = Entry("<added>", summary)
        self._loaded[name] = thing

    def _check(self, name: str) -> None:
        if name not in self._entries:
            raise UnknownName(self.kind, name, self._entries)


def load_plugins() -> list[str]:
    """Import every installed plugin module; their registrations run on import."""
    return [point.name for point in entry_points(group=PLUGIN_GROUP) if point.load() is not None]
