"""From what a record says to a checked :class:`~truing.types.Case`.

A loader turns a record into a :class:`Draft` and nothing else; every rule about targets, subjects and
lengths is here, once, for all benchmarks.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from truing.benchmarks.subjects import guess, occurrences
from truing.types import Case, EditRequest, Probe


class Rejected(Exception):
    """A record cannot be used: which field, and why. Becomes a quarantined record."""

    def __init__(self, field: str, reason: str) -> None:
        self.field, self.reason = field, reason
        super().__init__(f"{field}: {reason}")


@dataclass(frozen=True, slots=True)
class Note:
    """Something that was mended, assumed or noticed; ``records`` holds the first few ids."""

    text: str
    count: int
    records: tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.records:
            return self.text
        more = ", ..." if self.count > len(self.records) else ""
        return f"{self.count} record(s): {self.text} ({', '.join(self.records)}{more})"


@dataclass
class Notebook:
    """Collects notes while records are read. ``about`` counts records, ``remark`` the file."""

    shown: int = 5
    _counts: dict[str, int] = field(default_factory=dict)
    _records: dict[str, list[str]] = field(default_factory=dict)

    def about(self, record: str, text: str, example: str = "") -> None:
        self._counts[text] = self._counts.get(text, 0) + 1
        shown = self._records.setdefault(text, [])
        if len(shown) < self.shown:
            shown.append(f"{record}: {example}" if example else record)

    def remark(self, text: str) -> None:
        self._counts[text] = 1
        self._records[text] = []

    def notes(self) -> tuple[Note, ...]:
        return tuple(Note(t, n, tuple(self._records[t])) for t, n in self._counts.items())


@dataclass(frozen=True, slots=True)
class Query:
    """A question beside the edit. ``answers`` are what is true; ``kind`` names a part of the aspect.

    ``choices`` are compared by likelihood, the first should win.
    """

    prompt: str
    answers: tuple[str, ...] = ()
    kind: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """A record in the words of Truing, unchecked."""

    prompt: str
    target_new: str
    target_old: str | None = None
    subject: str | None = None
    rephrases: tuple[str, ...] = ()
    locality: tuple[Query, ...] = ()
    portability: tuple[Query, ...] = ()
    open_prompts: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    def case(self, id: str, rules: Rules, notes: Notebook) -> Case:
        """What :func:`check` makes of it."""
        return check(self, id, rules, notes)


@dataclass(frozen=True, slots=True)
class Rules:
    """What is allowed: the longest text (characters), and whether a missing subject is guessed."""

    max_chars: int = 20_000
    infer_subject: bool = False


class Unchecked(Protocol):
    """What a layout makes of a record: a :class:`Draft`, or whatever else becomes a case."""

    def case(self, id: str, rules: Rules, notes: Notebook) -> Case:
        """The case. Raises ``Rejected``; what is mended instead is written to ``notes``."""


def check(draft: Draft, id: str, rules: Rules, notes: Notebook) -> Case:
    """The case that ``draft`` describes.

    Raises ``Rejected`` for an empty or unanswerable target, a subject that is not in the prompt, a text
    beyond ``rules.max_chars`` or broken Unicode. What is mended instead is written to ``notes``.
    """
    for name, text in _texts(draft):
        check_text(name, text, rules.max_chars)
    if not draft.prompt.strip():
        raise Rejected("prompt", "prompt is empty")
    target, tags = _target(draft.target_new, id, notes)
    old = _target_old(draft.target_old, target, id, notes)
    subject, more = _subject(draft, id, rules, notes)
    tags = (*draft.tags, *tags, *more)
    request = EditRequest(id, draft.prompt, target, old, subject, tags)
    probes = tuple(_probes(draft, id, target, old, notes))
    return Case(id, (request,), probes, tags)


def _texts(draft: Draft) -> Iterator[tuple[str, str]]:
    yield "prompt", draft.prompt
    yield "target_new", draft.target_new
    yield "target_old", draft.target_old or ""
    yield "subject", draft.subject or ""
    lists = {"rephrases": draft.rephrases, "open_prompts": draft.open_prompts}
    for name, texts in lists.items():
        for i, text in enumerate(texts):
            yield f"{name}[{i}]", text
    for name, queries in (("locality", draft.locality), ("portability", draft.portability)):
        for i, query in enumerate(queries):
            yield f"{name}[{i}].prompt", query.prompt
            for answer in (*query.answers, *query.choices, query.kind):
                yield f"{name}[{i}].answer", answer
    for tag in draft.tags:
        yield "tags", tag


def check_text(name: str, text: str, max_chars: int) -> None:
    """Raise ``Rejected`` for a text that is longer than ``max_chars`` or holds broken Unicode."""
    if len(text) > max_chars:
        raise Rejected(name, f"{name} has {len(text)} characters, more than max_chars={max_chars}")
    if any("\ud800" <= c <= "\udfff" for c in text):
        raise Rejected(name, f"{name} holds half of a surrogate pair, which is no character")


def normalised(text: str) -> str:
    """Lower case, without ASCII punctuation and surplus spaces; articles are kept."""
    return " ".join(text.lower().translate(_NO_PUNCTUATION).split())


_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = frozenset(("a", "an", "the"))


def _target(raw: str, id: str, notes: Notebook) -> tuple[str, tuple[str, ...]]:
    target = raw.strip()
    if not target:
        raise Rejected("target_new", "target_new is empty")
    if not normalised(target):
        raise Rejected(
            "target_new",
            f"target_new {target[:20]!r} is empty once punctuation is left out, so that an empty answer "
            "would count as right",
        )
    if raw != raw.lstrip():
        notes.about(id, "leading space of target_new was removed")
    if raw != raw.rstrip():
        notes.about(id, "trailing space of target_new was removed")
    tags = []
    if normalised(target) in _ARTICLES:
        notes.about(id, "target_new is only an article, which exact match leaves out", target)
        tags.append("target:article")
    if "." in target.rstrip(".") or "\n" in target:
        tags.append("target:inner-stop")
    return target, tuple(tags)


def _target_old(raw: str | None, target: str, id: str, notes: Notebook) -> str | None:
    old = (raw or "").strip() or None
    if old is not None and normalised(old) == normalised(target):
        notes.about(
            id, "target_new is what target_old already says; the edit asks for nothing", target
        )
        return None
    return old


def _subject(
    draft: Draft, id: str, rules: Rules, notes: Notebook
) -> tuple[str | None, tuple[str, ...]]:
    subject = (draft.subject or "").strip()
    if not subject:
        if not rules.infer_subject:
            return None, ()
        guessed = guess(draft.prompt, draft.rephrases)
        if guessed is None:
            notes.about(id, "no subject was given and none could be inferred")
            return None, ()
        notes.about(id, "the subject was inferred", repr(guessed))
        return guessed, ("subject:inferred",)
    count = occurrences(draft.prompt, subject)
    if count == 0:
        raise Rejected(
            "subject", f"subject {_short(subject)} is not in the prompt{_case(draft, subject)}"
        )
    if count > 1:
        text = "the subject is in the prompt more than once and was left out; methods that need one skip it"
        notes.about(id, text, f"{_short(subject)} {count} times")
        return None, ("subject:ambiguous",)
    return subject, ()


def _case(draft: Draft, subject: str) -> str:
    found = draft.prompt.casefold().find(subject.casefold())
    if found < 0:
        return f" {_short(draft.prompt, 60)}"
    return f", only {_short(draft.prompt[found : found + len(subject)])} is (letter case differs)"


def _short(text: str, length: int = 40) -> str:
    return repr(text if len(text) <= length else text[: length - 3] + "...")


def _probes(
    draft: Draft, id: str, target: str, old: str | None, notes: Notebook
) -> Iterator[Probe]:
    choices = (target, old) if old is not None else ()
    yield Probe(f"{id}/efficacy", "efficacy", draft.prompt, (target,), None, choices)
    for i, rephrase in enumerate(_filled(draft.rephrases, id, "rephrase", notes)):
        yield Probe(
            f"{id}/generalization/{i}", "generalization", rephrase, (target,), None, choices
        )
    for i, query in enumerate(draft.locality):
        if not query.prompt.strip():
            notes.about(id, "an empty locality prompt was left out")
            continue
        answers = _answers(query.answers)
        yield Probe(
            id=f"{id}/locality/{i}",
            aspect=_aspect("locality", query.kind),
            prompt=query.prompt,
            reference=answers[0] if answers else None,
            choices=_choices(query.choices),
        )
    for i, query in enumerate(draft.portability):
        answers = _answers(query.answers)
        if not query.prompt.strip() or not answers:
            notes.about(id, "a portability question without text or answer was left out")
            continue
        aspect = _aspect("portability", query.kind)
        yield Probe(
            f"{id}/portability/{i}", aspect, query.prompt, answers, None, _choices(query.choices)
        )
    for i, text in enumerate(_filled(draft.open_prompts, id, "open prompt", notes)):
        yield Probe(f"{id}/fluency/{i}", "fluency", text)


def _filled(texts: tuple[str, ...], id: str, what: str, notes: Notebook) -> Iterator[str]:
    for text in texts:
        if text.strip():
            yield text
        else:
            notes.about(id, f"an empty {what} was left out")


def _answers(raw: tuple[str, ...]) -> tuple[str, ...]:
    """Stripped, without repeats and without those that are empty once punctuation is left out."""
    return tuple(dict.fromkeys(a.strip() for a in raw if normalised(a)))


def _choices(raw: tuple[str, ...]) -> tuple[str, ...]:
    """Two or more different texts, or none."""
    texts = tuple(text.strip() for text in raw)
    ok = len(texts) > 1 and all(texts) and len({normalised(t) for t in texts}) == len(texts)
    return texts if ok else ()


def _aspect(aspect: str, kind: str) -> str:
    part = re.sub(r"[^\w]+|_+", "-", kind.strip().lower()).strip("-")
    return f"{aspect}/{part}" if part else aspect
