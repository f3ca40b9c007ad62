"""The table of ROME and MEMIT of a finished run, from its rows alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from truing.protocols.protocol import GOLD_LENGTH_SCORERS, LIKELIHOOD_SCORERS, Protocol
from truing.protocols.questions import is_fluency
from truing.runs.judging import protocol_of
from truing.runs.moments import moment_of
from truing.runs.reference_texts import References, read_references, requests_of, said_of
from truing.runs.store import read_manifest, read_rows
from truing.runs.unfinished import no_rows
from truing.scoring.observations import clusters_of
from truing.scoring.rewriting import (
    ASPECTS,
    COLUMNS,
    SCORES,
    Cases,
    Column,
    Kind,
    Published,
    as_published,
    case_means,
    mean_over_cases,
    published_score,
    score,
)
from truing.scoring.term_weights import TermWeights, cosine
from truing.seeds import Seeds
from truing.types import Moment, Row, Value

CONSISTENCY = "RS"
WRITTEN = next(column for column in COLUMNS if column.kind == "texts")
"""The column of the texts that references are compared with."""
NEIGHBORHOOD = "locality/neighborhood"
ATTRIBUTE = "locality/attribute"
_FITS: Mapping[Kind, Callable[[Protocol], bool]] = {
    "likelihood": lambda p: p.scorer in LIKELIHOOD_SCORERS,
    "tokens": lambda p: p.forced and p.scorer in GOLD_LENGTH_SCORERS,
    "texts": lambda p: not p.forced and p.truncation != "gold-length",
}
_ADD: Mapping[Kind, str] = {
    "likelihood": "add the protocol synthetic,scorer=likelihood-per-token to the plan",
    "tokens": "add the protocol synthetic to the plan",
    "texts": "add the protocol wild-question to the plan",
}


@dataclass(frozen=True, slots=True)
class Number:
    """One column of one arm, under one protocol. ``metric`` is the glossary's name."""

    metric: str
    protocol: str
    value: Value
    published: Published | None


@dataclass(frozen=True, slots=True)
class Line:
    """One arm: its numbers by the column's name."""

    method: str
    numbers: Mapping[str, Number]


@dataclass(frozen=True, slots=True)
class Table:
    """All arms of one model, benchmark, regime and seed, unedited first; ``notes`` say what is not
    in the numbers."""

    model: str
    benchmark: str
    regime: str
    seed: int
    moment: Moment
    lines: tuple[Line, ...]
    notes: tuple[str, ...]


def tables(folder: Path, references: Path | None = None) -> list[Table]:
    """One table per model, benchmark, regime and seed that has rewritten facts.

    Numbers are those at the end, or right after each edit where the model is restored. A column is
    read under one protocol: a bare prompt's where there is one, then the plan's first. ``references``
    are texts about the targets (:func:`truing.runs.reference_texts.read_references`). Raises
    ``StoreError``, and ``BadInput`` for a run without any such row.
    """
    cells = {cell["id"]: cell for cell in read_manifest(folder).get("cells", [])}
    arms = {ident: _Arm(moment_of(cell), _protocols(cell)) for ident, cell in cells.items()}
    for row in read_rows(folder):
        if row.cell in arms:
            arms[row.cell].add(row)
    known = None if references is None else read_references(references)
    settings: dict[tuple[Any, ...], list[str]] = {}
    for ident, cell in sorted(cells.items(), key=lambda found: found[1]["registered"] != "none"):
        if arms[ident].rewrites:
            where = (cell["model"], cell["benchmark"], cell["regime"], cell["seed"])
            settings.setdefault(where, []).append(ident)
    if not settings:
        raise no_rows(
            folder,
            "row about rewritten facts under a protocol that this table reads",
            "Run a benchmark of facts with the protocols synthetic,scorer=likelihood-per-token "
            "and synthetic.",
        )
    return [
        _table(folder, where, {i: cells[i] for i in found}, arms, known)
        for where, found in settings.items()
    ]


@dataclass
class _Arm:
    """What the rows of one cell say at one moment. ``numbers`` are by column and aspect, then by case;
    ``texts`` is what was written, by case and probe; ``seen`` holds by aspect a row of every case and
    group."""

    moment: Moment
    protocols: Mapping[Kind, str]
    numbers: dict[tuple[str, str], dict[str, list[float | None]]] = field(default_factory=dict)
    texts: dict[str, dict[str, str | None]] = field(default_factory=lambda: defaultdict(dict))
    seen: dict[str, dict[tuple[str, str | None], Row]] = field(
        default_factory=lambda: defaultdict(dict)
    )

    @property
    def rewrites(self) -> bool:
        """Whether anything was asked about rewritten facts."""
        return any(name[0] in ASPECTS for name, _ in self.numbers)

    def add(self, row: Row) -> None:
        if row.moment != self.moment:
            return
        head = row.aspect.partition("/")[0]
        answer = row.response or row.base
        compared = answer is None or bool(answer.choices)
        for column in COLUMNS:
            asked = column.aspect == head and row.protocol == self.protocols.get(column.kind)
            if asked and (compared or column.kind != "likelihood"):
                self._add(row, column)

    def _add(self, row: Row, column: Column) -> None:
        number = None if row.response is None else column.of(row.response)
        place = self.numbers.setdefault((column.name, row.aspect), defaultdict(list))
        place[row.case].append(number)
        there = self.seen[row.aspect]
        if (row.case, row.group) not in there:
            there[row.case, row.group] = replace(row, prompt="", response=None, base=None)
        if is_fluency(row.aspect):
            self.texts[row.case][row.probe] = None if row.response is None else row.response.text

    def aspects(self, column: str) -> list[str]:
        """What the column's number is of. Of locality the neighbourhood where there is one, else all
        parts but other subjects that have the new object."""
        there = [aspect for name, aspect in self.numbers if name == column and aspect != ATTRIBUTE]
        return [NEIGHBORHOOD] if NEIGHBORHOOD in there else there

    def cases(self, column: str) -> Cases:
        """The column's number per case."""
        merged: dict[str, list[float | None]] = defaultdict(list)
        for aspect in self.aspects(column):
            for case, numbers in self.numbers[column, aspect].items():
                merged[case] += numbers
        return case_means(merged)

    def clusters(self, columns: Iterable[str]) -> Mapping[str, str]:
        """Which cases are not independent in what these columns are of."""
        aspects = {aspect for column in columns for aspect in self.aspects(column)}
        return clusters_of([row for aspect in aspects for row in self.seen[aspect].values()])


