"""GRACE: when entries are made, split and widened; what is trained; what chains carry."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asking import make
from truing.interventions.intervention import Intervention
from truing.methods import grace
from truing.methods.grace import Book, GraceConfig
from truing.models.asks import ScoreAsk
from truing.models.handle import Model
from truing.types import EditRequest

A = EditRequest("a", "The Glass Spire is in the city of", "Marrow")
B = EditRequest("b", "Mara Velt's mother tongue is", "French")
CONFIG = GraceConfig(layer=2, module="down", radius=1.0, steps=20, lr=0.3, start="warm")
EMPTY = Book(torch.zeros(0, 2), torch.zeros(0, 3), torch.zeros(0), ())
VALUE = torch.zeros(3)


def take(book: Book, x: float, label: int, expand: str = "coverage") -> tuple[Book, int]:
    return book.take(torch.tensor([x, 0.0]), VALUE, (label,), 1.0, expand)


def test_a_far_key_gets_an_entry_of_its_own() -> None:
    book, _ = take(EMPTY, 0.0, 7)
    book, at = take(book, 2.5, 7)
    assert at == 1
    assert book.radii_N.tolist() == [1.0, 1.0]


def test_a_near_key_with_another_answer_splits_the_radii() -> None:
    book, _ = take(EMPTY, 0.0, 7)
    book, at = take(book, 1.0, 8)
    assert at == 1
    assert book.radii_N.tolist() == pytest.approx([0.5 - 1e-5, 0.5])
    assert book.labels == ((7,), (8,))


def test_a_near_key_with_the_same_answer_widens_its_entry() -> None:
    book, _ = take(EMPTY, 0.0, 7)
    wider, at = take(book, 1.5, 7)
    assert (at, wider.radii_N.tolist(), len(wider.labels)) == (0, [1.5], 1)
    moved, _ = take(book, 1.5, 7, "moving-average")
    assert moved.keys_N_I[0, 0] == pytest.approx(0.75)
    inside, _ = take(book, 0.5, 7)
    assert inside.radii_N.tolist() == [1.0]


@given(
    st.lists(
        st.tuples(
            st.floats(-5, 5, allow_nan=False, width=32).filter(lambda x: abs(x) > 1e-2),
            st.integers(0, 3),
        ),
        min_size=1,
        max_size=8,
        unique_by=lambda pair: round(pair[0], 2),
    )
)
def test_a_key_just_taken_is_answered_by_its_entry(points: list[tuple[float, int]]) -> None:
    """Whatever came before, the request that was just edited finds its own answer."""
    from truing.interventions.lookups import find

    book = EMPTY
    for x, label in points:
        book, at = take(book, x, label)
        found, hit = find(book.keys_N_I, book.radii_N + 1e-4, torch.tensor([[x, 0.0]]))
        assert bool(hit)
        assert book.labels[int(found)] == (label,)
        assert book.labels[at] == (label,)


def test_the_answer_is_the_tuple_of_its_ids() -> None:
    """Two answers with the same mean of ids are two answers."""
    book, _ = EMPTY.take(torch.zeros(2), VALUE, (1, 3), 1.0, "coverage")
    book, at = book.take(torch.tensor([0.5, 0.0]), VALUE, (2, 2), 1.0, "coverage")
    assert at == 1


def nll(model: Model, request: EditRequest, iv: Intervention | None) -> float:
    [scored] = model.score([ScoreAsk(request.prompt, request.target_new, iv)])
    return -scored.logprob


def test_training_lowers_the_loss_of_the_answer_only() -> None:
    model = make("llama")
    iv = grace.make(model, [A], CONFIG)
    assert nll(model, A, iv) < nll(model, A, None) - 0.5
    assert nll(model, B, iv) == pytest.approx(nll(model, B, None), abs=1e-5)


def test_a_chain_is_one_book_and_keeps_what_it_learnt() -> None:
    model = make("llama")
    first = grace.make(model, [A], CONFIG)
    both = grace.make(model, [B], CONFIG, first)
    assert len(both.codebooks) == 1
    assert len(both.codebooks[0].keys) == 2
    assert nll(model, A, both) == pytest.approx(nll(model, A, first), abs=1e-4)
    together = grace.make(model, [A, B], CONFIG)
    assert torch.allclose(together.codebooks[0].values, both.codebooks[0].values, atol=1e-3)


def test_the_same_prompt_and_answer_again_trains_on() -> None:
    model = make("llama")
    first = grace.make(model, [A], CONFIG)
    again = grace.make(model, [replace(A, id="again")], CONFIG, first)
    assert len(again.codebooks[0].keys) == 1
    assert nll(model, A, again) < nll(model, A, first)
    twice = grace.make(model, [A, replace(A, id="again")], CONFIG)
    assert len(twice.codebooks[0].keys) == 1
    assert torch.allclose(twice.codebooks[0].values, again.codebooks[0].values, atol=1e-3)


def test_cold_values_depend_on_the_request_and_the_seed_only() -> None:
    model, cold = make("llama"), CONFIG.model_copy(update={"start": "cold", "steps": 1})
    one = grace.make(model, [A, B], cold).codebooks[0].values
    other = grace.make(model, [B], cold).codebooks[0].values
    assert torch.allclose(one[1], other[0], atol=1e-5)
    moved = grace.make(model, [B], cold.model_copy(update={"seed": 1})).codebooks[0].values
    assert not torch.allclose(moved, other, atol=1e-2)
