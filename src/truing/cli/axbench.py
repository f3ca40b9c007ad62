"""``truing axbench``: concepts detected and steered towards, as AxBench does (Wu et al. 2025)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group

from truing.cli.judge import BaseUrl, Budget, Device, KeyVariable, Prices, settings_from
from truing.cli.output import AsJson, emit, note, progress, rows_table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from truing.judges.base import AskedJudge
    from truing.judges.specs import JudgeSettings
    from truing.runs.axbench_detection import Average, Detected, Setting
    from truing.runs.axbench_grading import Grades, Written
    from truing.runs.axbench_steering import Arm
    from truing.types import Value

app = typer.Typer(no_args_is_help=True, help="Detect concepts and steer towards them (AxBench).")

METHODS = "caa,pca,probe,random_direction"
PROXY = "proxy"
SHOWN = 30
"""Concepts in a table; ``--json`` holds all."""


class Pool(StrEnum):
    """What a text scores of its tokens' scores."""

    MAX = "max"
    MEAN = "mean"


class Asked(StrEnum):
    """How questions are put."""

    PLAIN = "plain"
    CHAT = "chat"


ModelName = Annotated[str, typer.Argument(help="Hugging Face id, folder, or truing/pocket.")]
Data = Annotated[
    Path, typer.Option(help="Folder with train.parquet, latent_eval.parquet and metadata.jsonl.")
]
Layer = Annotated[int, typer.Option(min=0, help="Block whose output is read and steered.")]
Methods = Annotated[str, typer.Option("--method", help="Directions, with commas between.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the first concepts.")]
PoolOf = Annotated[Pool, typer.Option(help="What a text scores of its tokens' scores.")]
AskedAs = Annotated[
    Asked, typer.Option(help="Questions as plain text, or through the chat template.")
]
Seed = Annotated[int, typer.Option(help="Decides every draw.")]


