"""Rows of token ids that a method feeds to a model, and where in them it reads and writes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from truing.errors import BadRequest
from truing.models.spans import Span, Speller, occurrences, spaced
from truing.types import EditRequest


@dataclass(frozen=True, slots=True)
class Line:
    """One row. ``at`` is the token a method acts on (the subject's last, or 0); ``reads`` are the
    positions whose next-token logits are read, and ``labels`` what they should predict (empty
    where a whole distribution is compared)."""

    ids: tuple[int, ...]
    at: int = 0
    reads: tuple[int, ...] = ()
    labels: tuple[int, ...] = ()

    @property
    def span(self) -> Span:
        """The row as a prompt; with labels, as a prompt up to the first read."""
        return Span(self.ids, self.reads[0] + 1 if self.labels else len(self.ids))


def subject_line(speller: Speller, request: EditRequest, prefix: str = "") -> Line:
    """``prefix`` and the prompt, acting on the subject's last token."""
    text = prefix + request.prompt
    return Line(tuple(speller.prompt_ids(text)), speller.token_at(text, _end(request, prefix)))


def answer_line(speller: Speller, request: EditRequest, prefix: str = "") -> Line:
    """``prefix``, the prompt and the target but for its last token; every target token is read.

    Prompt and target are tokenised jointly, so that ids are those the model meets in text.
    """
    span = speller.join(prefix + request.prompt, request.target_new)
    reads = range(span.start - 1, len(span.ids) - 1)
    return Line(span.ids[:-1], 0, tuple(reads), span.continuation)


def target_line(speller: Speller, request: EditRequest, prefix: str = "") -> Line:
    """:func:`answer_line`, acting on the subject's last token."""
    line = answer_line(speller, request, prefix)
    text = prefix + request.prompt
    at = speller.token_at(text + spaced(text, request.target_new), _end(request, prefix))
    if at > line.reads[0]:
        raise BadRequest(
            f"request '{request.id}': the subject and the target share a token",
            "Put something between them, or use a method without subjects.",
        )
    return replace(line, at=at)


def essence_line(speller: Speller, request: EditRequest) -> Line:
    """``{subject} is a``, read at the subject's last token: what the subject is shall stay."""
    assert request.subject is not None
    text = f"{request.subject} is a"
    at = speller.token_at(text, len(request.subject) - 1)
    return Line(tuple(speller.prompt_ids(text)), at, (at,))


def _end(request: EditRequest, prefix: str) -> int:
    """Where the subject's last character is in ``prefix`` + prompt."""
    assert request.subject is not None
    found = occurrences(request.prompt, request.subject)
    return len(prefix) + found[0] + len(request.subject) - 1
