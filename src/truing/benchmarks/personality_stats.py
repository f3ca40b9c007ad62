"""What a file of opinions holds: counts, lengths, leaks, and how the places in a list differ.

After Mao et al. 2024 (arXiv 2310.02168), Table 4 and Figure 6.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from truing.benchmarks.files import Contents
from truing.benchmarks.personality import leaks, topics


@dataclass(frozen=True, slots=True)
class Lengths:
    """Of a group of opinions: how many, and their mean words (between spaces) and tokens (``None``
    without a tokenizer)."""

    n: int
    words: float
    tokens: float | None


@dataclass(frozen=True, slots=True)
class Views:
    """Page views of the topics that have them."""

    n: int
    mean: float
    median: float
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Statistics:
    """``positions`` are places in a trait's list, from 1. ``named`` is the share of opinions in which
    the topic stands, in any case of letters. ``spaced`` counts opinions with spaces around them;
    ``leaks`` holds (topic, trait, opinion) of those that give themselves away. ``targets`` counts
    topics by ``target_per``."""

    topics: int
    texts: Lengths
    traits: Mapping[str, Lengths]
    positions: Mapping[int, Lengths]
    targets: Mapping[str, int]
    named: float
    spaced: int
    leaks: tuple[tuple[str, str, str], ...]
    views: Views | None


def statistics(contents: Contents, count_tokens: Callable[[str], int] | None = None) -> Statistics:
    """Of the topics of a file. Raises ``BadInput`` for a record that is none."""
    told = [
        (topic, trait, place, text)
        for topic, texts in topics(contents)
        for trait, listed in texts.items()
        for place, text in enumerate(listed, 1)
    ]

    def lengths(texts: Sequence[str]) -> Lengths:
        words = fmean(len(text.split()) for text in texts)
        tokens = None if count_tokens is None else fmean(map(count_tokens, texts))
        return Lengths(len(texts), words, tokens)

    fields = [record.fields for record in contents.records]
    raw = [t for f in fields for value in f.values() if isinstance(value, list) for t in value]
    targets = Counter(str(f["target_per"]) for f in fields if f.get("target_per"))
    return Statistics(
        topics=len(fields),
        texts=lengths([text for *_, text in told]),
        traits={
            trait: lengths([text for _, other, _, text in told if other == trait])
            for trait in dict.fromkeys(trait for _, trait, _, _ in told)
        },
        positions={
            place: lengths([text for _, _, other, text in told if other == place])
            for place in sorted({place for _, _, place, _ in told})
        },
        targets=dict(targets.most_common()),
        named=fmean(topic.casefold() in text.casefold() for topic, _, _, text in told),
        spaced=sum(isinstance(text, str) and text != text.strip() for text in raw),
        leaks=tuple((topic, trait, text) for topic, trait, _, text in told if leaks(text)),
        views=_views([float(v) for f in fields if isinstance(v := f.get("views"), int | float)]),
    )


def _views(found: Sequence[float]) -> Views | None:
    if not found:
        return None
    return Views(len(found), fmean(found), median(found), min(found), max(found))
