"""``truing inspect``: does an edit show in a model, and where?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from truing.cli.output import AsJson, Plugin, emit, note

if TYPE_CHECKING:
    from rich.table import Table

    from truing.inspection.findings import Findings
    from truing.types import Case, Value

SHOWN = 20
"""Tensors and answers of the table; JSON holds all."""
TEXTS = 40
"""Neutral sentences of the embedded world."""


def inspect(
    base: Annotated[str, typer.Argument(help="Hugging Face id, folder, or truing/pocket.")],
    edited: Annotated[
        str,
        typer.Argument(help="Tuned checkpoint, LoRA adapter or saved intervention: folder or id."),
    ],
    probes: Annotated[
        Path | None, typer.Option(help="Questions to ask: a file of facts (see benchmark custom).")
    ] = None,
    benchmark: Annotated[
        str | None, typer.Option(help="Ask the questions of this benchmark instead.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="The benchmark's file.")] = None,
    claims: Annotated[
        Path | None, typer.Option(help="What is claimed to be edited: prompt, target_new.")
    ] = None,
    texts: Annotated[
        Path | None, typer.Option(help="Neutral texts, one per line, instead of the built-in ones.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Questions to ask.")] = 200,
    protocol: Annotated[str, typer.Option(help="How questions are asked.")] = "wild",
    seed: Annotated[int, typer.Option(help="Seed of the intervals.")] = 0,
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16, float16.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    plugin: Plugin = None,
    as_json: AsJson = False,
) -> None:
    """Compare two models in their weights, their activations and their answers.

    The questions are easy ones that no edit is about, unless others are given. That nothing shows in them
    does not mean that nothing was edited: an edit of one fact changes few answers, and its weights tell.
    """
    from truing.cli.inputs import documents
    from truing.cli.plugins import use
    from truing.inspection.answers import claims_of, probes_of
    from truing.inspection.findings import Task, edit_of
    from truing.inspection.findings import inspect as look
    from truing.models.handle import Model
    from truing.protocols.protocol import parse

    use(plugin)
    how = parse(protocol)
    asked = probes_of(_cases(base, probes, benchmark, data), how, limit)
    claimed = () if claims is None else claims_of(_loaded("custom", claims))
    read = _texts(base) if texts is None else tuple(documents(texts, "text", None))
    model = Model.load(base, dtype=dtype, device=device)
    change = edit_of(model, edited)
    note(f"{len(asked)} questions and {len(read)} texts to {base}, with and without {edited}")
    found = look(model, edited, change, Task(asked, how, read, claimed, how, seed))
    emit(found, _tables(found), as_json)


def _cases(
    base: str, probes: Path | None, benchmark: str | None, data: Path | None
) -> tuple[Case, ...]:
    """Where the questions come from: a file, a benchmark, or what the base should know."""
    from truing.benchmarks.capability.sets import load
    from truing.errors import BadInput
    from truing.models.sources import POCKET

    if probes is not None and benchmark is not None:
        raise BadInput("--probes and --benchmark both say what to ask", "Give one of them.")
    if data is not None and benchmark is None:
        raise BadInput("--data belongs to no benchmark", "Add --benchmark, or use --probes FILE.")
    if probes is not None:
        return _loaded("custom", probes)
    if benchmark is not None:
        return _loaded(benchmark, data)
    return load("micro" if base == POCKET else "micro-english").cases


def _loaded(benchmark: str, data: Path | None) -> tuple[Case, ...]:
    from truing.benchmarks.loading import load

    return load(benchmark, data).cases


def _texts(base: str) -> tuple[str, ...]:
    """Text that no edit is about, of the kind that the model was trained on."""
    from truing.benchmarks.world import neutral_sentences
    from truing.methods.neutral import NEUTRAL
    from truing.models.sources import POCKET
    from truing.seeds import Seeds

    if base != POCKET:
        return NEUTRAL
    return neutral_sentences(Seeds(0, ("inspect",)).random(), TEXTS)


def _tables(found: Findings) -> Table:
    from rich.table import Table
    from rich.text import Text

    from truing.cli.output import rows_table

    whole = Table.grid(padding=(0, 0, 1, 0))
    whole.add_row(Text(str(found)))
    if parts := found.weights.elsewhere:
        told = ", ".join(f"{n} {kind}" for kind, n in parts.items())
        whole.add_row(Text(f"not in the weights: {told}"))
    moved = dict(enumerate(found.activations.moved))
    layers = [
        (
            "others" if at.layer is None else str(at.layer),
            f"{at.changed} of {at.tensors}",
            _number(at.relative),
            "–" if at.layer is None else _moved(moved[at.layer]),
        )
        for at in found.weights.layers
    ]
    whole.add_row(
        rows_table("layers", ("layer", "tensors changed", "|dW|/|W|", "|dh|/|h|"), layers)
    )
    most = sorted(found.weights.changed, key=lambda t: -(t.relative or 0.0))
    if most:
        tensors = [
            (
                t.names[0],
                _number(t.relative),
                *(
                    ("–", "–", t.rounding or "")
                    if t.spectrum is None
                    else (
                        f"{t.spectrum.rank} of {min(t.shape)}",
                        f"{t.spectrum.effective:.3g}",
                        f"{100 * t.spectrum.first:.0f} % in the first direction",
                    )
                ),
            )
            for t in most[:SHOWN]
        ]
        title = "tensors that differ" + (f", {SHOWN} of {len(most)}" if len(most) > SHOWN else "")
        columns = ("tensor", "|dW|/|W|", "rank", "effective rank", "")
        whole.add_row(rows_table(title, columns, tensors))
    if found.answers.listed:
        rows = [(a.question, a.base, a.edited) for a in found.answers.listed[:SHOWN]]
        whole.add_row(rows_table("answers that changed", ("question", "base", "edited"), rows))
    if found.claims is not None:
        claims = [
            (a.question, ", ".join(a.accepted), a.base, a.edited, _yes(a.now))
            for a in found.claims.each
        ]
        columns = ("claim", "target", "base", "edited", "holds")
        whole.add_row(rows_table("claims", columns, claims))
    return whole


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _moved(value: Value) -> str:
    if value.low is None or value.high is None:
        return _number(value.mean)
    return f"{_number(value.mean)} [{_number(value.low)}, {_number(value.high)}]"


def _yes(value: bool | None) -> str:
    return "–" if value is None else "yes" if value else "no"
