"""People's ratings of a run's answers beside its judges', pair by pair.

People rate from 1 to 5 how well an answer shows the trait that it should show: on a sheet of
``truing review`` (rubric ``personality``), or in a file of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from truing.benchmarks import files
from truing.benchmarks.files import Record
from truing.errors import BadInput
from truing.runs.personalities import baseline_of, heard_in
from truing.runs.store import read_manifest, read_rows, read_verdicts
from truing.runs.trait_answers import EFFICACY, MOMENTS
from truing.scoring.agreement import Agreement, Ratings, krippendorff_alpha
from truing.scoring.observations import Key
from truing.scoring.rating_agreement import (
    SCALE,
    BothRated,
    RatingAgreement,
    Sides,
    rating_agreement,
)
from truing.scoring.traits import Heard, unit_of
from truing.seeds import Seeds
from truing.types import Verdict

PERSON, EVERYONE, RUBRIC = "human:", "human:all/", "/personality"
COLUMNS = ("case", "arm", "unedited", "edited")
_HOW = "Columns: case, arm, unedited, edited (1 to 5, empty where missing) and, if you like, annotator."

Given = Mapping[str, tuple[int | None, int | None]]
"""By annotator, the ratings of the unedited and of the edited answer."""


@dataclass(frozen=True, slots=True)
class Line:
    """One pair as one person rated it. ``where`` names the file and the line."""

    where: str
    case: str
    arm: str
    annotator: str
    ratings: tuple[int | None, int | None]


@dataclass(frozen=True, slots=True)
class AnswerPair:
    """An edited answer and the unedited model's to the same question, as the run's judges rated both;
    ``people`` holds the ratings that came through review. ``place`` is what must not be mixed: model,
    benchmark, regime, protocol and moment; ``cluster`` as in :class:`truing.scoring.traits.Heard`."""

    place: str
    cell: str
    cluster: str
    baseline: str
    arm: str
    key: Key
    judges: Mapping[str, Sides]
    people: Given


@dataclass(frozen=True, slots=True)
class Compared:
    """One judge beside people at one place. ``alpha`` (interval level) is how far the people agree, over
    answers; ``None`` for one person. ``unit`` is what the intervals are over: case or topic. ``unrated`` counts pairs that people rated and the judge did not."""

    place: str
    judge: str
    arms: tuple[str, ...]
    cells: tuple[str, ...]
    annotators: tuple[str, ...]
    unit: str
    found: RatingAgreement
    alpha: Agreement | None
    unrated: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """``unmatched`` are lines about no pair of the run, ``missing`` those without both ratings."""

    compared: tuple[Compared, ...]
    unmatched: tuple[str, ...]
    missing: tuple[str, ...]


def compare(folder: Path, file: Path | None) -> Comparison:
    """Every judge of the run that rates, beside the people of ``file``, or of its reviews.

    People's ratings of a pair are averaged over those who rated both of its answers. Raises ``BadInput``
    for a bad line (naming it), for a line that may mean several pairs, where nobody rated, and for
    a file none of whose arms the run has. Empty where no judge of the run rates.
    """
    pairs, unmatched = answer_pairs(folder), list[str]()
    if file is not None:
        lines = read_ratings(file)
        _check_arms(lines, pairs)
        pairs, unmatched = _with_lines(pairs, lines)
        missing = [_named(line) for line in lines if None in line.ratings]
    else:
        missing = [
            f"{who}: case {pair.key[0]}, arm {pair.arm}"
            for pair in pairs
            for who, ratings in pair.people.items()
            if None in ratings
        ]
    if not any(pair.judges for pair in pairs):
        return Comparison((), tuple(unmatched), tuple(missing))
    by_place: dict[str, list[AnswerPair]] = {}
    for pair in pairs:
        if any(None not in ratings for ratings in pair.people.values()):
            by_place.setdefault(pair.place, []).append(pair)
    if not by_place:
        raise BadInput(
            f"nobody has rated a pair of {folder}",
            "Draw a sheet (truing review sheet RUN --rubric personality --aspect efficacy) and merge it, or give --human.",
        )
    compared = tuple(
        _compared(place, judge, rated)
        for place, rated in by_place.items()
        for judge in dict.fromkeys(judge for pair in rated for judge in pair.judges)
    )
    return Comparison(compared, tuple(unmatched), tuple(missing))


def answer_pairs(folder: Path) -> list[AnswerPair]:
    """All edited answers that were judged for their trait, as were the unedited model's; controls left
    out, arms in the plan's order. Raises ``StoreError`` for a folder that is no run."""
    cells = {str(c["id"]): c for c in read_manifest(folder).get("cells", ())}
    place = {cell: number for number, cell in enumerate(cells)}
    verdicts: dict[str, list[Verdict]] = {}
    for verdict in read_verdicts(folder):
        verdicts.setdefault(verdict.row, []).append(verdict)
    heard: dict[tuple[str, str, Key, str], dict[str, Heard]] = {}
    for row in read_rows(folder):
        told = row.aspect == EFFICACY and row.moment in MOMENTS and row.cell in cells
        if told and not cells[row.cell].get("control_of"):
            found = dict(heard_in(row, verdicts.get(row.key, ())))
            for each in found.values():
                at = (row.cell, f"{row.protocol} · {row.moment}", each.key, each.target.casefold())
                heard.setdefault(at, {}).update(found)
    pairs = []
    for (cell, how, key, target), now in heard.items():
        base = baseline_of(cell, cells)
        then = heard.get((base, how, key, target), {}) if base and base != cell else {}
        if base and then:
            pairs.append(_pair(cells[cell], base, how, key, now, then))
    return sorted(pairs, key=lambda pair: place[pair.cell])


