"""From replies to contrast pairs, with every rejection counted."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from truing.building.asks import Writer
from truing.building.balance import Bounds, balanced, matches
from truing.building.draft import SIDES, Draft, Side
from truing.building.texts import Cut, Limits, cuts
from truing.servers.reply import Reply

Standing = Literal["unreviewed", "accepted", "edited"]


@dataclass(frozen=True, slots=True)
class Drawn:
    """One pair. ``review`` says whether somebody has looked at it."""

    prompt: str
    positive: str
    negative: str
    behavior: str
    split: Literal["train", "test"]
    review: Standing = "unreviewed"

    @property
    def id(self) -> str:
        """A hash of the texts: decisions hold for these words and no others."""
        texts = json.dumps([self.prompt, self.positive, self.negative])
        return hashlib.sha256(texts.encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Neutral:
    """What the writer says when nothing is asked of it."""

    prompt: str
    neutral: str
    behavior: str


@dataclass(frozen=True)
class Paired:
    """``rejected`` counts unusable replies by side and reason, ``unpaired`` prompts without a pair by
    reason."""

    pairs: tuple[Drawn, ...]
    neutrals: tuple[Neutral, ...]
    rejected: Mapping[Side, Counter[str]]
    unpaired: Counter[str]

    @property
    def reasons(self) -> Counter[str]:
        """Why there are not more pairs."""
        return sum(self.rejected.values(), self.unpaired.copy())


@dataclass(frozen=True, slots=True)
class Rules:
    """What decides which pairs there are, once the replies are there."""

    limits: Limits = field(default_factory=Limits)
    bounds: Bounds = field(default_factory=Bounds)
    holdout: float = 0.5


def paired(draft: Draft, replies: Sequence[Reply], rules: Rules, writer: Writer) -> Paired:
    """Pairs of the draft's ``replies`` (in the order of its asks), in the order of its prompts."""
    usable: dict[tuple[int, Side], list[Cut]] = {}
    rejected: dict[Side, Counter[str]] = {side: Counter() for side in SIDES}
    for (prompt, side, _), ask, reply in zip(draft.places, draft.asks, replies, strict=True):
        found = cuts(ask, reply, rules.limits, writer)
        if isinstance(found, str):
            rejected[side][found] += 1
        else:
            usable.setdefault((prompt, side), []).extend(found)
    unpaired: Counter[str] = Counter()
    choices = {}
    for number in range(len(draft.prompts.texts)):
        positives, negatives = usable.get((number, "for")), usable.get((number, "against"))
        if not positives or not negatives:
            unpaired["a side has no usable reply"] += 1
            continue
        possible = matches(positives, negatives, rules.bounds)
        if isinstance(possible, str):
            unpaired[possible] += 1
        else:
            choices[number] = possible
    tested, texts = draft.tested(rules.holdout), draft.prompts.texts
    pairs = []
    for number, match in zip(choices, balanced(list(choices.values()), rules.bounds), strict=True):
        if match is None:
            unpaired["left out for balance"] += 1
            continue
        sides = match.positive.text, match.negative.text
        split: Literal["train", "test"] = "test" if number in tested else "train"
        pairs.append(Drawn(texts[number], *sides, draft.behavior, split))
    neutrals = tuple(
        Neutral(texts[number], cut.text, draft.behavior)
        for number in range(len(texts))
        for cut in usable.get((number, "neutral"), ())
        if not cut.lost
    )
    return Paired(tuple(pairs), neutrals, rejected, unpaired)
