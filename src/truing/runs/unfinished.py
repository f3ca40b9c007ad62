"""Runs that stopped midway: what they lack may only be missing so far."""

from __future__ import annotations

import shlex
from pathlib import Path

from truing.errors import BadInput
from truing.runs.store import read_manifest, read_rows


def how_to_resume(folder: Path) -> str:
    """The command that goes on with a run."""
    return f"truing run {shlex.quote(str(folder))} --resume"


def is_finished(folder: Path) -> bool:
    """Whether the run came to its end; folders that do not tell did. Raises ``StoreError``."""
    return read_manifest(folder).get("finished", "") is not None


def so_far(folder: Path) -> str | None:
    """What to say of numbers from a run that is not finished, ``None`` for others. Raises ``StoreError``."""
    if is_finished(folder):
        return None
    return f"The run is not finished: these are the rows so far. Go on: {how_to_resume(folder)}"


def no_rows(folder: Path, what: str, next: str) -> BadInput:
    """The error for a run without the rows that somebody asks for: ``what`` they are and what makes them.
    A run that is not finished says so in place of that. Raises ``StoreError``."""
    if is_finished(folder):
        return BadInput(f"{folder} has no {what}", next)
    n = sum(1 for _ in read_rows(folder))
    return BadInput(
        f"{folder} has no {what}: it is not finished ({n} rows so far)",
        f"Go on: {how_to_resume(folder)}",
    )
