"""The data card of a set of opinions: what every stage took in and left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from truing import __version__
from truing.benchmarks.personality import QUESTIONS
from truing.building.asks import Writer
from truing.building.card import Card, Facts, file_facts, spread, used
from truing.building.personality.filters import Draft, Sieve
from truing.building.personality.generate import Order
from truing.building.personality.records import Entry
from truing.building.personality.sheets import OUTCOMES, Votes, agreements
from truing.building.personality.topics import SPLITS
from truing.servers.reply import Reply


@dataclass(frozen=True)
class Made:
    """A set as its stages left it. ``incomplete`` counts the topics with too few texts."""

    order: Order
    sieve: Sieve
    replies: Sequence[Reply]
    drafts: Sequence[Draft]
    entries: Sequence[Entry]
    incomplete: int
    votes: Votes

    @property
    def texts(self) -> list[Draft]:
        """Those of the set."""
        return [draft for e in self.entries for texts in e.texts.values() for draft in texts]


def card_of(
    made: Made, writer: Writer, judge: Writer | None, files: Mapping[str, Path], licence: str | None
) -> Card:
    """The card, ``files`` being on disk already. Nothing in it depends on when, where or in how many
    goes the set was built."""
    order, texts = made.order, made.texts
    seen = sum(made.votes.outcome(draft.id) != "unreviewed" for draft in texts)
    sections: dict[str, Facts] = {
        "data": {
            "licence": licence,
            "topics": len(made.entries),
            "texts": len(texts),
            **{split: sum(e.split == split for e in made.entries) for split in SPLITS},
            "targets": dict(Counter(e.target for e in made.entries if e.target)),
            "files": {name: file_facts(path) for name, path in files.items()},
        },
        "topics": _topics(made),
        "texts": {trait.name: _texts(made, trait.name) for trait in order.traits},
        "classifier": _classifier(made),
        "judge": {"asked": False} if judge is None else _judge(made, judge),
        "review": _review(made),
        "writer": {"name": writer.name, **writer.facts, **used(made.replies)},
        "traits": {trait.name: trait.model_dump(exclude={"name"}) for trait in order.traits},
        "settings": {
            "truing": __version__,
            "n": order.n,
            "spare": order.spare,
            "seed": order.seed,
            "words": asdict(order.band),
            "openers": order.openers,
            "questions": QUESTIONS,
            "system prompt": order.wording,
            "sieve": asdict(made.sieve),
        },
    }
    names = ", ".join(trait.name for trait in order.traits)
    summary = (
        f"{len(texts)} opinions on {len(made.entries)} topics that show {names}, written by "
        f"{writer.name}. People have reviewed {seen} of them. The texts are synthetic: nobody holds "
        "these opinions, and they say nothing reliable about their topics."
    )
    return Card("Opinions that show personality traits", summary, sections)


def _topics(made: Made) -> dict[str, Any]:
    chosen = made.order.chosen
    views = [round(topic.views) for topic in chosen.topics if topic.views is not None]
    return {
        **chosen.source,
        "chosen": len(chosen.topics),
        "left out": dict(sorted(chosen.left_out.items())),
        "flagged by name": dict(sorted(chosen.flagged.items())),
        "views": spread(views) if views else None,
        "left out for too few texts": made.incomplete,
    }


def _texts(made: Made, trait: str) -> dict[str, Any]:
    ours = [draft for draft in made.drafts if draft.wish.trait.name == trait]
    sizes = [draft.words for draft in made.texts if draft.wish.trait.name == trait]
    return {
        "asked for": len(ours),
        "dropped": dict(sorted(Counter(d.dropped for d in ours if d.dropped).items())),
        "of topics with too few": sum(not d.dropped for d in ours) - len(sizes),
        "in the set": len(sizes),
        "words": spread(sizes),
    }


def _classifier(made: Made) -> dict[str, Any]:
    margins = [draft.margin for draft in made.drafts if draft.margin is not None]
    if not margins:
        return {"asked": False}
    return {
        "kind": "tfidf, out of fold by topic",
        "folds": made.sieve.folds,
        "texts": len(margins),
        "own trait leads": sum(margin > 0 for margin in margins),
        "least margin": made.sieve.margin,
    }


def _judge(made: Made, judge: Writer) -> dict[str, Any]:
    ratings = [rating for draft in made.drafts for rating in draft.ratings.values()]
    return {
        "name": judge.name,
        **judge.facts,
        "ratings": len(ratings),
        "not readable": sum(rating is None for rating in ratings),
        "least lead": made.sieve.lead,
    }


def _review(made: Made) -> dict[str, Any]:
    votes = made.votes
    outcomes = Counter(votes.outcome(draft.id) for draft in made.drafts if draft.id in votes.by_id)
    outcomes["unreviewed"] = sum(draft.id not in votes.by_id for draft in made.texts)
    agreement = {
        question: {each.name: _agreed(asdict(each)) for each in found}
        for question, found in agreements(votes, made.drafts, made.order.seed).items()
    }
    return {
        "sheets": {path.name: file_facts(path) for path in votes.sheets},
        "annotators": votes.annotators,
        "texts": {outcome: outcomes[outcome] for outcome in OUTCOMES},
        "agreement": agreement,
    }


def _agreed(found: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("value", "low", "high", "units", "missing", "interval", "why")
    rounded = {key: found[key] for key in kept}
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in rounded.items()}
