"""Contrast pairs as people left them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from truing.building.pairs import Drawn
from truing.building.review import Decision, Item
from truing.building.texts import Length
from truing.errors import BadInput, NotPossible

SIDES = ("positive", "negative")
Outcome = Literal["accepted", "edited", "rejected", "unreviewed"]
SAID: Mapping[str, Outcome] = {"accept": "accepted", "edit": "edited", "reject": "rejected"}


@dataclass(frozen=True, slots=True)
class Looked:
    """``pairs`` are those left, ``counts`` says what was decided on all, ``sheet`` where (``None``:
    nobody was asked), ``reviewers`` who decided."""

    pairs: tuple[Drawn, ...]
    counts: Counter[str]
    sheet: Path | None
    reviewers: tuple[str, ...]


def items_of(pairs: Sequence[Drawn], length: Length) -> list[Item]:
    """What people are shown of each pair. Both sides may be edited."""
    items = []
    for pair in pairs:
        texts = {side: str(getattr(pair, side)) for side in SIDES}
        sizes = {f"{side} length": str(length(text)) for side, text in texts.items()}
        shown = {"split": pair.split, "prompt": pair.prompt, **texts, **sizes}
        items.append(Item(pair.id, shown, SIDES))
    return items


def apply(pairs: Sequence[Drawn], sheet: Path | None, decisions: Mapping[str, Decision]) -> Looked:
    """``decisions`` are by the id of the pair. Raises ``BadInput`` for edits that make both sides
    equal, ``NotPossible`` where no pair is left."""
    left = []
    counts: Counter[str] = Counter(dict.fromkeys((*SAID.values(), "unreviewed"), 0))
    for pair in pairs:
        decision = decisions.get(pair.id)
        outcome = "unreviewed" if decision is None else SAID[decision.choice]
        counts[outcome] += 1
        if decision is None:
            left.append(pair)
        elif outcome == "accepted":
            left.append(replace(pair, review="accepted"))
        elif outcome == "edited":
            left.append(_edited(pair, decision.edited))
    if not left:
        raise NotPossible("every pair was rejected", "Build with other prompts or another writer.")
    people = {decision.reviewer or "not named" for decision in decisions.values()}
    return Looked(tuple(left), counts, sheet, tuple(sorted(people)))


def _edited(pair: Drawn, wording: Mapping[str, str]) -> Drawn:
    positive, negative = (wording.get(side, getattr(pair, side)) for side in SIDES)
    if positive.casefold() == negative.casefold():
        raise BadInput(f"the edits of pair {pair.id} make both sides equal", "Edit it again.")
    return replace(pair, positive=positive, negative=negative, review="edited")
