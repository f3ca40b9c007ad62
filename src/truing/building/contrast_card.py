"""The data card of a set of contrast pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

from truing import __version__
from truing.building.asks import Writer
from truing.building.card import Card, Facts, file_facts, spread, used
from truing.building.draft import Draft
from truing.building.looked import SIDES, Looked
from truing.building.pairs import Drawn, Paired, Rules
from truing.servers.reply import Reply


def card_of(
    draft: Draft,
    writer: Writer,
    rules: Rules,
    replies: Sequence[Reply],
    made: Paired,
    looked: Looked,
    files: Mapping[str, Path],
    licence: str | None,
) -> Card:
    """The card, ``files`` (pairs, neutral) being on disk already. Nothing in it depends on when, where
    or in how many goes the set was built."""
    pairs, seen = looked.pairs, sum(pair.review != "unreviewed" for pair in looked.pairs)
    parts = Counter(pair.split for pair in pairs)
    sections: dict[str, Facts] = {
        "data": {
            "behavior": draft.behavior,
            "description": draft.description or None,
            "licence": licence,
            "pairs": len(pairs),
            "train": parts["train"],
            "test": parts["test"],
            **file_facts(files["pairs"]),
            "neutral": {"continuations": len(made.neutrals), **file_facts(files["neutral"])},
        },
        "review": _review(looked),
        "lengths": _lengths(pairs, writer),
        "rejected": {
            "replies": {side: dict(sorted(why.items())) for side, why in made.rejected.items()},
            "prompts": dict(sorted(made.unpaired.items())),
        },
        "writer": {"name": writer.name, **writer.facts, **used(replies)},
        "system prompts": {str(side): text for side, text in draft.systems.items()},
        "settings": {"truing": __version__, **draft.facts(), **asdict(rules)},
    }
    summary = (
        f"{len(pairs)} contrast pairs for the behaviour '{draft.behavior}', written by {writer.name}. "
        f"People have reviewed {seen} of them."
    )
    return Card(f"Contrast pairs: {draft.behavior}", summary, sections)


def lean(pairs: Sequence[Drawn], writer: Writer) -> float:
    """Mean length of the positive side minus the negative."""
    return fmean(writer.length(pair.positive) - writer.length(pair.negative) for pair in pairs)


def _review(looked: Looked) -> dict[str, Any]:
    sheet = None if looked.sheet is None else file_facts(looked.sheet)
    return {"sheet": sheet, "reviewers": list(looked.reviewers), "pairs": dict(looked.counts)}


def _lengths(pairs: Sequence[Drawn], writer: Writer) -> dict[str, Any]:
    sizes = {side: [writer.length(getattr(pair, side)) for pair in pairs] for side in SIDES}
    over = [p - n for p, n in zip(*sizes.values(), strict=True)]
    return {
        "unit": writer.unit,
        **{side: spread(values) for side, values in sizes.items()},
        "positive minus negative, mean": round(fmean(over), 3),
        "pairs whose positive side is longer": sum(d > 0 for d in over),
        "pairs whose negative side is longer": sum(d < 0 for d in over),
    }
