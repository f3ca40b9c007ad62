"""Build a set of contrast pairs: ask, pair, have it reviewed, and say in a card how it was made.

replies.jsonl   every reply as it came
pairs.jsonl     what the benchmark ``contrast`` reads; ``review`` marks what nobody has looked at
neutral.jsonl   what the writer says under the neutral system prompt
review.csv      the sheet for people
card.*          the data card
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from truing.building.asks import Watch, Writer, answered, collect, kept
from truing.building.contrast_card import card_of, lean
from truing.building.draft import Draft
from truing.building.looked import apply, items_of
from truing.building.pairs import Drawn, Paired, Rules, paired
from truing.building.review import read_sheet, write_sheet
from truing.errors import NotPossible
from truing.runs.lines import cannot, write_atomically
from truing.runs.lock import Lock
from truing.servers.spending import Estimate

PAIRS, NEUTRAL, SHEET = "pairs.jsonl", "neutral.jsonl", "review.csv"


@dataclass(frozen=True, slots=True)
class Built:
    """What came out. ``rejected`` counts replies and prompts by reason, ``reviews`` the pairs by what
    was decided on them, those taken out included. ``lean`` is the mean length of the positive side
    minus the negative, in the writer's unit."""

    pairs: tuple[Drawn, ...]
    rejected: Counter[str]
    reviews: Counter[str]
    lean: float


def missing(folder: Path, draft: Draft, writer: Writer) -> Estimate:
    """What building would take from here on. Asks nobody."""
    asks = draft.asks
    there = kept(folder, writer, asks)
    return writer.estimate([ask for i, ask in enumerate(asks) if i not in there])


def build(
    folder: Path,
    draft: Draft,
    writer: Writer,
    rules: Rules,
    watch: Watch,
    *,
    reviewed: Path | None = None,
    licence: str | None = None,
) -> Built:
    """Build the set in ``folder``, or go on with it. ``reviewed`` is a sheet with decisions: it is
    applied to what is there, and nobody is asked anything.

    The same call gives the same files, however often it was stopped before. Raises ``BadInput`` for
    a sheet that does not fit or would be lost, ``NotPossible`` where no pair is left, ``Locked``,
    ``StoreError``, and what the writer raises.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot("make", folder, error) from None
    lock = Lock(folder / "lock")
    try:
        if reviewed is None:
            replies = collect(folder, writer, draft.asks, watch)
        else:
            replies = answered(folder, writer, draft.asks)
        made = paired(draft, replies, rules, writer)
        _refuse_nothing(made)
        items = items_of(made.pairs, writer.length)
        looked = apply(
            made.pairs, reviewed, {} if reviewed is None else read_sheet(reviewed, items)
        )
        if reviewed is None:
            write_sheet(folder / SHEET, items)
        _write(folder / PAIRS, [{"id": pair.id, **asdict(pair)} for pair in looked.pairs])
        _write(folder / NEUTRAL, [asdict(neutral) for neutral in made.neutrals])
        files = {"pairs": folder / PAIRS, "neutral": folder / NEUTRAL}
        card_of(draft, writer, rules, replies, made, looked, files, licence).write(folder)
    finally:
        lock.release()
    return Built(looked.pairs, made.reasons, looked.counts, lean(looked.pairs, writer))


def _refuse_nothing(made: Paired) -> None:
    if not made.pairs:
        told = ", ".join(f"{why} ({n})" for why, n in made.reasons.most_common(3))
        raise NotPossible(
            f"no prompt gave a pair: {told}",
            "The replies are kept: loosen the limits, or change the system prompts or the writer.",
        )


def _write(path: Path, records: Sequence[dict[str, Any]]) -> None:
    lines = (json.dumps(record, ensure_ascii=False) for record in records)
    write_atomically(path, "".join(f"{line}\n" for line in lines))
