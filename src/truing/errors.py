"""Every error that a user can meet.

    TruingError
    ├── BadInput            a file, record, flag or plan is wrong
    │   └── UnknownName     a name is not known; carries the near misses
    ├── BadRequest          an edit request does not fit the method
    ├── UnknownFamily       no site table for this architecture and no verified guess
    ├── CannotLoad          a model or artifact could not be read
    │   └── WrongBase       an artifact was made for another model
    ├── NotPossible         the verb or method cannot do this here
    ├── ServerStopped       a server gives no further answers
    ├── EditFailed          the method ran and its result is unusable (not finite, ...)
    └── StoreError          a run folder cannot be written or read
        └── Locked          another writer owns the run folder

Messages say what was wrong and where on the first line and what to do next on the second.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TruingError(Exception):
    """Root of all errors. ``str(error)`` is one or two lines made for a person."""

    def __init__(self, what: str, next: str | None = None) -> None:
        self.what = what
        self.next = next
        super().__init__(what if next is None else f"{what}\n{next}")


class BadInput(TruingError):
    """A file, record, flag or plan is wrong."""


class UnknownName(BadInput):
    """A name is not known."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(names)}."
        super().__init__(f"unknown {kind} '{name}'", hint)
        self.kind, self.name, self.near = kind, name, tuple(near)


class BadRequest(TruingError):
    """An edit request does not fit the method."""


class UnknownFamily(TruingError):
    """The architecture is neither in the family table nor recognised by its structure."""


class CannotLoad(TruingError):
    """A model, tokenizer or artifact could not be read."""


class WrongBase(CannotLoad):
    """An artifact was made for another base model."""


class NotPossible(TruingError):
    """The verb or method cannot do this here; the message names what can."""


class NoMemory(NotPossible):
    """The smallest piece of work does not fit in memory."""


class ServerStopped(TruingError):
    """A server gives no further answers: it is gone, it refuses, or the budget is used up."""


class EditFailed(TruingError):
    """The method ran and its result is unusable. A run records it and goes on."""


class StoreError(TruingError):
    """A run folder cannot be written or read."""


class Locked(StoreError):
    """Another writer owns the run folder."""


class TruingWarning(UserWarning):
    """Something works, but not as a user might expect; the text says what and why."""
