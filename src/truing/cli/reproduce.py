"""``truing reproduce``: a published table on your model, or from what a paper released."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from truing.cli import reproduce_flextape, reproduce_pres2024, reproduce_references
from truing.cli.output import AsJson, emit, note, rows_table

if TYPE_CHECKING:
    from truing.types import Measure, Value


def reproduce(
    name: Annotated[
        str,
        typer.Argument(
            help="A published table to measure on a model (wild:table); one whose answers or scores "
            "are released (hallueditbench:multiple-choice, behaviorbench:impact, pres2024:table4, "
            "pres2024:notebook, flextape:agreement|pairs|efficacy|ttests|geo); or one that comes as a file, to print or to see "
            "beside a run (behaviorbench:efficacy|impact-table|generalization|capability|api, "
            "hallueditbench:overall|by-topic|multi-hop|multi-turn)."
        ),
    ],
    data: Annotated[
        Path,
        typer.Option(
            help="Folder that holds the table's datasets, the released answers, or the table."
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(help="Hugging Face id, folder, or truing/pocket. Not for released answers."),
    ] = None,
    run: Annotated[
        Path | None, typer.Option(help="Run folder to show beside a table that comes as a file.")
    ] = None,
    like: Annotated[
        str | None, typer.Option(help="The paper's model to compare with (default: the same id).")
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="Methods: a,b,c (default: ft_m,rome,memit).")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most this many records per dataset.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Run folder.")] = None,
    resume: Annotated[bool, typer.Option(help="Go on with what is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """A published table's cells: published value, ours with interval, what differs."""
    from truing.errors import BadInput, UnknownName
    from truing.runs import published, published_answers, published_pres2024, references
    from truing.runs.flextape import tables as flextape

    if name in references.TABLES:
        from truing.cli.run_plan import listed

        if model or limit or out or resume:
            raise BadInput(
                f"{name} comes as a file, and no model is run",
                "Give --data, and --run RUN to see a run's numbers beside it.",
            )
        reproduce_references.show(name, data, run, like, listed(method), as_json)
        return
    if run is not None:
        raise BadInput(f"{name} is not shown beside a run", "Leave --run out.")
    released = {
        **dict.fromkeys(published_answers.answer_tables(), _released),
        **dict.fromkeys(published_pres2024.TABLES, reproduce_pres2024.show),
        **dict.fromkeys(flextape.TABLES, reproduce_flextape.show),
        **dict.fromkeys((flextape.AGREEMENT, "seesaw:agreement"), reproduce_flextape.agreement),
    }
    if name in released:
        if model or like or method or limit or out or resume:
            raise BadInput(
                f"{name} is read from what a paper released, and no model is run",
                "Give --data alone.",
            )
        released[name](name, data, as_json)
        return
    if name not in published.tables():
        raise UnknownName(
            "published table", name, [*published.tables(), *released, *references.TABLES]
        )
    if model is None:
        raise BadInput(f"{name} is measured on a model", "Name one with --model.")
    from truing.cli.run_plan import listed, watched
    from truing.runs.execute import execute

    wanted = published.table(name)
    methods = listed(method or "ft_m,rome,memit") or []
    twin = like or model
    if like is not None and like not in wanted.numbers:
        raise UnknownName("model of the paper", like, wanted.numbers)
    plan = published.plan_for(wanted, model, data, methods, limit, seed)
    folder = out or Path("runs") / name.replace(":", "-")
    with watched() as on_event:
        result = execute(plan, folder, resume=resume, on_event=on_event)
    found = list(published.beside(wanted, twin, result.summary.measures))
    note(
        f"published: {wanted.paper}; judge {wanted.judge}. Ours: {model}; scorers of the protocols shown."
    )
    if twin not in wanted.numbers:
        note(f"the paper has no '{twin}'; --like one of: {', '.join(wanted.numbers)}")
    rows = [
        (
            b.benchmark, b.method, b.aspect, b.protocol,
            "" if b.published is None else f"{b.published:.3f}", _shown(b.ours),
            "" if b.ours is None else str(b.ours.value.n),
        )
        for b in found
    ]  # fmt: skip
    columns = ("dataset", "method", "aspect", "protocol", "published", "ours [95%]", "n")
    emit(found, rows_table(name, columns, rows), as_json)


def _released(name: str, data: Path, as_json: bool) -> None:
    from truing.runs import published_answers

    wanted = published_answers.answer_table(name)
    found = published_answers.rescore(wanted, data)
    judges = ", ".join(sorted({r.judge for r in found}))
    note(f"{wanted.paper}. Published: the paper's own scores, over the answers that it scored.")
    note(f"Strict: right when read by {judges}, out of all n answers. Earlier: counted before.")
    missing = list(published_answers.absent(wanted, found))
    if missing:
        cells = "; ".join(" ".join(cell) for cell in missing[:5])
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        note(f"no answers in {data} for: {cells}{more}. Get them: {wanted.source}")
    rows = [
        (
            r.dataset, r.model, r.method, str(r.strict.n), _mean(r.published), _value(r.strict),
            f"{r.strict.abstain}/{r.strict.invalid}/{r.strict.degenerate}",
            "" if r.earlier is None
            else f"{_share(r.earlier.published)} → {_share(r.earlier.strict)}",
        )
        for r in found
    ]  # fmt: skip
    columns = (
        "dataset", "model", "method", "n", "published", "strict [95%]", "abstain/invalid/loop",
        "earlier",
    )  # fmt: skip
    emit(found, rows_table(name, columns, rows), as_json)


def _shown(measure: Measure | None) -> str:
    return "—" if measure is None else _value(measure.value)


def _value(v: Value) -> str:
    bounds = "" if v.low is None or v.high is None else f" [{v.low:.3f}, {v.high:.3f}]"
    return f"{_mean(v)}{bounds}"


def _mean(v: Value) -> str:
    return _share(v.mean)


def _share(x: float | None) -> str:
    return "—" if x is None else f"{x:.3f}"
