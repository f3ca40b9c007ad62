"""Whether requests fit a method. Checked once, before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence

from truing.errors import BadRequest, TruingError
from truing.methods.method import METHODS
from truing.models.subject import Subject
from truing.types import EditRequest

HEADROOM = 16
"""Tokens kept free for the prefixes that some methods put before a prompt."""


def check(
    model: Subject,
    requests: Sequence[EditRequest],
    method: str,
    *,
    needs_subject: bool,
    needs_old: bool = False,
) -> None:
    """Raise ``BadRequest`` for the first request that ``method`` cannot take on ``model``.

    Ids need not be unique; a request is named by its id in every message.
    """
    if not requests:
        raise BadRequest(f"{method} got no requests", "Give at least one EditRequest.")
    for request in requests:
        _check_texts(request)
        if needs_subject:
            _check_subject(request, method)
        if needs_old:
            _check_old(request, method)
        _check_length(model, request)


def _check_texts(request: EditRequest) -> None:
    if not isinstance(request.prompt, str):
        raise BadRequest(
            f"request '{request.id}': the prompt is a {type(request.prompt).__name__}, not text",
            "Requests are plain text; ask in chat form through the protocol instead.",
        )
    if not request.prompt.strip():
        raise BadRequest(f"request '{request.id}': the prompt is empty", "Give the full prompt.")
    if not request.target_new.strip():
        raise BadRequest(
            f"request '{request.id}': target_new is empty",
            "Give the answer that the edited model shall give.",
        )
    if request.target_new != request.target_new.strip():
        raise BadRequest(
            f"request '{request.id}': target_new {request.target_new!r} has outer whitespace",
            "Leave it out: prompt and target are joined with exactly one space.",
        )


def _check_subject(request: EditRequest, method: str) -> None:
    subject, prompt = request.subject, _short(request.prompt)
    if subject is None or not subject.strip():
        raise BadRequest(
            f"request '{request.id}': no subject in {prompt}; {method} needs one", _way_out()
        )
    found = _occurrences(request.prompt, subject)
    if not found:
        raise BadRequest(
            f"request '{request.id}': subject '{subject}' is not in {prompt}; {method} needs it",
            _way_out(),
        )
    if found > 1:
        raise BadRequest(
            f"request '{request.id}': subject '{subject}' occurs {found} times in {prompt}; "
            f"{method} needs it exactly once",
            "Reword the prompt or give a longer subject. " + _way_out(),
        )


def _check_old(request: EditRequest, method: str) -> None:
    if request.target_old is None or not request.target_old.strip():
        raise BadRequest(
            f"request '{request.id}': no target_old; {method} contrasts two continuations",
            "Give target_new (to promote) and target_old (to suppress).",
        )
    if request.target_old.strip() == request.target_new:
        raise BadRequest(
            f"request '{request.id}': both continuations are {request.target_new!r}",
            "Give two that differ in the behaviour.",
        )


def _occurrences(text: str, part: str) -> int:
    """Also those that overlap."""
    return sum(text.startswith(part, at) for at in range(len(text)))


def _check_length(model: Subject, request: EditRequest) -> None:
    limit = model.positions
    if limit is None:
        return
    try:
        needed = len(model.speller.join(request.prompt, request.target_new).ids)
    except TruingError as error:
        raise BadRequest(f"request '{request.id}': {error.what}", error.next) from error
    if needed + HEADROOM > limit:
        raise BadRequest(
            f"request '{request.id}': prompt and target take {needed} tokens; "
            f"'{model.name}' has {limit} positions, {HEADROOM} of them kept for prefixes",
            "Shorten the prompt or the target.",
        )


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _way_out() -> str:
    free = [
        name
        for name in METHODS
        if not METHODS.get(name).needs_subject and METHODS.get(name).acts_on != "nothing"
    ]
    return f"Skip with --skip-invalid, or use a method without subjects: {', '.join(free)}."
