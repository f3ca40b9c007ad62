"""``truing edit``: make an intervention from requests and save it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from truing.cli.output import AsJson, Plugin, emit, note, rows_table

UNMET = 4
"""Exit code where a requirement is not met."""


def edit(
    model: Annotated[str, typer.Argument(help="Hugging Face id, folder, or truing/pocket.")],
    facts: Annotated[
        Path | None, typer.Argument(help="JSONL, JSON or CSV with prompt, target_new[, subject].")
    ] = None,
    method: Annotated[
        str, typer.Option("--method", "-m", help="See `truing ls methods`.")
    ] = "rome",
    prompt: Annotated[str | None, typer.Option(help="One request: the prompt.")] = None,
    target: Annotated[str | None, typer.Option(help="One request: the new answer.")] = None,
    subject: Annotated[
        str | None, typer.Option(help="One request: the subject in the prompt.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the saved intervention.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of the method: key=value (TOML).")
    ] = None,
    base: Annotated[
        Path | None, typer.Option("--so-far", help="Build on this saved intervention.")
    ] = None,
    skip_invalid: Annotated[
        bool, typer.Option(help="Leave bad records out instead of stopping.")
    ] = False,
    require: Annotated[
        str | None,
        typer.Option(
            help="Save only if it meets this: success=.9,generalization=.8,locality=.98,capability_drop=.01."
        ),
    ] = None,
    keep: Annotated[bool, typer.Option(help="Save it although --require is not met.")] = False,
    plugin: Plugin = None,
    as_json: AsJson = False,
) -> None:
    """Make an edit, show before and after, and save it. The model itself is not changed.

    With --require the edit is asked the file's own questions (rephrases, locality) and easy ones first;
    where a mean misses its bound, nothing is saved and the exit code is 4.
    """
    from truing.cli.arms import note_effect
    from truing.cli.gates import check, gates_table, planned
    from truing.cli.inputs import one_request, parse_settings, requests_from
    from truing.cli.plugins import use
    from truing.errors import BadInput
    from truing.interventions.artifact import load as load_intervention
    from truing.interventions.artifact import save
    from truing.models.handle import Model
    from truing.verbs import compare
    from truing.verbs import edit as make

    use(plugin)
    values = parse_settings(settings)
    requests = (
        requests_from(facts, skip_invalid)
        if facts is not None
        else [one_request(prompt, target, subject)]
    )
    if keep and require is None:
        raise BadInput("--keep belongs to no requirement", "Add --require, or leave it out.")
    required = planned(require, model, facts, requests)
    loaded = Model.load(model)
    so_far = load_intervention(base, loaded) if base is not None else None
    note(f"{method}: {len(requests)} request(s) on {loaded.name}")
    iv = make(loaded, requests, method, values, so_far)
    shown = compare(loaded, iv, [r.prompt for r in requests[:20]])
    rows = [
        (r.prompt, r.target_new, c.base.strip(), c.edited.strip())
        for r, c in zip(requests, shown, strict=False)
    ]
    note_effect(method, loaded, iv, [r.prompt for r in requests])
    gates = check(loaded, iv, required)
    refused = not all(gate.met for gate in gates)
    saved = None
    if out is not None and refused and not keep:
        note(f"not saved to {out}: a requirement is not met")
    elif out is not None:
        save(iv, out)
        saved = str(out)
        note(f"saved to {out}")
    emit(
        {
            "method": method,
            "requests": len(requests),
            "saved": saved,
            "id": iv.id,
            "shown": [{"prompt": p, "target": t, "base": b, "edited": e} for p, t, b, e in rows],
            "gates": gates,
        },
        gates_table(rows_table("", ("prompt", "wanted", "base", "edited"), rows), gates),
        as_json,
    )
    if refused:
        raise typer.Exit(UNMET)
