"""In-context edits: what is told, in which words, and how several edits stand together."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from asking import make
from truing.errors import BadRequest
from truing.interventions.intervention import PromptPrefix
from truing.methods.context import (
    ICE,
    INSTRUCT,
    PROMPT,
    ContextConfig,
    InstructConfig,
    PromptConfig,
    tell,
)
from truing.types import EditRequest, Message

A = EditRequest("a", "The Glass Spire is in the city of", "Marrow", subject="Glass Spire")
B = EditRequest("b", "Who built the Tin Gate? ", "Mara {target} Velt")
QUESTION = "Where is the Glass Spire?"


def test_the_fact_stands_before_the_question() -> None:
    iv = ICE.make(make(), [A], ContextConfig())
    assert (
        iv.rewrite(QUESTION) == f"New fact: The Glass Spire is in the city of Marrow.\n{QUESTION}"
    )
    chat = (Message("system", "Be brief."), Message("user", QUESTION))
    [system, user] = iv.rewrite(chat)
    assert system == chat[0]
    assert user == Message("user", iv.rewrite(QUESTION))  # type: ignore[arg-type]


def test_facts_pile_up_in_order_after_one_instruction() -> None:
    model = make()
    both = PROMPT.make(model, [A, B], PromptConfig())
    chained = PROMPT.make(model, [B], PromptConfig(), PROMPT.make(model, [A], PromptConfig()))
    assert chained.id == both.id
    instruction, first, second = both.prefixes
    assert instruction == PromptPrefix(PromptConfig().instruction)
    assert "Marrow" in first.text
    assert "Mara" in second.text


@pytest.mark.parametrize(
    ("wording", "want"),
    [
        ("{target}", "Mara {target} Velt"),
        ("{prompt}|{target}", "Who built the Tin Gate?|Mara {target} Velt"),
        (
            "{{prompt}} {other} {0} {target}",
            "{Who built the Tin Gate?} {other} {0} Mara {target} Velt",
        ),
    ],
)
def test_braces_are_only_what_they_should_be(wording: str, want: str) -> None:
    assert tell(B, wording) == want


def test_a_wording_without_the_target_is_refused() -> None:
    with pytest.raises(ValidationError, match="target"):
        ContextConfig(wording="New fact: {prompt}.")


def test_a_wording_with_the_subject_needs_one() -> None:
    config = ContextConfig(wording="{subject}: {target}. ")
    model = make()
    assert ICE.make(model, [A], config).rewrite("") == "Glass Spire: Marrow. "
    with pytest.raises(BadRequest, match="no subject"):
        ICE.make(model, [B], config)


def test_more_facts_than_the_model_can_read_are_refused() -> None:
    model = make("gpt2")
    with pytest.raises(BadRequest, match="positions"):
        ICE.make(model, [A] * 60, ContextConfig())


def test_an_instruction_is_said_once_whatever_is_asked_for() -> None:
    model, config = make("llama"), InstructConfig(text="Write cheerfully: ")
    iv = INSTRUCT.make(model, [A, B], config)
    assert iv.prefixes == (PromptPrefix("Write cheerfully: "),)
    again = INSTRUCT.make(model, [B], config, iv)
    assert again.prefixes == iv.prefixes
    assert again.origin.requests == ("a", "b", "b")


def test_only_the_first_requests_are_told_where_that_is_asked_for() -> None:
    model = make("llama")
    few = ICE.make(model, [A, B], ContextConfig(most=1))
    assert few.prefixes == ICE.make(model, [A], ContextConfig()).prefixes
    assert few.origin.config["told"] == 1
