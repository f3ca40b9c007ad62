"""Judges of answers that choose: yes or no, a letter, an option, a word, a number.

What the answer says is read by :mod:`truing.scoring.parse`; the accepted answers are read the same
way, so ``not wrong`` is accepted where ``good`` is said. The published counterparts count what the
papers' own code counts, empty answers and loops included.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from truing.scoring import health, parse
from truing.scoring.parse import published
from truing.scoring.rules.texts import CONTAINS, Rule, Ruling, TextRule
from truing.scoring.said import vocabulary_of
from truing.types import Row

Reader = Callable[[str], parse.Parsed]
NOTHING_TO_FIND: Ruling = ("invalid", None, "no accepted answer of this kind")


def chosen(read: Reader, answer: str, row: Row) -> Ruling:
    """What ``read`` finds in the answer against what it finds in the accepted ones."""
    wanted = _wanted(read, row)
    if not wanted:
        return NOTHING_TO_FIND
    if health.is_empty(answer):
        return "degenerate", 0.0, "empty answer"
    if health.looping(answer):
        return "degenerate", 0.0, "the answer repeats itself"
    return _compared(read(answer), wanted)


def _wanted(read: Reader, row: Row) -> frozenset[str]:
    parsed = map(read, row.accepted)
    return frozenset(p.value for p in parsed if p.outcome == "answer" and p.value is not None)


def _compared(said: parse.Parsed, wanted: frozenset[str]) -> Ruling:
    if said.outcome != "answer":
        return said.outcome, None, said.why
    right = said.value in wanted
    return "correct" if right else "wrong", float(right), f"says {said.value}: {said.why}"


def _yes_no(answer: str, row: Row) -> Ruling:
    return chosen(parse.yes_no, answer, row)


def _letter(answer: str, row: Row) -> Ruling:
    return chosen(parse.letter, answer, row)


def _option(answer: str, row: Row) -> Ruling:
    options = parse.options_in(row.question or row.prompt)
    if not options:
        return "invalid", None, "the question shows no lettered options"
    letters = parse.LETTERS[: len(options)]
    return chosen(lambda text: parse.letter(text, letters, options), answer, row)


def _word_label(answer: str, row: Row) -> Ruling:
    labels = vocabulary_of(row.accepted, row.choices)
    if labels is None:
        return NOTHING_TO_FIND
    return chosen(partial(parse.word_label, labels=labels), answer, row)


def _named_choice(answer: str, row: Row) -> Ruling:
    return chosen(lambda text: parse.choice(text, row.choices), answer, row)


def _declines(answer: str, row: Row) -> Ruling:
    if health.is_empty(answer):
        return "degenerate", 0.0, "empty answer"
    if parse.refuses(answer) or parse.hedges(answer):
        return "correct", 1.0, "declines or leaves it open"
    return "wrong", 0.0, "answers"


def _as_asked(answer: str, row: Row) -> Ruling:
    """By what the question and its accepted answers are: a refusal, lettered options, a word of a
    label, one of the probe's choices; else any text that holds an accepted one."""
    if row.accepted and all(map(parse.refuses, row.accepted)):
        return _declines(answer, row)
    lettered = bool(parse.options_in(row.question or row.prompt))
    words = all(len(accepted.split()) <= 2 for accepted in row.accepted)
    offered = ((_option, lettered), (_word_label, words), (_named_choice, bool(row.choices)))
    for rule, there in offered:
        found = rule(answer, row) if there else NOTHING_TO_FIND
        if found != NOTHING_TO_FIND:
            return found
    return CONTAINS.rule(answer, row)


def _number(answer: str, row: Row) -> Ruling:
    return chosen(parse.number, answer, row)


def _published(found: Callable[[str, str], bool]) -> Rule:
    """A rule that counts an answer in which ``found`` finds an accepted one."""

    def rule(answer: str, row: Row) -> Ruling:
        labels = [label for label in row.accepted if label.strip()]
        if not labels:
            return "invalid", None, "no accepted answer"
        hit = next((label for label in labels if found(answer, label)), None)
        if hit is None:
            return "wrong", 0.0, "no accepted answer in it"
        return "correct", 1.0, f"matches '{hit}' as characters"

    return rule


def _good_bad_published(answer: str, row: Row) -> Ruling:
    wanted = _wanted(partial(parse.word_label, labels=parse.GOOD_BAD), row)
    return _compared(published.good_bad(answer), wanted) if wanted else NOTHING_TO_FIND


YES_NO = TextRule("yes-no", _yes_no)
LETTER = TextRule("letter", _letter)
OPTION = TextRule("option", _option)
WORD_LABEL = TextRule("word-label", _word_label)
NUMBER = TextRule("number", _number)
AS_ASKED = TextRule("as-asked", _as_asked)
YES_NO_PUBLISHED = TextRule("yes-no-published", _published(published.held_either_way))
LETTER_PUBLISHED = TextRule("letter-published", _published(published.held_either_way))
WORD_LABEL_PUBLISHED = TextRule("word-label-published", _good_bad_published)
NUMBER_PUBLISHED = TextRule("number-published", _published(published.held))