@app.command("detect")
def detect(
    model: ModelName,
    data: Data,
    layer: Layer,
    method: Methods = METHODS,
    limit: Limit = None,
    pool: PoolOf = Pool.MAX,
    asked: AskedAs = Asked.PLAIN,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """How well directions tell texts with a concept from texts without it."""
    from truing.benchmarks.axbench import read
    from truing.models.handle import Model
    from truing.runs import axbench_detection as detection
    from truing.seeds import Seeds

    setting = _setting(layer, method, pool, asked, seed)
    bench = read(data, limit)
    loaded = Model.load(model)
    with progress("texts", detection.texts_of(bench)) as bar:
        found = detection.find_directions(loaded, bench, setting, bar.advance)
        scores = detection.read_scores(loaded, bench, setting, found, bar.advance)
    rows = detection.detect(bench, scores)
    means = detection.averages(rows, Seeds(seed).child("detection"))
    told = {"model": model, "setting": setting, "means": means, "concepts": rows}
    emit(told, Group(_means(means, len(bench.concepts)), _concepts(rows)), as_json)


@app.command("steer")
def steer(
    model: ModelName,
    data: Data,
    layer: Layer,
    instructions: Annotated[
        Path, typer.Option(help="Records with the field 'instruction' (Alpaca-Eval's layout).")
    ],
    judge: Annotated[
        str,
        typer.Option(help="Who grades: proxy (the base model's numbers), or local:M, openai:M."),
    ] = PROXY,
    method: Methods = METHODS,
    limit: Limit = None,
    factors: Annotated[
        str | None, typer.Option(help="Factors with commas between; left out: the paper's 14.")
    ] = None,
    per_concept: Annotated[int, typer.Option(min=2, help="Instructions for each concept.")] = 10,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Length of a text.")] = 128,
    temperature: Annotated[float, typer.Option(help="Of sampling.")] = 1.0,
    baseline: Annotated[str, typer.Option(help="Arm that win rates are against.")] = "prompt",
    detector: Annotated[
        str, typer.Option(help="Method whose directions see the concept for the proxy.")
    ] = "caa",
    pool: PoolOf = Pool.MAX,
    asked: AskedAs = Asked.PLAIN,
    seed: Seed = 0,
    judge_device: Device = "auto",
    base_url: BaseUrl = None,
    key_variable: KeyVariable = None,
    budget: Budget = None,
    prices: Prices = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="JSON lines of all texts and their grades.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What vectors make a model write: factors chosen on half of the instructions, told on the rest."""
    from truing.benchmarks.axbench import instructions_of, read
    from truing.models.handle import Model
    from truing.runs import axbench_detection as detection
    from truing.runs import axbench_grading as grading
    from truing.runs import axbench_steering as steering
    from truing.scoring.axbench import FACTORS
    from truing.seeds import Seeds

    setting = _setting(layer, method, pool, asked, seed)
    _check_arms(baseline, detector if judge == PROXY else None, setting)
    judges = _judges(judge, settings_from(judge_device, base_url, key_variable, budget, prices))
    grid = FACTORS if factors is None else _factors(factors)
    plan = steering.Steering(grid, per_concept, max_new_tokens, temperature)
    bench = read(data, limit)
    questions = steering.questions_of(bench, instructions_of(instructions), plan, seed)
    loaded = Model.load(model)
    with progress("texts read", detection.texts_of(bench)) as bar:
        found = detection.find_directions(loaded, bench, setting, bar.advance)
        scores = detection.read_scores(loaded, bench, setting, found, bar.advance)
    arms = {c.id: steering.arms_of(c, setting, plan, found, scores) for c in bench.concepts}
    with progress("texts written", per_concept * sum(map(len, arms.values()))) as bar:
        written = steering.write(loaded, bench, setting, plan, arms, questions, bar.advance)
    steps = grading.steps_of(len(written), per_concept) if not judges else 3 * len(written)
    with progress("grades", steps) as bar:
        if judges:
            grades = grading.by_judges(written, judges, bar.advance)
        else:
            grades = grading.by_proxy(
                loaded, written, setting, detector, found, scores, questions, steering.BASE,
                bar.advance,
            )  # fmt: skip
    results = steering.results(written, grades, baseline, Seeds(seed).child("steering"))
    if out is not None:
        _keep(out, written, grades)
        note(f"wrote {out}")
    told = {"model": model, "setting": setting, "steering": plan, "judge": judge,
            "baseline": baseline, "arms": results}  # fmt: skip
    emit(told, Group(_arms(results, baseline, judge), _chosen(results)), as_json)


def _setting(layer: int, methods: str, pool: Pool, asked: Asked, seed: int) -> Setting:
    from truing.runs.axbench_detection import Setting

    names = tuple(name for name in (part.strip() for part in methods.split(",")) if name)
    return Setting(layer, names, pool.value, asked.value, seed)


def _check_arms(baseline: str, detector: str | None, setting: Setting) -> None:
    """What would only be met after everything is written."""
    from truing.errors import UnknownName
    from truing.runs.axbench_steering import BASE, PROMPT

    arms = (BASE, PROMPT, *setting.methods)
    if baseline not in arms:
        raise UnknownName("baseline", baseline, arms)
    if detector is not None and detector not in setting.methods:
        raise UnknownName("detector among --method", detector, setting.methods)


def _judges(name: str, settings: JudgeSettings) -> list[AskedJudge]:
    """The judge under each of the three rubrics; none for the proxy."""
    from truing.errors import BadInput
    from truing.judges.specs import SPEAKERS, make_all, parse
    from truing.runs.axbench_grading import RUBRICS

    if name == PROXY:
        return []
    specs = [parse(name, rubric) for rubric in RUBRICS]
    if any(s.kind not in SPEAKERS for s in specs) or [s.rubric for s in specs] != list(RUBRICS):
        raise BadInput(
            f"--judge {name!r} is no language model without a rubric",
            "For example local:truing/pocket, openai:MODEL, or proxy.",
        )
    return make_all(specs, settings)


def _factors(text: str) -> tuple[float, ...]:
    from truing.errors import BadInput

    try:
        found = tuple(sorted({float(part) for part in text.split(",")}))
    except ValueError:
        found = ()
    if not found or not all(0 < factor < float("inf") for factor in found):
        raise BadInput(f"--factors {text!r} are not positive numbers", "For example 0.5,1,2.")
    return found


def _keep(out: Path, written: Sequence[Written], grades: Sequence[Grades]) -> None:
    from truing.runs.lines import write_atomically

    lines = [
        json.dumps(
            {**asdict(text), "grades": {**asdict(grade), "overall": grade.overall}},
            ensure_ascii=False,
        )
        for text, grade in zip(written, grades, strict=True)
    ]
    write_atomically(out, "".join(f"{line}\n" for line in lines))


def _means(means: Sequence[Average], concepts: int) -> RenderableType:
    rows = [(m.method, *map(_value, (m.auroc, m.hard, m.f1, m.f1_rare))) for m in means]
    heads = ("direction", "AUROC", "hard negatives", "F1", "F1 at 1 %")
    return rows_table(f"Means over {concepts} concepts [95 %]", heads, rows)


def _concepts(found: Sequence[Detected]) -> RenderableType:
    """One line per concept: AUROC, and the share of hard negatives told apart, of every direction."""
    of = {(row.concept, row.method): row for row in found}
    texts = dict(sorted({row.concept: row.text for row in found}.items())[:SHOWN])
    methods = list(dict.fromkeys(row.method for row in found))
    rows = [
        (f"{id} {text[:60]}", *(_one(of[id, method]) for method in methods))
        for id, text in texts.items()
    ]
    return rows_table("AUROC, hard negatives told apart", ("concept", *methods), rows)


def _one(row: Detected) -> str:
    hard = (
        "—"
        if row.found.hard is None
        else f"{row.found.hard * row.found.n_hard:.0f}/{row.found.n_hard}"
    )
    return f"{row.found.auroc:.2f}, {hard}"


def _arms(arms: Sequence[Arm], baseline: str, judge: str) -> RenderableType:
    rows = [
        (
            arm.name, _value(arm.overall), *map(_value, (arm.concept, arm.instruction, arm.fluency)),
            "—" if arm.wins is None else _value(arm.wins), f"{arm.overall.n}",
            f"{arm.overall.invalid + arm.overall.missing}",
        )
        for arm in arms
    ]  # fmt: skip
    heads = (
        "arm", "overall", "concept", "instruction", "fluency", f"wins over {baseline}", "n",
        "not graded",
    )  # fmt: skip
    return rows_table(f"Graded by {judge}, 0 to 1, on the reporting half [95 %]", heads, rows)


def _chosen(arms: Sequence[Arm]) -> RenderableType:
    shown = [arm for arm in arms if any(len(each.table) > 1 for each in arm.chosen)]
    rows = []
    for i, each in enumerate(shown[0].chosen[:SHOWN] if shown else ()):
        cells = [arm.chosen[i].factor for arm in shown]
        rows.append((str(each.concept), *("—" if f is None else f"{f:g}" for f in cells)))
    return rows_table("Factors chosen", ("concept", *(arm.name for arm in shown)), rows)


def _value(value: Value) -> str:
    if value.mean is None:
        return "—"
    if value.low is None or value.high is None:
        return f"{value.mean:.3f}"
    return f"{value.mean:.3f} [{value.low:.2f}, {value.high:.2f}]"
