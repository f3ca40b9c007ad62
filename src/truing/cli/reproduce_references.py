"""``truing reproduce`` for tables that come as files: published numbers, and a run's beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from truing.cli.output import emit, note, rows_table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from truing.runs.references import Reference, ReferenceTable
    from truing.runs.referred import Beside
    from truing.types import Value


def show(
    name: str,
    data: Path,
    run: Path | None,
    like: str | None,
    methods: Sequence[str] | None,
    as_json: bool,
) -> None:
    """The table ``name``, or with ``run`` the part of it that the run measured too."""
    from truing.errors import BadInput
    from truing.runs import references, referred

    wanted = references.table(name)
    found = references.chosen(references.read(wanted, data), like, methods)
    if run is None:
        note(f"{wanted.paper}. Before → after the edit, in per cent, as published.")
        emit(found, _table(name, wanted, found), as_json)
        return
    both = referred.beside(found, run, like)
    if not both:
        models = ", ".join(list(dict.fromkeys(r.model for r in found))[:5])
        raise BadInput(
            f"{run} measured nothing that {name} has",
            f"Its data and direction must be the table's; --like names its model, as {models}.",
        )
    note(f"published: {wanted.paper}. Ours: {run}; answers that cannot be read count as wrong.")
    for difference in wanted.differs:
        note(f"differs: {difference}")
    emit(both, _beside(name, both), as_json)


def _table(name: str, wanted: ReferenceTable, found: Sequence[Reference]) -> RenderableType:
    from truing.runs.referred import percents

    lines: list[tuple[tuple[str, ...], list[str]]] = []
    for i, r in enumerate(found):
        if i % len(wanted.quantities) == 0:
            method = f"{r.method} ({r.variant})" if r.variant else r.method
            lines.append(((_data(r), r.model, method, str(r.n)), []))
        lines[-1][1].append(percents(r).removesuffix(" %"))
    columns = ("data", "model", "method", "n", *(q.name for q in wanted.quantities))
    return _narrow(name, columns, [(*head, *numbers) for head, numbers in lines])


def _beside(name: str, both: Sequence[Beside]) -> RenderableType:
    from truing.runs.referred import percents

    rows = []
    for b in both:
        r = b.reference
        ours = "another standard" if not b.comparable else f"{_mean(b.before)} → {_value(b.after)}"
        rows.append(
            (
                _data(r), r.model, f"{r.method} ({r.variant})" if r.variant else r.method,
                r.quantity.name, percents(r), ours, "" if b.after is None else str(b.after.n),
                b.protocol,
            )
        )  # fmt: skip
    columns = ("data", "like", "method", "number", "published", "ours, % [95%]", "n", "protocol")
    return _narrow(name, columns, rows)


def _narrow(name: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> RenderableType:
    """The table without columns that are empty throughout."""
    kept = [i for i in range(len(columns)) if any(row[i] for row in rows)]
    return rows_table(name, [columns[i] for i in kept], [[row[i] for i in kept] for row in rows])


def _data(r: Reference) -> str:
    return " ".join(part for part in (r.dataset, r.direction) if part)


def _mean(v: Value | None) -> str:
    return "—" if v is None or v.mean is None else f"{100 * v.mean:.1f}"


def _value(v: Value | None) -> str:
    if v is None or v.low is None or v.high is None:
        return _mean(v)
    return f"{_mean(v)} [{100 * v.low:.1f}, {100 * v.high:.1f}]"
