from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truing.protocols.protocol import PROTOCOLS
from truing.report import words
from truing.types import Comparison, Value


@pytest.mark.parametrize(
    ("share", "text"),
    [(1.0, "100"), (0.996, "99.6"), (0.999, "99.9"), (0.925, "93"), (0.004, "0.4"), (0.0, "0")],
)
def test_a_percentage_never_rounds_to_a_perfect_or_an_empty_one(share: float, text: str) -> None:
    assert words.percent(share) == f"{text}\u202f%"


def test_no_number_is_a_dash_and_not_zero() -> None:
    assert words.number(None, share=True) == "—"


def test_an_interval_shows_decimals_only_where_n_carries_them() -> None:
    assert words.interval(Value(40, 0.5, 0.351, 0.649), share=True) == "35–65"
    assert words.interval(Value(4000, 0.5, 0.351, 0.649), share=True) == "35.1–64.9"
    assert words.interval(Value(1, 0.5), share=True) == ""


@pytest.mark.parametrize(("p", "stars"), [(0.2, ""), (0.049, "*"), (0.009, "**"), (0.0009, "***")])
def test_stars_come_from_the_corrected_p(p: float, stars: str) -> None:
    assert words.mark(Comparison("none", 0.1, 0.0, 0.2, 1e-9, p, "test", 10)) == stars


def test_p_is_never_said_to_be_zero() -> None:
    assert words.p_text(0.0) == "p < .001"
    assert words.p_text(0.0312) == "p = .031"


def test_protocols_have_their_presets_names_and_others_say_what_differs() -> None:
    for name in PROTOCOLS:
        assert words.protocol(PROTOCOLS.get(name).id) == name
    assert words.protocol("bare/greedy/gold-length/token-match") == "synthetic, decoding=greedy"
    assert words.protocol("from a plugin") == "from a plugin"


def test_families_follow_the_decoding_and_not_the_name() -> None:
    assert words.family("bare/teacher-forced/gold-length/exact-match") == "synthetic"
    assert words.family("bare/teacher-forced/gold-length/likelihood") == "likelihood"
    assert words.family("chat/greedy/natural/contains") == "wild"


@given(st.lists(st.text(min_size=1), max_size=5))
def test_joined_names_all_occur(names: list[str]) -> None:
    assert all(name in words.join(names) for name in names)


@pytest.mark.parametrize(
    ("regime", "title"),
    [("single", "Single edits"), ("batch-10", "Batches of 10"), ("batch-all", "All edits at once"),
     ("batch-5-restored", "Batches of 5, restored in between"), ("odd", "odd")],
)  # fmt: skip
def test_regimes_are_said_in_words(regime: str, title: str) -> None:
    assert words.regime(regime) == title
