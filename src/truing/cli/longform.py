"""``truing longform``: what edits did to the long texts of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from truing.cli.output import AsJson, emit, note, rows_table, stdout

if TYPE_CHECKING:
    from truing.runs.longform import Flawed, Named
    from truing.scoring.longform import Concord, Shift
    from truing.types import Comparison, Value

app = typer.Typer(
    no_args_is_help=True,
    help="Long texts before and after edits: what they name, and which flaws they have more of.",
)
Placed = TypeVar("Placed", "Named", "Flawed")
Run = Annotated[Path, typer.Argument(help="Run folder of a benchmark asked with continuations.")]
Method = Annotated[str | None, typer.Option(help="Only this method, by its label.")]


@app.command("names")
def names(run: Run, method: Method = None, as_json: AsJson = False) -> None:
    """Share of texts that name a right answer about another property of the person, or the edit."""
    from truing.runs.longform import named

    found = named(run, method)
    if as_json:
        emit(found, "", True)
        return
    columns = (
        "text", "names the", "n", "before [95%]", "after [95%]", "change [95%]", "p", "answer unknown",
        "published rule",
    )  # fmt: skip
    for title, ours in _by_place(found):
        lines = [
            (one.wording or "open", one.sought, str(one.naming.after.n), _share(one.naming.before),
             _share(one.naming.after), *_tested(one.naming.change), str(one.naming.unknown), _published(one))
            for one in ours
        ]  # fmt: skip
        stdout().print(rows_table(title, columns, lines))
    note(
        "Published rule: an answer anywhere, inside words too; texts without a known answer count as misses."
    )
    _unfinished(run)


@app.command("flaws")
def flaws(
    run: Run,
    method: Method = None,
    rater: Annotated[
        list[str] | None,
        typer.Option(help="Only this rater (words, openai:NAME, human:NAME); may be repeated."),
    ] = None,
    words: Annotated[
        Path | None, typer.Option(help='TOML with word lists of your own: sexism = ["her place"].')
    ] = None,
    as_json: AsJson = False,
) -> None:
    """More of a flaw after the edit than before it, as each rater says, and how far raters agree."""
    from truing.runs.longform import flawed
    from truing.scoring.flaws import own_lists, read_lists

    lists = own_lists() if words is None else read_lists(words)
    found = flawed(run, lists, method=method, raters=rater or ())
    if as_json:
        emit(found, "", True)
        return
    columns = ("flaw", "rater", "n", "more", "same", "less", "not said", "more − less [95%]", "p, corrected")  # fmt: skip
    heads = ("flaw", "alpha, ordinal", "pairs that agree", "Cohen's kappa", "mostly")
    for title, ours in _by_place([one for one in found if one.shifts]):
        for one in ours:
            of = f"{title} · {one.wording or 'open'}"
            stdout().print(rows_table(of, columns, [_line(shift) for shift in one.shifts]))
            if one.concords:
                lines = [_agreement(concord) for concord in one.concords]
                stdout().print(rows_table(f"{of}: raters of the same texts", heads, lines))
    for line in _notes(found):
        note(line)
    _unfinished(run)


def _unfinished(run: Path) -> None:
    from truing.runs.unfinished import so_far

    if (text := so_far(run)) is not None:
        note(text)


def _by_place(found: Sequence[Placed]) -> Iterator[tuple[str, list[Placed]]]:
    """What was found by edited model and protocol, with a title."""
    from truing.report.words import protocol

    places = dict.fromkeys((one.cell, one.protocol) for one in found)
    labels = {one.cell: one.method for one in found}
    twice = {method for method in labels.values() if list(labels.values()).count(method) > 1}
    for cell, asked in places:
        method = f"{labels[cell]} ({cell})" if labels[cell] in twice else labels[cell]
        ours = [one for one in found if (one.cell, one.protocol) == (cell, asked)]
        yield f"{method} · {protocol(asked)}", ours


def _share(value: Value) -> str:
    if value.mean is None:
        return "—"
    span = "" if value.low is None else f" [{value.low:.3f}, {value.high:.3f}]"
    return f"{value.mean:.3f}{span}"


def _tested(comparison: Comparison) -> tuple[str, str]:
    """The change with its interval, and p, corrected where it belongs to a family of tests."""
    if comparison.delta is None:
        return "—", ""
    span = "" if comparison.low is None else f" [{comparison.low:+.3f}, {comparison.high:+.3f}]"
    p = comparison.p if comparison.p_adjusted is None else comparison.p_adjusted
    return f"{comparison.delta:+.3f}{span}", "" if p is None else f"{p:.3g}"


def _published(one: Named) -> str:
    if one.naming.published is None:
        return "—"
    before, after = one.naming.published
    return f"{before:.3f} → {after:.3f}"


def _line(shift: Shift) -> tuple[str, ...]:
    counts = map(str, (shift.n, shift.more, shift.same, shift.less, shift.unsaid))
    return shift.flaw, shift.rater, *counts, *_tested(shift.net)


def _agreement(concord: Concord) -> tuple[str, ...]:
    from truing.cli.judge import shown

    kappas = "; ".join(f"{' and '.join(k.raters)} {shown(k)}" for k in concord.kappas)
    return (
        concord.flaw,
        shown(concord.alpha),
        shown(concord.percent),
        kappas,
        concord.dominated or "",
    )


def _notes(found: Sequence[Flawed]) -> Iterator[str]:
    from truing.runs.longform import ANGLO, WORDS

    told = {(shift.rater, shift.flaw) for one in found for shift in one.shifts}
    if any(rater == WORDS for rater, _ in told):
        yield "'words' finds candidates: it says which text names more of a list, not that a text does harm."
    for wording in dict.fromkeys(one.wording or "open" for one in found if not one.shifts):
        yield f"{wording} texts: nobody asked for has rated any"
    left_out = max((one.not_asked for one in found), default=0)
    if left_out and any(flaw == ANGLO for _, flaw in told):
        yield f"{ANGLO}: {left_out} texts about people from English-speaking countries were left out"
    if any(concord.dominated for one in found for concord in one.concords):
        yield "Where nine in ten ratings are one label, raters agree often whatever they think: read alpha."
