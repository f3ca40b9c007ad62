"""``truing personality report``: the tables of a run of personality edits, one at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from truing.cli.output import AsJson, emit, note, rows_table, stdout
from truing.cli.personality_tables import Cell, Table, count, estimate, number, records, write_csv
from truing.types import Value

if TYPE_CHECKING:
    from truing.report.personalities import PersonaArm
    from truing.runs.trait_answers import Answer


class What(StrEnum):
    """A table or figure of the paper, or of ours."""

    TABLE2 = "table2"
    CONFUSION = "confusion"
    BASE_TRAITS = "base-traits"
    FLUENCY = "fluency"
    PHRASES = "phrases"
    METRICS = "metric-correlation"
    CASES = "cases"
    MATRIX = "trait-matrix"
    CORRELATION = "trait-correlation"
    AGREEMENT = "agreement"
    STEPS = "steps"


def report(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    what: Annotated[What, typer.Option(help="Which table.")] = What.TABLE2,
    topic: Annotated[str | None, typer.Option(help="For cases: only cases of this topic.")] = None,
    size: Annotated[int, typer.Option(min=1, help="For phrases: words in a phrase.")] = 3,
    most: Annotated[int, typer.Option(min=1, help="For phrases: this many per arm.")] = 8,
    human: Annotated[
        Path | None,
        typer.Option(
            help="For agreement: CSV with case, arm, unedited, edited (1 to 5) and, if you like, "
            "annotator. Without it, what was merged by truing review."
        ),
    ] = None,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="Also write the tables' rows to this file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tables of a run of personality edits: who shows which trait, and what else changed.

    The numbers come from stored rows and verdicts; nothing is generated or judged again. Accuracy and
    TPEI need a classifier among the run's judges, PAE, agreement and trait-matrix a judge that rates;
    steps, arms that use several checkpoints of one training.
    """
    from truing.errors import BadInput

    if human is not None and what is not What.AGREEMENT:
        raise BadInput(f"--human is of no use for {what}", "Give --what agreement with it.")
    if what is What.AGREEMENT:
        from truing.cli.personality_agreement import agreement_tables

        tables = agreement_tables(run, human)
    else:
        tables = _tables(run, what, topic, size, most)
    if not any(table.rows for table in tables):
        from truing.runs.trait_answers import has_traits

        if not has_traits(run):
            raise BadInput(
                f"{run} has nothing for {what}: no case of it has a trait",
                "Run a benchmark of opinions: personality or world_personality.",
            )
        raise BadInput(f"{run} has nothing for {what}", _advice(what, topic))
    if csv_file is not None:
        write_csv(csv_file, tables)
        note(f"rows: {csv_file}")
    if as_json:
        emit(records(run, tables), "", True)
        return
    last = {text: at for at, table in enumerate(tables) for text in table.notes}
    for at, table in enumerate(tables):
        stdout().print(rows_table(table.title, table.columns, table.texts))
        for text in table.notes:
            if last[text] == at:
                note(text)


def _advice(what: What, topic: str | None) -> str:
    """What gives a run of opinions the table that it lacks."""
    who = "(M: local:MODEL or openai:MODEL)"
    several = "It needs a judge that rated several traits: truing judge RUN --with "
    several += f"M/personality-extraversion,M/personality-neuroticism {who}."
    advice = {
        What.STEPS: "Give a method several checkpoints of one training: truing train METHOD ... --keep-every N.",
        What.PHRASES: "No arm uses a phrase of that size more than the unedited model: choose another --size.",
        What.MATRIX: several,
        What.CORRELATION: several,
        What.AGREEMENT: f"It needs a judge that rates: truing judge RUN --with M/personality {who}.",
    }  # fmt: skip
    if what is What.CASES and topic is not None:
        return f"No case is of the topic '{topic}'; --what cases without --topic lists all."
    judged = "Judge it first: truing judge RUN --with classifier:FOLDER, or --with M/personality."
    return advice.get(what, judged)


def _tables(run: Path, what: What, topic: str | None, size: int, most: int) -> list[Table]:
    if what in (What.TABLE2, What.CONFUSION, What.METRICS):
        of_arms = {What.TABLE2: _table2, What.CONFUSION: _confusion, What.METRICS: _metrics}[what]
        return [
            replace(table, cells={name: (arm.cell,) for arm in arms for name in _names(arm)})
            for title, arms in _arms(run)
            for table in of_arms(title, arms)
        ]
    if what is What.STEPS:
        return _steps(run)
    from truing.runs.trait_answers import answers

    by_setting: dict[str, list[Answer]] = {}
    for answer in answers(run):
        by_setting.setdefault(answer.setting, []).append(answer)
    return [
        replace(table, title=f"{setting} · {table.title}", cells=_cells(found))
        for setting, found in by_setting.items()
        for table in _of_answers(found, what, topic, size, most)
    ]


