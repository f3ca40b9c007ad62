"""Small texts that a classifier can learn in a second."""

from __future__ import annotations

import random

from truing.judges.classifiers.examples import Example, Split, split

WORDS = {
    "calm": ["quiet", "still water", "rest", "slow breath"],
    "Merry": ["laughter", "dancing", "bright song", "party"],
    "sour": ["complaint", "bitter lemon", "grumble", "dull rain"],
}
FILLING = ["the city", "of Orvale", "is here", "a gate", "we think", "this evening", "über"]


def examples(n: int = 120, labels: int = 3) -> list[Example]:
    """``n`` texts about topics of three texts each."""
    draw, found = random.Random(5), []
    for i in range(n):
        label = sorted(WORDS)[i % labels]
        words = [draw.choice(WORDS[label]), *draw.sample(FILLING, 3)]
        draw.shuffle(words)
        found.append(Example(" ".join(words), label, f"topic {i // 3}"))
    return found


def parts(n: int = 120, labels: int = 3) -> Split:
    return split(examples(n, labels), seed=0, dev=0.2, test=0.2)
