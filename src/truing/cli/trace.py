"""``truing trace``: where in the model an answer is kept, by causal tracing, as a heat map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from truing.cli.output import AsJson, emit, note, progress

if TYPE_CHECKING:
    from rich.table import Table

    from truing.methods.tracing import Question, Trace
    from truing.report.heatmap import Heatmap

TITLES = {
    "state": "whole states",
    "mlp": "MLP outputs",
    "attention": "attention outputs",
}
UNIT = "indirect effect"


def trace(
    model: Annotated[str, typer.Argument(help="Hugging Face id, folder, or truing/pocket.")],
    prompt: Annotated[str | None, typer.Option(help="A prompt that the answer follows.")] = None,
    subject: Annotated[str | None, typer.Option(help="The subject in it.")] = None,
    answer: Annotated[
        str | None, typer.Option(help="The answer; left out: what the model says.")
    ] = None,
    benchmark: Annotated[
        str | None,
        typer.Option(help="Instead of one prompt: the mean over a benchmark's requests."),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="The benchmark's file.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many requests.")] = 20,
    window: Annotated[
        int | None,
        typer.Option(
            min=1, help="MLPs and attentions restored together; left out: a fifth of the layers."
        ),
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="Draws of the noise.")] = 10,
    noise: Annotated[
        float, typer.Option(help="Noise in standard deviations of the embeddings.")
    ] = 3.0,
    seed: Annotated[int, typer.Option(help="Seed of the noise.")] = 0,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="SVG to write.")] = None,
    as_json: AsJson = False,
) -> None:
    """Noise on the subject destroys the answer; which state, put back, restores it? (ROME, section 2)"""
    from truing.methods import tracing
    from truing.models.handle import Model

    questions = _questions(prompt, subject, answer, benchmark, data, limit)
    loaded = Model.load(model)
    total = sum(tracing.rows_of(loaded, q, samples=samples) for q in questions)
    draws = tracing.Noise(noise, samples, seed)
    with progress("rows", total) as bar:
        traces = [
            tracing.trace(loaded, q, window=window, noise=draws, progress=bar.advance)
            for q in questions
        ]
    maps = _of_one(traces[0]) if benchmark is None else _of_many(traces)
    if out is not None:
        from truing.report.heatmap import svg
        from truing.runs.lines import write_atomically

        write_atomically(out, svg(maps))
        note(f"wrote {out}")
    emit([_record(each) for each in traces], _tables(traces, maps), as_json)


def _questions(
    prompt: str | None,
    subject: str | None,
    answer: str | None,
    benchmark: str | None,
    data: Path | None,
    limit: int,
) -> list[Question]:
    from truing.benchmarks.loading import load
    from truing.errors import BadInput
    from truing.methods.tracing import Question

    if benchmark is None:
        if prompt is None or subject is None:
            raise BadInput(
                "there is nothing to trace", "Give --prompt and --subject, or --benchmark."
            )
        return [Question(prompt, subject, answer)]
    requests = [r for case in load(benchmark, data, limit=limit).cases for r in case.requests]
    found = [Question(r.prompt, r.subject, r.target_old) for r in requests if r.subject]
    if not found:
        raise BadInput(f"no request of '{benchmark}' names a subject", "Use other data.")
    return found


def _of_one(traced: Trace) -> list[Heatmap]:
    from truing.report.heatmap import Heatmap

    start, stop = traced.subject
    names = [token.strip() or "␣" for token in traced.tokens]
    return [
        Heatmap(
            f"Restoring {TITLES[kind]}: “{traced.question.prompt}” → “{traced.answer}”",
            names,
            traced.effects(kind).tolist(),
            "layer",
            UNIT,
            frozenset(range(start, stop)),
        )
        for kind in traced.restored
    ]


def _of_many(traces: list[Trace]) -> list[Heatmap]:
    from truing.methods.tracing import averaged
    from truing.report.heatmap import Heatmap

    found = []
    for kind in traces[0].restored:
        means = averaged(traces, kind)
        rows = [means[role].tolist() for role in means]
        title = f"Restoring {TITLES[kind]}: mean over {len(traces)} prompts"
        marked = frozenset(i for i, role in enumerate(means) if "subject" in role)
        found.append(Heatmap(title, list(means), rows, "layer", UNIT, marked))
    return found


def _record(traced: Trace) -> dict[str, object]:
    return {
        "prompt": traced.question.prompt,
        "subject": traced.question.subject,
        "answer": traced.answer,
        "tokens": list(traced.tokens),
        "subject_tokens": list(traced.subject),
        "clean": traced.clean,
        "corrupted": traced.corrupted,
        "restored": {kind: values.tolist() for kind, values in traced.restored.items()},
    }


def _tables(traces: list[Trace], maps: list[Heatmap]) -> Table:
    from rich.style import Style
    from rich.table import Table
    from rich.text import Text

    from truing.report.heatmap import shade

    clean = sum(t.clean for t in traces) / len(traces)
    corrupted = sum(t.corrupted for t in traces) / len(traces)
    whole = Table.grid()
    whole.add_row(
        f"p(answer): {clean:.3f} as it is, {corrupted:.3f} under noise (n = {len(traces)})"
    )
    for each in maps:
        grid = Table(title=each.title, title_justify="left", box=None, padding=(0, 0))
        grid.add_column("", justify="right")
        for layer in range(len(each.values[0])):
            grid.add_column(f"{layer:>3}"[-3:], justify="right")
        for number, (name, row) in enumerate(zip(each.rows, each.values, strict=True)):
            cells = []
            for value in row:
                red, green, blue = shade(value, each.top)
                ink = "white" if red < 150 else "black"
                style = Style(color=ink, bgcolor=f"rgb({red},{green},{blue})")
                cells.append(Text(f"{100 * value:3.0f}", style=style))
            grid.add_row(Text(f"{name} ", style="bold" if number in each.marked else ""), *cells)
        whole.add_row(grid)
    whole.add_row("Cells: indirect effect in points (100 x probability). Bold: the subject.")
    return whole
