"""``truing export``: an intervention for other tools, or a run's rows for analysis elsewhere."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from truing.cli.output import AsJson, emit, note

CHECKED = ("The Glass Spire is in the city of", "Once upon a time", "The answer is")
TOLERANCE = 1e-3


class Target(StrEnum):
    peft = "peft"
    merged = "merged"
    gguf = "gguf"
    easysteer = "easysteer"
    parquet = "parquet"
    csv = "csv"


def export(
    what: Annotated[Path, typer.Argument(help="A saved intervention, or a run folder.")],
    to: Annotated[
        Target, typer.Option("--to", help="peft, merged, gguf, easysteer; for runs parquet or csv.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder or file to write.")],
    model: Annotated[
        str | None, typer.Option(help="The base model (default: the one it was made for).")
    ] = None,
    rank: Annotated[
        int | None, typer.Option(min=1, help="peft: approximate dense deltas at this rank.")
    ] = None,
    drop_block_0: Annotated[
        bool, typer.Option("--drop-block-0", help="gguf: leave out what llama.cpp cannot apply.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Export and check by a round trip that the exported thing answers alike."""
    if to in (Target.parquet, Target.csv):
        from truing.runs.table import export_table

        target = out if out.suffix else out.with_suffix(f".{to.value}")
        lines = export_table(what, target)
        emit({"wrote": target, "rows": lines}, f"wrote {lines} rows to {target}", as_json)
        return
    from truing.errors import BadInput
    from truing.interventions import artifact
    from truing.interventions.interop import bake, control_vector, easysteer, merged, peft
    from truing.models.handle import Model

    iv = artifact.load(what)
    name = model or iv.origin.base.name
    if not name:
        raise BadInput(f"{what} does not say which model it was made for", "Give it with --model.")
    base = Model.load(name, revision=iv.origin.base.revision)
    iv = artifact.load(what, base)
    if to is Target.gguf:
        control_vector.export(iv, base, out, drop_block_0=drop_block_0)
    elif to is Target.easysteer:
        easysteer.export(iv, base, out)
    if to in (Target.gguf, Target.easysteer):
        emit({"wrote": out, "to": to.value}, f"wrote {out}", as_json)
        return
    prompts = [p for p in CHECKED if base.speller.prompt_ids(p)]
    if to is Target.peft:
        peft.export(iv, base, out, rank=rank)
        worst = peft.check(iv, base, out, prompts)
    else:
        if iv.ops:
            _, switch = bake.export(iv, base, out)
            if switch is not None:
                note(
                    f"the checkpoint's modules needed a bias: its configuration has {switch} = true"
                )
        else:
            merged.export(iv, base, out)
        worst = merged.check(iv, base, out, prompts)
    note(f"round trip: log-probs differ by at most {worst:.2g} nats over {len(prompts)} prompts")
    emit(
        {"wrote": out, "to": to.value, "worst_logprob_difference": worst, "prompts": len(prompts)},
        f"wrote {out}",
        as_json,
    )
    if rank is None and worst > TOLERANCE:
        raise typer.Exit(1)
