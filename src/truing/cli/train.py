"""``truing train``: learned editors. One subcommand for each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from truing.cli.output import AsJson, Bar, emit, note, progress, rows_table

if TYPE_CHECKING:
    from truing.benchmarks.benchmark import Loaded
    from truing.methods.training.examples import Split
    from truing.methods.training.loop import Estimate, Outcome, Watch

app = typer.Typer(no_args_is_help=True, help="Train a learned editor for a model: mend.")
WORLD = "world"
PLAN = """\
# Measures this editor on cases that its training never saw: truing run {plan}
name = "mend-held-out"
model = {model}
protocols = ["synthetic", "wild"]
methods = [{{ name = "mend", config = {{ checkpoint = {folder} }} }}]

[[benchmarks]]
name = "custom"
data = {data}
"""


@app.callback()
def _group() -> None:
    """Train a learned editor for a model."""


@app.command("mend")
def mend(
    model: Annotated[str, typer.Argument(help="Hugging Face id, folder, or truing/pocket.")],
    data: Annotated[
        str,
        typer.Option(help="File with prompt, target_new, rephrases, locality; or 'world'."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the editor.")],
    benchmark: Annotated[
        str, typer.Option(help="How the file is read: custom, zsre, counterfact, ...")
    ] = "custom",
    steps: Annotated[int | None, typer.Option(min=1, help="Updates at most.")] = None,
    layers: Annotated[str | None, typer.Option(help="Edited layers: 3,4,5 or 3-5.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Another setting: key=value (TOML).")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many records.")] = None,
    seed: Annotated[int, typer.Option(help="Decides the split and every draw.")] = 0,
    skip_invalid: Annotated[
        bool, typer.Option(help="Leave bad records out instead of stopping.")
    ] = False,
    resume: Annotated[bool, typer.Option(help="Go on where a training stopped.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Only say what it would take.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train a MEND editor. The best step by validation is kept; cases of a fifth of the subjects
    are never seen and written to held-out.jsonl, to measure the editor on."""
    from truing.cli.inputs import layer_numbers, parse_settings
    from truing.methods.training.examples import Split
    from truing.methods.training.loop import estimate, train
    from truing.methods.training.mend import MendCourse
    from truing.methods.training.mend_settings import parse
    from truing.models.handle import Model

    values = parse_settings(settings) | {"seed": seed}
    values |= {} if steps is None else {"steps": steps}
    values |= {} if layers is None else {"layers": layer_numbers(layers)}
    chosen = parse(values)
    loaded = _cases(data, benchmark, limit, seed, skip_invalid)
    split = Split.of(loaded.cases, chosen.seed, chosen.validation, chosen.held_out)
    handle = Model.load(model)
    facts = {"dataset": loaded.dataset, "file": data, "sha256": loaded.source.sha256}
    course, schedule = MendCourse.of(handle, chosen, split, facts)
    note(
        f"{handle.name}: {len(split.train)} cases to train on, {len(split.validation)} to validate "
        f"on, {len(split.held_out)} held out"
    )
    expected = estimate(course, schedule)
    note(_expected(expected, schedule.steps))
    if dry_run:
        emit({"estimate": expected, "settings": course.record}, _took(expected), as_json)
        return
    with progress("updates", schedule.steps) as bar:
        outcome = train(
            course, schedule, out, config=course.identity, resume=resume, watch=_watch(bar)
        )
    _leave(out, split, handle.name)
    _show(out, outcome, len(split.held_out), as_json)


def _cases(data: str, benchmark: str, limit: int | None, seed: int, skip_invalid: bool) -> Loaded:
    from truing.benchmarks.benchmark import load

    if data == WORLD:
        return load(WORLD, limit=limit, sample="seeded", seed=seed)
    loaded = load(benchmark, data, limit=limit, sample="seeded", seed=seed)
    if not skip_invalid:
        loaded.refuse_quarantined()
    return loaded


def _watch(bar: Bar) -> Watch:
    from truing.methods.training.record import Line

    done = 0

    def watch(line: Line) -> None:
        nonlocal done
        bar.advance(line.step - done)
        done = line.step
        if line.kind == "step":
            return
        if line.kind == "health":
            note(f"warning: {line.text}")
        else:
            means = ", ".join(
                f"{name} {line.values[name]:.3f}"
                for name in ("efficacy", "generalization", "locality", "loss")
                if name in line.values
            )
            note(f"update {line.step}: {means}")

    return watch


def _leave(out: Path, split: Split, model: str) -> None:
    """The cases that nobody saw, a plan that measures the editor on them, the learning curve."""
    from truing.methods.training.curve import svg
    from truing.methods.training.examples import as_records
    from truing.methods.training.record import METRICS, read

    (out / "curve.svg").write_text(svg(read(out / METRICS), f"MEND on {model}"), "utf-8")
    if not split.held_out:
        return
    data, plan = out / "held-out.jsonl", out / "plan.toml"
    data.write_text(as_records(split.held_out), "utf-8")
    texts = {"model": model, "folder": str(out.resolve()), "data": str(data.resolve())}
    quoted = {name: json.dumps(text, ensure_ascii=False) for name, text in texts.items()}
    plan.write_text(PLAN.format(plan=plan.name, **quoted), "utf-8")


def _show(out: Path, outcome: Outcome, held_out: int, as_json: bool) -> None:
    rows = [(name, f"{value:.3f}") for name, value in outcome.best.items()]
    title = f"{out}: best after {outcome.best_step} of {outcome.step} updates (validation means)"
    emit(
        {"out": out, "held_out": held_out, "outcome": outcome},
        rows_table(title, ("metric", "value"), rows),
        as_json,
    )
    if held_out:
        note(f"measure it on unseen cases: truing run {out / 'plan.toml'} --out RUN")


def _expected(expected: Estimate, steps: int) -> str:
    return (
        f"at most {_duration(expected.seconds)} for {steps} updates "
        f"({expected.seconds_per_step:.2f} s each); {expected.parameters:,} weights, "
        f"{expected.bytes / 2**20:.0f} MiB with gradients and Adam's moments, beside the model"
    )


def _took(expected: Estimate) -> Any:
    rows = [
        ("time at most", _duration(expected.seconds)),
        ("seconds per update", f"{expected.seconds_per_step:.3f}"),
        ("weights of the editor", f"{expected.parameters:,}"),
        ("MiB beside the model", f"{expected.bytes / 2**20:.0f}"),
    ]
    return rows_table("", ("what", "estimate"), rows)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
