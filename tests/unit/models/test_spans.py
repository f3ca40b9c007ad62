"""Text to ids: the invariants hold for every kind of tokenizer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiny import TOKENIZERS, tiny_tokenizer
from truing.errors import BadInput, BadRequest, NotPossible
from truing.models.spans import Speller, spaced
from truing.types import Message

KINDS = pytest.mark.parametrize("kind", TOKENIZERS)
words = st.text(alphabet="abcdeé' -.?!中文🙂", min_size=1, max_size=20)
prompts = words.filter(lambda t: bool(t.strip()))
slow = settings(max_examples=60, deadline=None)


def speller(kind: str, **options: Any) -> Speller:
    return Speller(tiny_tokenizer(kind, **options))


@KINDS
@slow
@given(prompt=prompts)
def test_a_bos_stands_once_where_the_tokenizer_adds_one(kind: str, prompt: str) -> None:
    s = speller(kind)
    ids = s.prompt_ids(prompt)
    assert ids.count(s.tok.convert_tokens_to_ids("<s>")) == int(kind.endswith("-bos"))


@KINDS
@slow
@given(text=words)
def test_a_chat_prompt_has_no_second_bos(kind: str, text: str) -> None:
    s = speller(kind)
    ids = s.prompt_ids((Message("user", text),))
    assert ids.count(s.tok.convert_tokens_to_ids("<s>")) == int(kind.endswith("-bos"))
    assert ids[-1] == s.tok.convert_tokens_to_ids("<|assistant|>")


@KINDS
def test_a_template_that_writes_the_bos_itself_does_not_double_it(kind: str) -> None:
    tok = tiny_tokenizer(kind)
    tok.chat_template = "<s>" + tok.chat_template
    ids = Speller(tok).prompt_ids((Message("user", "hello"),))
    assert ids.count(tok.convert_tokens_to_ids("<s>")) == 1


@KINDS
@slow
@given(prompt=prompts, continuation=prompts)
def test_a_span_is_the_joint_tokenisation_and_starts_at_the_first_new_token(
    kind: str, prompt: str, continuation: str
) -> None:
    s = speller(kind)
    try:
        span = s.join(prompt, continuation)
    except BadInput:
        return
    assert list(span.ids) == s.prompt_ids(prompt + spaced(prompt, continuation))
    before = s.prompt_ids(prompt)
    assert list(span.prompt) == before[: span.start]
    assert 1 <= span.start < len(span.ids)
    if span.start < len(before):
        assert span.ids[span.start] != before[span.start]


@pytest.mark.parametrize(
    ("prompt", "continuation", "joined"),
    [
        ("in the city of", "Orvale", "in the city of Orvale"),
        ("in the city of", " Orvale", "in the city of Orvale"),
        ("in the city of ", "Orvale", "in the city of Orvale"),
        ("A:\n", "Orvale", "A:\nOrvale"),
    ],
)
def test_exactly_one_space_stands_between(prompt: str, continuation: str, joined: str) -> None:
    assert prompt + spaced(prompt, continuation) == joined


@KINDS
def test_the_continuation_reads_as_what_was_given(kind: str) -> None:
    s = speller(kind)
    span = s.join("The Glass Spire is in the city of", "St. Louis")
    assert s.decode(span.continuation).strip() == "St. Louis"
    after_chat = s.join((Message("user", "Where?"),), "St. Louis")
    assert s.decode(after_chat.continuation).strip() == "St. Louis"


def test_an_empty_continuation_is_refused() -> None:
    with pytest.raises(BadInput, match="no tokens"):
        speller("bytes").join("Who?", "  ")


def test_a_chat_without_a_template_is_refused() -> None:
    with pytest.raises(NotPossible, match="no chat template"):
        speller("bytes", chat=False).prompt_ids((Message("user", "hello"),))


CASES = [
    ("Mara Velt's mother tongue is", "Mara Velt"),
    ("Mara Velt was born in", "Mara Velt"),
    ("Who is Mara Velt?", "Mara Velt"),
    ("Where is 中文塔 today", "中文塔"),
    ("The 🙂 café stands in", "🙂 café"),
    ("The Glass Spires are in", "The Glass Spire"),
]


@KINDS
@pytest.mark.parametrize(("text", "subject"), CASES)
@pytest.mark.parametrize("before", ["", "The first of the two. "])
def test_the_subject_ends_in_the_token_that_covers_its_last_character(
    kind: str, text: str, subject: str, before: str
) -> None:
    s = speller(kind)
    index = s.subject_last(text, subject, before=before)
    ids = s.prompt_ids(before + text)
    end = len(before) + text.index(subject) + len(subject)
    upto = (before + text)[:end]
    with_token, without = (s.tok.decode(ids[:n], skip_special_tokens=True) for n in (index + 1, index))
    assert with_token.strip().startswith(upto)
    assert not without.strip().startswith(upto)


@pytest.mark.parametrize(
    ("text", "subject"),
    [("nobody here", "Mara"), ("Mara and Mara", "Mara"), ("anana", "ana")],
)
def test_a_subject_must_be_there_once(text: str, subject: str) -> None:
    with pytest.raises(BadRequest, match="subject"):
        speller("bytes").subject_last(text, subject)


@KINDS
def test_the_turn_end_of_the_template_ends_an_answer(kind: str) -> None:
    s = speller(kind)
    assert s.stop_ids() == {s.tok.eos_token_id, s.tok.convert_tokens_to_ids("<|end|>")}
