"""``truing capability``: tasks of lm-eval on the base and on the edited model, item by item."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from truing.cli.output import AsJson, emit, rows_table


def capability(
    model: Annotated[str, typer.Argument(help="Hugging Face id, folder, or truing/pocket.")],
    tasks: Annotated[
        str, typer.Option(help="Tasks by commas: truing_micro, truing_micro_english, or your own.")
    ],
    under: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            "-w",
            help="A saved intervention, or checkpoint:PATH for a tuned model or LoRA adapter; several "
            "are applied together.",
        ),
    ] = None,
    include_path: Annotated[
        Path | None, typer.Option(help="Folder with task files of your own (lm-eval's YAML).")
    ] = None,
    stock: Annotated[
        bool,
        typer.Option(help="Also know lm-eval's own tasks; slow, and their data must be there."),
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most this many items per task.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Items per batch.")] = 16,
    as_json: AsJson = False,
) -> None:
    """What an edit cost elsewhere: lm-eval's tasks before and after, on the same items."""
    from truing.capability.harness import TaskResult, measure
    from truing.cli import inputs
    from truing.models.handle import Model
    from truing.report import words

    loaded = Model.load(model)
    edits = inputs.under(under, loaded)
    found = measure(
        loaded, list(edits.values()), [name.strip() for name in tasks.split(",") if name.strip()],
        include_path=include_path, stock=stock, limit=limit, batch_size=batch_size,
    )  # fmt: skip

    def line(result: TaskResult) -> tuple[str, ...]:
        change = words.versus_text(result.versus, share=True) if result.versus else ""
        values = [
            ""
            if v is None
            else f"{words.number(v.mean, share=True)} ({words.interval(v, share=True)})"
            for v in (result.base, result.edited)
        ]
        return (result.task, result.metric, *values, change, str(result.base.n))

    head = ("task", "metric", "base %", "edited %", "difference", "n")
    emit(found, rows_table("", head, [line(result) for result in found]), as_json)
