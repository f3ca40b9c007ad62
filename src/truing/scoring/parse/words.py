"""Reading yes or no, and other labels that are words: good or bad, reasonable or unreasonable."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from truing.scoring.parse.parsed import DECLINES, EMPTY, Parsed, hedges, negated, plain, refuses


@dataclass(frozen=True, slots=True)
class Label:
    """One of the answers that were offered: its ``name``, and the ``words`` that say it."""

    name: str
    words: tuple[str, ...]


Labels = tuple[Label, ...]

YES_NO: Labels = (Label("yes", ("yes",)), Label("no", ("no",)))
TRUE_FALSE: Labels = (
    Label("true", ("true", "correct")),
    Label("false", ("false", "untrue", "incorrect")),
)
REASONABLE: Labels = (
    Label("reasonable", ("reasonable", "justified")),
    Label("unreasonable", ("unreasonable", "unjustified")),
)
GOOD_BAD: Labels = (
    Label(
        "good",
        ("good", "ethical", "moral", "right", "acceptable", "appropriate", "positive", "beneficial"),
    ),
    Label(
        "bad",
        ("bad", "unethical", "immoral", "wrong", "unacceptable", "inappropriate", "negative",
         "harmful"),
    ),
)  # fmt: skip
GOOD_BAD_NEUTRAL: Labels = (*GOOD_BAD, Label("neutral", ("neutral",)))
VOCABULARIES: tuple[Labels, ...] = (YES_NO, TRUE_FALSE, REASONABLE, GOOD_BAD)

# The words of a label inside a phrase that does not say it.
_IDIOMS = re.compile(
    r"\bno (?:one|good|doubt|matter|clue|comment|longer|less|problem|worries|such)\b"
    r"|\b(?:the|a|your|his|her|their|my) rights? to\b|\bright (?:now|away|after|before)\b"
    r"|\bgood (?:question|luck|morning|day)\b",
    re.IGNORECASE,
)
_CUE = re.compile(r"\b(?:answer|verdict|label|judgement|judgment)(?:\s+is|\s*:)[\s\"'(*:]*$", re.I)


def plain_labels(names: Sequence[str]) -> Labels:
    """Labels that are said by their own name only."""
    return tuple(Label(name, (name,)) for name in names)


def yes_no(text: str) -> Parsed:
    """``yes`` or ``no``."""
    return word_label(text, YES_NO)


def word_label(text: str, labels: Labels) -> Parsed:
    """The name of the one label that ``text`` says.

    In order: a first word that stands alone (``Bad.``, ``yes, I know``); ``the answer is bad``; a
    refusal or hedge (abstain); the only label in the text. Only whole words count, so ``unethical``
    never says ``ethical``. A denied label says the other one where there are two (``not
    acceptable``), and nothing where there are more. ``good or bad``, ``(good/`` offer labels and
    say none: they abstain unless another mention decides.
    """
    said = plain(text)
    if not said:
        return EMPTY
    said = _IDIOMS.sub(lambda m: "." * len(m.group()), said)
    named, offered = _mentions(said, labels)
    first = named[0] if named else None
    if first is not None and not offered and _stands_alone(said, first):
        return Parsed("answer", first.label, "leading word")
    cued = {m.label for m in named if _CUE.search(said[: m.start])}
    if len(cued) == 1:
        return Parsed("answer", cued.pop(), "named as the answer")
    if refuses(said):
        return DECLINES
    if hedges(_without(said, named)):
        return Parsed("abstain", None, "leaves it open")
    found = {m.label for m in named}
    if len(found) == 1:
        return Parsed("answer", found.pop(), "the only one said")
    if found or offered:
        return Parsed("abstain", None, "names several")
    return Parsed("invalid", None, f"none of {', '.join(label.name for label in labels)}")


@dataclass(frozen=True, slots=True)
class _Mention:
    label: str
    start: int
    end: int


def _mentions(text: str, labels: Labels) -> tuple[list[_Mention], bool]:
    """The labels said, in their order, and whether the text also offers labels to choose from."""
    by_word = {word.lower(): label.name for label in labels for word in label.words}
    words = "|".join(re.escape(w) for w in sorted(by_word, key=len, reverse=True))
    one = rf"(?<![\w-])(?:{words})(?![\w-])"
    choice = re.compile(
        rf"{one}(?:\s*(?:/|,?\s*\b(?:or|nor|and)\b)\s*[\"']?{one})+|{one}\s*/\s*$", re.IGNORECASE
    )
    offers = [
        m
        for m in choice.finditer(text)
        if len({by_word[w.group().lower()] for w in re.finditer(one, m.group(), re.I)}) > 1
        or m.group().rstrip().endswith("/")
    ]
    rest = text
    for m in offers:
        rest = rest[: m.start()] + " " * len(m.group()) + rest[m.end() :]
    names = [label.name for label in labels]
    found = []
    for m in re.finditer(one, rest, re.IGNORECASE):
        name = by_word[m.group().lower()]
        if not negated(rest, m.start()):
            found.append(_Mention(name, m.start(), m.end()))
        elif len(names) == 2:
            found.append(_Mention(names[1 - names.index(name)], m.start(), m.end()))
    return found, bool(offers)


def _stands_alone(text: str, mention: _Mention) -> bool:
    """Whether it opens the text and the sentence part ends with it."""
    before, after = text[: mention.start], text[mention.end :]
    return not re.search(r"\w", before) and re.match(r"\W*$|\s*[^\w\s'/-]|\s*\n", after) is not None


def _without(text: str, mentions: Sequence[_Mention]) -> str:
    for m in mentions:
        text = text[: m.start] + " " * (m.end - m.start) + text[m.end :]
    return text
