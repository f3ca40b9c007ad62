"""The set on disk: the published layout, records with provenance, and every draft with its fate.

train.json, dev.json, test.json   ``ent``, a list of texts for each trait, ``target_per`` in test: the
                                  layout of Mao et al. 2024 (arXiv:2310.02168)
records.jsonl                     a topic a line: its texts with facet, question, scores and review
drafts.jsonl                      a text a line, those that were dropped with the reason
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from truing.building.card import Facts
from truing.building.personality.filters import Draft
from truing.building.personality.generate import Order
from truing.building.personality.sheets import Outcome, Votes
from truing.building.personality.topics import SPLITS, Split, Topic
from truing.runs.lines import cannot, write_atomically
from truing.seeds import Seeds

RECORDS, DRAFTS, VERSION = "records.jsonl", "drafts.jsonl", 2


@dataclass(frozen=True, slots=True)
class Entry:
    """A topic with its texts by trait. ``target``: the trait that a test is about (test topics)."""

    topic: Topic
    split: Split
    texts: Mapping[str, tuple[Draft, ...]]
    target: str | None = None


def entries_of(order: Order, drafts: Sequence[Draft], least: int) -> tuple[list[Entry], int]:
    """The topics that have ``least`` texts of every trait, in their order; and how many have not. As
    many test topics, but for one, have one target as another."""
    kept: dict[tuple[str, str], list[Draft]] = {}
    for draft in drafts:
        if not draft.dropped:
            kept.setdefault((draft.wish.topic.name, draft.wish.trait.name), []).append(draft)
    entries = []
    for topic, split in zip(order.chosen.topics, order.chosen.splits, strict=True):
        texts = {t.name: tuple(kept.get((topic.name, t.name), ())) for t in order.traits}
        if min(map(len, texts.values())) >= least:
            entries.append(Entry(topic, split, texts))
    targets = _targets(entries, order)
    aimed = [Entry(e.topic, e.split, e.texts, targets.get(e.topic.name)) for e in entries]
    return aimed, len(order.chosen.topics) - len(aimed)


def write(
    folder: Path, entries: Sequence[Entry], drafts: Sequence[Draft], votes: Votes, source: Facts
) -> dict[str, Path]:
    """All files; gives those that the set consists of, by what they hold. ``source`` says who wrote.
    Raises ``StoreError``."""
    files: dict[str, Path] = {}
    for split in SPLITS:
        path, part = folder / f"{split}.json", [e for e in entries if e.split == split]
        if part:
            _write(path, json.dumps([_published(e) for e in part], ensure_ascii=False, indent=1))
            files[split] = path
        else:
            _remove(path)
    files["records"] = folder / RECORDS
    _write(files["records"], _lines(_record(entry, votes, source) for entry in entries))
    _write(folder / DRAFTS, _lines(_draft(draft, votes.outcome(draft.id)) for draft in drafts))
    return files


def _targets(entries: Iterable[Entry], order: Order) -> dict[str, str]:
    seeds = Seeds(order.seed).child("target")
    tested = [entry.topic.name for entry in entries if entry.split == "test"]
    tested.sort(key=lambda name: seeds.child(name).number)
    return {name: order.traits[i % len(order.traits)].name for i, name in enumerate(tested)}


def _published(entry: Entry) -> dict[str, Any]:
    texts = {trait: [draft.text for draft in drafts] for trait, drafts in entry.texts.items()}
    target = {} if entry.target is None else {"target_per": entry.target}
    return {"ent": entry.topic.name, **texts, **target}


def _record(entry: Entry, votes: Votes, source: Facts) -> dict[str, Any]:
    return {
        "format": VERSION,
        "topic": entry.topic.name,
        "views": entry.topic.views,
        "flags": list(entry.topic.flags),
        "split": entry.split,
        "target": entry.target,
        "source": dict(source),
        "texts": {
            trait: [_told(draft, votes.outcome(draft.id)) for draft in drafts]
            for trait, drafts in entry.texts.items()
        },
    }


def _told(draft: Draft, review: Outcome) -> dict[str, Any]:
    return {
        "id": draft.id,
        "text": draft.text,
        "facet": draft.wish.facet,
        "question": draft.wish.question,
        "number": draft.wish.number,
        "margin": draft.margin,
        "ratings": dict(draft.ratings),
        "review": review,
    }


def _draft(draft: Draft, review: Outcome) -> dict[str, Any]:
    place = {"topic": draft.wish.topic.name, "trait": draft.wish.trait.name}
    return {**place, **_told(draft, review), "dropped": draft.dropped}


def _lines(records: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def _write(path: Path, text: str) -> None:
    write_atomically(path, text if text.endswith("\n") else text + "\n")


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise cannot("remove", path, error) from None
