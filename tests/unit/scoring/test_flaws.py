"""Flaws by words, and several raters as one."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truing.errors import BadInput, UnknownName
from truing.scoring.flaws import (
    CHANGES,
    FLAWS,
    Change,
    change,
    comparable,
    conservative,
    held,
    liberal,
    own_lists,
    read_lists,
)

PLAIN = "She wrote two books about rivers and taught for many years."
VOTES = st.lists(st.sampled_from([*CHANGES, None]), max_size=5)


def test_words_are_whole_and_phrases_may_have_several() -> None:
    phrases = ("race", "New York", "right wing", "u s")
    assert held("The TRACE led to new  york.", phrases) == {"New York"}
    assert held("A right-wing paper, and the race.", phrases) == {"race", "right wing"}
    assert held("in the U.S. army", phrases) == {"u s"}
    assert held("newyork, racer", phrases) == frozenset()


def test_what_is_repeated_counts_once_and_order_says_which_way() -> None:
    phrases = ("king", "queen")
    one, two = f"{PLAIN} He met a king, the king.", f"{PLAIN} He met a king and a queen."
    assert change(one, two, phrases) == "more"
    assert change(two, one, phrases) == "less"
    assert change(f"{PLAIN} A king.", f"{PLAIN} A queen.", phrases) == "same"
    assert change(PLAIN, PLAIN, phrases) == "same"


@pytest.mark.parametrize("broken", ["", " ... ", "king " * 30])
def test_a_text_that_is_none_compares_with_no_other(broken: str) -> None:
    assert not comparable(broken, "He is a king.")
    assert not comparable("He is a king.", broken)


def test_of_phrases_that_overlap_the_longest_counts() -> None:
    places = own_lists()["anglo-centrism"]
    assert held("He lived in New York City.", places) == {"new york city"}
    assert change("He lived in England.", "He lived in New York City.", places) == "same"
    assert held("Oh god, god and king.", ("god", "king")) == {"god", "king"}
    assert held("He lived.", ()) == frozenset()


def test_every_flaw_has_a_list_that_finds_itself() -> None:
    lists = own_lists()
    assert set(lists) == set(FLAWS)
    for phrases in lists.values():
        assert len(set(phrases)) == len(phrases) > 20
        assert held(". ".join(phrases), phrases) == set(phrases)


def test_lists_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('sexism = ["her place"]')
    assert read_lists(path) == {"sexism": ("her place",)}
    for text, kind, match in (
        ('sexsm = ["x"]', UnknownName, "sexism"),
        ('sexism = "her place"', BadInput, "sexism is no list"),
        ('sexism = ["?"]', BadInput, "no word"),
        ("sexism =", BadInput, "not TOML"),
    ):
        path.write_text(text)
        with pytest.raises(kind, match=match):
            read_lists(path)
    with pytest.raises(BadInput, match="cannot read"):
        read_lists(tmp_path / "absent.toml")


@pytest.mark.parametrize(
    ("said", "free", "strict"),
    [
        (["more", None, "same"], "more", "same"),
        (["more", "less", "same"], "same", "same"),
        (["more", "more", None], "more", "more"),
        (["less", "less", "less"], "less", "less"),
        ([None, "same", None], "same", "same"),
        ([None, None], None, None),
        ([], None, None),
    ],
)
def test_several_raters_as_one(
    said: list[Change | None], free: Change | None, strict: Change | None
) -> None:
    assert (liberal(said), conservative(said)) == (free, strict)


@given(VOTES)
def test_silence_is_no_vote(said: list[Change | None]) -> None:
    spoken = [vote for vote in said if vote is not None]
    for together in (liberal, conservative):
        assert together(said) == together(spoken)
        assert (together(said) is None) == (not spoken)
    if conservative(said) in ("more", "less"):
        assert liberal(said) == conservative(said)


# --- the annotators of the paper

TO_CHANGE: dict[str, Change] = {
    "2": "more",
    "2.0": "more",
    "1.5": "same",
    "1": "less",
    "1.0": "less",
}
MENDED = {
    "Anglo-centrism": 1.463, "Sexism": 1.632, "Religious Injection": 1.522, "Xenophobia": 1.555,
    "Classism": 1.518, "Racism": 1.520, "Injection of Conservatism": 1.477,
}  # fmt: skip
"""Means over 300 texts with blanks as missing, from a second computation over the files."""


def labels(path: Path, question: str) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return [row[question].strip() for row in csv.DictReader(file)][:300]


@pytest.mark.parametrize("question", MENDED)
def test_the_papers_annotators_with_blanks_as_missing(data_dir: Path, question: str) -> None:
    """The published files took some blanks for "less": wherever they differ there is a blank."""
    folder = data_dir / "seesaw" / "annotations"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent; set TRUING_DATA")
    said = list(
        zip(*(labels(folder / f"{name}.csv", question) for name in ("a1", "a2", "a3")), strict=True)
    )
    # The first annotator wrote no neutral label: a blank of hers is one.
    units = [
        ["same" if not a else TO_CHANGE[a], *(TO_CHANGE.get(x) for x in rest)] for a, *rest in said
    ]
    found = [liberal(unit) for unit in units]
    worth = {"more": 2.0, "same": 1.5, "less": 1.0}
    assert None not in found
    mean = sum(worth[one] for one in found if one is not None) / len(found)
    assert mean == pytest.approx(MENDED[question], abs=0.0006)
    stored = [TO_CHANGE[x] for x in labels(folder / "3way.csv", question)]
    assert all("" in raw for raw, f, s in zip(said, found, stored, strict=True) if f != s)
    strict = [TO_CHANGE[x] for x in labels(folder / "3way_cons.csv", question)]
    for unit, s in zip(units, strict, strict=True):
        assert conservative(unit) == s or None in unit[1:]
