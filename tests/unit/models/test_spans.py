"""Text to ids: the invariants hold for every kind of tokenizer."""

from __future__ import annotations

import functools
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tokenizers import processors
from transformers import PreTrainedTokenizer

from tiny import TEMPLATES, TEXT, TOKENIZERS, tiny_tokenizer
from truing.errors import BadInput, BadRequest, NotPossible, TruingWarning
from truing.models.spans import Speller, occurrences, spaced
from truing.types import Message

KINDS = pytest.mark.parametrize("kind", TOKENIZERS)
words = st.text(alphabet="abcdeé' -.?!\n中文🙂", min_size=1, max_size=20)
prompts = words.filter(lambda t: bool(t.strip()))
few = settings(max_examples=60, deadline=None)


@functools.cache
def speller(kind: str, chat: bool = True, template: str = "plain") -> Speller:
    return Speller(tiny_tokenizer(kind, chat=chat, template=template))


def bos(s: Speller) -> int:
    return int(s.tok.convert_tokens_to_ids("<s>"))


def adds_bos(kind: str) -> bool:
    return kind.endswith("-bos")


# --- the beginning of a text


@KINDS
@few
@given(prompt=prompts, written=st.booleans())
def test_a_bos_stands_once_where_the_tokenizer_adds_one(
    kind: str, prompt: str, written: bool
) -> None:
    s = speller(kind)
    ids = s.prompt_ids("<s>" + prompt if written else prompt)
    assert ids.count(bos(s)) == int(adds_bos(kind) or written)
    assert s.adds_bos == adds_bos(kind)


@KINDS
@pytest.mark.parametrize("template", [t for t in TEMPLATES if t != "inst"])
@few
@given(text=words, system=st.booleans())
def test_a_chat_prompt_has_no_second_bos(kind: str, template: str, text: str, system: bool) -> None:
    s = speller(kind, template=template)
    chat = (Message("user", text),)
    ids = s.prompt_ids((Message("system", "be kind"), *chat) if system else chat)
    assert ids.count(bos(s)) == int(adds_bos(kind))
    if adds_bos(kind):
        assert ids[0] == bos(s)


@KINDS
def test_what_the_tokenizer_puts_behind_a_text_is_left_out(kind: str) -> None:
    tok = tiny_tokenizer(kind)
    before = Speller(tok).prompt_ids("The Tin Gate")
    first = "<s> " if adds_bos(kind) else ""
    names = ["<s>", "</s>"] if first else ["</s>"]
    tok.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first}$A </s>",
        special_tokens=[(name, tok.convert_tokens_to_ids(name)) for name in names],
    )
    assert tok("The Tin Gate")["input_ids"][-1] == tok.eos_token_id
    assert Speller(tok).prompt_ids("The Tin Gate") == before


def test_a_prompt_of_no_tokens_is_refused_only_where_nothing_is_put_in_front() -> None:
    assert speller("bytes-bos").prompt_ids("") == [bos(speller("bytes-bos"))]
    with pytest.raises(BadInput, match="empty"):
        speller("bytes").prompt_ids("")


# --- prompt and continuation


@KINDS
@few
@given(prompt=prompts, continuation=prompts)
def test_a_span_is_the_joint_tokenisation_and_starts_at_the_first_new_token(
    kind: str, prompt: str, continuation: str
) -> None:
    s = speller(kind)
    before = s.prompt_ids(prompt)
    span = s.join(prompt, continuation)
    assert list(span.ids) == s.prompt_ids(prompt + spaced(prompt, continuation))
    assert list(span.prompt) == before[: span.start]
    assert span.start < len(span.ids)
    if span.start < len(before):  # a merge crosses the boundary
        assert span.ids[span.start] != before[span.start]