def read_ratings(path: Path) -> list[Line]:
    """The lines of a CSV (or JSON) file of ratings. Raises ``BadInput`` for a column that is not there, a
    rating that is no whole number from 1 to 5, and a pair that one person rated twice."""
    lines: list[Line] = []
    seen: dict[tuple[str, str, str], str] = {}
    for record in files.read(path).records:
        line = _line(path, record)
        mine = (line.case, line.arm, line.annotator)
        if mine in seen:
            raise BadInput(
                f"{line.where}: {line.annotator} rated case {line.case}, arm {line.arm} before ({seen[mine]})",
                "Keep one of the lines; several people are told apart by the column annotator.",
            )
        seen[mine] = line.where
        lines.append(line)
    return lines


def _line(path: Path, record: Record) -> Line:
    where, fields = f"{path} {record.where}", record.fields
    if record.trouble:
        raise BadInput(f"{where}: {record.trouble}", _HOW)
    lacking = next((name for name in COLUMNS[:2] if not str(fields.get(name, "")).strip()), None)
    unknown = next((name for name in fields if name not in (*COLUMNS, "annotator")), None)
    if lacking or unknown:
        raise BadInput(
            f"{where} has {f'no {lacking}' if lacking else f'an unknown column {unknown}'}", _HOW
        )
    case, arm, annotator = (
        str(fields.get(name, default)).strip()
        for name, default in (("case", ""), ("arm", ""), ("annotator", "people"))
    )
    ratings = (_rating(where, fields, "unedited"), _rating(where, fields, "edited"))
    return Line(where, case, arm, annotator, ratings)


def _rating(where: str, fields: Mapping[str, Any], name: str) -> int | None:
    given = fields.get(name)
    text = "" if given is None else str(given).strip()
    if text and text not in map(str, SCALE):
        raise BadInput(f"{where}: {name} is '{text}'", "A rating is 1, 2, 3, 4 or 5, or empty.")
    return int(text) if text else None


def _with_lines(
    pairs: Sequence[AnswerPair], lines: Sequence[Line]
) -> tuple[list[AnswerPair], list[str]]:
    """The pairs as the lines rate them, and the lines about none. Reviews are not mixed in."""
    given: list[dict[str, tuple[int | None, int | None]]] = [{} for _ in pairs]
    unmatched = []
    for line in lines:
        meant = [
            i
            for i, pair in enumerate(pairs)
            if line.case in pair.key and line.arm in (pair.arm, pair.cell)
        ]
        if len(meant) > 1:
            raise BadInput(
                f"{_named(line)} may mean {len(meant)} pairs of the run",
                "Give the id of the probe as case and that of the cell as arm, or use truing review.",
            )
        if meant:
            given[meant[0]][line.annotator] = line.ratings
        else:
            unmatched.append(_named(line))
    return [replace(pair, people=own) for pair, own in zip(pairs, given, strict=True)], unmatched


