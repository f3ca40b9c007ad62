"""``truing review``: people judge answers on a blind page, and their decisions join the run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from truing.cli.output import AsJson, emit, note, rows_table

if TYPE_CHECKING:
    from truing.runs.review.merge import Merged
    from truing.scoring.agreement import Agreement

app = typer.Typer(
    no_args_is_help=True,
    help="Human review: a blind sheet to fill in, and merging what people say.",
)
DOMINATED = 0.9


@app.command("sheet")
def sheet(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    sample: Annotated[int, typer.Option(min=1, help="Rows to draw, over all cells in turn.")] = 100,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Page to write.")] = None,
    rubric: Annotated[
        str,
        typer.Option(
            help="correctness, preference, personality, flaw-NAME (flaw-sexism, ...), or FILE.toml."
        ),
    ] = "correctness",
    cell: Annotated[
        list[str] | None, typer.Option(help="Only this cell (id) or method; may be repeated.")
    ] = None,
    aspect: Annotated[
        list[str] | None, typer.Option(help="Only this aspect; may be repeated.")
    ] = None,
    protocol: Annotated[
        list[str] | None, typer.Option(help="Only this protocol; may be repeated.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of what is drawn and in which order.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Draw answers and write one offline page that does not tell where they come from."""
    from truing.report.review_page import render
    from truing.runs.asked import Selection
    from truing.runs.lines import write_atomically
    from truing.runs.review import rubric as rubrics
    from truing.runs.review.sheet import draw, write_key

    drawn = draw(
        run,
        rubrics.rubric(rubric),
        sample=sample,
        cells=cell or (),
        only=Selection.of(aspect or (), protocol or ()),
        seed=seed,
    )
    key = write_key(run, drawn)
    page = out or key.with_suffix(".html")
    write_atomically(page, render(drawn.shown()))
    answers = sum(len(item.answers) for item in drawn.items)
    rows = [
        ("sheet", drawn.id), ("page", str(page)), ("key", str(key)), ("rows drawn", str(drawn.rows)),
        ("questions", str(len(drawn.items))),
        ("answers", f"{answers}, equal ones to a question shown once, the unedited model's among them"),
    ]  # fmt: skip
    if drawn.ties:
        rows.append(("rows that repeat the unedited answer, not shown", str(len(drawn.ties))))
    emit(
        {"sheet": drawn.id, "page": page, "key": key, "rows": drawn.rows, "ties": len(drawn.ties),
         "questions": len(drawn.items), "answers": answers},
        rows_table("", ("field", "value"), rows),
        as_json,
    )  # fmt: skip
    note(
        "Send the page alone; the key says what is what. Then: truing review merge RUN FILE.json ..."
    )


@app.command("merge")
def merge(
    run: Annotated[Path, typer.Argument(help="Run folder that the sheet was drawn from.")],
    decisions: Annotated[list[Path], typer.Argument(help="Files that the page handed out.")],
    as_json: AsJson = False,
) -> None:
    """Agreement of people, and their decisions as judges of the run."""
    from truing.runs.review.merge import merge as merge_decisions

    merged = merge_decisions(run, decisions)
    rows = [
        (_title(a), _value(a), _interval(a), str(a.units), str(a.missing)) for a in merged.agreement
    ]
    people = f"{len(merged.annotators)} people" if len(merged.annotators) > 1 else "one person"
    kinds = dict.fromkeys(a.interval for a in merged.agreement if a.low is not None)
    title = "; ".join((f"sheet {merged.sheet}, {people}, {merged.units} answers or pairs", *kinds))
    columns = ("statistic", "value", "interval", "units", "missing")
    emit(merged, rows_table(title, columns, rows), as_json)
    for line in _notes(merged):
        note(line)


def _title(agreement: Agreement) -> str:
    titles = {
        "percent/pairs": "pairs that agree",
        "percent/unanimous": "unanimous",
        "cohen": "Cohen's kappa, " + " and ".join(agreement.raters),
        "fleiss": "Fleiss' kappa",
        "krippendorff/nominal": "Krippendorff's alpha, nominal",
        "krippendorff/ordinal": "Krippendorff's alpha, ordinal",
    }
    return titles[agreement.name]


def _value(agreement: Agreement) -> str:
    if agreement.value is None:
        return f"— ({agreement.why})"
    share = agreement.name.startswith("percent")
    return f"{100 * agreement.value:.1f} %" if share else f"{agreement.value:.3f}"


def _interval(agreement: Agreement) -> str:
    if agreement.low is None or agreement.high is None:
        return agreement.interval
    scale, digits = (100, 1) if agreement.name.startswith("percent") else (1, 3)
    low, high = (f"{scale * bound:.{digits}f}" for bound in (agreement.low, agreement.high))
    return f"{low} to {high}"


def _notes(merged: Merged) -> list[str]:
    lines = [f"{judge}: {count} verdicts" for judge, count in merged.verdicts.items()]
    if len(merged.annotators) == 1:
        lines.append("agreement takes two people")
    share = next((a.commonest for a in merged.agreement), None)
    if share is not None and share >= DOMINATED:
        lines.append(
            f"{share:.0%} of all labels are the same one: people agree often whatever they think, so read kappa."
        )
    return lines
