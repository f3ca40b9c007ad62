"""Judges that must be asked, on the rows of a run. The model's answers are never made again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from truing.errors import BadInput, UnknownName
from truing.judges.base import AskedJudge, askable
from truing.judges.specs import JudgeSettings, JudgeSpec, make_all
from truing.protocols.protocol import parse as parse_protocol
from truing.runs.interrupts import Interrupts
from truing.runs.judging import complete, extra_judges
from truing.runs.store import (
    Store,
    Summary,
    read_manifest,
    read_rows,
    read_verdicts,
    write_summary,
)
from truing.runs.summary import summarise
from truing.servers.spending import Estimate, estimate
from truing.types import Row, Verdict

PORTION = 1000
"""Rows that are handed to a judge together."""
TOGETHER = 16
PATIENCE_S = 2.0
"""Verdicts are written when there are so many, or the first has waited so long."""
MAX_TOKENS = {"local": 16}
OTHERWISE = 256
"""What a reply is taken to have in an estimate: as much as it may."""

Watch = Callable[[str, int, int], None]
"""Told of a judge, how many rows it is through with, and of how many."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows are judged. Empty means all. An aspect's name holds its parts too; protocols are
    ids or names."""

    aspects: tuple[str, ...] = ()
    protocols: tuple[str, ...] = ()

    @classmethod
    def of(cls, aspects: Sequence[str], protocols: Sequence[str]) -> Selection:
        """Raises ``BadInput`` for a protocol that does not exist."""
        return cls(tuple(aspects), tuple(parse_protocol(name).id for name in protocols))

    def holds(self, row: Row) -> bool:
        aspect = any(row.aspect == a or row.aspect.startswith(f"{a}/") for a in self.aspects)
        return askable(row) and (not self.aspects or aspect) and (
            not self.protocols or row.protocol in self.protocols
        )  # fmt: skip

    def check(self, folder: Path) -> None:
        """Raise ``UnknownName`` for an aspect that no row of the run has: nothing would be judged."""
        if self.aspects:
            there = {row.aspect for row in read_rows(folder)}
            known = {*there, *(aspect.partition("/")[0] for aspect in there)}
            for aspect in self.aspects:
                if aspect not in known:
                    raise UnknownName("aspect of the run", aspect, known)


EVERYTHING = Selection()


def judge_run(
    folder: Path,
    specs: Sequence[JudgeSpec],
    settings: JudgeSettings,
    only: Selection,
    watch: Watch,
) -> Summary:
    """Add the verdicts that a run lacks, by rules first, then of those who must be asked.

    Whatever stops it, what was judged is kept, stands in the summary and is not judged again.
    Raises ``BadInput`` where a judge's rubric changed since the run was judged, ``Locked`` while the
    run is being written, and what the judges raise.
    """
    only.check(folder)
    rules = [spec.name for spec in specs if spec.kind == "rule"]
    asked = [spec for spec in specs if spec.asked]
    with Interrupts() as interrupts, Store(folder) as store:
        noted = note_rubrics(read_manifest(folder), asked)
        judges = make_all(asked, settings)
        with interrupts.held():
            store.write_manifest(noted)
            complete(store, [*rules, *extra_judges(folder)])
        try:
            for judge in judges:
                ask(store, judge, interrupts, only, watch)
        finally:
            with interrupts.held():
                summary = summarise(folder)
                write_summary(folder, summary)
    return summary


def ask(
    store: Store, judge: AskedJudge, interrupts: Interrupts, only: Selection, watch: Watch
) -> None:
    """Let one judge say what it has not said yet. Verdicts are on disk as they come."""
    todo = sum(1 for _ in _unjudged(store.folder, judge.name, only))
    waiting = _unjudged(store.folder, judge.name, only)
    watch(judge.name, 0, todo)
    through = 0
    while portion := list(islice(waiting, PORTION)):
        writer = _Writer(store, interrupts, partial(_tell, watch, judge.name, through, todo))
        try:
            judge.judge_all(portion, writer.add)
        finally:
            writer.flush()
        through += len(portion)
        watch(judge.name, through, todo)


def _tell(watch: Watch, judge: str, before: int, todo: int, since: int) -> None:
    watch(judge, before + since, todo)


class _Writer:
    """Gathers verdicts for a moment; ``tell`` hears how many there were."""

    def __init__(self, store: Store, interrupts: Interrupts, tell: Callable[[int], None]) -> None:
        self._store, self._interrupts, self._tell = store, interrupts, tell
        self._held: list[Verdict] = []
        self._since, self._count = 0.0, 0

    def add(self, verdict: Verdict) -> None:
        if not self._held:
            self._since = time.monotonic()
        self._held.append(verdict)
        if len(self._held) >= TOGETHER or time.monotonic() - self._since > PATIENCE_S:
            self.flush()

    def flush(self) -> None:
        with self._interrupts.held():
            held, self._held = self._held, []
            self._store.add_verdicts(held)
        self._count += len(held)
        self._tell(self._count)


def _unjudged(folder: Path, judge: str, only: Selection) -> Iterator[Row]:
    known = {verdict.row for verdict in read_verdicts(folder) if verdict.judge == judge}
    return (row for row in read_rows(folder) if row.key not in known and only.holds(row))


def note_rubrics(manifest: Mapping[str, Any], specs: Sequence[JudgeSpec]) -> dict[str, Any]:
    """The manifest with the digests of the rubrics that judge the run.

    Raises ``BadInput`` where it holds verdicts by other words: they would share a column.
    """
    noted: dict[str, Any] = dict(manifest.get("rubrics", {}))
    for spec in specs:
        for rubric, digest in spec.digests.items():
            if noted.setdefault(rubric, digest) != digest:
                raise BadInput(
                    f"the run was judged with other words of the rubric '{rubric}' ({noted[rubric]}, "
                    f"here {digest})",
                    "Use the version of Truing that judged it, or judge a copy without verdicts.",
                )
    return {**manifest, "rubrics": noted} if noted else dict(manifest)


def workload(
    folder: Path, specs: Sequence[JudgeSpec], only: Selection
) -> dict[str, tuple[int, Estimate]]:
    """For each asked judge: rows without its verdict, and what asking about them takes (replies
    that are cached count too; prices are not known here). Nothing is loaded or asked."""
    only.check(folder)
    found: dict[str, tuple[int, Estimate]] = {}
    for spec in (s for s in specs if s.asked):
        rows = list(_unjudged(folder, spec.name, only))
        chats = [chat for row in rows for chat in spec.chats(row)]
        found[spec.name] = (len(rows), estimate(chats, MAX_TOKENS.get(spec.kind, OTHERWISE), None))
    return found


def without_verdict(folder: Path, judge: str, only: Selection) -> int:
    """Rows of the selection that the judge has said nothing about: after :func:`judge_run`, those it has
    no question about."""
    return sum(1 for _ in _unjudged(folder, judge, only))