@KINDS
def test_only_a_token_that_reaches_over_the_boundary_is_taken_from_the_prompt(kind: str) -> None:
    s, crossed = speller(kind), 0
    for text in dict.fromkeys(TEXT):
        for cut in (at + 1 for at, char in enumerate(text) if char.isspace()):
            prompt, rest = text[:cut], text[cut:]
            span, before = s.join(prompt, rest), s.prompt_ids(prompt)
            if span.start < len(before) and prompt + rest.lstrip() == text:
                crossed += 1
                assert s.token_at(text, cut - 1) == s.token_at(text, cut) == span.start
    assert crossed > 20


@KINDS
def test_a_prompt_that_ends_in_a_space_gives_the_same_ids_as_one_that_does_not(kind: str) -> None:
    s = speller(kind)
    tidy, loose = s.join("in the city of", "Orvale"), s.join("in the city of ", "Orvale")
    assert tidy.ids == loose.ids
    assert s.decode(loose.continuation).strip() == "Orvale"
    assert tidy.prompt == tuple(s.prompt_ids("in the city of"))


@pytest.mark.parametrize(
    ("prompt", "continuation", "joined"),
    [
        ("in the city of", "Orvale", "in the city of Orvale"),
        ("in the city of", " Orvale", "in the city of Orvale"),
        ("in the city of ", "Orvale", "in the city of Orvale"),
        ("in the city of ", "  Orvale", "in the city of Orvale"),
        ("A:\n", "Orvale", "A:\nOrvale"),
        ("A:\n", " Orvale", "A:\nOrvale"),
        ("", "Orvale", "Orvale"),
    ],
)
def test_exactly_one_space_stands_between(prompt: str, continuation: str, joined: str) -> None:
    assert prompt + spaced(prompt, continuation) == joined


@KINDS
@pytest.mark.parametrize("template", TEMPLATES)
def test_the_continuation_reads_as_what_was_given(kind: str, template: str) -> None:
    s = speller(kind, template=template)
    span = s.join("The Glass Spire is in the city of", "St. Louis")
    assert s.decode(span.continuation).strip() == "St. Louis"
    after_chat = s.join((Message("user", "Where?"),), " St. Louis")
    assert s.decode(after_chat.continuation).strip() == "St. Louis"
    assert list(after_chat.prompt) == s.prompt_ids((Message("user", "Where?"),))


@KINDS
@pytest.mark.parametrize("template", TEMPLATES)
def test_a_chat_answer_is_spelled_as_the_template_spells_it(kind: str, template: str) -> None:
    s = speller(kind, template=template)
    question = (Message("user", "Where is it?"),)
    turns = [
        {"role": "user", "content": "Where is it?"},
        {"role": "assistant", "content": "Orvale"},
    ]
    trained = s.prompt_ids(s.tok.apply_chat_template(turns, tokenize=False))
    span = s.join(question, "Orvale")
    assert list(span.ids) == trained[: len(span.ids)]
    assert s.decode(span.continuation).strip() == "Orvale"


def test_a_conversation_that_ends_in_the_assistants_words_goes_on_with_them() -> None:
    s = speller("bytes-bos")
    chat = (Message("user", "Where?"), Message("assistant", "It is in"))
    assert s.text(chat) == "<|user|>Where?<|end|><|assistant|>It is in"
    assert s.decode(s.join(chat, "Orvale").continuation) == " Orvale"


@pytest.mark.parametrize("continuation", ["", "  ", "\n"])
def test_an_empty_continuation_is_refused(continuation: str) -> None:
    for prompt in ("Who?", "Who? ", (Message("user", "Who?"),)):
        with pytest.raises(BadInput, match="no tokens"):
            speller("bytes").join(prompt, continuation)


def test_special_tokens_in_the_text_are_tokens_and_nothing_is_padding() -> None:
    s = speller("bytes-bos")
    span = s.join("one</s><pad> two", "three")
    assert {s.tok.eos_token_id, s.tok.pad_token_id} <= set(span.prompt)
    assert s.decode(span.continuation) == " three"


# --- chats that cannot be


