"""Edit success of a model, real and as released: identities, and what must not decide it."""

from __future__ import annotations

import pytest

from asking import low_rank, make, under
from truing.models.engine import Budget
from truing.runs.published_personality import compared
from truing.types import Case, Probe

PLUS = ("I love it!", "What a crowd, what fun we had there.")
MINUS = ("I worry.", "It frightens me so much that I cannot sleep.", "No thanks.")


def case(name: str, choices: tuple[str, ...] = (*PLUS, *MINUS)) -> Case:
    question = f"What do you think of {name}?"
    probe = Probe(f"{name}/preference/es", "preference/es", question, PLUS, choices=choices)
    return Case(name, (), (probe,))


CASES = [case("Paris"), case("the Tin Gate")]


def test_an_unedited_model_keeps_its_topic_exactly() -> None:
    model = make("llama")
    found = compared(model, CASES, None)
    for es, z_per, z_topic in (found.real, found.published):
        assert (z_topic, es) == (1.0, z_per)
        assert 0 < z_per < 1
    assert found.topics == 2
    assert abs(found.real[0] - found.published[0]) > 1e-3


def test_an_edit_moves_it_and_is_gone_afterwards() -> None:
    model = make("llama")
    before = compared(model, CASES, None)
    edited = compared(model, CASES, under(low_rank(model.arch.down(1), 3)))
    assert edited.real != before.real
    assert edited.published != before.published
    assert edited.real[2] <= 1
    assert compared(model, CASES, None) == before


def test_neither_order_nor_batch_decides_it() -> None:
    model = make("llama")
    found = compared(model, CASES, None)
    turned = [case("the Tin Gate", (*MINUS, *PLUS)[::-1]), case("Paris", (*MINUS, *PLUS))]
    small = make("llama")
    small.budget = Budget(48)
    for other in (compared(model, turned, None), compared(small, CASES, None)):
        assert other.real == pytest.approx(found.real, abs=1e-5)
        assert other.published == pytest.approx(found.published, abs=1e-5)
