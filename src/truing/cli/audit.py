"""``truing audit``: what did an edit change that nobody asked for?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from truing.cli.edit import UNMET
from truing.cli.output import AsJson, Plugin, emit, note, plain, writing

FOUND = 3
"""Exit code where something was found."""


def audit(
    base: Annotated[str, typer.Argument(help="Hugging Face id, folder, or truing/pocket.")],
    edited: Annotated[
        str,
        typer.Argument(help="Tuned checkpoint, LoRA adapter or saved intervention: folder or id."),
    ],
    claims: Annotated[
        Path | None,
        typer.Option(
            help="What is claimed to be edited: prompt, target_new[, rephrases, locality]."
        ),
    ] = None,
    near: Annotated[
        Path | None,
        typer.Option(
            "--facts-near",
            help="Facts that should stay: prompt, and as target_new the true answer.",
        ),
    ] = None,
    benchmark: Annotated[
        list[str] | None, typer.Option(help="Ask this benchmark's questions too (repeatable).")
    ] = None,
    data: Annotated[
        list[Path] | None, typer.Option(help="Files of the benchmarks that need one, in order.")
    ] = None,
    groups: Annotated[
        Path | None, typer.Option(help='Groups of people: JSON, {"groups": {"women": ["Mary"]}}.')
    ] = None,
    require: Annotated[
        str | None,
        typer.Option(help="Gates: success=.9,generalization=.8,locality=.98,capability_drop=.01."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for audit.json and audit.html.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Questions of each kind.")] = 200,
    seed: Annotated[int, typer.Option(help="Seed of intervals and permutations.")] = 0,
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16, float16.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    plugin: Plugin = None,
    as_json: AsJson = False,
) -> None:
    """Compare an edited model with its base: weights, claims, bias, ethics, facts nearby, capability, fluency.

    A difference counts as found when it survives correction over all tests (Holm, 5 %) and is not tiny.

    Exit codes: 0 nothing found, 3 something found, 4 a gate of --require is not met.
    """
    from truing.cli.audit_plan import Sources, plan_of, with_files
    from truing.cli.audit_shown import page, tables
    from truing.cli.plugins import use
    from truing.inspection.audit import audit as look
    from truing.inspection.findings import edit_of
    from truing.models.handle import Model
    from truing.report.audit_page import render
    from truing.runs.lines import make_folder

    use(plugin)
    sources = Sources(
        base, claims, near, with_files(benchmark or (), data or ()), groups, require, limit, seed
    )
    plan = plan_of(sources)
    if out is not None:
        make_folder(out)
    model = Model.load(base, dtype=dtype, device=device)
    change = edit_of(model, edited)
    note(f"auditing {edited} against {base}")
    found = look(model, edited, change, plan)
    if out is not None:
        with writing(out / "audit.json") as file:
            file.write(json.dumps(plain(found), ensure_ascii=False, indent=2) + "\n")
        with writing(out / "audit.html") as file:
            file.write(render(page(found, plan)))
        note(f"wrote {out / 'audit.json'} and {out / 'audit.html'}")
    emit(found, tables(found), as_json)
    if not found.passed:
        raise typer.Exit(UNMET)
    if found.findings:
        raise typer.Exit(FOUND)