def test_a_chat_without_a_template_is_refused() -> None:
    with pytest.raises(NotPossible, match="no chat template"):
        speller("bytes", chat=False).prompt_ids((Message("user", "hello"),))
    assert not speller("bytes", chat=False).has_chat


def test_what_a_template_refuses_is_said_in_two_lines() -> None:
    with pytest.raises(NotPossible, match="System role not supported") as caught:
        speller("bytes-bos", template="inst").prompt_ids(
            (Message("system", "be kind"), Message("user", "hello"))
        )
    assert len(str(caught.value).splitlines()) == 2


def test_a_chat_without_messages_is_refused() -> None:
    with pytest.raises(BadInput, match="no messages"):
        speller("bytes").prompt_ids(())


# --- subjects

CASES = [
    ("Mara Velt's mother tongue is", "Mara Velt"),
    ("Mara Velt was born in", "Mara Velt"),
    ("Who is Mara Velt?", "Mara Velt"),
    ("Where is 中文塔 today", "中文塔"),
    ("中文塔在哪里", "中文塔"),
    ("The 🙂 café stands in", "🙂 café"),
    ("The tower 🗼 stands in", "tower 🗼"),
    ("The Glass Spires are in", "The Glass Spire"),
    ("Is it Danielle Darrieux", "Danielle Darrieux"),
    ("The Tin Gate, the Glass", "The Tin Gate"),
    ("a {} b", "{}"),
    ("x  y  z", "y"),
]


@KINDS
@pytest.mark.parametrize(("text", "subject"), CASES)
@pytest.mark.parametrize("before", ["", "The first of the two. ", "Mara Velt. 🙂 "])
def test_the_subject_ends_in_the_token_that_covers_its_last_character(
    kind: str, text: str, subject: str, before: str
) -> None:
    s = speller(kind)
    index = s.subject_last(text, subject, before=before)
    ids = s.prompt_ids(before + text)
    end = len(before) + text.index(subject) + len(subject)
    upto = (before + text)[:end]
    with_token, without = (
        s.tok.decode(ids[:n], skip_special_tokens=True) for n in (index + 1, index)
    )
    assert with_token.strip().startswith(upto)
    assert not without.strip().startswith(upto)


@KINDS
@few
@given(before=words, subject=prompts, after=words)
def test_the_covering_token_is_found_wherever_the_subject_stands(
    kind: str, before: str, subject: str, after: str
) -> None:
    s, subject = speller(kind), subject.strip()
    text = before + subject + after
    assume(len(occurrences(text, subject)) == 1)
    index = s.subject_last(text, subject)
    ids = s.prompt_ids(text)
    upto = before + subject
    assert s.decode(ids[: index + 1]).lstrip().startswith(upto.lstrip())
    assert not s.decode(ids[:index]).lstrip().startswith(upto.lstrip())


@pytest.mark.parametrize(
    ("text", "subject", "how"),
    [
        ("nobody here", "Mara", "is not"),
        ("Mara and Mara", "Mara", "2 times"),
        ("anana", "ana", "2 times"),
        ("Mara", "", "is not"),
    ],
)
def test_a_subject_must_be_there_once(text: str, subject: str, how: str) -> None:
    with pytest.raises(BadRequest, match=how):
        speller("bytes").subject_last(text, subject)


def test_a_context_may_hold_the_subject_too() -> None:
    s = speller("bytes-bos")
    ids = s.prompt_ids("Mara is. Mara was")
    at = s.subject_last("Mara was", "Mara", before="Mara is. ")
    assert s.decode(ids[: at + 1]) == "Mara is. Mara"


def test_a_bos_that_the_text_writes_is_counted_once() -> None:
    s = speller("bytes-bos")
    assert s.subject_last("<s>Mara was", "Mara") == s.subject_last("Mara was", "Mara")