def _of_answers(
    found: Sequence[Answer], what: What, topic: str | None, size: int, most: int
) -> list[Table]:
    if what is What.PHRASES:
        return _phrases(found, size, most)
    if what is What.CASES:
        return _cases(found, topic)
    return {
        What.BASE_TRAITS: _base_traits,
        What.FLUENCY: _fluency,
        What.MATRIX: _matrix,
        What.CORRELATION: _correlation,
    }[what](found)


def _arms(run: Path) -> list[tuple[str, list[PersonaArm]]]:
    """The arms of every model, benchmark and regime of the run, without controls."""
    from truing.report.grid import grids
    from truing.report.load import read_run
    from truing.report.personalities import persona_arms
    from truing.report.sentences import main_moment

    loaded = read_run(run, cases_per_cell=0)
    found = []
    for grid in grids(loaded.measures, loaded.cells):
        arms = persona_arms(grid, main_moment(grid), loaded.cells, [loaded.meta])
        found.append((grid.title, [arm for arm in arms if not arm.control]))
    return [(title, arms) for title, arms in found if arms]


def _names(arm: PersonaArm) -> tuple[str, str]:
    """An arm's, and the unedited model's in the main table."""
    return arm.label, f"{arm.label} (before)"


def _cells(found: Sequence[Answer]) -> dict[str, tuple[str, ...]]:
    cells: dict[str, dict[str, None]] = {}
    for answer in found:
        cells.setdefault(answer.arm, {})[answer.cell] = None
    return {arm: tuple(ids) for arm, ids in cells.items()}


def _table2(title: str, arms: Sequence[PersonaArm]) -> list[Table]:
    from truing.report.personality_table import persona_tables

    return [
        Table(
            f"{title} · {made.title}",
            made.headers,
            tuple(
                (label, *(Cell(f"{c.text}\n{c.range}".strip(), c.value) for c in cells))
                for label, _, cells in made.lines
            ),
            made.notes,
            made.judge,
        )
        for made in persona_tables(arms)
    ]


def _steps(run: Path) -> list[Table]:
    from truing.report.personality_steps import by_step
    from truing.runs.store import read_edits, read_manifest

    cells = {str(cell["id"]): cell for cell in read_manifest(run).get("cells", ())}
    edits = tuple(read_edits(run))
    return [
        replace(
            table,
            columns=("Step", *table.columns[1:]),
            cells={name: (arm.cell,) for arm in of_steps for name in _names(arm)},
        )
        for title, arms in _arms(run)
        for method, of_steps in by_step(arms, cells, edits)
        for table in _table2(f"{title} · {method}", of_steps)
    ]


def _confusion(title: str, arms: Sequence[PersonaArm]) -> list[Table]:
    """For each judge and aspect, the square of every arm: a target in each row, what was heard across."""
    from truing.report import words

    squares: dict[tuple[str, str, str], dict[str, Mapping[str, Mapping[str, int]]]] = {}
    for arm in arms:
        for h in arm.heard:
            if h.shown:
                place = (h.aspect, h.judge, h.protocol)
                squares.setdefault(place, {})[arm.label] = h.shown[None].confusion
    return [
        Table(
            f"{title} · {aspect} · {judge} · {words.protocol(protocol)}",
            ("arm", "target", *(f"heard {label or 'nothing'}" for label in labels), "of"),
            tuple(
                (label, target, *(count(by.get(x, 0)) for x in labels), count(sum(by.values())))
                for label, square in of_arms.items()
                for target, by in square.items()
            ),
            judge=judge,
        )
        for (aspect, judge, protocol), of_arms in squares.items()
        if (labels := _heard_or_wanted(of_arms.values()))
    ]


def _heard_or_wanted(squares: Iterable[Mapping[str, Mapping[str, int]]]) -> list[str]:
    """All targets and labels, by name; what is no label comes last."""
    found = {x for square in squares for target, by in square.items() for x in (target, *by)}
    return sorted(found, key=lambda label: (not label, label))


def _metrics(title: str, arms: Sequence[PersonaArm]) -> list[Table]:
    rows = [
        (arm.label, c.a, c.b, count(c.n), number(c.rho), number(c.low), number(c.high))
        for arm in arms
        for c in arm.correlations
    ]
    said = (
        "Spearman's rho over cases (edits of one topic are one) with its 95 % interval. None for fewer "
        "than four, or a metric that is the same in all."
    )
    columns = ("arm", "metric", "with", "cases", "rho", "low", "high")
    return [Table(title, columns, tuple(rows), (said,) if rows else ())]


