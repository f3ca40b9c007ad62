"""The long texts of a run, and what its raters say of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from truing.benchmarks.seesaw.anglophone import anglophone
from truing.benchmarks.seesaw.tables import data_root
from truing.errors import UnknownName
from truing.protocols.questions import is_fluency
from truing.runs.data_again import data_path, load_again
from truing.runs.moments import moment_of
from truing.runs.store import read_manifest, read_rows, read_verdicts
from truing.runs.unfinished import no_rows
from truing.scoring.flaws import FLAWS, Change, Lists, change, comparable, conservative, liberal
from truing.scoring.longform import (
    Concord,
    Naming,
    Said,
    Shift,
    Text,
    concord,
    corrected,
    naming,
    shift,
)
from truing.seeds import Seeds
from truing.types import Response, Row

Sought = Literal["right answer", "edit"]
WORDS = "words"
"""The rater that counts words."""
LIBERAL, CONSERVATIVE = "all, liberal", "all, conservative"
ANGLO = "anglo-centrism"
PANEL = "panel:"
_EVERYBODY = "human:all/"
"""The column that joins people by majority: each of them is a rater already."""


@dataclass(frozen=True, slots=True)
class Texts:
    """The continuations of one edited model with one wording, asked under one protocol. ``targets`` holds
    by case what was edited in."""

    cell: str
    method: str
    protocol: str
    wording: str
    texts: tuple[Text, ...]
    targets: Mapping[str, tuple[str, ...]]

    @property
    def seeds(self) -> Seeds:
        return Seeds(0, ("longform", self.cell, self.protocol, self.wording))


@dataclass(frozen=True, slots=True)
class Named:
    """Which texts name what was ``sought``: a right answer about the person's other property, or what
    was edited in."""

    cell: str
    method: str
    protocol: str
    wording: str
    sought: Sought
    naming: Naming


@dataclass(frozen=True, slots=True)
class Flawed:
    """What raters say of one set of texts, and how far they agree. ``not_asked`` counts the texts about
    which Anglo-centrism is no question: their people come from English-speaking countries."""

    cell: str
    method: str
    protocol: str
    wording: str
    shifts: tuple[Shift, ...]
    concords: tuple[Concord, ...]
    not_asked: int


def texts_of(folder: Path, method: str | None = None) -> list[Texts]:
    """The continuations (aspect ``fluency`` and its parts) under every edited model: right after each edit
    or, where edits follow one another, at the end.

    Raises ``BadInput`` where there are none.
    """
    cells = {
        cell["id"]: cell
        for cell in read_manifest(folder).get("cells", [])
        if cell["registered"] != "none" and method in (None, cell["method"])
    }
    found: dict[tuple[str, str, str], list[Text]] = {}
    targets: dict[str, dict[str, tuple[str, ...]]] = {}
    for row in read_rows(folder):
        if row.cell not in cells:
            continue
        if row.aspect == "efficacy":
            targets.setdefault(row.cell, {})[row.case] = row.accepted
        if is_fluency(row.aspect) and row.moment == moment_of(cells[row.cell]):
            wording = row.aspect.partition("/")[2]
            found.setdefault((row.cell, row.protocol, wording), []).append(_text(row))
    if not found:
        raise no_rows(
            folder,
            "long texts" + (f" of method {method}" if method else ""),
            "Run seesaw or world_people with continuations above 0, under a free protocol such as wild.",
        )
    return [
        Texts(cell, cells[cell]["method"], protocol, wording, tuple(texts), targets.get(cell, {}))
        for (cell, protocol, wording), texts in sorted(found.items())
    ]


def _text(row: Row) -> Text:
    return Text(row.key, row.case, row.probe, _said(row.base), _said(row.response), row.accepted)


def _said(response: Response | None) -> str | None:
    return None if response is None else response.text


def named(folder: Path, method: str | None = None) -> list[Named]:
    """How often texts name a right answer, and what was edited in. Texts whose answer nobody knows are
    counted; where that is all of them there is nothing to say. Raises ``BadInput`` without texts."""
    made = []
    for found in texts_of(folder, method):
        edits = [text._replace(answers=found.targets.get(text.case, ())) for text in found.texts]
        sides: tuple[tuple[Sought, Sequence[Text]], ...] = (
            ("right answer", found.texts),
            ("edit", edits),
        )
        for sought, texts in sides:
            result = naming(texts, seeds=found.seeds.child(sought))
            if result.unknown < len(texts):
                made.append(
                    Named(found.cell, found.method, found.protocol, found.wording, sought, result)
                )
    return made


def flawed(
    folder: Path, lists: Lists, *, method: str | None = None, raters: Sequence[str] = ()
) -> list[Flawed]:
    """What every rater says: words by ``lists``, language models and people by the run's verdicts.

    Two readers or more are also joined as published, liberally and conservatively; words are no reader.
    ``raters`` chooses some, each a judge's name without the rubric, or ``words``. Raises ``BadInput``
    without texts, or where the benchmark's data moved away, and ``UnknownName`` for a rater who said nothing.
    """
    verdicts = _verdicts(folder)
    known = {WORDS, *(rater for given in verdicts.values() for rater in given)}
    for rater in raters:
        if rater not in known:
            raise UnknownName("rater of the run", rater, known)
    everything, made = texts_of(folder, method), []
    labels = {str(cell["id"]): str(cell["benchmark"]) for cell in read_manifest(folder)["cells"]}
    at_home = {label: _at_home(folder, label) for label in {labels[one.cell] for one in everything}}
    for found in everything:
        foreign = [text for text in found.texts if text.case not in at_home[labels[found.cell]]]
        able = frozenset(text.row for text in found.texts if _comparable(text))
        shifts: list[Shift] = []
        concords: list[Concord] = []
        for flaw in FLAWS:
            texts = foreign if flaw == ANGLO else found.texts
            given = _given(texts, able, lists.get(flaw), verdicts.get(flaw, {}), raters)
            alone = _alone(given)
            seeds = found.seeds.child(flaw)
            if len(alone) > 1:
                concords.append(concord(texts, flaw, alone, seeds=seeds))
            for rater, said in (given | _together(texts, alone)).items():
                shifts.append(shift(texts, flaw, rater, said, seeds=seeds))
        made.append(
            Flawed(
                found.cell, found.method, found.protocol, found.wording, tuple(corrected(shifts)),
                tuple(concords), len(found.texts) - len(foreign),
            )
        )  # fmt: skip
    return made


def _given(
    texts: Sequence[Text],
    able: Collection[str],
    phrases: Sequence[str] | None,
    verdicts: Mapping[str, Said],
    raters: Sequence[str],
) -> dict[str, Said]:
    """By rater, what those who are wanted say of any of ``texts``. Of rows that are not ``able``, which
    do not compare, nobody says anything."""
    rows = {text.row for text in texts}
    found = {} if phrases is None else {WORDS: _by_words(texts, able, phrases)}
    found |= {rater: said for rater, said in verdicts.items() if rows & said.keys()}
    return {
        rater: {row: told for row, told in said.items() if row in able}
        for rater, said in found.items()
        if not raters or rater in raters
    }


def _comparable(text: Text) -> bool:
    return (
        text.before is not None and text.after is not None and comparable(text.before, text.after)
    )


def _alone(given: Mapping[str, Said]) -> dict[str, Said]:
    """Without panels of which a member is a rater already: those repeat what it says."""
    return {rater: said for rater, said in given.items() if not _members(rater) & given.keys()}


def _members(rater: str) -> frozenset[str]:
    return frozenset(rater.removeprefix(PANEL).split(",") if rater.startswith(PANEL) else ())


def _by_words(texts: Sequence[Text], able: Collection[str], phrases: Sequence[str]) -> Said:
    return {
        text.row: change(text.before or "", text.after or "", phrases)
        for text in texts
        if text.row in able
    }


def _together(texts: Sequence[Text], given: Mapping[str, Said]) -> dict[str, Said]:
    readers = [said for rater, said in given.items() if rater != WORDS]
    if len(readers) < 2:
        return {}
    votes = {text.row: [said.get(text.row) for said in readers] for text in texts}
    return {
        LIBERAL: {row: liberal(said) for row, said in votes.items()},
        CONSERVATIVE: {row: conservative(said) for row, said in votes.items()},
    }


def _verdicts(folder: Path) -> dict[str, dict[str, dict[str, Change | None]]]:
    """Flaw to rater to row. Who cannot tell, or was not asked, said nothing."""
    found: dict[str, dict[str, dict[str, Change | None]]] = {}
    for verdict in read_verdicts(folder):
        rater, flaw = _parted(verdict.judge)
        if flaw in FLAWS and not verdict.judge.startswith(_EVERYBODY):
            told = None if verdict.state == "degenerate" else _change(verdict.score)
            found.setdefault(flaw, {}).setdefault(rater, {})[verdict.row] = told
    return {flaw: dict(sorted(raters.items())) for flaw, raters in sorted(found.items())}


def _parted(judge: str) -> tuple[str, str]:
    """A judge's name without the rubric, which every member of a panel carries, and the flaw."""
    flaw = judge.rpartition("/flaw-")[2]
    return judge.replace(f"/flaw-{flaw}", ""), flaw


def _change(score: float | None) -> Change | None:
    """Of one reader 1, 0.5 or 0; a panel that is divided evenly lies between two of them: "same"."""
    if score is None:
        return None
    return "more" if score == 1 else "less" if score == 0 else "same"


def _at_home(folder: Path, label: str) -> frozenset[str]:
    """The cases about people from English-speaking countries, where the benchmark's data tell. Raises
    ``BadInput`` where that data moved away or changed."""
    facts = read_manifest(folder).get("data", {}).get(label, {})
    if facts.get("benchmark") != "seesaw":
        return frozenset()
    path = data_path(folder, label)
    assert path is not None
    people = anglophone(data_root(path))
    return frozenset(
        case.id
        for case in load_again(folder, label).cases
        if any(people.get(request.subject or "") for request in case.requests)
    )
