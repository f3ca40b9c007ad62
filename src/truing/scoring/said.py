"""Which label an answer says, whatever label was wanted: what measures by class are made of.

The judge ``as-asked`` (:mod:`truing.scoring.rules.choices`) says whether an answer is the accepted one;
here the same readers say which one it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter

from truing.scoring import health, parse
from truing.scoring.judge import answer_of
from truing.scoring.parse import Labels, Parsed
from truing.types import Response, Row

Reader = Callable[[str], Parsed]
VOCABULARIES: tuple[Labels, ...] = (*parse.VOCABULARIES, parse.GOOD_BAD_NEUTRAL)


@dataclass(frozen=True, slots=True)
class Answered:
    """What was said to one question under one edit.

    ``right`` is the accepted label, ``None`` where declining is accepted. ``now`` and ``base`` are what
    the answers say with the edit and without it; ``None`` without an answer.
    """

    edit: str
    question: str
    right: str | None
    now: Parsed | None
    base: Parsed | None

    @property
    def hits(self) -> bool:
        """Whether the answer is the accepted one."""
        return says(self.now, self.right)


def says(said: Parsed | None, right: str | None) -> bool:
    """Whether ``said`` is the label ``right``, or declines where that is ``None``."""
    if said is None:
        return False
    if right is None:
        return said.outcome == "abstain"
    return said.outcome == "answer" and said.value == right


def answered(row: Row) -> Answered | None:
    """``row`` as what its answers say; ``None`` where no accepted answer can be read as a label.

    Empty answers and loops are invalid. Where likelihoods were compared, the likeliest choice is what
    is said.
    """
    read = _reader(row)
    if read is None or not row.accepted:
        return None
    declines = all(map(parse.refuses, row.accepted))
    right = None if declines else read(row.accepted[0]).value
    if right is None and not declines:
        return None
    now, base = (_said(row, response, read) for response in (row.response, row.base))
    return Answered(row.case, row.group or row.case, right, now, base)


def vocabulary_of(accepted: Sequence[str], choices: Sequence[str]) -> Labels | None:
    """The first vocabulary that has the words of an accepted answer and of all ``choices``, refusals
    aside; ``None`` where there is none."""
    right = [text for text in accepted if not parse.refuses(text)]
    offered = [text for text in choices if not parse.refuses(text)]
    for vocabulary in VOCABULARIES:
        has = partial(_is_label, vocabulary)
        if any(map(has, right or offered)) and all(map(has, offered)):
            return vocabulary
    return None


def _is_label(vocabulary: Labels, text: str) -> bool:
    return len(text.split()) <= 2 and parse.word_label(text, vocabulary).outcome == "answer"


def _reader(row: Row) -> Reader | None:
    """How answers to the row's question are read: by its lettered options, by the words of its
    labels, by the texts on offer."""
    options = parse.options_in(row.question or row.prompt)
    if options:
        letters = parse.LETTERS[: len(options)]
        return partial(parse.letter, letters=letters, options=options)
    likely = row.response.choices if row.response else ()
    choices = row.choices or tuple(choice.text for choice in likely)
    vocabulary = vocabulary_of(row.accepted, choices)
    if vocabulary is not None:
        return partial(parse.word_label, labels=vocabulary)
    texts = [text for text in choices if not parse.refuses(text)]
    return partial(parse.choice, choices=texts) if len(texts) > 1 else None


def _said(row: Row, response: Response | None, read: Reader) -> Parsed | None:
    if response is None:
        return None
    if response.choices:
        return read(max(response.choices, key=attrgetter("logprob")).text)
    text = answer_of(row, response)
    if health.is_empty(text):
        return parse.Parsed("invalid", None, "empty answer")
    if health.looping(text):
        return parse.Parsed("invalid", None, "the answer repeats itself")
    return read(text)
