from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truing.errors import BadInput, NotPossible, UnknownName
from truing.runs.regime import Regime, check_method, parse, to_table


@dataclass(frozen=True)
class Able:
    name: str
    batch: bool = True
    sequential: bool = True


METHODS = [Able("both"), Able("alone", batch=False), Able("once", sequential=False)]


def test_single_restores_after_every_case() -> None:
    regime = parse("single")
    assert regime.id == "single"
    assert regime.independent
    assert regime.moments == ("immediate",)
    assert [len(c) for c in regime.chunks(3)] == [1, 1, 1]


def test_sequential_measures_immediately_and_at_the_end() -> None:
    regime = parse("sequential,every=10")
    assert (regime.id, regime.moments, regime.every) == ("sequential", ("immediate", "final"), 10)
    assert not regime.independent


@pytest.mark.parametrize(
    ("text", "ident", "sizes"),
    [
        ("batch", "batch-all", [7]),
        ("batch-3", "batch-3", [3, 3, 1]),
        ("batch,chunk=3", "batch-3", [3, 3, 1]),
        ("batch-3-restored", "batch-3-restored", [3, 3, 1]),
        ("batch,chunk=all", "batch-all", [7]),
    ],
)
def test_batches(text: str, ident: str, sizes: list[int]) -> None:
    regime = parse(text)
    assert regime.id == ident
    assert [len(c) for c in regime.chunks(7)] == sizes


def test_the_id_holds_what_decides_answers_and_not_what_is_looked_at() -> None:
    assert parse("sequential").id == parse("sequential,every=5,moments=final").id
    assert parse("sequential").id == parse("sequential,at=1+10").id
    assert parse("batch-3").id != parse("batch-3-restored").id


@pytest.mark.parametrize(
    ("text", "near"),
    [("singel", "single"), ("batch,chnk=3", "chunk"), ("sequential,moments=finale", "final")],
)
def test_unknown_names_get_a_near_miss(text: str, near: str) -> None:
    with pytest.raises(UnknownName) as caught:
        parse(text)
    assert near in caught.value.near


@pytest.mark.parametrize(
    "text",
    ["batch-0", "batch-x", "sequential,every=0", "sequential,at=1+x", "single,at=1", "sequential,chunk=3", "single,every=2",
     "batch-3-restored,moments=final", "sequential,moments=", "batch,chunk"],
)  # fmt: skip
def test_what_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        parse(text)


@given(
    st.sampled_from(["single", "sequential", "batch", "batch-4", "batch-4-restored"]),
    st.integers(1, 50),
)
def test_chunks_cover_every_case_once_in_order(text: str, n: int) -> None:
    assert [i for chunk in parse(text).chunks(n) for i in chunk] == list(range(n))


@pytest.mark.parametrize(
    "text",
    [
        "single",
        "sequential,every=3",
        "sequential,at=1+10",
        "batch",
        "batch-4",
        "batch-4-restored",
        "batch,moments=final",
    ],
)
def test_a_table_reads_back_equal(text: str) -> None:
    regime = parse(text)
    assert parse(to_table(regime)) == regime


def test_methods_that_cannot_are_told_which_can() -> None:
    with pytest.raises(NotPossible, match="alone cannot take several requests") as caught:
        check_method(parse("batch-3"), METHODS[1], 7, METHODS)
    assert "Methods that can: both." in str(caught.value)
    with pytest.raises(NotPossible, match="once cannot build on an earlier edit"):
        check_method(parse("sequential"), METHODS[2], 2, METHODS)


def test_what_a_regime_does_not_need_is_not_asked_for() -> None:
    check_method(parse("sequential"), METHODS[1], 7, METHODS)
    check_method(parse("batch"), METHODS[2], 7, METHODS)
    check_method(parse("sequential"), METHODS[2], 1, METHODS)
    check_method(Regime("batch", 3), METHODS[0], 7, METHODS)
