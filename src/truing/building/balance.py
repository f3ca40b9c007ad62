"""One pair per prompt, chosen so that neither side is longer on the whole.

A steering vector made of pairs whose sides differ in length, and a likelihood that sums over tokens,
both learn the length. So the mean difference is brought near 0, at the least loss of text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

from truing.building.texts import Cut
from truing.errors import BadInput


@dataclass(frozen=True, slots=True)
class Bounds:
    """``ratio``: the longer side over the shorter, at most. ``mean``: the mean difference of lengths
    (positive minus negative) that is near enough to 0. ``most``: pairs that are wanted."""

    ratio: float = 2.0
    mean: float = 0.25
    most: int | None = None

    def __post_init__(self) -> None:
        if self.ratio < 1 or self.mean < 0 or (self.most is not None and self.most < 1):
            raise BadInput(
                f"ratio {self.ratio:g}, mean {self.mean:g} and most {self.most} cannot all be met",
                "ratio is 1 or more, mean is 0 or more, most is 1 or more.",
            )


@dataclass(frozen=True, slots=True)
class Match:
    """Two sides that may become a pair."""

    positive: Cut
    negative: Cut

    @property
    def longer(self) -> int:
        return self.positive.length - self.negative.length

    @property
    def lost(self) -> int:
        return self.positive.lost + self.negative.lost


def matches(
    positives: Iterable[Cut], negatives: Iterable[Cut], bounds: Bounds
) -> list[Match] | str:
    """The pairs that one prompt allows, for each difference of lengths the one that loses least,
    the best first; or why there is none."""
    different = [
        Match(p, n)
        for p, n in product(positives, negatives)
        if p.text.casefold() != n.text.casefold()
    ]
    if not different:
        return "both sides are equal"
    fair = [m for m in different if _ratio(m) <= bounds.ratio]
    if not fair:
        return "lengths too far apart"
    best: dict[int, Match] = {}
    for match in sorted(fair, key=lambda m: m.lost):
        best.setdefault(match.longer, match)
    return sorted(best.values(), key=lambda m: (m.lost, abs(m.longer), m.longer))


def balanced(choices: Sequence[Sequence[Match]], bounds: Bounds) -> list[Match | None]:
    """One match of each prompt's ``choices`` (one or more, the best first), ``None`` where the prompt
    is left out because fewer pairs are wanted.

    First those prompts go whose absence balances most, then matches are exchanged, those first that
    lose least text for what they mend. Deterministic.
    """
    taken: dict[int, Match] = {i: found[0] for i, found in enumerate(choices)}
    over = sum(match.longer for match in taken.values())
    while bounds.most is not None and len(taken) > bounds.most:
        gone = min(taken, key=lambda i: (abs(over - taken[i].longer), -taken[i].lost, -i))
        over -= taken.pop(gone).longer
    near, changed = bounds.mean * len(taken), True
    while abs(over) > near and changed:
        changed = False
        for i, match in _exchanges(choices, taken, over):
            after = over - taken[i].longer + match.longer
            if abs(over) > near and abs(after) < abs(over):
                taken[i], over, changed = match, after, True
    return [taken.get(i) for i in range(len(choices))]


def _exchanges(
    choices: Sequence[Sequence[Match]], taken: dict[int, Match], over: int
) -> list[tuple[int, Match]]:
    """Exchanges that mend some of ``over``, the cheapest first."""
    moves = []
    for i, now in taken.items():
        for rank, match in enumerate(choices[i]):
            mended = abs(over) - abs(over - now.longer + match.longer)
            if mended > 0:
                moves.append(((match.lost - now.lost) / mended, -mended, i, rank))
    return [(i, choices[i][rank]) for *_, i, rank in sorted(moves)]


def _ratio(match: Match) -> float:
    short, long = sorted((match.positive.length, match.negative.length))
    return long / short if short else float("inf")
