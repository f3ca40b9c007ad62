"""Prefixes that are put before a prompt, so that an edit does not hang on a bare prompt.

A prefix is text; the prompt follows it as it is. Nothing is formatted, so braces are safe.
Meng et al. 2022, section 3.1: the key is averaged over random prefixes and the value is optimised
under them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from truing.models.asks import Decoding, GenerateAsk
from truing.models.handle import Model
from truing.seeds import Seeds

STARTERS = ("The", "Therefore", "Because", "I", "You")


def sample(
    model: Model,
    counts: Sequence[tuple[int, int]],
    seeds: Seeds,
    starters: Sequence[str] = STARTERS,
) -> tuple[str, ...]:
    """Short continuations of common first words (``starters``), sampled from ``model`` (top-k 5, temperature 1).

    ``counts`` holds (length in tokens, how many). Every prefix ends in ``". "``; what the model
    says is one line, NFKD-normalised. Duplicates are kept, so that the number is what was asked.
    The same seed on the same weights gives the same prefixes.
    """
    asks = [
        GenerateAsk(
            starters[i % len(starters)],
            Decoding(
                max_new_tokens=max(1, length - 1),
                top_k=5,
                seed=seeds.child(f"{length}-{i}").number,
            ),
        )
        for length, count in counts
        for i in range(count)
    ]
    said = model.generate(asks)
    return tuple(
        f"{_one_line(str(ask.prompt) + answer.text)}. "
        for ask, answer in zip(asks, said, strict=True)
    )


def _one_line(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKD", text).split()).rstrip(".")
