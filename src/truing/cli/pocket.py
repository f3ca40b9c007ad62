"""``truing pocket``: the embedded model, its card, and the recipe that makes it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from truing.cli.output import AsJson, emit, note, progress, rows_table

app = typer.Typer(no_args_is_help=True, help="The embedded model: card, build, evaluate.")


@app.command("card")
def card(as_json: AsJson = False) -> None:
    """Measured held-out accuracies of the embedded model."""
    import json

    from truing.pocket import pocket_path

    found = json.loads((pocket_path() / "card.json").read_text("utf-8"))
    rows = [(k, str(v)) for k, v in found.items()]
    emit(found, rows_table("truing/pocket", ("what", "value"), rows), as_json)


@app.command("build")
def build(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the new model.")],
    seed: Annotated[int, typer.Option(help="Seed of the training.")] = 0,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Training steps (default: the recipe's).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train the embedded model again from its recipe (under an hour on 2 cores)."""
    from truing.pocket.build import STEPS, Progress
    from truing.pocket.build import build as train

    total = steps or STEPS
    with progress("training", total) as bar:
        done = 0

        def on_progress(state: Progress) -> None:
            nonlocal done
            bar.label(f"training, loss {state.loss:.3f}")
            bar.advance(state.step - done)
            done = state.step

        path = train(out, seed=seed, steps=total, progress=on_progress)
    note(f"wrote {path}")
    emit({"model": path}, f"wrote {path}", as_json)
