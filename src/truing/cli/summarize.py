"""``truing summarize``: the table of ROME and MEMIT, from a finished run."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from truing.cli.output import AsJson, Plugin, emit, note, rows_table, stdout, writing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from truing.runs.rewriting import Number, Table

BLOCKS = {
    "success": ("S", "ES", "PS", "NS"),
    "magnitude": ("EM", "PM", "NM"),
    "accuracy": ("SA", "EA", "PA", "NA"),
    "accuracy by token": ("ST", "ET", "PT", "NT"),
    "what is written": ("GE", "RS"),
}
FIELDS = (
    "model", "benchmark", "regime", "seed", "moment", "method", "column", "metric", "protocol", "mean",
    "low", "high", "interval", "n", "clusters", "invalid", "published", "published_error",
)  # fmt: skip


def summarize(
    run: Annotated[Path, typer.Argument(help="Run folder of a benchmark of facts.")],
    references: Annotated[
        Path | None,
        typer.Option(
            help="Texts about targets, for RS: JSON or JSON lines of {relation_id, target, texts}, or "
            "the published attribute_snippets.json."
        ),
    ] = None,
    published: Annotated[
        bool,
        typer.Option(
            "--published",
            help="Also show each number as published: times 100, rounded first, 1.96 standard errors.",
        ),
    ] = False,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="Also write a line per number to this file.")
    ] = None,
    plugin: Plugin = None,
    as_json: AsJson = False,
) -> None:
    """The table of ROME and MEMIT: efficacy, paraphrase, neighbourhood, generation, and their score S.

    E, P, N: the edit prompt, paraphrases, neighbourhood. S, M, A, T: success, magnitude, accuracy, and
    accuracy by token. S, SA, ST alone: their harmonic means. GE: n-gram entropy in bits. RS: how alike
    what was written is to reference texts. Means over prompts, then over cases, with 95 % intervals.
    """
    from truing.cli.plugins import use
    from truing.runs.rewriting import tables
    from truing.runs.unfinished import so_far

    use(plugin)
    found = tables(run, references)
    if csv_file is not None:
        with writing(csv_file) as file:
            writer = csv.DictWriter(file, FIELDS)
            writer.writeheader()
            writer.writerows(record for table in found for record in _records(table))
        note(f"rows: {csv_file}")
    if as_json:
        emit(found, "", True)
        return
    for table in found:
        seed = f" · seed {table.seed}" if table.seed else ""
        where = f"{table.model} · {table.benchmark} · {table.regime}{seed} · {table.moment}"
        for what, names in BLOCKS.items():
            _print(table, f"{where}\n{what}", names, published)
        for text in table.notes:
            note(text)
    if (unfinished := so_far(run)) is not None:
        note(unfinished)


def _print(table: Table, title: str, block: Sequence[str], published: bool) -> None:
    """The block's columns that are there, after the protocols that they are read under."""
    names = [name for name in block if any(name in line.numbers for line in table.lines)]
    if not names:
        return
    there = [line.numbers[name] for line in table.lines for name in names if name in line.numbers]
    protocols = sorted({number.protocol for number in there})
    rows = [
        (line.method, *(_told(line.numbers.get(name), published) for name in names))
        for line in table.lines
    ]
    stdout().print(rows_table(f"{title}, {', '.join(protocols)}", ("method", *names), rows))


def _told(number: Number | None, published: bool) -> str:
    if number is None:
        return ""
    value = number.value
    lines = [value.interval or "no number" if value.mean is None else f"{value.mean:z.3f}"]
    if value.low is not None:
        lines.append(f"[{value.low:z.3f}, {value.high:z.3f}]")
    lines.append(f"n {value.n}" + (f", {value.invalid} without" if value.invalid else ""))
    if published and (p := number.published) is not None:
        error = "" if p.error is None else f" ({p.error:.2f})"
        lines.append(f"{p.mean:z.2f}{error}")
    return "\n".join(lines)


def _records(table: Table) -> Iterator[dict[str, object]]:
    for line in table.lines:
        for name, number in line.numbers.items():
            value, published = number.value, number.published
            cells = (
                table.model, table.benchmark, table.regime, table.seed, table.moment, line.method, name,
                number.metric, number.protocol, value.mean, value.low, value.high, value.interval,
                value.n, value.clusters, value.invalid,
                None if published is None else published.mean,
                None if published is None else published.error,
            )  # fmt: skip
            yield dict(zip(FIELDS, cells, strict=True))
