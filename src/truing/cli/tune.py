"""``truing tune``: which layer and which strength a method needs on a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from truing.cli.output import AsJson, Plugin, emit, note

if TYPE_CHECKING:
    from rich.table import Table

    from truing.runs.recipes import Tuned
    from truing.types import Comparison, Value


def tune(
    model: Annotated[str, typer.Argument(help="Hugging Face id, folder, or truing/pocket.")],
    method: Annotated[str, typer.Option(help="Methods: a,b,c; each gets as many tries.")],
    benchmark: Annotated[str, typer.Option(help="Where to measure.")] = "world",
    data: Annotated[Path | None, typer.Option(help="The benchmark's file.")] = None,
    cases: Annotated[int, typer.Option(min=1, help="Cases to search on.")] = 20,
    check: Annotated[int, typer.Option(min=1, help="Other cases, to judge the outcome.")] = 40,
    tries: Annotated[int, typer.Option(min=1, help="Settings tried per method.")] = 12,
    protocol: Annotated[str, typer.Option(help="Protocol of the search.")] = "wild",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting that all tries share: max_kl=0.5. Repeatable."),
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option("--option", help="An option of the benchmark: behavior=formal. Repeatable."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16, float16.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the search.")] = Path(
        "runs/tune"
    ),
    plugin: Plugin = None,
    as_json: AsJson = False,
) -> None:
    """Find layer and strength by causal tracing and a small search; write a recipe with evidence.

    The score is the harmonic mean of efficacy, generalization and locality, of contrast pairs the
    preference (use --set max_kl=0.5 to compare at equal side effect). The same command goes on with a
    search that was cut off.
    """
    from truing.cli.inputs import parse_settings
    from truing.cli.plugins import use
    from truing.cli.run_plan import watched
    from truing.runs.cells import ModelSpec
    from truing.runs.jobs import load_model
    from truing.runs.recipes import Task
    from truing.runs.recipes import tune as search

    use(plugin)
    entry: dict[str, object] = {"name": benchmark, "options": parse_settings(options)}
    if data is not None:
        entry["data"] = str(data)
    spec = ModelSpec(name=model, dtype=dtype, device=device)
    names = tuple(part.strip() for part in method.split(",") if part.strip())
    task = Task(
        spec, names, entry, cases, check, tries, protocol, fixed=parse_settings(settings), seed=seed
    )
    with watched() as on_event:
        found = search(task, load_model(spec), out, on_event)
    emit(found, _tables(found), as_json)
    note(f"{out / 'recipe.toml'} holds the settings; `truing run` takes it with --benchmark")


def _tables(found: list[Tuned]) -> Table:
    from rich.table import Table

    from truing.report import words
    from truing.runs.tuning import GOALS

    whole = Table.grid()
    for tuned in found:
        asked = [goal for goal in GOALS if goal in tuned.tries[0].means]
        tries = _table(f"{tuned.method}: tries", "settings", "score", *asked)
        for each in tuned.tries:
            style = "bold" if each is tuned.chosen else ""
            shown = [_percent(each.means.get(goal)) for goal in asked]
            tries.add_row(each.label, each.failed or _percent(each.score), *shown, style=style)
        whole.add_row(tries)
        if not tuned.check:
            whole.add_row("Nothing better than the default was found.\n")
            continue
        check = _table("on cases that the search never saw", "", "default", "tuned", "difference")
        for one in tuned.check:
            check.add_row(
                f"{one.goal} · {words.protocol(one.protocol)}",
                _value(one.default),
                _value(one.tuned),
                _difference(one.difference),
            )
        whole.add_row(check)
    return whole


def _table(title: str, *columns: str) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    return table


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def _value(value: Value) -> str:
    if value.low is None or value.high is None:
        return _percent(value.mean)
    return f"{_percent(value.mean)} [{_percent(value.low)}, {_percent(value.high)}]"


def _difference(found: Comparison | None) -> str:
    if found is None or found.delta is None:
        return "–"
    if found.low is None or found.high is None:
        return f"{100 * found.delta:+.1f}"
    return f"{100 * found.delta:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"
