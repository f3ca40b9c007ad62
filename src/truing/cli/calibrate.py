"""``truing calibrate``: how good judges are, on answers whose labels are known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from truing.cli.judge import (
    BaseUrl,
    Budget,
    Device,
    KeyVariable,
    Prices,
    Rubric,
    settings_from,
    shown,
)
from truing.cli.output import AsJson, Plugin, emit, note, progress, rows_table, stdout, writing

if TYPE_CHECKING:
    from truing.judges.calibration import Calibration


def calibrate(
    judges: Annotated[
        list[str], typer.Argument(help="Judges, as `truing judge --with` names them; not `rules`.")
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            help="JSON lines with question, answer, accepted, label; left out: those that come "
            "with Truing."
        ),
    ] = None,
    rubric: Rubric = None,
    judge_device: Device = "auto",
    base_url: BaseUrl = None,
    key_variable: KeyVariable = None,
    budget: Budget = None,
    prices: Prices = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="SVG of the reliability diagrams.")
    ] = None,
    plugin: Plugin = None,
    as_json: AsJson = False,
) -> None:
    """Compare judges with labelled answers: accuracy, kappa, alpha, confusion, reliability."""
    from truing.cli.plugins import use
    from truing.judges import calibration
    from truing.judges.specs import make_all, parse_all

    use(plugin)
    settings = settings_from(judge_device, base_url, key_variable, budget, prices)
    items = calibration.read_items(calibration.shipped() if data is None else data)
    found: list[Calibration] = []
    for judge in make_all(parse_all(judges, rubric), settings):
        with progress(judge.name, len(items)) as bar:
            found.append(calibration.calibrate(judge, items, bar.advance))
    if out is not None:
        _draw(found, out)
    if as_json:
        emit([_record(each) for each in found], "", True)
        return
    console = stdout()
    console.print(_overview(found))
    for each in found:
        console.print(_confusion(each))
    console.print(_kinds(found))
    for each in found:
        if 2 * each.accuracy.n < each.items:
            note(
                f"{each.judge} judged {each.accuracy.n} of {each.items}, empty and looping answers "
                "included: its figures are of these alone"
            )
    if out is not None:
        note(f"reliability: {out}")


def _overview(found: Sequence[Calibration]) -> Any:
    rows = []
    for each in found:
        value = each.accuracy
        share = "—"
        if value.mean is not None and value.low is not None and value.high is not None:
            share = f"{100 * value.mean:.1f} [{100 * value.low:.1f}, {100 * value.high:.1f}]"
        judged = f"{value.n} of {each.items}"
        rows.append([each.judge, judged, share, shown(each.kappa), shown(each.alpha)])
    columns = ("judge", "judged", "accuracy of these %", "kappa (correct?)", "alpha (states)")
    return rows_table("", columns, rows)


def _confusion(each: Calibration) -> Any:
    states = ("correct", "wrong", "abstain", "degenerate", "invalid")
    rows = [
        [label, *(str(each.confusion.get((label, state), 0)) for state in states)]
        for label in states[:-1]
    ]
    return rows_table(f"{each.judge}: labels down, verdicts across", ("label", *states), rows)


def _kinds(found: Sequence[Calibration]) -> Any:
    kinds = sorted({kind for each in found for kind in each.kinds})
    rows = [
        [kind or "—", *("{} / {}".format(*each.kinds.get(kind, (0, 0))) for each in found)]
        for kind in kinds
    ]
    return rows_table(
        "right / judged, by kind of answer", ("kind", *(e.judge for e in found)), rows
    )


def _record(each: Calibration) -> dict[str, Any]:
    confusion: dict[str, dict[str, int]] = {}
    for (label, state), n in each.confusion.items():
        confusion.setdefault(label, {})[state] = n
    return {
        "judge": each.judge,
        "items": each.items,
        "accuracy": each.accuracy,
        "kappa": each.kappa,
        "alpha": each.alpha,
        "confusion": confusion,
        "kinds": {k: {"right": right, "judged": n} for k, (right, n) in each.kinds.items()},
        "reliability": each.reliability,
    }


def _draw(found: Sequence[Calibration], out: Path) -> None:
    from truing.report.reliability import Diagram, Point, svg

    diagrams = [
        Diagram(each.judge, [Point(b.score, b.correct, *b.bounds, b.n) for b in each.reliability])
        for each in found
    ]
    with writing(out) as file:
        file.write(svg(diagrams))
