"""``truing personality questionnaire``: what a model says of itself, before and after."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from truing.cli.output import AsJson, emit, note, progress, rows_table, stdout

if TYPE_CHECKING:
    from truing.interventions.intervention import Intervention
    from truing.scoring.intervals import Floats
    from truing.scoring.questionnaire import Domain
    from truing.types import Value


def questionnaire(
    model: Annotated[str, typer.Argument(help="Hugging Face id, folder, or truing/pocket.")],
    data: Annotated[Path, typer.Option("--data", help="Items, such as ipip_neo_120_en.json.")],
    under: Annotated[
        list[str] | None,
        typer.Option("--with", "-w", help="A saved intervention; give it again for more."),
    ] = None,
    respondents: Annotated[
        int, typer.Option(min=3, max=12, help="Persons that the model plays, none with any trait.")
    ] = 8,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only the first items of each domain.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides the orders and every draw.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Big Five scores of a model, and how far interventions move them, item by item.

    A side panel: self-reports depend on how they are asked for and predict little of what a model
    writes. Small models answer at random, and their scores stay near 3.
    """
    from truing.benchmarks.ipip import read
    from truing.cli import inputs
    from truing.models.handle import Model
    from truing.runs.questionnaires import administer, first_of_each, letters_scored
    from truing.scoring.questionnaire import domains
    from truing.seeds import Seeds

    every = read(data)
    items = every if limit is None else first_of_each(every, limit)
    names = [item.domain for item in items]
    loaded = Model.load(model)
    seeds = Seeds(seed).child("questionnaire")
    edits = inputs.under(under, loaded)
    with progress("none", (1 + len(edits)) * letters_scored(items, respondents)) as bar:

        def told(iv: Intervention | None) -> Floats:
            return administer(
                loaded, items, iv, respondents=respondents, seeds=seeds, progress=bar.advance
            )

        before = told(None)
        found = {"none": domains(before, names, seeds=seeds)}
        for name, iv in edits.items():
            bar.label(name)
            found[name] = domains(told(iv), names, before_R_I=before, seeds=seeds)
    if as_json:
        emit(
            {
                "data": data,
                "items": len(items),
                "of": len(every),
                "respondents": respondents,
                "seed": seed,
                "scores": found,
            },
            "",
            True,
        )
        return
    columns = ("under", "domain", "items", "mean (1 to 5)", "alpha", "change")
    rows = [_line(name, domain) for name, of in found.items() for domain in of]
    asked = f"{len(items)} items" + ("" if limit is None else f" of {len(every)}")
    stdout().print(rows_table(f"{model}: {asked}, {respondents} respondents", columns, rows))
    if limit is not None:
        note(f"the first {limit} of each domain only: no scores of the whole questionnaire")
    note(
        "self-reports are no evidence of what the model writes; read them beside generated opinions"
    )


def _line(name: str, domain: Domain) -> tuple[str, ...]:
    a = domain.alpha
    told = "—" if a.value is None else f"{a.value:.2f} [{a.low:.2f}, {a.high:.2f}]"
    mean, shift = _told(domain.mean), "" if domain.shift is None else _told(domain.shift)
    return name, domain.name, str(domain.items), mean, told, shift


def _told(value: Value) -> str:
    if value.mean is None:
        return "—"
    if value.low is None or value.high is None:
        return f"{value.mean:z.2f}"
    return f"{value.mean:z.2f} [{value.low:z.2f}, {value.high:z.2f}]"
