"""``truing reproduce``: a published table on your model, its numbers beside yours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from truing.cli.output import AsJson, emit, note, rows_table

if TYPE_CHECKING:
    from truing.types import Measure


def reproduce(
    name: Annotated[str, typer.Argument(help="A published table, for example wild:table.")],
    data: Annotated[Path, typer.Option(help="Folder that holds the table's datasets.")],
    model: Annotated[str, typer.Option(help="Hugging Face id, folder, or truing/pocket.")],
    like: Annotated[
        str | None, typer.Option(help="The paper's model to compare with (default: the same id).")
    ] = None,
    method: Annotated[str, typer.Option(help="Methods: a,b,c.")] = "ft_m,rome,memit",
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most this many records per dataset.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Run folder.")] = None,
    resume: Annotated[bool, typer.Option(help="Go on with what is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure a published table's cells: published value, ours with interval, what differs."""
    from truing.cli.run_plan import listed, watched
    from truing.errors import UnknownName
    from truing.runs import published
    from truing.runs.execute import execute

    wanted = published.table(name)
    twin = like or model
    if like is not None and like not in wanted.numbers:
        raise UnknownName("model of the paper", like, wanted.numbers)
    plan = published.plan_for(wanted, model, data, listed(method) or [], limit, seed)
    folder = out or Path("runs") / name.replace(":", "-")
    with watched() as on_event:
        result = execute(plan, folder, resume=resume, on_event=on_event)
    found = list(published.beside(wanted, twin, result.summary.measures))
    note(
        f"published: {wanted.paper}; judge {wanted.judge}. Ours: {model}; scorers of the protocols shown."
    )
    if twin not in wanted.numbers:
        note(f"the paper has no '{twin}'; --like one of: {', '.join(wanted.numbers)}")
    rows = [
        (
            b.benchmark, b.method, b.aspect, b.protocol,
            "" if b.published is None else f"{b.published:.3f}", _shown(b.ours),
            "" if b.ours is None else str(b.ours.value.n),
        )
        for b in found
    ]  # fmt: skip
    columns = ("dataset", "method", "aspect", "protocol", "published", "ours [95%]", "n")
    emit(found, rows_table(name, columns, rows), as_json)


def _shown(measure: Measure | None) -> str:
    if measure is None or measure.value.mean is None:
        return "—"
    v = measure.value
    bounds = "" if v.low is None or v.high is None else f" [{v.low:.3f}, {v.high:.3f}]"
    return f"{v.mean:.3f}{bounds}"
