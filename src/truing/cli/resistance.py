"""``truing resistance``: how much side effect a model makes one pay before its answers flip."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from truing.cli.output import AsJson, Plugin, emit, note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from truing.runs.resistance import Report
    from truing.scoring.resistance import Median
    from truing.types import Comparison, Value


def resistance(
    models: Annotated[
        list[str], typer.Argument(help="One or more: Hugging Face id, folder, or truing/pocket.")
    ],
    method: Annotated[str, typer.Option("--method", "-m", help="Methods: a,b,c.")],
    benchmark: Annotated[str, typer.Option(help="What is edited.")] = "world",
    data: Annotated[Path | None, typer.Option(help="The benchmark's file.")] = None,
    budgets: Annotated[
        str, typer.Option(help="Side effects to allow: nats per token of neutral text.")
    ] = "0.05,0.1,0.2,0.5,1,2",
    limit: Annotated[int | None, typer.Option(min=1, help="Cases to try.")] = None,
    protocol: Annotated[str, typer.Option(help="How the answer is asked for.")] = "wild",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting that all methods share: layer=3. Repeatable."),
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option("--option", help="An option of the benchmark: relation=city. Repeatable."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16, float16.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the run.")] = Path(
        "runs/resistance"
    ),
    plugin: Plugin = None,
    as_json: AsJson = False,
) -> None:
    """Edit every case at each budget of side effects; say at which budget its answer flips.

    A price is the smallest budget that sufficed. Where none did, it is more than the largest, and stays
    that. The same command goes on with a run that was cut off.
    """
    from truing.cli.inputs import parse_settings
    from truing.cli.plugins import use
    from truing.cli.run_plan import watched
    from truing.runs.cells import ModelSpec
    from truing.runs.resistance import Task, measure

    use(plugin)
    entry: dict[str, object] = {"name": benchmark, "options": parse_settings(options)}
    entry |= {} if data is None else {"data": str(data)}
    entry |= {} if limit is None else {"limit": limit}
    task = Task(
        tuple(ModelSpec(name=name, dtype=dtype, device=device) for name in models),
        tuple(part.strip() for part in method.split(",") if part.strip()),
        entry,
        _numbers(budgets),
        protocol,
        parse_settings(settings),
        seed,
    )
    with watched() as on_event:
        found = measure(task, out, on_event)
    emit(found, _tables(found), as_json)
    note(f"{out / 'resistance.json'} holds the price of every case")


def _numbers(text: str) -> tuple[float, ...]:
    from truing.errors import BadInput

    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise BadInput(
            f"--budgets {text!r} is not a list of numbers", "For example 0.1,0.5,2."
        ) from None


def _tables(report: Report) -> Table:
    from rich.table import Table

    from truing.cli.output import rows_table

    whole = Table.grid(padding=(0, 0, 1, 0))
    for arm in report.arms:
        found = arm.found
        rows = [
            (
                f"{budget:g}",
                _share(value),
                str(value.n),
                arm.failed.get(f"{budget:g}") or _undecided(value),
            )
            for budget, value in zip(found.budgets, found.flipped, strict=True)
        ]
        title = f"{arm.model} · {arm.method}: share flipped"
        whole.add_row(rows_table(title, ("nats per token", "%", "cases", "left out"), rows))
        whole.add_row(
            f"median price: {_median(found.first, found.budgets)}, "
            f"to stay flipped: {_median(found.lasting, found.budgets)} nats per token\n"
            f"left out: {arm.already} answered so before any edit, {found.unknown} without an outcome"
        )
    for each in report.versus:
        compared = [
            (f"{budget:g}", _points(one), _p(one))
            for budget, one in zip(each.found.budgets, each.found.flipped, strict=True)
        ]
        cheaper = each.found.cheaper
        compared.append(("flips earlier minus later", _points(cheaper), _p(cheaper)))
        title = f"{each.ours} minus {each.theirs}, same cases ({cheaper.n_pairs})"
        whole.add_row(rows_table(title, ("nats per token", "points", "p"), compared))
    return whole


def _share(value: Value) -> str:
    if value.mean is None:
        return "–"
    if value.low is None or value.high is None:
        return f"{100 * value.mean:.1f}"
    return f"{100 * value.mean:.1f} [{100 * value.low:.1f}, {100 * value.high:.1f}]"


def _undecided(value: Value) -> str:
    """Cases without an outcome at this budget, by why."""
    counts = {"declined": value.abstain, "unreadable": value.invalid, "missing": value.missing}
    return ", ".join(f"{n} {what}" for what, n in counts.items() if n)


def _median(found: Median | None, budgets: Sequence[float]) -> str:
    if found is None:
        return "–"
    at, low, high = (
        f"more than {budgets[-1]:g}" if each is None else f"{each:g}"
        for each in (found.budget, found.low, found.high)
    )
    return f"{at} [{low}, {high}]"


def _points(found: Comparison) -> str:
    if found.delta is None:
        return "–"
    if found.low is None or found.high is None:
        return f"{100 * found.delta:+.1f}"
    return f"{100 * found.delta:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"


def _p(found: Comparison) -> str:
    return "–" if found.p is None else f"{found.p:.2g}"
