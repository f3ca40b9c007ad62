"""What people read out of texts, not knowing what they were written for.

A row shows topic, question and text. Whoever annotates writes the ``trait`` that the text shows (or
``none``), perhaps its ``facet``, whether it is ``ambiguous`` or ``offensive`` (yes, no), a ``note`` and
their name. A row without a trait is not answered. Each annotator fills a copy of the sheet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from truing.benchmarks import files
from truing.building.personality.filters import Draft
from truing.building.personality.traits import Trait
from truing.building.review import cell, guarded, write_rows
from truing.errors import BadInput
from truing.scoring.agreement import (
    Agreement,
    Ratings,
    cohen_kappa,
    fleiss_kappa,
    krippendorff_alpha,
    percent_of_pairs,
)
from truing.seeds import Seeds

NONE = "none"
SHOWN = ("id", "topic", "question", "text")
FIELDS = ("trait", "facet", "ambiguous", "offensive", "note", "annotator")
QUESTIONS = ("trait_ok", "facet_ok", "trait", "ambiguous", "offensive")
_SAID = {"yes": True, "y": True, "1": True, "no": False, "n": False, "0": False, "": False}
Outcome = Literal["accepted", "rejected", "unreviewed"]
OUTCOMES: tuple[Outcome, ...] = ("accepted", "rejected", "unreviewed")


@dataclass(frozen=True, slots=True)
class Vote:
    """What one annotator read out of one text. ``trait_ok`` and ``facet_ok``: whether it is what the
    text was written for; ``facet_ok`` is ``None`` where no facet was named."""

    annotator: str
    trait: str
    trait_ok: bool
    facet_ok: bool | None
    ambiguous: bool
    offensive: bool
    note: str = ""

    @property
    def good(self) -> bool:
        return self.trait_ok and not self.ambiguous and not self.offensive


@dataclass(frozen=True)
class Votes:
    """The votes on every text that has any, by its id, and where they stand."""

    by_id: Mapping[str, tuple[Vote, ...]] = field(default_factory=dict)
    sheets: tuple[Path, ...] = ()

    @property
    def annotators(self) -> tuple[str, ...]:
        return tuple(sorted({vote.annotator for votes in self.by_id.values() for vote in votes}))

    def outcome(self, id: str) -> Outcome:
        """Accepted by more than half of those who answered; a draw is rejected."""
        votes = self.by_id.get(id, ())
        if not votes:
            return "unreviewed"
        return "accepted" if 2 * sum(vote.good for vote in votes) > len(votes) else "rejected"


def write_sheet(path: Path, drafts: Sequence[Draft], per_trait: int | None, seed: int) -> int:
    """A sheet of ``drafts`` in an order that tells nothing, ``per_trait`` of each at most; gives their
    number. Raises ``BadInput`` where ``path`` holds answers, and ``StoreError``."""
    seeds, taken = Seeds(seed).child("sheet"), Counter[str]()
    rows = []
    for draft in sorted(drafts, key=lambda draft: seeds.child(draft.id).number):
        taken[draft.wish.trait.name] += 1
        if per_trait is None or taken[draft.wish.trait.name] <= per_trait:
            shown = (draft.id, draft.wish.topic.name, draft.wish.question, draft.text)
            rows.append([*map(guarded, shown), *("" for _ in FIELDS)])
    write_rows(path, (*SHOWN, *FIELDS), rows, ("trait",))
    return len(rows)


def read_sheets(paths: Sequence[Path], drafts: Sequence[Draft], traits: Sequence[Trait]) -> Votes:
    """The answers of all sheets; a row without an ``annotator`` is its file's.

    Raises ``BadInput`` naming the line: a text that is not here, a trait or answer that is none, or
    an annotator who answers twice.
    """
    known = {draft.id: draft for draft in drafts}
    names = [trait.name for trait in traits]
    found: dict[str, tuple[Vote, ...]] = {}
    for path in paths:
        for record in files.read(path).records:
            where = f"{path}: {record.where}"
            if record.trouble:
                raise BadInput(f"{where}: {record.trouble}", "Mend the row.")
            if not cell(record.fields, "trait"):
                continue
            id = cell(record.fields, "id")
            if id not in known:
                raise BadInput(
                    f"{where} is about '{id}', which is not here",
                    "The sheet is of another build, or the set was built with other settings since.",
                )
            vote = _vote(where, record.fields, known[id], names, path.stem)
            if vote.annotator in {other.annotator for other in found.get(id, ())}:
                raise BadInput(
                    f"{where}: {vote.annotator} answers on '{id}' again", "Keep one row."
                )
            found[id] = (*found.get(id, ()), vote)
    return Votes(found, tuple(paths))


def agreements(votes: Votes, drafts: Sequence[Draft], seed: int) -> dict[str, list[Agreement]]:
    """How far annotators agree, by question: percent of pairs, kappa (Cohen's for two, Fleiss' for
    more) and Krippendorff's alpha, with intervals over topics. Empty for fewer than two annotators."""
    people = votes.annotators
    if len(people) < 2:
        return {}
    read = [draft for draft in drafts if draft.id in votes.by_id]
    clusters = [draft.wish.topic.name for draft in read]
    found = {}
    for question in QUESTIONS:
        table = [
            [_answer(votes.by_id[draft.id], who, question) for who in people] for draft in read
        ]
        labels = sorted({label for row in table for label in row if label is not None}, key=str)
        if not labels:
            continue
        ratings = Ratings.of(table, labels, raters=people, clusters=clusters)
        seeds = Seeds(seed).child(question)
        kappa = cohen_kappa if len(people) == 2 else fleiss_kappa
        found[question] = [
            percent_of_pairs(ratings, seeds=seeds),
            kappa(ratings, seeds=seeds),
            krippendorff_alpha(ratings, seeds=seeds),
        ]
    return found


def _answer(votes: Sequence[Vote], annotator: str, question: str) -> str | bool | None:
    answer: str | bool | None = next(
        (getattr(vote, question) for vote in votes if vote.annotator == annotator), None
    )
    return answer


def _vote(
    where: str, fields: Mapping[str, Any], draft: Draft, names: Sequence[str], person: str
) -> Vote:
    trait, facet = cell(fields, "trait").casefold(), cell(fields, "facet").casefold()
    if trait not in (*names, NONE):
        raise BadInput(f"{where}: '{trait}' is no trait", f"Write {', '.join(names)} or {NONE}.")
    said = {}
    for name in ("ambiguous", "offensive"):
        word = cell(fields, name).casefold()
        if word not in _SAID:
            raise BadInput(f"{where}: '{word}' in {name} is no answer", "Write yes or no.")
        said[name] = _SAID[word]
    return Vote(
        cell(fields, "annotator") or person,
        trait,
        trait == draft.wish.trait.name,
        facet == draft.wish.facet.casefold() if facet else None,
        said["ambiguous"],
        said["offensive"],
        cell(fields, "note"),
    )
