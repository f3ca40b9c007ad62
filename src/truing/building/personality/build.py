"""Build a set of opinions that show traits: ask, sift, have it reviewed, and say in a card how it was made.

Beside the files of :mod:`truing.building.personality.records` there are ``replies.jsonl`` (every reply
as it came, of writer and judge), ``review.csv`` (the sheet for people) and ``card.*``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from truing.building.asks import Ask, Watch, Writer, answered, collect, kept
from truing.building.personality import filters, profile, records, sheets
from truing.building.personality.card import Made, card_of
from truing.building.personality.filters import Draft, Sieve
from truing.building.personality.generate import Order
from truing.building.personality.records import Entry
from truing.building.personality.sheets import Votes
from truing.errors import NotPossible
from truing.runs.lines import cannot
from truing.runs.lock import Lock
from truing.servers.reply import Reply
from truing.servers.spending import Estimate

SHEET = "review.csv"


@dataclass(frozen=True, slots=True)
class Rules:
    """What decides the set once the replies are there. A topic needs ``least`` texts of every trait (or
    as many as are kept of each, where these are fewer); ``shown`` texts of a trait are on the sheet
    (``None``: all)."""

    sieve: Sieve = field(default_factory=Sieve)
    least: int = 2
    shown: int | None = None


@dataclass(frozen=True, slots=True)
class Built:
    """What came out. ``incomplete`` counts topics with too few texts, ``dropped`` texts by reason,
    ``reviews`` those left by what was decided. ``on_sheet`` texts are to be reviewed (``None``: no new
    sheet was written)."""

    entries: tuple[Entry, ...]
    incomplete: int
    dropped: Counter[str]
    reviews: Counter[str]
    on_sheet: int | None


def missing(folder: Path, order: Order, writer: Writer) -> Estimate:
    """What writing would take from here on. Asks nobody."""
    there = kept(folder, writer, order.asks)
    return writer.estimate([ask for i, ask in enumerate(order.asks) if i not in there])


def rating(order: Order, judge: Writer) -> Estimate:
    """What rating every text for every trait would take, at most. Asks nobody."""
    longest = " ".join(["word"] * order.band.high)
    drafts = [Draft(wish, longest) for wish in order.wishes]
    return judge.estimate(profile.asks_of(drafts, order.traits))


def build(
    folder: Path,
    order: Order,
    writer: Writer,
    rules: Rules,
    watch: Watch,
    *,
    judge: Writer | None = None,
    reviewed: Sequence[Path] = (),
    licence: str | None = None,
) -> Built:
    """Build the set in ``folder``, or go on with it. ``reviewed`` are filled sheets: they are applied to
    what is there, and nobody is asked anything.

    The same call gives the same files, however often it was stopped before. Raises ``BadInput`` for a
    sheet that does not fit or would be lost and for a trait that cannot be rated, ``NotPossible`` where
    no topic is left, ``Locked``, ``StoreError``, and what writer and judge raise.
    """

    def said(who: Writer, asks: Sequence[Ask]) -> list[Reply]:
        return answered(folder, who, asks) if reviewed else collect(folder, who, asks, watch)

    if judge is not None:
        profile.rubrics_of(order.traits)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot("make", folder, error) from None
    lock = Lock(folder / "lock")
    try:
        replies = said(writer, order.asks)
        drafts = filters.by_rules(order, replies, rules.sieve, writer)
        drafts = filters.by_classifier(drafts, rules.sieve, order.seed)
        if judge is not None:
            ratings = said(judge, profile.asks_of(drafts, order.traits))
            drafts = profile.rated(drafts, order.traits, ratings)
            drafts = filters.by_ratings(drafts, rules.sieve)
        votes = sheets.read_sheets(reviewed, drafts, order.traits)
        drafts = filters.surplus(_voted(drafts, votes), order.n)
        entries, incomplete = records.entries_of(order, drafts, min(rules.least, order.n))
        _refuse_nothing(entries, drafts)
        left = [d for e in entries for texts in e.texts.values() for d in texts]
        on_sheet = None
        if not reviewed:
            on_sheet = sheets.write_sheet(folder / SHEET, left, rules.shown, order.seed)
        files = records.write(folder, entries, drafts, votes, {"name": writer.name, **writer.facts})
        made = Made(order, rules.sieve, replies, drafts, entries, incomplete, votes)
        card_of(made, writer, judge, files, licence).write(folder)
    finally:
        lock.release()
    dropped = Counter(draft.dropped for draft in drafts if draft.dropped)
    reviews = Counter[str](votes.outcome(draft.id) for draft in left)
    return Built(tuple(entries), incomplete, dropped, reviews, on_sheet)


def _voted(drafts: Sequence[Draft], votes: Votes) -> list[Draft]:
    return [
        replace(draft, dropped="rejected in review")
        if not draft.dropped and votes.outcome(draft.id) == "rejected"
        else draft
        for draft in drafts
    ]


def _refuse_nothing(entries: Sequence[Entry], drafts: Sequence[Draft]) -> None:
    if not entries:
        why = Counter(draft.dropped for draft in drafts if draft.dropped)
        told = ", ".join(f"{reason} ({n})" for reason, n in why.most_common(3))
        raise NotPossible(
            f"no topic has enough texts of every trait: {told}",
            "The replies are kept: loosen the rules, write more spare texts, or change the writer.",
        )
