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
    rows = [(op.site, op.layer, op.op, op.scale, float(op.vector.norm())) for op in iv.ops]
    emit(
        {
            "saved": out,
            "id": iv.id,
            "vectors": [
                {"site": site, "layer": layer, "op": op, "scale": by, "length": length}
                for site, layer, op, by, length in rows
            ],
        },
        rows_table(
            f"saved to {out}",
            ("hook point", "layer", "op", "scale", "length"),
            [(site, str(layer), op, f"{by:g}", f"{n:.4g}") for site, layer, op, by, n in rows],
        ),
        as_json,
    )
