"""``truing run``: a plan file, or the same from flags; resumable, with progress and an ETA."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from truing.cli.output import AsJson, Plugin, emit, note, progress, rows_table, stdout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from truing.runs.estimate import Estimate
    from truing.runs.events import OnEvent
    from truing.runs.plan import Plan


def run(
    plan: Annotated[
        Path | None, typer.Argument(help="Plan file (TOML), or a run folder to go on with.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Hugging Face id, folder, truing/pocket, or openai:NAME behind a server."
        ),
    ] = None,
    method: Annotated[str | None, typer.Option(help="Methods: a,b,c.")] = None,
    benchmark: Annotated[
        str | None, typer.Option(help="Benchmark; see `truing ls benchmarks`.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="The benchmark's file or folder; of several, the folder that holds them."
        ),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(help="Protocols: a,b; swap an axis with synthetic,scorer=exact-match."),
    ] = None,
    regime: Annotated[
        str | None, typer.Option(help="Regimes: single,sequential; sequential,every=10.")
    ] = None,
    capability: Annotated[
        str | None,
        typer.Option(
            help="What else the model could do, asked before and after: "
            "micro or boolq,data=FILE,n=200; several by commas. See `truing ls capability`."
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many records.")] = None,
    sample: Annotated[str | None, typer.Option(help="prefix (the first ones) or seeded.")] = None,
    aspects: Annotated[
        str | None, typer.Option(help="Ask only about these: efficacy,locality.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Run folder.")] = None,
    resume: Annotated[bool, typer.Option(help="Go on with what is there.")] = False,
    skip_invalid: Annotated[
        bool | None,
        typer.Option(
            help="Leave out (and count) records that cannot be used, or stop at them. Unless you say: "
            "left out of published data, while your own stop the run."
        ),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            min=1,
            help="Processes that share the cells; each loads the model and takes its part of "
            "the processor's threads.",
        ),
    ] = 1,
    base_url: Annotated[
        str | None, typer.Option(help="Of models openai:NAME: where their server is.")
    ] = None,
    key_variable: Annotated[
        str | None,
        typer.Option(help="The environment variable that holds the server's key (OPENAI_API_KEY)."),
    ] = None,
    system: Annotated[
        str | None, typer.Option(help="A system message that opens every chat with the server.")
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Tokens that the server may write per answer, in place of the protocol's number: for "
            "models that think before they answer.",
        ),
    ] = None,
    budget: Annotated[
        float | None, typer.Option(help="Stop the server's model before it costs more: US dollars.")
    ] = None,
    prices: Annotated[
        str | None, typer.Option(help="US dollars per million tokens: IN,OUT. A budget needs them.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option(help="Show cells, time, memory and money; run nothing.")
    ] = False,
    plugin: Plugin = None,
    as_json: AsJson = False,
) -> None:
    """Edit, measure and sum up: method x benchmark x protocol x regime."""
    from truing.cli.plugins import use
    from truing.runs.execute import execute
    from truing.runs.helpers import Workers

    use(plugin)
    flags: dict[str, Any] = {
        "model": model,
        "method": listed(method),
        "benchmark": listed(benchmark),
        "data": None if data is None else str(data),
        "protocol": listed(protocol),
        "regime": listed(regime),
        "capability": _sets(capability),
        "limit": limit,
        "sample": sample,
        "aspects": listed(aspects),
        "seed": seed,
        "skip_invalid": skip_invalid,
        "base_url": base_url,
        "key_variable": key_variable,
        "system": system,
        "max_tokens": max_tokens,
        "budget_usd": budget,
        **_prices(prices),
    }
    resolved = _plan(plan, {k: v for k, v in flags.items() if v is not None})
    if dry_run:
        _show_estimate(resolved, as_json)
        return
    with watched() as on_event:
        shared = Workers(workers, partial(use, plugin))
        result = execute(resolved, out, resume=resume, on_event=on_event, workers=shared)
    from truing.cli.arms import arm_lines
    from truing.report.load import read_run
    from truing.report.tables import comparison, records

    done = read_run(result.folder)
    if as_json:
        emit(
            {
                "folder": result.folder,
                "rows": result.rows,
                "seconds": result.seconds,
                "failed": dict(result.failed),
                "measures": records(done.measures, done.cells),
            },
            "",
            True,
        )
        return
    console = stdout()
    costs = done.meta.get("edits")
    controls = {ident for ident, cell in done.cells.items() if cell.get("control_of")}
    shown = [m for m in done.measures if m.cell not in controls]
    console.print(comparison(shown, done.cells, width=console.width, costs=costs))
    for line in arm_lines(done.meta, done.cells):
        note(line)
    note(f"{result.rows} rows in {result.folder}; `truing report {result.folder}` makes the page")


def _prices(text: str | None) -> dict[str, float]:
    """``IN,OUT`` as keys of a plan. Raises ``BadInput`` for what is not two numbers."""
    if text is None:
        return {}
    from truing.cli.judge import two_prices

    usd_in, usd_out = two_prices(text)
    return {"usd_per_million_in": usd_in, "usd_per_million_out": usd_out}


def listed(text: str | None) -> list[str] | None:
    """``a,b,x=1,c`` as ``["a", "b,x=1", "c"]``: a part with ``=`` belongs to the name before it."""
    if text is None:
        return None
    parts: list[str] = []
    for part in (p.strip() for p in text.split(",")):
        if parts and "=" in part:
            parts[-1] += f",{part}"
        elif part:
            parts.append(part)
    return parts


def _sets(text: str | None) -> list[dict[str, Any]] | None:
    """``micro,boolq,data=FILE`` as entries of a plan. Paths start at the working directory."""
    from truing.errors import BadInput

    found = []
    for part in listed(text) or ():
        name, *pairs = part.split(",")
        entry: dict[str, Any] = {"name": name}
        for key, equals, value in (pair.partition("=") for pair in pairs):
            if not equals or not value:
                raise BadInput(f"--capability {part}: '{key}' has no value", "For example n=200.")
            entry[key] = str(Path(value).expanduser().resolve()) if key == "data" else value
        found.append(entry)
    return found or None


def _plan(file: Path | None, flags: dict[str, Any]) -> Plan:
    from truing.runs import plan, plan_file

    if file is None:
        return plan.parse(flags, source="flags")
    return plan_file.load(file, flags)


@contextmanager
def watched() -> Iterator[OnEvent]:
    """Events as a progress bar with an ETA, and as notes."""
    from truing.runs import events

    with progress("starting", None) as bar:
        done = 0

        def on_event(event: events.Event) -> None:
            nonlocal done
            if isinstance(event, events.RunStarted):
                bar.total(event.rows)
                bar.advance(event.done)
                done = event.done
                note(
                    f"{event.folder}: {event.cells} cells, {event.rows} rows, {event.done} already there"
                )
            elif isinstance(event, events.CellStarted):
                bar.label(f"[{event.number}/{event.of}] {event.label}")
                note(f"[{event.number}/{event.of}] {event.label}")
            elif isinstance(event, events.RowsWritten):
                bar.advance(event.done - done)
                done = event.done
            elif isinstance(event, events.CellFailed):
                note(f"left out: {event.label}: {event.reason}")
            elif isinstance(event, events.Note):
                note(event.text)
            elif isinstance(event, events.Interrupted):
                note(f"stopped after {event.done} of {event.of} rows; go on with\n  {event.how}")
            elif isinstance(event, events.EditsMade) and event.failed:
                note(f"{event.failed} of {event.cases} edits failed and are recorded as such")

        yield on_event


def _show_estimate(plan: Plan, as_json: bool) -> None:
    from truing.runs.estimate import estimate

    found = estimate(plan)
    for line in found.power:
        note(line)
    emit(found, rows_table("", ("what", "value"), _pairs(found)), as_json)


def _pairs(found: Estimate) -> Sequence[Sequence[str]]:
    """The estimate in units that people read; what is not known is left out."""
    pairs = [
        (name, f"{n:,}")
        for name, n in (
            ("edits", found.edits), ("rows", found.rows), ("questions asked", found.asks),
            ("tokens", found.tokens), ("records left out", found.quarantined),
        )
    ]  # fmt: skip
    pairs += [("time", _time(found.seconds)), ("of it to load models", _time(found.load_seconds))]
    if found.peak_bytes is not None:
        pairs.append(("memory", f"{found.peak_bytes / 2**20:,.0f} MiB"))
    if found.usd is not None:
        pairs.append(("US dollars at most", f"{found.usd:.2f}"))
    return pairs


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