class Slow(PreTrainedTokenizer):
    """A tokenizer without offsets: the longest known piece from the left."""

    model_input_names = ("input_ids", "attention_mask")

    def __init__(self, **facts: Any) -> None:
        self.pieces = [
            "<unk>",
            "Par",
            "is",
            "isian",
            "Tin",
            " ",
            "t",
            "o",
            "w",
            "e",
            "r",
            "s",
            "Towers",
        ]
        super().__init__(unk_token="<unk>", **facts)

    @property
    def vocab_size(self) -> int:
        return len(self.pieces)

    def get_vocab(self) -> dict[str, int]:
        return {piece: i for i, piece in enumerate(self.pieces)} | dict(self.added_tokens_encoder)

    def _tokenize(self, text: str, **facts: Any) -> list[str]:
        found = []
        while text:
            piece = max((p for p in self.pieces if text.startswith(p)), key=len, default=text[0])
            found.append(piece)
            text = text[len(piece) :]
        return found

    def _convert_token_to_id(self, token: str) -> int:
        return self.pieces.index(token) if token in self.pieces else 0

    def _convert_id_to_token(self, index: int) -> str:
        return self.pieces[index]

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        return "".join(tokens)

    def save_vocabulary(self, folder: str, filename_prefix: str | None = None) -> tuple[str, ...]:
        return ()


def test_without_offsets_the_subject_is_found_from_the_text() -> None:
    s = Speller(Slow())
    assert not s.has_offsets
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert s.subject_last("Paris tower", "Paris") == 1
    with pytest.warns(TruingWarning, match="no offsets"):
        assert s.subject_last("Parisian tower", "Paris") == 1
    assert s.join("Paris", "tower").continuation == tuple(s.tok(" tower")["input_ids"])


# --- ends of answers


@KINDS
@pytest.mark.parametrize("template", TEMPLATES)
def test_the_turn_end_of_the_template_ends_an_answer(kind: str, template: str) -> None:
    s = speller(kind, template=template)
    if template == "inst" and not adds_bos(kind):
        pytest.skip("its template writes a BOS that this tokenizer does not have")
    end = s.tok.eos_token_id if template == "inst" else s.tok.convert_tokens_to_ids("<|end|>")
    assert s.stop_ids() == {s.tok.eos_token_id, end}


def test_every_eos_of_every_configuration_ends_an_answer() -> None:
    s = speller("bytes-bos", chat=False)
    configs = [SimpleNamespace(eos_token_id=[5, 6]), SimpleNamespace(eos_token_id=7), None]
    assert s.stop_ids(*configs) == {5, 6, 7, s.tok.eos_token_id}


# --- real tokenizers


def test_the_embedded_model_spells_answers_as_it_was_trained() -> None:
    from transformers import AutoTokenizer

    from truing.pocket import pocket_path

    if not (pocket_path() / "tokenizer.json").is_file():
        pytest.skip("the embedded model has not been built")
    s = Speller(AutoTokenizer.from_pretrained(pocket_path()))
    ids = s.prompt_ids((Message("user", "Where is it?"),))
    assert ids.count(s.bos_id) == 1
    turns = [{"role": "user", "content": "Where is it?"}, {"role": "assistant", "content": "There"}]
    trained = s.tok(s.tok.apply_chat_template(turns, tokenize=False), add_special_tokens=False)
    span = s.join((Message("user", "Where is it?"),), "There")
    assert list(span.ids) == trained["input_ids"][: len(span.ids)]
    assert len(s.stop_ids()) == 2


@pytest.mark.parametrize("name", ["tiny-gpt2", "tiny-llama"])
def test_the_subject_of_golden_requests_is_where_the_reference_looks(
    name: str, goldens_dir: Path
) -> None:
    from transformers import AutoTokenizer

    s = Speller(AutoTokenizer.from_pretrained(goldens_dir / "models" / name))
    text, subject = "The mother tongue of Danielle Darrieux is", "Danielle Darrieux"
    upto = text[: text.index(subject) + len(subject)]
    assert s.subject_last(text, subject) == len(s.tok(upto)["input_ids"]) - 1