def _base_traits(found: Sequence[Answer]) -> list[Table]:
    from truing.runs.trait_answers import base_traits
    from truing.scoring.intervals import wilson
    from truing.scoring.stats import CONFIDENCE

    tables = []
    for judge, counts in base_traits(found).items():
        n = counts.total()
        rows = []
        for trait, times in counts.most_common():
            share = Value(n, times / n, *wilson(times / n, n, CONFIDENCE))
            rows.append((trait, count(times), estimate(share, digits=3)))
        title = f"the unedited model's {n} answers, as {judge} hears them"
        tables.append(Table(title, ("trait", "n", "share"), tuple(rows), judge=judge))
    return tables


def _fluency(found: Sequence[Answer]) -> list[Table]:
    from truing.runs.trait_answers import fluency

    columns = (
        "arm",
        "n",
        "empty",
        "looping",
        "below 3.5 bits",
        "mean words",
        "distinct-2",
        "said once",
    )
    rows: list[tuple[str | Cell, ...]] = []
    for arm, texts in _texts(found).items():
        f = fluency(texts)
        counts = map(count, (f.n, f.empty, f.looping, f.incoherent))
        means = (number(f.words, 1), number(f.distinct_2), number(f.different, 3))
        rows.append((arm, *counts, *means))
    said = "An answer of 12 words or fewer is below 3.5 bits whatever it says."
    return [Table("answers of each arm", columns, tuple(rows), (said,))]


def _phrases(found: Sequence[Answer], size: int, most: int) -> list[Table]:
    from truing.scoring.phrases import overused

    texts = _texts(found)
    base = [answer.text for answer in found if answer.baseline]
    unedited = {answer.arm for answer in found if answer.baseline}
    rows = [
        (arm, p.text, count(p.n), count(p.n_other), number(p.log_odds), number(p.z))
        for arm, said in texts.items()
        if arm not in unedited
        for p in overused(said, base, size)[:most]
        if p.z > 0
    ]
    columns = ("arm", "phrase", "n", "n unedited", "log-odds", "z")
    return [
        Table(f"phrases of {size} words used more than by the unedited model", columns, tuple(rows))
    ]


def _cases(found: Sequence[Answer], topic: str | None) -> list[Table]:
    wanted = None if topic is None else topic.casefold()
    rows = [
        (a.case, a.question, a.target, a.arm, a.text, _said(a))
        for a in sorted(found, key=lambda a: (a.case, a.question, not a.baseline))
        if wanted is None
        or a.case.casefold() == wanted
        or a.case.casefold().startswith(f"{wanted}/")
    ]
    columns = ("case", "question", "target", "arm", "answer", "judges")
    return [Table("answers side by side", columns, tuple(rows))]


def _said(answer: Answer) -> Cell:
    """What each judge says: a rating from 1 to 5, or what it hears and the target's share."""
    told, said = [], dict[str, dict[str, Any]]()
    for judge, heard in answer.heard.items():
        if heard.rating is not None:
            told.append(f"{judge} {heard.rating:.1f} of 5")
            said[judge] = {"rating": heard.rating}
        elif (share := heard.share()) is not None:
            told.append(f"{judge} {heard.said} (target {share:.2f})")
            said[judge] = {"heard": heard.said, "target": share}
    return Cell("; ".join(told), said)


def _matrix(found: Sequence[Answer]) -> list[Table]:
    from truing.runs.trait_answers import trait_matrices

    return [
        Table(
            f"mean rating (1 to 5) by {made.judge}, all arms",
            ("target", "n", *made.pearson),
            tuple(
                (
                    target,
                    count(made.n[target]),
                    *(number(means.get(trait)) for trait in made.pearson),
                )
                for target, means in made.means.items()
            ),
            judge=made.judge,
        )
        for made in trait_matrices(found)
    ]


def _correlation(found: Sequence[Answer]) -> list[Table]:
    from truing.runs.trait_answers import trait_matrices

    return [
        Table(
            f"Pearson's r of ratings by {made.judge}, over answers of all arms",
            ("trait", "n", *made.pearson),
            tuple(
                (a, count(sum(made.n.values())), *map(number, line.values()))
                for a, line in made.pearson.items()
            ),
            judge=made.judge,
        )
        for made in trait_matrices(found)
    ]


def _texts(found: Sequence[Answer]) -> dict[str, list[str]]:
    texts: dict[str, list[str]] = {}
    for answer in sorted(found, key=lambda a: not a.baseline):
        texts.setdefault(answer.arm, []).append(answer.text)
    return texts