def _check_arms(lines: Sequence[Line], pairs: Sequence[AnswerPair]) -> None:
    known = {name for pair in pairs for name in (pair.arm, pair.cell)}
    if known and lines and not any(line.arm in known for line in lines):
        wrong = dict.fromkeys(line.arm for line in lines)
        raise BadInput(
            f"the run has no arm {' or '.join(wrong)}",
            f"It has: {', '.join(dict.fromkeys(pair.arm for pair in pairs))}.",
        )


def _named(line: Line) -> str:
    return f"{line.where}: case {line.case}, arm {line.arm}"


def _pair(
    facts: Mapping[str, Any],
    baseline: str,
    how: str,
    key: Key,
    now: Mapping[str, Heard],
    then: Mapping[str, Heard],
) -> AnswerPair:
    judges: dict[str, Sides] = {}
    people: dict[str, tuple[int | None, int | None]] = {}
    for name in sorted(now.keys() & then.keys()):
        before, after = then[name].rating, now[name].rating
        if name.startswith(PERSON):
            if name.endswith(RUBRIC) and not name.startswith(EVERYONE):
                who = name.removeprefix(PERSON).removesuffix(RUBRIC)
                people[who] = (_whole(before), _whole(after))
        elif before is not None and after is not None:
            judges[name] = Sides(before, after)
    setting = " · ".join(str(facts.get(name, "")) for name in ("model", "benchmark", "regime"))
    cluster = next(iter(now.values())).cluster
    return AnswerPair(
        f"{setting} · {how}", str(facts["id"]), cluster, baseline, str(facts["method"]), key, judges, people
    )  # fmt: skip


def _whole(rating: float | None) -> int | None:
    return None if rating is None else round(rating)


def _compared(place: str, judge: str, rated: Sequence[AnswerPair]) -> Compared:
    both = [pair for pair in rated if judge in pair.judges]
    seeds = Seeds(0, ("personality", "people", place, judge))
    found = [BothRated(pair.cluster, pair.judges[judge], _mean(pair.people)) for pair in both]
    annotators = tuple(sorted({who for pair in both for who in _complete(pair.people)}))
    return Compared(
        place,
        judge,
        tuple(dict.fromkeys(pair.arm for pair in both)),
        tuple(dict.fromkeys(pair.cell for pair in both)),
        annotators,
        unit_of([pair.cluster for pair in both]),
        rating_agreement(found, seeds=seeds),
        _alpha(both, annotators, seeds) if len(annotators) > 1 else None,
        len(rated) - len(both),
    )


def _complete(given: Given) -> dict[str, tuple[int, int]]:
    return {
        who: (before, after)
        for who, (before, after) in given.items()
        if before is not None and after is not None
    }


def _mean(given: Given) -> Sides:
    ratings = list(_complete(given).values())
    return Sides(fmean(before for before, _ in ratings), fmean(after for _, after in ratings))


def _alpha(pairs: Iterable[AnswerPair], annotators: Sequence[str], seeds: Seeds) -> Agreement:
    answers: dict[tuple[str, str, Key, tuple[int | None, ...]], None] = {}
    for pair in pairs:
        said = _complete(pair.people)
        for side, cell in enumerate((pair.baseline, pair.cell)):
            told = tuple(said[who][side] if who in said else None for who in annotators)
            answers[cell, pair.cluster, pair.key, told] = None  # arms share the unedited answer
    table, clusters = [told for *_, told in answers], [cluster for _, cluster, *_ in answers]
    ratings = Ratings.of(table, SCALE, raters=annotators, clusters=clusters)
    return krippendorff_alpha(ratings, "interval", seeds=seeds)
