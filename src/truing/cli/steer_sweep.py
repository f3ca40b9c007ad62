"""``truing steer sweep``: every layer and strength of a steering vector, and which to take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from truing.cli.output import AsJson, Plugin, emit, note, progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from truing.methods.steering.sweep import Sweep
    from truing.report.heatmap import Heatmap
    from truing.runs.steering_sweep import Choice, Task
    from truing.types import Comparison

UNIT = "nats per token"


def sweep(
    model: Annotated[str, typer.Argument(help="Hugging Face id, folder, or truing/pocket.")],
    method: Annotated[str, typer.Option(help="A method that makes a vector.")] = "caa",
    benchmark: Annotated[str, typer.Option(help="Contrast pairs.")] = "world_contrast",
    data: Annotated[Path | None, typer.Option(help="The benchmark's file.")] = None,
    options: Annotated[
        list[str] | None,
        typer.Option("--option", help="An option of the benchmark: behavior=formal. Repeatable."),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of the method. Repeatable.")
    ] = None,
    layers: Annotated[str | None, typer.Option(help="Such as 3,5-7; left out: all.")] = None,
    strengths: Annotated[
        str | None, typer.Option(help="Such as -0.5,0.25,1; shares of the layer's typical norm.")
    ] = None,
    max_kl: Annotated[
        float, typer.Option("--max-kl", help="Most side effect: nats per token of neutral text.")
    ] = 0.5,
    controls: Annotated[int, typer.Option(min=0, help="Random directions to compare with.")] = 10,
    seed: Annotated[int, typer.Option(help="Seed of the halves, controls and intervals.")] = 0,
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16, float16.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the sweep.")] = Path(
        "runs/sweep"
    ),
    plugin: Plugin = None,
    as_json: AsJson = False,
) -> None:
    """Measure a vector at all layers and strengths; choose on half of the pairs, judge on the other.

    Writes sweep.html and choice.json into the folder. The same command goes on with a sweep that was
    cut off.
    """
    import json

    from truing.cli.inputs import layer_numbers, parse_settings
    from truing.cli.output import plain
    from truing.cli.plugins import use
    from truing.methods.steering.sweep import STRENGTHS
    from truing.models.handle import Model
    from truing.report.sweep_page import render
    from truing.runs import lines
    from truing.runs.steering_sweep import judged, run
    from truing.seeds import Seeds

    use(plugin)
    task = _task(
        method,
        parse_settings(settings),
        benchmark,
        data,
        parse_settings(options),
        None if layers is None else tuple(layer_numbers(layers)),
        STRENGTHS if strengths is None else _numbers(strengths),
    )
    loaded = Model.load(model, dtype=dtype, device=device)
    with progress("pairs", len(task.pairs)) as bar:
        chosen, swept = run(loaded, task, out, bar.advance)
    found = judged(loaded, chosen, swept, max_kl, controls=controls, seeds=Seeds(seed))
    record = json.dumps(plain(found), ensure_ascii=False, indent=1)
    lines.write_atomically(out / "choice.json", record + "\n")
    title = f"{method} on {benchmark}, {model}"
    facts = [
        ("Method", f"{method} {task.config.model_dump_json(exclude_defaults=True)}"),
        ("Pairs to make it from", str(len(task.requests))),
        ("Pairs measured", str(len(task.pairs))),
        ("Side effect", f"KL(base || steered) on {len(task.neutral)} neutral sentences"),
    ]
    maps = _maps(swept, found)
    lines.write_atomically(out / "sweep.html", render(title, _sentences(found), facts, maps))
    emit(found, _tables(found, maps), as_json)
    note(f"{out / 'sweep.html'} shows every setting")


def _task(
    method: str,
    settings: dict[str, object],
    benchmark: str,
    data: Path | None,
    options: dict[str, object],
    layers: tuple[int, ...] | None,
    strengths: tuple[float, ...],
) -> Task:
    from pydantic import ValidationError

    from truing.benchmarks.loading import load
    from truing.errors import BadInput, NotPossible
    from truing.methods.method import METHODS
    from truing.methods.steering.vectors import VectorConfig
    from truing.runs.steering_sweep import Task, pairs_of

    chosen = METHODS.get(method)
    if not issubclass(chosen.config, VectorConfig):
        raise NotPossible(
            f"'{method}' makes no vector that has a layer and a strength",
            "Sweep caa, pca, probe or trained_vector.",
        )
    try:
        config = chosen.config.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"--set {where}: {first['msg']}", "See `truing ls methods`.") from None
    requests, pairs = pairs_of(load(benchmark, data, options=options).cases)
    return Task(chosen, config, requests, pairs, layers, strengths)


def _numbers(text: str) -> tuple[float, ...]:
    from truing.errors import BadInput

    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise BadInput(
            f"--strengths {text!r} is not a list of numbers", "For example -0.5,0.25,1."
        ) from None


def _maps(swept: Sweep, found: Choice) -> list[Heatmap]:
    """Strengths down, layers across, the strongest first."""
    from truing.report.heatmap import Heatmap

    order = sorted(range(len(swept.columns)), key=lambda s: -float(swept.columns[s]))
    frame = (
        order.index(swept.columns.index(found.strength)),
        swept.layers.index(found.layer),
    )
    promotion_L_S = swept.promotion_L_S_N.mean(2)
    suppression_L_S = swept.suppression_L_S_N.mean(2)
    shown = (
        ("Margin change: wanted less unwanted side", promotion_L_S + suppression_L_S),
        ("Promotion: the wanted side becomes likelier", promotion_L_S),
        ("Suppression: the unwanted side becomes less likely", suppression_L_S),
        ("Side effect: KL on neutral text", swept.nats_L_S),
    )
    return [
        Heatmap(
            title,
            [f"strength {swept.columns[s]}" for s in order],
            values_L_S.T[order].tolist(),
            "layer",
            UNIT,
            framed=frame,
            numbers=swept.layers,
        )
        for title, values_L_S in shown
    ]


def _sentences(found: Choice) -> list[str]:
    measures = found.found
    said = [
        f"Best of the settings within {found.max_kl:g} nats per token of side effect: layer "
        f"{found.layer}, strength {found.strength} (side effect {found.nats:.2f}); chosen on "
        f"{len(found.searched)} pairs, where it moves the margin by {found.chosen_by:+.3f} {UNIT}.",
        f"On {len(found.held_out)} pairs with other prompts it moves the margin by "
        f"{_difference(measures.margin.difference)}: promotion "
        f"{_difference(measures.promotion.difference)}, suppression "
        f"{_difference(measures.suppression.difference)}.",
    ]
    if found.controls:
        said.append(
            f"It does more than {found.beaten} of {len(found.controls)} random directions of the same "
            "length in the same place."
        )
    if found.against is not None:
        said.append(f"Beyond {found.against.against}: {_difference(found.against)}.")
    return said


def _difference(found: Comparison) -> str:
    if found.delta is None:
        return "not measured"
    if found.low is None or found.high is None:
        return f"{found.delta:+.3f}"
    return f"{found.delta:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def _tables(found: Choice, maps: Sequence[Heatmap]) -> Table:
    from rich.table import Table

    whole = Table.grid()
    for each in (maps[0], maps[-1]):
        grid = Table(title=f"{each.title} ({each.unit})", title_justify="left", box=None)
        grid.add_column("", justify="right")
        for column in range(len(each.values[0])):
            grid.add_column(f"layer {each.number(column)}", justify="right")
        for r, (name, row) in enumerate(zip(each.rows, each.values, strict=True)):
            cells = [
                f"[bold]{value:+.2f}[/bold]" if (r, c) == each.framed else f"{value:+.2f}"
                for c, value in enumerate(row)
            ]
            grid.add_row(name, *cells)
        whole.add_row(grid)
    for sentence in _sentences(found):
        whole.add_row(sentence)
    return whole
