"""Activations reduced text by text: the same as reading them whole."""

from __future__ import annotations

import pytest
import torch

from asking import make
from truing.errors import BadInput
from truing.methods.kernels.capture import Place
from truing.methods.steering.readout import answer_span, readout
from truing.types import Message

TEXTS = [
    ("Who built the Tin Gate?", "Nobody did."),
    ("The Glass Spire is in the city of", "Orvale, and not in Marrow"),
    ("I am", "fine"),
]


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_what_is_reduced_is_the_answers_activations(name: str) -> None:
    model = make(name)
    spans = [answer_span(model, *text) for text in TEXTS]
    read: list[int] = []
    found = readout(
        model, spans, Place("resid_post", 1), lambda i, acts_T_D: acts_T_D.clone(), read.append
    )
    whole = model.hidden([f"{q} {a}" for q, a in TEXTS], "resid_post", 1, "all")
    for span, part, all_T_D in zip(spans, found, whole, strict=True):
        assert len(part) == len(span.continuation)
        torch.testing.assert_close(part, all_T_D[span.start :], atol=1e-5, rtol=1e-5)
    assert sum(read) == len(TEXTS)


def test_numbers_name_the_texts_in_any_batch() -> None:
    model = make()
    model.budget.tokens = 1
    spans = [answer_span(model, *text) for text in TEXTS]
    found = readout(model, spans, Place("resid_post", 0), lambda i, acts: torch.tensor(i))
    assert [int(x) for x in found] == [0, 1, 2]


def test_a_long_answer_is_cut_and_a_long_question_refused() -> None:
    model = make("gpt2")
    limit = model.hf.config.n_positions
    span = answer_span(model, "Yes.", "no " * limit)
    assert len(span.ids) == limit
    with pytest.raises(BadInput, match=f"positions for {limit}"):
        answer_span(model, "no " * limit, "Yes.")


def test_a_question_may_be_a_chat() -> None:
    model = make()
    span = answer_span(model, (Message("user", "Who built the Tin Gate?"),), "Nobody did.")
    assert model.speller.decode(span.continuation).strip().startswith("Nobody")
