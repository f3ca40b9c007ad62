"""Templates dress prompts and change nothing in them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from truing.errors import BadInput, UnknownName
from truing.protocols.templates import TEMPLATES, canonical
from truing.types import Message

CHAT = (
    Message("system", "Be brief."),
    Message("user", "Where is it?"),
    Message("assistant", "What?"),
)


def test_the_qa_instruction_is_the_published_text() -> None:
    assert TEMPLATES["qa-instruction"].apply("Who?") == "Please answer the question:\n\nQ: Who?\nA:"


def test_the_published_llama_2_markup_keeps_its_trailing_end_of_text() -> None:
    sent = TEMPLATES["llama2"].apply("Who?")
    assert isinstance(sent, str)
    assert sent.startswith("<s>[INST] <<SYS>>\nYou are a helpful")
    assert sent.endswith("\n<</SYS>>\n\nWho? [/INST]</s>")


def test_bare_and_chat() -> None:
    assert TEMPLATES["bare"].apply("Who?") == "Who?"
    assert TEMPLATES["chat"].apply("Who?") == (Message("user", "Who?"),)


@settings(deadline=None)
@given(st.text())
def test_the_prompt_stands_in_the_result_untouched(text: str) -> None:
    for template in TEMPLATES.values():
        sent = template.apply(text)
        assert text in (sent if isinstance(sent, str) else sent[-1].content)


@pytest.mark.parametrize("name", ["bare", "chat"])
def test_a_chat_prompt_is_sent_as_it_is(name: str) -> None:
    assert TEMPLATES[name].apply(CHAT) == CHAT


def test_an_instruction_dresses_the_last_user_turn_of_a_chat() -> None:
    dressed = TEMPLATES["qa-instruction"].apply(CHAT)
    assert dressed[0] == CHAT[0]
    assert dressed[2] == CHAT[2]
    assert dressed[1] == Message("user", "Please answer the question:\n\nQ: Where is it?\nA:")


def test_chats_that_cannot_be_dressed_are_refused() -> None:
    with pytest.raises(BadInput, match="takes plain text"):
        TEMPLATES["llama2"].apply(CHAT)
    with pytest.raises(BadInput, match="no user turn"):
        TEMPLATES["qa-instruction"].apply(CHAT[:1])


def test_names() -> None:
    assert canonical("question") == "bare"
    with pytest.raises(UnknownName):
        canonical("qa")
