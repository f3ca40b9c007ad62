"""Verdicts of rules on stored rows. No model is asked."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from truing.errors import UnknownName
from truing.protocols.protocol import Protocol, parse
from truing.runs.store import Store, read_rows, read_verdicts
from truing.scoring.judge import JUDGES, judge_row
from truing.types import Row, Verdict

PORTION = 1000


def verdicts_on(row: Row, extra: Sequence[str] = ()) -> list[Verdict]:
    """What the judges of the row's protocol say, then the rules named in ``extra``. Judges that
    must be asked are left to :mod:`truing.runs.asked`."""
    found = judge_row(row, protocol_of(row.protocol))
    said = {verdict.judge for verdict in found}
    more = [name for name in extra if name in JUDGES and name not in said]
    return [*found, *(JUDGES.get(name).judge(row) for name in more)]


def judge(folder: Path, extra: Sequence[str] = ()) -> int:
    """Add the verdicts that a run lacks, ``extra`` judges included; returns how many were added.

    Only stored rows are read; what has been judged stays as it is. Raises ``UnknownName`` for a
    judge that does not exist and ``Locked`` while the run is being written.
    """
    for name in extra:
        if name not in JUDGES:
            raise UnknownName("judge", name, JUDGES)
    with Store(folder) as store:
        return complete(store, extra)


def complete(store: Store, extra: Sequence[str] = ()) -> int:
    """The same for a run that is open for writing."""
    added = 0
    waiting: list[Verdict] = []
    for verdict in missing(store.folder, extra):
        waiting.append(verdict)
        if len(waiting) >= PORTION:
            store.add_verdicts(waiting)
            added += len(waiting)
            waiting = []
    store.add_verdicts(waiting)
    return added + len(waiting)


def missing(folder: Path, extra: Sequence[str] = ()) -> Iterator[Verdict]:
    """The verdicts that a run should have and has not."""
    known = {(verdict.row, verdict.judge) for verdict in read_verdicts(folder)}
    for row in read_rows(folder):
        for verdict in verdicts_on(row, extra):
            if (verdict.row, verdict.judge) not in known:
                yield verdict


def extra_judges(folder: Path) -> tuple[str, ...]:
    """The rules that a run's plan names beside those of its protocols."""
    try:
        plan = tomllib.loads((folder / "plan.toml").read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError):
        return ()
    return tuple(name for name in plan.get("judges", []) if name in JUDGES)


@cache
def protocol_of(ident: str) -> Protocol:
    """The protocol with this id. Raises ``BadInput``."""
    return parse(ident)
