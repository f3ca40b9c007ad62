"""Where an answer ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from truing.errors import UnknownName
from truing.protocols.stopping import TRUNCATIONS, answer_text, first_sentence, without_suffixes


@pytest.mark.parametrize(
    "text",
    [
        "St. Louis",
        "He was born in St. Moritz",
        "the U.S. Navy",
        "U.S.",
        "24,303.04",
        "Robert C. Newton",
        "J. R. R. Tolkien",
        "George W. Bush",
        "Washington, D.C. metropolitan area",
        "Dr. Martin Luther King Jr. National Park",
        "Mt. Everest",
        "Well... Paris",
        "Well... it is Paris",
        "Apple Inc. headquarters",
        "approx. 5 km",
        "No. 5",
        "vol. 2 of the series",
        "9 a.m. and 5 p.m. daily",
        "1. Paris",
        "e.g. Paris",
        "c. 3000 BC",
        "Mr. and Mrs. Smith",
        "Yahoo! Inc.",
        "example.com is a site",
        "no full stop at all",
        "",
        " ",
        "...",
    ],
)
def test_these_are_one_sentence(text: str) -> None:
    assert first_sentence(text) == text


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Paris. It is the capital.", "Paris."),
        ("Robert C. Newton. He was born in 1900.", "Robert C. Newton."),
        ("in the U.S. The country is large.", "in the U.S."),
        ("24,303.04. That is a number.", "24,303.04."),
        ("It is in St. Louis. The city is old.", "It is in St. Louis."),
        ("No. It is not.", "No."),
        ("Is it? Yes.", "Is it?"),
        ("Paris! The city of light.", "Paris!"),
        ('He said "Paris." Then he left.', 'He said "Paris."'),
        ("It was Apple Inc. The firm grew.", "It was Apple Inc."),
        ("In 1909. It was spring.", "In 1909."),
        ("1909. It was spring.", "1909."),
        ("31. It was spring.", "31."),
        ("巴黎。法国的首都。", "巴黎。"),
        ("Paris.\nLondon.", "Paris."),
        ("Paris. Paris. Paris.", "Paris."),
    ],
)
def test_these_end_where_their_first_sentence_does(text: str, first: str) -> None:
    assert first_sentence(text) == first


@settings(deadline=None)
@given(st.text())
def test_the_first_sentence_is_a_beginning_and_cutting_twice_is_cutting_once(text: str) -> None:
    first = first_sentence(text)
    assert text.startswith(first)
    assert first_sentence(first) == first
    assert bool(first) == bool(text)


@settings(deadline=None)
@given(st.text(), st.sampled_from(sorted(TRUNCATIONS)))
def test_an_answer_has_no_outer_whitespace_and_stands_in_the_text(text: str, name: str) -> None:
    answer = answer_text(text, name)
    assert answer == answer.strip()
    assert answer in text


def test_a_natural_answer_is_the_first_sentence_of_the_first_line_that_says_something() -> None:
    assert answer_text("\n\n Paris. It is big.\nQ: next", "natural") == "Paris."
    assert answer_text(" St. Louis\nmore", "natural") == "St. Louis"


def test_the_length_of_the_gold_answer_cuts_nothing_afterwards() -> None:
    assert answer_text(" Paris. It", "gold-length") == "Paris. It"


def test_an_unknown_truncation_is_named() -> None:
    with pytest.raises(UnknownName):
        answer_text("x", "never")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Paris.", "Paris"),
        ("Paris.</s>", "Paris."),
        ("Paris.\n", "Paris."),
        ("Paris\n", "Paris"),
        ("Paris</s>", "Paris"),
        ("\n", ""),
    ],
)
def test_published_suffixes_go_once_and_in_the_published_order(text: str, left: str) -> None:
    assert without_suffixes(text, end="</s>") == left


def test_only_the_published_rule_stops_at_a_full_stop_and_unarmed() -> None:
    assert TRUNCATIONS["published"].stop == (".", "\n")
    assert not TRUNCATIONS["published"].arm
    assert TRUNCATIONS["natural"].stop == ("\n",)
    assert TRUNCATIONS["natural"].arm
    assert TRUNCATIONS["gold-length"].max_new_tokens is None


@pytest.mark.parametrize(
    ("file", "field", "inner_stops", "torn"),
    [
        ("QAEdit_inter_1k", "target", 46, 2),
        ("zsre_mend_1k", "alt", 0, 0),
        ("counterfact_edit_1k", "target_new", 0, 0),
    ],
)
def test_published_targets_survive_the_cut(
    data_dir: Path, file: str, field: str, inner_stops: int, torn: int
) -> None:
    """Of QAEdit's 46 targets with an inner full stop all but two stay whole; those two really hold
    two sentences. The published rule, which stops at any full stop, tears all 46."""
    path = data_dir / "wild" / f"{file}.json"
    targets = [record[field].strip() for record in json.loads(path.read_text(encoding="utf-8"))]
    assert sum("." in target[:-1] for target in targets) == inner_stops
    assert sum(answer_text(target, "natural") != target for target in targets) == torn
