"""``truing personality``: opinions that show traits; what a file of them holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from truing.cli import (
    personality_build,
    personality_questionnaire,
    personality_report,
    personality_show,
)
from truing.cli.output import AsJson, emit, plain, rows_table, stdout

if TYPE_CHECKING:
    from truing.benchmarks.personality_stats import Lengths, Statistics
    from truing.judges.classifiers.examples import Example
    from truing.judges.classifiers.measures import Evaluation

app = typer.Typer(
    no_args_is_help=True, help="Opinions that show traits: read, count and build them."
)
app.command("build")(personality_build.build)
app.command("select-traits")(personality_build.select_traits)
app.command("report")(personality_report.report)
app.command("questionnaire")(personality_questionnaire.questionnaire)
app.add_typer(personality_show.app, name="show")
File = Annotated[list[Path], typer.Argument(help="Files of topics with opinions by trait.")]


@app.command("stats")
def stats(
    files: File,
    tokenizer: Annotated[
        str | None, typer.Option(help="Count tokens with it: Hugging Face id or folder.")
    ] = None,
    held_out: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Learn traits from the opinions at the other places of the lists, and measure at each: "
            "from all files but the last, on the last.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Counts, lengths by trait and place, targets, views and leaks of files of opinions."""
    from truing.benchmarks.files import read
    from truing.benchmarks.personality_stats import statistics

    count = None if tokenizer is None else _counter(tokenizer)
    found = {str(file): statistics(read(file), count) for file in files}
    places = None if held_out is None else _by_place(files, held_out)
    if as_json:
        emit({"files": found, "held_out": held_out, "places": places}, "", True)
        return
    for file, each in found.items():
        _show(file, each)
    if places is not None:
        rows = [
            (str(place), str(e.n), f"{e.accuracy:.4f} [{e.low:.4f}, {e.high:.4f}]")
            for place, e in places.items()
        ]
        title = f"{files[-1]}: a classifier that never learned from place {held_out}"
        stdout().print(rows_table(title, ("place", "n", "accuracy"), rows))


@app.command("legacy-es")
def legacy_es(
    model: Annotated[str, typer.Argument(help="Hugging Face id, folder, or truing/pocket.")],
    benchmark: Annotated[
        str | None, typer.Option(help="Default: personality with --data, else world_personality.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="File of topics with opinions by trait.")
    ] = None,
    under: Annotated[
        list[str] | None,
        typer.Option("--with", "-w", help="A saved intervention; give it again for more columns."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first topics.")] = None,
    as_json: AsJson = False,
) -> None:
    """Edit success as the released code computes it, beside the real one. For comparison only.

    The released code scores how likely each token is to be repeated, and only the last tokens of long
    opinions; its values say nothing of whether an edit worked.
    """
    from truing.benchmarks.benchmark import BENCHMARKS
    from truing.benchmarks.loading import load
    from truing.cli import inputs
    from truing.errors import BadInput
    from truing.models.handle import Model
    from truing.runs.published_personality import compared

    if benchmark is None and data is not None and not data.exists() and str(data) in BENCHMARKS:
        raise BadInput(
            f"--data takes a file, and {data} is a benchmark", f"Say --benchmark {data}."
        )
    chosen = benchmark or ("world_personality" if data is None else "personality")
    cases = load(chosen, data, limit=limit, options={"score_told": True}).cases
    loaded = Model.load(model)
    rows = []
    for name, iv in {"none": None, **inputs.under(under, loaded)}.items():
        rows.append((name, compared(loaded, cases, iv)))
    told = [{"under": name, **plain(each)} for name, each in rows]
    names = ("ES", "z_per", "z_topic")
    columns = ("under", "topics", *names, *(f"{name}, released code" for name in names))
    cells = [
        (name, str(e.topics), *(f"{x:.4f}" for x in (*e.real, *e.published))) for name, e in rows
    ]
    title = f"Edit success of {model} on {chosen}, and as the released code computes it"
    emit(told, rows_table(title, columns, cells), as_json)


def _counter(name: str) -> Callable[[str], int]:
    from transformers import AutoTokenizer

    from truing.errors import CannotLoad
    from truing.models.sources import find

    source = find(name, None)
    try:
        tok = AutoTokenizer.from_pretrained(source.place, local_files_only=source.local)
    except (OSError, ValueError) as error:
        raise CannotLoad(
            f"'{name}' has no tokenizer that can be read: {str(error).splitlines()[0]}",
            "Give a Hugging Face id or a folder with a tokenizer.",
        ) from None
    return lambda text: len(tok(text, add_special_tokens=False)["input_ids"])


def _by_place(files: Sequence[Path], held_out: int) -> dict[int, Evaluation]:
    """Raises ``BadInput`` without a file to learn from."""
    from truing.errors import BadInput
    from truing.judges.classifiers.by_place import by_place

    if len(files) < 2:
        raise BadInput(
            "--held-out needs a file to learn from and one to measure on",
            "Give two files: truing personality stats train.json test.json --held-out 3.",
        )
    learn: dict[int, list[Example]] = {}
    for file in files[:-1]:
        for place, examples in _placed(file).items():
            learn.setdefault(place, []).extend(examples)
    return by_place(learn, _placed(files[-1]), held_out)


def _placed(file: Path) -> dict[int, list[Example]]:
    """The opinions of a file by their place in the lists."""
    from truing.benchmarks.files import read
    from truing.benchmarks.personality import topics
    from truing.judges.classifiers.examples import Example

    found: dict[int, list[Example]] = {}
    for topic, texts in topics(read(file)):
        for trait, listed in texts.items():
            for place, text in enumerate(listed, 1):
                found.setdefault(place, []).append(Example(text, trait, topic))
    return found


def _show(file: str, found: Statistics) -> None:
    lengths = [
        ("all", found.texts),
        *found.traits.items(),
        *((f"place {place}", each) for place, each in found.positions.items()),
    ]
    title = f"{file}: {found.topics} topics, {found.texts.n} opinions"
    rows = [(name, str(each.n), f"{each.words:.1f}", *_tokens(each)) for name, each in lengths]
    tokens = ("mean tokens",) if _tokens(found.texts) else ()
    stdout().print(rows_table(title, ("opinions", "n", "mean words", *tokens), rows))
    facts = [
        ("name their topic", f"{found.named:.1%}"),
        ("spaces around them", str(found.spaced)),
        ("give themselves away", str(len(found.leaks))),
        *((f"target {trait}", str(n)) for trait, n in found.targets.items()),
    ]
    if found.views is not None:
        facts.append(("mean page views", f"{found.views.mean:,.1f} (n {found.views.n})"))
    stdout().print(rows_table("", ("fact", "value"), facts))
    for topic, trait, text in found.leaks:
        stdout().print(f"{topic} ({trait}): {text}", markup=False)


def _tokens(found: Lengths) -> tuple[str, ...]:
    """A cell, or none where no tokenizer was given."""
    return () if found.tokens is None else (f"{found.tokens:.2f}",)
