"""``truing train``: learned editors. One subcommand for each."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeVar

import typer

from truing.cli.output import AsJson, Bar, emit, note, progress, rows_table

if TYPE_CHECKING:
    from truing.benchmarks.loading import Loaded
    from truing.methods.training.examples import Split
    from truing.methods.training.loop import Course, Estimate, Outcome, Schedule, Watch
    from truing.models.handle import Model

    class Told(Course, Protocol):
        """A course that says what it was made with, and what must be equal to go on."""

        @property
        def record(self) -> dict[str, Any]: ...

        @property
        def identity(self) -> dict[str, Any]: ...


app = typer.Typer(no_args_is_help=True, help="Train a learned editor for a model: mend, serac.")
PLAN = """\
# Measures this editor on cases that its training never saw: truing run {plan}
name = "{method}-held-out"
model = {model}
protocols = ["synthetic", "wild"]
methods = [{{ name = "{method}", config = {{ checkpoint = {folder} }} }}]

[[benchmarks]]
name = "custom"
data = {data}
"""


@app.callback()
def _group() -> None:
    """Train a learned editor for a model."""


ModelName = Annotated[str, typer.Argument(help="Hugging Face id, folder, or truing/pocket.")]
Data = Annotated[
    str,
    typer.Option(
        help="File with prompt, target_new, rephrases, locality; or 'world' or 'world_personality'."
    ),
]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder of the editor.")]
ReadAs = Annotated[
    str, typer.Option(help="How the file is read: custom, zsre, counterfact, personality, ...")
]
Steps = Annotated[int | None, typer.Option(min=1, help="Updates at most.")]
KeepEvery = Annotated[
    int | None,
    typer.Option(min=1, help="Also keep the editor every so many updates: OUT/steps/000100, ..."),
]
Layers = Annotated[str | None, typer.Option(help="Edited layers: 3,4,5 or 3-5.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="Another setting: key=value (TOML).")]
Limit = Annotated[int | None, typer.Option(min=1, help="At most this many records.")]
Seed = Annotated[int, typer.Option(help="Decides the split and every draw.")]
SkipInvalid = Annotated[bool, typer.Option(help="Leave bad records out instead of stopping.")]
Resume = Annotated[bool, typer.Option(help="Go on where a training stopped.")]
DryRun = Annotated[bool, typer.Option(help="Only say what it would take.")]


@app.command("mend")
def mend(
    model: ModelName,
    data: Data,
    out: Out,
    benchmark: ReadAs = "custom",
    steps: Steps = None,
    keep_every: KeepEvery = None,
    layers: Layers = None,
    settings: Set = None,
    limit: Limit = None,
    seed: Seed = 0,
    skip_invalid: SkipInvalid = False,
    resume: Resume = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Train a MEND editor. The best step by validation is kept; cases of a fifth of the subjects
    are never seen and written to held-out.jsonl, to measure the editor on. Of a benchmark with a part
    of its own for training (personality), that part is taken and the rest is what stays unseen."""
    from truing.methods.training.mend import MendCourse
    from truing.methods.training.mend_settings import parse

    part, loaded = _cases(data, benchmark, limit, seed, skip_invalid)
    chosen = parse({**part, **_values(settings, seed, steps, keep_every, layers)})
    job = _Job("mend", loaded, data, out, resume, dry_run, as_json)
    job.run(model, chosen, MendCourse.of)


