"""``truing import``: steering vectors of other tools as a saved intervention."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from truing.cli.output import AsJson, emit, rows_table


class Where(StrEnum):
    all = "all"
    answer = "answer"


def import_vectors(
    files: Annotated[
        list[Path], typer.Argument(help="GGUF control vectors, .pt tensors, .svec; they add up.")
    ],
    model: Annotated[str, typer.Option(help="The model that they are for.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the saved intervention.")],
    layer: Annotated[
        int | None, typer.Option(min=0, help="The layer of a tensor whose file does not say it.")
    ] = None,
    scale: Annotated[float, typer.Option(help="How many times they are added.")] = 1.0,
    where: Annotated[
        Where,
        typer.Option("--where", help="all tokens, or the answer with the token before it."),
    ] = Where.all,
    as_json: AsJson = False,
) -> None:
    """Read steering vectors that another tool wrote, check that they fit, and save them."""
    from truing.interventions.artifact import save
    from truing.interventions.interop import vectors
    from truing.interventions.intervention import Intervention
    from truing.models.handle import Model
    from truing.models.positions import Positions

    base = Model.load(model)
    positions = Positions() if where is Where.all else Positions("window", start=-1)
    iv = Intervention()
    for file in files:
        iv += vectors.load(file, base, layer=layer, scale=scale, positions=positions)
    save(iv, out)
    rows = [
        (op.site, str(op.layer), f"{abs(op.scale) * float(op.vector.norm()):.4g}") for op in iv.ops
    ]
    emit(
        {
            "saved": out,
            "id": iv.id,
            "vectors": [{"site": s, "layer": int(at), "adds": float(by)} for s, at, by in rows],
        },
        rows_table(f"saved to {out}", ("hook point", "layer", "length added"), rows),
        as_json,
    )
