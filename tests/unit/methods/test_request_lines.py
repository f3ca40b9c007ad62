"""Where the subject ends and what the target's tokens are, for every kind of tokenizer."""

from __future__ import annotations

import pytest

from tiny import TOKENIZERS, tiny_tokenizer
from truing.errors import BadRequest
from truing.methods.kernels.lines import answer_line, essence_line, subject_line, target_line
from truing.models.spans import Speller
from truing.types import EditRequest

CASES = {
    "plain": ("The Glass Spire is in the city of", "Glass Spire"),
    "apostrophe after it": ("Mara Velt's mother tongue is", "Mara Velt"),
    "at the start": ("Orvale lies by", "Orvale"),
    "before a question mark": ("Who built the Tin Gate?", "Tin Gate"),
    "letters after it": ("The Orvalean river is", "Orvale"),
    "another script": ("The name 東京 is read", "東京"),
    "braces": ("In {} and {0}, Marrow is", "Marrow"),
    "at the end": ("The capital of France", "France"),
}
everywhere = pytest.mark.parametrize("kind", TOKENIZERS)


def asked(what: str, target: str = "Paris") -> EditRequest:
    prompt, subject = CASES[what]
    return EditRequest(what, prompt, target, subject=subject)


@everywhere
@pytest.mark.parametrize("what", CASES)
@pytest.mark.parametrize("prefix", ["", "The Tin Gate, Orvale {} is. "])
def test_the_token_covers_the_subjects_last_character(kind: str, what: str, prefix: str) -> None:
    speller, request = Speller(tiny_tokenizer(kind)), asked(what)
    for line in (subject_line(speller, request, prefix), target_line(speller, request, prefix)):
        text = prefix + request.prompt
        assert request.subject is not None
        end = text.rindex(request.subject) + len(request.subject)
        assert speller.decode(line.ids[: line.at + 1]).lstrip().startswith(text[:end])
        assert not speller.decode(line.ids[: line.at]).lstrip().startswith(text[:end])


@everywhere
@pytest.mark.parametrize("target", ["Paris", "I do not know", "Ostrian; no"])
def test_labels_are_the_joint_ids_and_are_read_one_before(kind: str, target: str) -> None:
    speller, request = Speller(tiny_tokenizer(kind)), asked("plain", target)
    line = target_line(speller, request, "Yes. ")
    span = speller.join("Yes. " + request.prompt, target)
    assert (*line.ids, line.labels[-1]) == span.ids
    assert line.labels == span.continuation
    assert [line.ids[at + 1] for at in line.reads[:-1]] == list(line.labels[:-1])
    assert line.reads[-1] == len(line.ids) - 1
    assert answer_line(speller, request, "Yes. ").labels == line.labels


@everywhere
def test_the_essence_is_read_at_the_subject(kind: str) -> None:
    speller = Speller(tiny_tokenizer(kind))
    line = essence_line(speller, asked("plain"))
    assert line.reads == (line.at,)
    assert line.labels == ()
    assert speller.decode(line.ids[: line.at + 1]).strip() == "Glass Spire"


def test_a_subject_that_runs_into_the_target_is_refused() -> None:
    speller = Speller(tiny_tokenizer("bytes-bos"))
    request = EditRequest("x", "The capital of France is near ", "Paris", subject="near ")
    try:
        line = target_line(speller, request)
    except BadRequest as error:
        assert "request 'x'" in error.what  # noqa: PT017
    else:
        assert line.at <= line.reads[0]
