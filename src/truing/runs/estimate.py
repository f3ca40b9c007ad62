"""What a plan will take, from a small measurement on the real model. Nothing is written."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from truing.errors import NotPossible
from truing.interventions.intervention import Intervention
from truing.models.asks import Ask, GenerateAsk
from truing.models.served import ServedModel
from truing.models.subject import Subject
from truing.runs.asking import Asked, Unanswered, asks_of, questions
from truing.runs.cell import Job
from truing.runs.cells import Cell
from truing.runs.jobs import job_for, load_subject, refuse_bad_requests
from truing.runs.meter import metered
from truing.runs.plan import Plan
from truing.runs.prepare import Prepared, prepare
from truing.runs.schedule import Sheet, requests_of
from truing.types import Case

SAMPLE = 3
"""Cases that are measured per benchmark."""


@dataclass(frozen=True, slots=True)
class CellEstimate:
    """One cell. ``tokens`` are read and written in all (prompt tokens counted once per question).

    ``seconds`` is ``None`` where nothing could be measured; ``trouble`` then says why.
    ``edit_seconds`` is per request, ``row_seconds`` per row. Of models behind servers nothing is asked
    or measured: ``tokens`` are near (four characters each) for what is read and the most for what is
    written, and ``usd`` is what they cost at the plan's prices.
    """

    cell: str
    label: str
    cases: int
    edits: int
    rows: int
    asks: int
    tokens: int
    edit_seconds: float | None
    row_seconds: float | None
    seconds: float | None
    trouble: str = ""
    usd: float | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """The plan in all. ``seconds`` leaves out cells that could not be measured; ``peak_bytes`` is
    the most memory that the measurement needed, the model included. ``power`` says what losses of
    capability the plan can find. ``usd`` is what models behind servers cost at most."""

    cells: tuple[CellEstimate, ...]
    edits: int
    rows: int
    asks: int
    tokens: int
    seconds: float
    load_seconds: float
    peak_bytes: int | None
    quarantined: int
    power: tuple[str, ...] = ()
    usd: float | None = None


def estimate(plan: Plan, *, load: Callable[[Any], Subject] = load_subject) -> Estimate:
    """Measure one edit per method and the questions of a few cases, and multiply.

    Base answers are counted once per model and benchmark, since they are remembered. Batches of
    the run are larger than those measured, so it is rather quicker. Raises what
    :func:`truing.runs.execute.execute` raises before it begins.
    """
    prepared = prepare(plan)
    cells: list[CellEstimate] = []
    load_seconds, peak = 0.0, 0
    for spec in plan.models:
        begun = time.perf_counter()
        model = load(spec)
        load_seconds += time.perf_counter() - begun
        facts = model.facts
        asked_before: set[str] = set()
        for cell in (c for c in plan.cells() if c.model == spec):
            job = job_for(prepared, cell, model, facts, Path())
            if not plan.skips(cell.benchmark):
                refuse_bad_requests(cell, job)
            with metered() as meter:
                cells.append(_cell(prepared, cell, job, cell.benchmark.label in asked_before))
            peak = max(peak, meter.peak_bytes or 0)
            asked_before.add(cell.benchmark.label)
    return Estimate(
        cells=tuple(cells),
        edits=sum(c.edits for c in cells),
        rows=sum(c.rows for c in cells),
        asks=sum(c.asks for c in cells),
        tokens=sum(c.tokens for c in cells),
        seconds=load_seconds + sum(c.seconds or 0.0 for c in cells),
        load_seconds=load_seconds,
        peak_bytes=peak or None,
        quarantined=len(prepared.quarantined()),
        power=tuple(prepared.power()),
        usd=None if all(c.usd is None for c in cells) else sum(c.usd or 0.0 for c in cells),
    )


def _cell(prepared: Prepared, cell: Cell, job: Job, base_known: bool) -> CellEstimate:
    rows = prepared.rows(cell)
    edits = len(requests_of(job.cases, range(len(job.cases))))
    able = [case for case in job.cases if case.id not in job.refused]
    sampled = [case for case in (*able, *job.beside) if case.probes][:SAMPLE]
    found = CellEstimate(cell.id, str(cell), len(job.cases), edits, rows, rows, 0, None, None, None)
    if not able:
        return replace(found, trouble="no case can be edited")
    model = job.measuring.model
    if isinstance(model, ServedModel):
        return _served(found, job, model, sampled, base_known and cell.is_baseline)
    asks, tokens = _asks(job, sampled)
    per_row = max(1, sum(map(prepared.rows_of, sampled)))
    found = replace(found, asks=round(rows * asks / per_row), tokens=round(rows * tokens / per_row))
    try:
        edit_seconds, row_seconds = _measure(job, able[0], sampled)
    except NotPossible as error:
        return replace(found, trouble=error.what)
    asked = 0 if cell.is_baseline and base_known else rows
    return replace(
        found,
        edit_seconds=edit_seconds,
        row_seconds=row_seconds,
        seconds=edits * edit_seconds + asked * row_seconds,
    )


def _served(
    found: CellEstimate, job: Job, model: ServedModel, cases: Sequence[Case], known: bool
) -> CellEstimate:
    """What a cell of a model behind a server takes; ``known``: the same was asked before."""
    asks: list[GenerateAsk] = []
    for case in cases:
        made = job.maker.next(case.requests, None) if case.requests else None
        under = made if isinstance(made, Intervention) else None
        wanted = [
            (protocol, replace(probe, follows=None))
            for protocol, probe in job.measuring.protocols.of(case.probes)
        ]
        for question in questions(model, wanted, [0] * len(wanted)):
            if not isinstance(question, Unanswered):
                sent = asks_of(model, Asked(question, under))
                asks += [
                    ask for ask in sent if isinstance(ask, GenerateAsk) and not model.fits(ask)
                ]
    one = model.estimate(asks)
    share = 0.0 if known or not asks else found.rows / len(asks)
    return replace(
        found,
        asks=round(len(asks) * share),
        tokens=round((one.tokens_in + one.tokens_out) * share),
        usd=None if one.usd is None else one.usd * share,
    )


def _asks(job: Job, cases: Sequence[Case]) -> tuple[int, int]:
    """Questions sent for these cases at one moment, and their tokens, written ones included."""
    model = job.measuring.model
    wanted = [
        (protocol, probe)
        for case in cases
        for protocol, probe in job.measuring.protocols.of(case.probes)
    ]
    count = tokens = 0
    for question in questions(model, wanted, [0] * len(wanted)):
        if isinstance(question, Unanswered):
            continue
        for ask in asks_of(model, Asked(question)):
            if model.fits(ask) is None:
                count += 1
                tokens += _tokens(model, ask)
    return count, tokens


def _tokens(model: Subject, ask: Ask) -> int:
    if isinstance(ask, GenerateAsk):
        return len(model.speller.prompt_ids(ask.prompt)) + ask.decoding.max_new_tokens
    return len(model.speller.join(ask.prompt, ask.continuation).ids)


def _measure(job: Job, edited: Case, cases: Sequence[Case]) -> tuple[float, float]:
    """Seconds per edit request of ``edited``, and per row of ``cases``."""
    requests = list(edited.requests)
    begun = time.perf_counter()
    made = job.maker.next(requests, None)
    edit_seconds = (time.perf_counter() - begun) / max(1, len(requests))
    under = made if isinstance(made, Intervention) else Intervention()
    sheets = [Sheet(case, "immediate", 1, "") for case in cases]
    with job.measuring.model.uncached():
        begun = time.perf_counter()
        rows = job.measuring.rows(sheets, [under] * len(sheets))
        both = time.perf_counter() - begun
    return edit_seconds, both / 2 / max(1, len(rows))
