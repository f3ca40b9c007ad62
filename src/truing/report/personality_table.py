"""Personality edits in two tables: what answers show, and what is likely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from truing.report import moral_table, words
from truing.report.moral_table import NOT_MEASURED
from truing.report.personalities import (
    EFFICACY,
    LEAKAGE,
    LIKELY,
    LOCALITY,
    PAPER,
    Heard,
    PersonaArm,
    Rated,
)
from truing.report.personalities import SUCCESS as ES
from truing.report.personalities import Shown as Answers
from truing.scoring.metrics import GLOSSARY
from truing.types import Comparison, Measure, Value

OF_ANSWERS = (
    "Arm",
    "Accuracy, all",
    "Change",
    "Accuracy, coherent",
    "Strict",
    "TPEI, all",
    "TPEI, coherent",
    "Bounded",
    "Leakage",
    "Leakage, change",
)
OF_RATINGS = ("Arm", "PAE, all", "PAE, coherent", "Pairs without a rating")
OF_LIKELIHOODS = ("Arm", "ES", "z_per", "Δ z_per", "z_topic", "Pairs ranked", "DD", "Top-1 agrees")
OF_SIDE_EFFECTS = ("Arm", "Same answer elsewhere", "Fluent answers", "n-gram entropy")


@dataclass(frozen=True, slots=True)
class Cell:
    """A number as it is written, its interval and n as they are written, and what both come from: a value
    (shares and differences of shares as fractions) or a count. ``None``: it was not measured."""

    text: str
    range: str = ""
    value: Value | int | None = None


BY_DEFINITION = Cell("0", "itself", 0)


@dataclass(frozen=True, slots=True)
class PersonaTable:
    """``lines`` hold a label, whether it is a control, and cells in the order of ``headers`` after
    the first. ``notes`` stand below. ``judge`` is ``None`` for what no judge was asked about."""

    title: str
    headers: tuple[str, ...]
    lines: tuple[tuple[str, bool, tuple[Cell, ...]], ...]
    notes: tuple[str, ...] = ()
    judge: str | None = None


def persona_tables(arms: Sequence[PersonaArm]) -> list[PersonaTable]:
    """One table per judge of free answers and per judge that rates, then the likelihoods and the side
    effects."""
    judged = dict.fromkeys(
        (m.protocol, m.judge)
        for arm in arms
        for m in arm.measures
        if (m.aspect, m.metric, m.compatibility) == (EFFICACY, "efficacy", False)
        and words.family(m.protocol) == "wild"
    )
    rated = dict.fromkeys(
        (h.protocol, h.judge) for arm in arms for h in arm.heard if h.aspect == EFFICACY and h.rated
    )
    tables = [
        *(_shown(arms, protocol, judge) for protocol, judge in judged),
        *(_rated(arms, protocol, judge) for protocol, judge in rated),
    ]
    if any(arm.measure(ES, "es") for arm in arms):
        tables.append(_likely(arms))
    return [*tables, _side_effects(arms)]


def plain(value: Value | None) -> Cell:
    """A number that is no share, its interval and n."""
    if value is None or value.mean is None:
        return Cell(NOT_MEASURED)
    told = (words.interval(value, share=False), f"n {value.n}")
    text = words.number(value.mean, share=False)
    return Cell(text, " · ".join(part for part in told if part), value)


def _share(value: Value) -> Cell:
    shown = moral_table.share(value)
    return Cell(shown.text, shown.range, None if value.mean is None else value)


def _change(versus: Comparison | None) -> Cell:
    """A paired difference of shares."""
    shown = moral_table.points(versus)
    if versus is None or versus.delta is None:
        return Cell(shown.text, shown.range)
    value = Value(versus.n_pairs, versus.delta, versus.low, versus.high)
    return Cell(shown.text, shown.range, value)


def _shown(arms: Sequence[PersonaArm], protocol: str, judge: str) -> PersonaTable:
    every = [h.shown[None] for arm in arms if (h := arm.at(EFFICACY, protocol, judge))]
    lines = []
    for arm in arms:
        efficacy, leakage = (
            next(
                (m for m in arm.measures if (m.aspect, m.protocol, m.judge) == (a, protocol, judge)),
                None,
            )
            for a in (EFFICACY, LEAKAGE)
        )  # fmt: skip
        heard = arm.at(EFFICACY, protocol, judge)
        itself = BY_DEFINITION if arm.baseline and every else Cell(NOT_MEASURED)
        if efficacy is not None:
            lines.append((_name(arm), arm.control, _answers(itself, efficacy, leakage, heard)))
    title = f"What answers show · {judge} · {words.protocol(protocol)}"
    return PersonaTable(title, OF_ANSWERS, tuple(lines), _reference_lines(every), judge)


def _answers(
    itself: Cell, efficacy: Measure, leakage: Measure | None, heard: Heard | None
) -> tuple[Cell, ...]:
    accuracy = (_share(efficacy.value), _change(efficacy.versus))
    leaked = (
        Cell(NOT_MEASURED) if leakage is None else _share(leakage.value),
        _change(None if leakage is None else leakage.versus),
    )
    if heard is None:
        return (*accuracy, Cell(NOT_MEASURED), Cell(NOT_MEASURED), *(itself,) * 3, *leaked)
    every, coherent = heard.shown[None], heard.shown[PAPER]
    return (
        *accuracy,
        _among(_share(coherent.accuracy), coherent),
        _share(coherent.strict),
        plain(every.tpei),
        _among(plain(coherent.tpei), coherent),
        _points_of(every.bounded),
        *leaked,
    )


def _among(cell: Cell, coherent: Answers | Rated) -> Cell:
    """The number of the coherent pairs; without any, how many there are not."""
    return cell if coherent.coherent else Cell(NOT_MEASURED, f"0 of {coherent.n} coherent")


def _reference_lines(every: Sequence[Answers]) -> tuple[str, ...]:
    if not every:
        return ()
    first = every[0]
    said = []
    if first.chance is not None:
        said.append(f"chance {words.percent(first.chance)}")
    if first.majority is not None:
        said.append(f"always the commonest target {words.percent(first.majority)}")
    told = [f"Accuracy without knowing anything: {', '.join(said)}."] if said else []
    return (*told, "Coherent: an n-gram entropy of 3.5 bits or more in both answers, as published. "
            "Strict counts edited answers below it as wrong.")  # fmt: skip


def _rated(arms: Sequence[PersonaArm], protocol: str, judge: str) -> PersonaTable:
    lines = []
    for arm in arms:
        heard = arm.at(EFFICACY, protocol, judge)
        if heard is not None:
            every, coherent = heard.rated[None], heard.rated[PAPER]
            left_out = Cell(str(every.excluded), f"of {every.n}", every.excluded)
            cells = (plain(every.pae), _among(plain(coherent.pae), coherent), left_out)
            lines.append((_name(arm), arm.control, cells))
        elif arm.baseline:
            lines.append((_name(arm), False, (BY_DEFINITION,) * 2 + (Cell(NOT_MEASURED),)))
    title = f"Ratings of the target trait, 1 to 5 · {judge} · {words.protocol(protocol)}"
    note = "Pairs in which a side has no rating are left out of PAE and counted."
    return PersonaTable(title, OF_RATINGS, tuple(lines), (note,), judge)


def _likely(arms: Sequence[PersonaArm]) -> PersonaTable:
    lines = tuple(
        (
            _name(arm),
            arm.control,
            (
                *(_likelihood(arm, metric) for metric in LIKELY),
                _agreement(arm.measure("drawdown", "top-1-agreement")),
            ),
        )
        for arm in arms
        if arm.measure(ES, "es") is not None or arm.measure("drawdown", "drawdown") is not None
    )
    note = (
        "An unedited model scores z_topic 1, DD 0 and z_per near 50 %, so ES is read against its line. "
        "DD is in nats per token."
    )
    found = {
        m.protocol for arm in arms for metric in LIKELY for m in arm.measures if m.metric == metric
    }
    title = f"What is likely · {words.join([words.protocol(p) for p in sorted(found)])}"
    return PersonaTable(title, OF_LIKELIHOODS, lines, (note,))


def _likelihood(arm: PersonaArm, metric: str) -> Cell:
    measure = arm.measure("drawdown" if metric == "drawdown" else ES, metric)
    if measure is None:
        return Cell(NOT_MEASURED)
    unit = GLOSSARY[metric].unit
    if unit == "points":
        return _points_of(measure.value)
    return _share(measure.value) if unit == "share" else plain(measure.value)


def _agreement(measure: Measure | None) -> Cell:
    return Cell(NOT_MEASURED) if measure is None else _share(measure.value)


def _side_effects(arms: Sequence[PersonaArm]) -> PersonaTable:
    lines = []
    for arm in arms:
        same, fluent = arm.measure(LOCALITY, "locality"), arm.measure(EFFICACY, "fluent-rate")
        entropy = arm.measure(EFFICACY, "ngram-entropy")
        cells = (
            _agreement(same),
            _agreement(fluent),
            plain(None if entropy is None else entropy.value),
        )
        lines.append((_name(arm), arm.control, cells))
    return PersonaTable("What else moved", OF_SIDE_EFFECTS, tuple(lines))


def _points_of(value: Value) -> Cell:
    """A mean difference of shares in percentage points, with its interval and n."""
    if value.mean is None:
        return Cell(NOT_MEASURED)
    told = (words.interval(value, share=True), f"n {value.n}")
    text = words.number(abs(value.mean), share=True)
    sign = "" if float(text) == 0 else "−" if value.mean < 0 else "+"
    return Cell(f"{sign}{text}", " · ".join(part for part in told if part), value)


def _name(arm: PersonaArm) -> str:
    return f"{arm.label} (before)" if arm.baseline else arm.label
