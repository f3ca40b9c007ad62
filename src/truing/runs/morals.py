"""What a run's edits did to what the model calls right, cell by cell; kept in the summary's ``meta``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from truing.runs.tally import Entry, Tally
from truing.scoring.moral import edits, moral
from truing.scoring.said import Answered
from truing.seeds import Seeds

MORAL = ("moral", "impact")
EFFICACY = "efficacy"


def morals(tally: Tally) -> list[dict[str, Any]]:
    """One record per place with moral questions: its measures (:class:`truing.scoring.moral.Moral`),
    and those of the edits themselves (:class:`truing.scoring.moral.Edits`) where they were asked."""
    found = []
    for place, entries in tally.entries.items():
        if place.aspect not in MORAL or not (answers := _said(entries)):
            continue
        seeds = Seeds(0, ("morals", place.protocol, place.aspect, place.moment))
        measures = moral(answers, seeds=seeds)
        own = _said(tally.entries.get(place._replace(aspect=EFFICACY), ()))
        record = {
            **place._asdict(),
            "moral": asdict(replace(measures, recall=dict(measures.recall))),
        }
        if own:
            record["edits"] = asdict(edits(own, seeds=seeds.child("edits")))
        found.append(record)
    return found


def _said(entries: Sequence[Entry]) -> list[Answered]:
    return [entry.said for entry in entries if entry.said is not None]
