"""Which texts are kept: rules, then a classifier that has not seen their topics, then a judge's ratings.

A text that fails is not taken out but marked with the reason, so that nothing is dropped unseen.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

import numpy as np

from truing.building.asks import Writer
from truing.building.personality.generate import Order, Wish, giveaways
from truing.building.texts import Limits, cuts
from truing.errors import BadInput, NotPossible
from truing.judges.classifiers import tfidf
from truing.judges.classifiers.examples import Example
from truing.seeds import Seeds
from truing.servers.reply import Reply

_WORD = re.compile(r"[\w'’-]+")
_NOTE = re.compile(
    r"(?:^|\n|\()\s*(?:note|disclaimer|explanation|word count)\s*[:.)]", re.IGNORECASE
)
_GRAM = 3


@dataclass(frozen=True, slots=True)
class Sieve:
    """``limits`` as for all texts of writers. ``alike``: word 3-grams that two texts share over those
    that either has (Jaccard) from which the later one is a near-duplicate. ``folds`` parts of the
    topics that a classifier is tested on in turn (0: none), and the least ``margin`` by which a text's
    own trait must lead in probability. ``lead``: the same for ratings from 1 to 5 of a judge."""

    limits: Limits = field(default_factory=lambda: Limits(shortest=1, leak=6))
    alike: float = 0.7
    folds: int = 5
    margin: float = 0.0
    lead: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.alike <= 1 or self.folds < 0 or self.folds == 1:
            raise BadInput(
                f"alike {self.alike:g} and folds {self.folds} do not go",
                "alike is above 0 and 1 at most; folds is 2 or more, or 0 for no classifier.",
            )


@dataclass(frozen=True, slots=True)
class Draft:
    """One text and what is thought of it. ``dropped``: why it is not in the set (``""``: nothing
    speaks against it). ``margin`` is ``None`` where no classifier was asked; ``ratings`` are 1 to 5 by
    trait, ``None`` where a rating could not be read, empty where nobody was asked."""

    wish: Wish
    text: str
    dropped: str = ""
    margin: float | None = None
    ratings: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """A hash of topic, trait, number and text: decisions hold for these and no others."""
        wish = self.wish
        told = "\x1f".join((wish.topic.name, wish.trait.name, str(wish.number), self.text))
        return sha256(told.encode()).hexdigest()[:12]

    @property
    def words(self) -> int:
        return len(words_of(self.text))


def by_rules(order: Order, replies: Sequence[Reply], sieve: Sieve, writer: Writer) -> list[Draft]:
    """A draft of every reply, in the order of the wishes, marked by the rules."""
    drafts = []
    for wish, ask, reply in zip(order.wishes, order.asks, replies, strict=True):
        found = cuts(ask, reply, sieve.limits, writer)
        if isinstance(found, str):
            drafts.append(Draft(wish, (reply.text or "").strip(), found))
        else:
            text = unquoted(found[0].text)
            drafts.append(Draft(wish, text, trouble(text, wish, order)))
    return _without_repeats(drafts, sieve.alike)


def trouble(text: str, wish: Wish, order: Order) -> str:
    """What speaks against a text by itself, ``""`` where nothing does."""
    low = text.casefold()
    if _NOTE.search(text):
        return "has a note"
    if any(
        re.search(rf"\b{re.escape(word.casefold())}", low)
        for word in giveaways(wish.trait, wish.facet)
    ):
        return "names the trait or facet"
    if low.startswith(tuple(opener.casefold() for opener in order.openers)):
        return "banned opener"
    size = len(words_of(text))
    if not order.band.low <= size <= order.band.high:
        return "too short" if size < order.band.low else "too long"
    return "" if _mentions(low, wish.topic.name) else "does not mention the topic"


def by_classifier(drafts: Sequence[Draft], sieve: Sieve, seed: int) -> list[Draft]:
    """Mark texts whose own trait does not lead by the margin. The classifier of words and characters
    that judges a text has learned from other topics only. Raises ``NotPossible`` where texts are too
    few to learn from, or without scikit-learn."""
    if not sieve.folds:
        return list(drafts)
    open_ = [i for i, draft in enumerate(drafts) if not draft.dropped]
    topics = sorted({drafts[i].wish.topic.name for i in open_})
    Seeds(seed).child("folds").random().shuffle(topics)
    fold = {topic: place % sieve.folds for place, topic in enumerate(topics)}
    found = list(drafts)
    for k in range(sieve.folds):
        tested = [i for i in open_ if fold[drafts[i].wish.topic.name] == k]
        learned = [_example(drafts[i]) for i in open_ if fold[drafts[i].wish.topic.name] != k]
        if not tested:
            continue
        if {drafts[i].wish.trait.name for i in tested} - {example.label for example in learned}:
            raise NotPossible(
                "there are too few texts for a classifier to learn every trait from other topics",
                "Give more topics or fewer folds; --folds 0 leaves the classifier out.",
            )
        model = tfidf.fit(learned, tfidf.TfidfSettings())
        p_N_K = model.predict([drafts[i].text for i in tested])
        for row_K, i in zip(p_N_K, tested, strict=True):
            own = model.labels.index(drafts[i].wish.trait.name)
            margin = float(row_K[own] - np.delete(row_K, own).max())
            why = "" if margin >= sieve.margin else "the classifier sees another trait"
            found[i] = replace(drafts[i], margin=round(margin, 6), dropped=why)
    return found


def by_ratings(drafts: Sequence[Draft], sieve: Sieve) -> list[Draft]:
    """Mark rated texts whose own trait is not rated highest by the lead; a rating that is missing
    cannot show it."""
    return [
        replace(draft, dropped=_unled(draft, sieve.lead)) if draft.ratings else draft
        for draft in drafts
    ]


def surplus(drafts: Sequence[Draft], n: int) -> list[Draft]:
    """Mark what remains beyond ``n`` texts of a topic and trait, the later numbers first."""
    taken, found = Counter[tuple[str, str]](), []
    for draft in drafts:
        place = draft.wish.topic.name, draft.wish.trait.name
        if not draft.dropped:
            taken[place] += 1
        over = not draft.dropped and taken[place] > n
        found.append(replace(draft, dropped="not needed") if over else draft)
    return found


def words_of(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def unquoted(text: str) -> str:
    """A text without the quotation marks that a writer put around all of it."""
    text = text.strip()
    for left, right in ('""', "“”"):
        inside = text[1:-1]
        if len(text) > 2 and text[0] == left and text[-1] == right and left not in inside:
            return inside.strip()
    return text


def jaccard(one: frozenset[tuple[str, ...]], two: frozenset[tuple[str, ...]]) -> float:
    """What both have over what either has; 0 where neither has anything."""
    either = len(one | two)
    return len(one & two) / either if either else 0.0


def grams(text: str) -> frozenset[tuple[str, ...]]:
    """The word 3-grams of a text; shorter texts are one gram."""
    words = words_of(text)
    starts = range(max(1, len(words) - _GRAM + 1))
    return frozenset(tuple(words[i : i + _GRAM]) for i in starts) if words else frozenset()


def _without_repeats(drafts: Sequence[Draft], alike: float) -> list[Draft]:
    """Texts are compared over all topics and traits, with those before them that are kept."""
    having: dict[tuple[str, ...], list[int]] = defaultdict(list)
    kept: list[frozenset[tuple[str, ...]]] = []
    found = []
    for draft in drafts:
        if draft.dropped:
            found.append(draft)
            continue
        own = grams(draft.text)
        near = {number for gram in own for number in having[gram]}
        if any(jaccard(own, kept[number]) >= alike for number in near):
            found.append(replace(draft, dropped="near-duplicate"))
            continue
        for gram in own:
            having[gram].append(len(kept))
        kept.append(own)
        found.append(draft)
    return found


def _mentions(low: str, topic: str) -> bool:
    """Whether the topic stands in the text as it is written, an article before it left aside."""
    name = re.sub(r"^(?:the|a|an) ", "", topic.casefold())
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", low) is not None


def _unled(draft: Draft, lead: float) -> str:
    if draft.dropped:
        return draft.dropped
    own = draft.ratings[draft.wish.trait.name]
    others = [rating for name, rating in draft.ratings.items() if name != draft.wish.trait.name]
    said = [rating for rating in others if rating is not None]
    if own is None or len(said) < len(others):
        return "a rating is missing"
    return "" if own - max(said) >= lead else "the judge rates another trait as high"


def _example(draft: Draft) -> Example:
    return Example(draft.text, draft.wish.trait.name, draft.wish.topic.name)