@app.command("serac")
def serac(
    model: ModelName,
    data: Data,
    out: Out,
    benchmark: ReadAs = "custom",
    steps: Steps = None,
    keep_every: KeepEvery = None,
    layers: Layers = None,
    settings: Set = None,
    limit: Limit = None,
    seed: Seed = 0,
    skip_invalid: SkipInvalid = False,
    resume: Resume = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Train a SERAC editor: a scope and a counterfactual adapter of the model. What is kept and
    what stays unseen is as for mend."""
    from truing.methods.training.serac import SeracCourse
    from truing.methods.training.serac_settings import parse

    part, loaded = _cases(data, benchmark, limit, seed, skip_invalid)
    chosen = parse({**part, **_values(settings, seed, steps, keep_every, layers)})
    job = _Job("serac", loaded, data, out, resume, dry_run, as_json)
    job.run(model, chosen, SeracCourse.of)


class Chosen(Protocol):
    """What the settings of all trainings hold."""

    @property
    def seed(self) -> int: ...

    @property
    def validation(self) -> float: ...

    @property
    def held_out(self) -> float: ...


C = TypeVar("C", bound=Chosen)


@dataclass(frozen=True)
class _Job:
    """A training from the command line. ``method``: the method that uses what is trained."""

    method: str
    loaded: Loaded
    data: str
    out: Path
    resume: bool
    dry_run: bool
    as_json: bool

    def run(
        self,
        name: str,
        chosen: C,
        make: Callable[[Model, C, Split, Mapping[str, Any]], tuple[Told, Schedule]],
    ) -> None:
        from truing.methods.training.examples import Split
        from truing.methods.training.loop import estimate, train
        from truing.models.handle import Model

        split = Split.of(self.loaded.cases, chosen.seed, chosen.validation, chosen.held_out)
        model = Model.load(name)
        facts = {
            "dataset": self.loaded.dataset,
            "file": self.data,
            "sha256": self.loaded.source.sha256,
        }
        course, schedule = make(model, chosen, split, facts)
        note(
            f"{model.name}: {len(split.train)} cases to train on, {len(split.validation)} to "
            f"validate on, {len(split.held_out)} held out"
        )
        expected = estimate(course, schedule)
        note(_expected(expected, schedule.steps))
        if self.dry_run:
            emit({"estimate": expected, "settings": course.record}, _took(expected), self.as_json)
            return
        with progress("updates", schedule.steps) as bar:
            outcome = train(
                course,
                schedule,
                self.out,
                config=course.identity,
                resume=self.resume,
                watch=_watch(bar),
            )
        _leave(self.out, split, model.name, self.method)
        _show(self.out, outcome, len(split.held_out), self.as_json)


def _values(
    settings: list[str] | None,
    seed: int,
    steps: int | None,
    keep_every: int | None,
    layers: str | None,
) -> dict[str, Any]:
    from truing.cli.inputs import layer_numbers, parse_settings

    values = parse_settings(settings) | {"seed": seed}
    given = {"steps": steps, "keep_every": keep_every}
    values |= {name: value for name, value in given.items() if value is not None}
    return values | ({} if layers is None else {"layers": layer_numbers(layers)})


def _cases(
    data: str, benchmark: str, limit: int | None, seed: int, skip_invalid: bool
) -> tuple[dict[str, Any], Loaded]:
    """The settings that the data decide, and the cases: those of the benchmark's part for training,
    where it has one; nothing of that part need be held out then."""
    from truing.benchmarks.benchmark import BENCHMARKS
    from truing.benchmarks.loading import load

    embedded = data in BENCHMARKS and BENCHMARKS.get(data).cases is not None
    name, path = (data, None) if embedded else (benchmark, data)
    part = BENCHMARKS.get(name).training
    loaded = load(name, path, options=part, limit=limit, sample="seeded", seed=seed)
    if not skip_invalid:
        loaded.refuse_quarantined()
    return ({"held_out": 0.0} if part else {}), loaded


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


def _leave(out: Path, split: Split, model: str, method: str) -> None:
    """The cases that nobody saw, a plan that measures the editor on them, the learning curve."""
    from truing.methods.training.curve import svg
    from truing.methods.training.examples import as_records
    from truing.methods.training.record import METRICS, read

    (out / "curve.svg").write_text(
        svg(read(out / METRICS), f"{method.upper()} on {model}"), "utf-8"
    )
    if not split.held_out:
        return
    data, plan = out / "held-out.jsonl", out / "plan.toml"
    data.write_text(as_records(split.held_out), "utf-8")
    texts = {"model": model, "folder": str(out.resolve()), "data": str(data.resolve())}
    quoted = {name: json.dumps(text, ensure_ascii=False) for name, text in texts.items()}
    plan.write_text(PLAN.format(plan=plan.name, method=method, **quoted), "utf-8")


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
