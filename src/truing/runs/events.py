"""What a run tells while it works. Plain data; the command line draws it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class RunStarted:
    """``rows`` is what the plan asks for, ``done`` how many of them were there already."""

    folder: Path
    cells: int
    rows: int
    done: int


@dataclass(frozen=True, slots=True)
class CellStarted:
    """Cell ``number`` of ``of`` (from 1); ``label`` is for people."""

    cell: str
    label: str
    number: int
    of: int


@dataclass(frozen=True, slots=True)
class EditsMade:
    """``cases`` cases were edited in ``seconds``; ``failed`` of them could not be."""

    cell: str
    cases: int
    failed: int
    seconds: float


@dataclass(frozen=True, slots=True)
class RowsWritten:
    """``done`` of ``of`` rows are on disk, ``new`` of them just now. ``eta`` is in seconds, ``None``
    before it is known."""

    cell: str
    new: int
    done: int
    of: int
    eta: float | None


@dataclass(frozen=True, slots=True)
class CellFailed:
    """A method cannot work here; the other cells go on."""

    cell: str
    label: str
    reason: str


@dataclass(frozen=True, slots=True)
class Note:
    """Something a person should know."""

    text: str


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The run was stopped and can go on: ``how`` is the command."""

    folder: Path
    done: int
    of: int
    how: str


@dataclass(frozen=True, slots=True)
class RunFinished:
    """All rows are there and summed up. ``seconds`` is this session's time."""

    folder: Path
    rows: int
    seconds: float


Event = (
    RunStarted
    | CellStarted
    | EditsMade
    | RowsWritten
    | CellFailed
    | Note
    | Interrupted
    | RunFinished
)
OnEvent = Callable[[Event], None]


def quiet(event: Event) -> None:
    """Tell nobody."""
