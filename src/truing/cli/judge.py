"""``truing judge``: let other judges say what a finished run's answers are worth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from truing.cli.output import AsJson, Plugin, emit, note, progress, rows_table, stdout

if TYPE_CHECKING:
    from truing.judges.specs import JudgeSettings, JudgeSpec
    from truing.runs.asked import Selection
    from truing.runs.concord import Pair
    from truing.runs.verdict_counts import Count, Unreadable
    from truing.scoring.agreement import Agreement

With = Annotated[
    list[str],
    typer.Option(
        "--with",
        help="Judges: rules, a rule, local:MODEL[@REVISION], openai:MODEL, classifier:PATH, "
        "panel:a,b,c; commas between several, a panel last.",
    ),
]
Rubric = Annotated[
    str | None,
    typer.Option(help="What language models are asked, where their name has no /RUBRIC."),
]
Device = Annotated[str, typer.Option(help="Where local judges run: auto, cpu, cuda, cuda:N.")]
BaseUrl = Annotated[
    str | None, typer.Option(help="Address of an OpenAI-compatible server, ending in /v1.")
]
KeyVariable = Annotated[
    str | None, typer.Option(help="Environment variable that holds the server's key.")
]
Budget = Annotated[
    float | None, typer.Option(min=0, help="Most US dollars to spend; needs --prices.")
]
Prices = Annotated[
    str | None, typer.Option(help="US dollars per million tokens read and written: IN,OUT.")
]


SHOWN = 200
"""Characters of a reply that are shown."""


def judge(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    judges: With,
    rubric: Rubric = None,
    judge_device: Device = "auto",
    base_url: BaseUrl = None,
    key_variable: KeyVariable = None,
    budget: Budget = None,
    prices: Prices = None,
    aspect: Annotated[
        list[str] | None, typer.Option(help="Only rows of this aspect, its parts included.")
    ] = None,
    protocol: Annotated[list[str] | None, typer.Option(help="Only rows of this protocol.")] = None,
    dry_run: Annotated[
        bool, typer.Option(help="Say how much would be asked; ask nothing.")
    ] = False,
    plugin: Plugin = None,
    as_json: AsJson = False,
) -> None:
    """Judge stored answers. Verdicts are kept as they come; the same command goes on from there."""
    from truing.cli.plugins import use
    from truing.judges.specs import parse_all
    from truing.runs.asked import Selection, judge_run, without_verdict
    from truing.runs.concord import pairs
    from truing.runs.verdict_counts import counts, unreadable

    use(plugin)
    specs = parse_all(judges, rubric)
    only = Selection.of(aspect or (), protocol or ())
    settings = settings_from(judge_device, base_url, key_variable, budget, prices)
    if dry_run:
        _show_workload(run, specs, only, settings, as_json)
        return
    with progress("judging", None) as bar:
        at = total = 0

        def watch(name: str, done: int, of: int) -> None:
            nonlocal at, total
            if done == 0:
                at, total = 0, total + of
                bar.total(total)
                bar.label(name)
            bar.advance(done - at)
            at = done

        judge_run(run, specs, settings, only, watch)
    names = [spec.name for spec in specs if spec.kind != "rules"]
    told, agreed = counts(run, names), pairs(run, names)
    for each in unreadable(run, names):
        note(_unreadable(each))
    unasked = {spec.name: without_verdict(run, spec.name, only) for spec in specs if spec.asked}
    if as_json:
        emit({"run": run, "judges": told, "unasked": unasked, "agreement": agreed}, "", True)
        return
    for table in _counts_tables(told):
        stdout().print(table)
    if agreed:
        stdout().print(_pairs_table(agreed))
    for name, n in unasked.items():
        if n:
            note(f"{name} has no question about {n} other answers: they have no verdict of it")
    note(f"`truing report {run}` shows each judge in columns of its own")


def settings_from(
    device: str,
    base_url: str | None,
    key_variable: str | None,
    budget: float | None,
    prices: str | None,
) -> JudgeSettings:
    """Raises ``BadInput`` for prices that are not two numbers."""
    from truing.judges.specs import JudgeSettings

    both = None if prices is None else two_prices(prices)
    return JudgeSettings(device, base_url, key_variable, budget, both)


def two_prices(text: str) -> tuple[float, float]:
    """``IN,OUT``. Raises ``BadInput`` for what is not two numbers."""
    from truing.errors import BadInput

    try:
        first, second = (float(part) for part in text.split(","))
    except ValueError:
        raise BadInput(
            f"--prices {text!r} is not IN,OUT", "For example --prices 0.15,0.6."
        ) from None
    return first, second


def _show_workload(
    run: Path, specs: Sequence[JudgeSpec], only: Selection, settings: JudgeSettings, as_json: bool
) -> None:
    from truing.runs.asked import workload
    from truing.servers.spending import Prices

    prices = Prices(*settings.prices) if settings.prices else None
    data: list[dict[str, Any]] = []
    for name, (rows, cost) in workload(run, specs, only).items():
        usd = None if prices is None else prices.usd(cost.tokens_in, cost.tokens_out)
        data.append(
            {"judge": name, "rows": rows, "chats": cost.chats, "tokens_in": cost.tokens_in,
             "tokens_out": cost.tokens_out, "usd": usd}
        )  # fmt: skip
    columns = ("judge", "rows", "chats", "tokens_in", "tokens_out", "usd")
    shown = [[("·" if each[c] is None else str(each[c])) for c in columns] for each in data]
    heads = ("judge", "rows without a verdict", "chats", "tokens read", "tokens written", "USD")
    emit(data, rows_table("", heads, shown), as_json)


def _counts_tables(told: Sequence[Count]) -> list[Any]:
    """One for the judges whose scores stand for the same labels."""
    by_labels: dict[tuple[str, ...], list[Count]] = {}
    for count in told:
        by_labels.setdefault(tuple(count.labels) or ("correct", "wrong"), []).append(count)
    return [
        rows_table(
            "",
            ("judge", "aspect", "n", *labels, "abstain", "invalid", "degenerate", "mean score"),
            [_count_line(count) for count in found],
        )
        for labels, found in by_labels.items()
    ]


def _count_line(c: Count) -> tuple[str, ...]:
    said = tuple(c.labels.values()) or (c.correct, c.wrong)
    mean = "—" if c.mean is None else f"{c.mean:.3f}"
    return (c.judge, c.aspect, *map(str, (c.n, *said, c.abstain, c.invalid, c.degenerate)), mean)


def _unreadable(found: Unreadable) -> str:
    said = (
        f"{found.judge}: {found.invalid} of {found.n} verdicts are invalid, most often: {found.why}"
    )
    if found.reply is None:
        return said
    reply = " ".join(found.reply.split())
    return f"{said}; a reply: {reply if len(reply) <= SHOWN else f'{reply[:SHOWN]}…'}"


def _pairs_table(found: Sequence[Pair]) -> Any:
    columns = ("judges of the same rows", "aspect", "rows", "same verdict", "kappa", "alpha")
    rows = [
        [f"{p.one} · {p.other}", p.aspect, str(p.rows), *map(shown, (p.percent, p.kappa, p.alpha))]
        for p in found
    ]
    return rows_table("", columns, rows)


def shown(agreement: Agreement | None) -> str:
    """``0.62 [0.48, 0.74]``; a dash where it is not defined."""
    if agreement is None or agreement.value is None:
        return "—"
    if agreement.low is None or agreement.high is None:
        return f"{agreement.value:.2f}"
    return f"{agreement.value:.2f} [{agreement.low:.2f}, {agreement.high:.2f}]"