def _protocols(cell: Mapping[str, Any]) -> dict[Kind, str]:
    """The protocol under which each kind of number is read, where there is one."""
    found: dict[Kind, str] = {}
    for kind, fits in _FITS.items():
        there = [ident for ident in cell["protocols"] if fits(protocol_of(ident))]
        there.sort(key=lambda ident: protocol_of(ident).template != "bare")
        if there:
            found[kind] = there[0]
    return found


def _table(
    folder: Path,
    where: tuple[Any, ...],
    cells: Mapping[str, Mapping[str, Any]],
    arms: Mapping[str, _Arm],
    references: References | None,
) -> Table:
    model, benchmark, regime, seed = where
    likeness = None if references is None else _Likeness.of(references, folder, benchmark)
    lines = tuple(
        Line(cell["method"], dict(_numbers(arms[ident], likeness, Seeds(0, (ident,)))))
        for ident, cell in cells.items()
    )
    first = arms[next(iter(cells))]
    notes = tuple(_notes(first, likeness))
    return Table(model, benchmark, regime, seed, first.moment, lines, notes)


@dataclass(frozen=True)
class _Likeness:
    """To which of a benchmark's cases there are reference texts, as vectors of their words; ``lacking``:
    what the others' targets are, by case."""

    weights: TermWeights
    vectors: Mapping[str, Mapping[str, float]]
    lacking: Mapping[str, str]

    @classmethod
    def of(cls, references: References, folder: Path, benchmark: str) -> _Likeness:
        requests = requests_of(folder, benchmark)
        targets = {
            case: target
            for case, request in requests.items()
            if (target := references.about(request)) is not None
        }
        lacking = {case: said_of(r) for case, r in requests.items() if case not in targets}
        vectors = {t: references.weights.vector(references.texts[t]) for t in {*targets.values()}}
        return cls(references.weights, {case: vectors[t] for case, t in targets.items()}, lacking)

    def cases(self, texts: Mapping[str, Mapping[str, str | None]]) -> dict[str, float | None]:
        """Of every case with references how alike they are to all that was written, joined."""
        found: dict[str, float | None] = {}
        for case, by_probe in texts.items():
            said = [text for _, text in sorted(by_probe.items()) if text is not None]
            if case in self.vectors:
                vector = self.weights.vector(" ".join(said))
                found[case] = cosine(vector, self.vectors[case]) if said else None
        return found


def _numbers(arm: _Arm, likeness: _Likeness | None, seeds: Seeds) -> Iterator[tuple[str, Number]]:
    """A column's cases are independent unless what it is of joins them; those of a score, unless any of
    its parts does."""

    def number(name: str, column: Column, metric: str, cases: Cases, bounded: bool) -> Number:
        clusters = arm.clusters([column.name])
        value = mean_over_cases(cases, clusters, seeds=seeds.child(name), bounded=bounded)
        return Number(metric, arm.protocols[column.kind], value, as_published(cases))

    found: dict[str, Cases] = {}
    for column in COLUMNS:
        if cases := arm.cases(column.name):
            found[column.name] = cases
            yield column.name, number(column.name, column, column.metric, cases, column.bounded)
    for name, (kind, names) in SCORES.items():
        parts = {part: found.get(part, {}) for part in names}
        if any(parts.values()):
            value = score(parts, arm.clusters(names), seeds=seeds.child(name))
            published = published_score([as_published(cases) for cases in parts.values()])
            yield name, Number("rewrite-score", arm.protocols[kind], value, published)
    if likeness is not None and (cases := likeness.cases(arm.texts)):
        yield CONSISTENCY, number(CONSISTENCY, WRITTEN, "reference-score", cases, bounded=True)


def _notes(arm: _Arm, likeness: _Likeness | None) -> Iterator[str]:
    asked = {column.name for column in COLUMNS if arm.aspects(column.name)}
    for kind, add in _ADD.items():
        lacking = [c.name for c in COLUMNS if c.kind == kind and c.name not in asked]
        if kind not in arm.protocols:
            yield f"no {', '.join(lacking)}: {add}"
        elif lacking:
            yield f"no {', '.join(lacking)}: the benchmark asks nothing of that kind"
    parts = sorted(
        {part for c in COLUMNS if c.aspect == "locality" for part in arm.aspects(c.name)}
    )
    if parts and NEIGHBORHOOD not in parts:
        yield f"N is {', '.join(parts)}: the benchmark marks no neighbourhood"
    if arm.texts and likeness is None:
        yield "no RS: it needs reference texts"
    if arm.texts and likeness is not None:
        lacking_n = sum(case not in likeness.vectors for case in arm.texts)
        if lacking_n:
            first = next((likeness.lacking[c] for c in arm.texts if c in likeness.lacking), "")
            yield (
                f"RS: {lacking_n} of {len(arm.texts)} cases have no reference texts"
                + (
                    first
                    and f", the first: {first} (an entry without relation_id is for any relation)"
                )
            )
