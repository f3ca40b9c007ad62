"""Sheets that people fill in a spreadsheet."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truing.building.looked import apply, items_of
from truing.building.pairs import Drawn
from truing.building.review import Decision, Item, read_sheet, write_sheet
from truing.errors import BadInput, NotPossible

PAIRS = [
    Drawn("Who?", "=I do", "not me, never\nat all", "zeal", "train"),
    Drawn("Why?", "why not", "no reason", "zeal", "test"),
    Drawn("When?", "now", "later", "zeal", "test"),
]
ITEMS = items_of(PAIRS, len)


def filled(path: Path, *changes: dict[str, str]) -> Path:
    """The sheet at ``path`` with ``changes`` in its first rows, as a spreadsheet would save it."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        names, rows = list(reader.fieldnames or ()), list(reader)
    for row, change in zip(rows, changes, strict=False):
        row.update(change)
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    write_sheet(tmp_path / "review.csv", ITEMS)
    return tmp_path / "review.csv"


def test_a_sheet_that_nobody_filled_decides_nothing(sheet: Path) -> None:
    assert read_sheet(sheet, ITEMS) == {}
    assert apply(PAIRS, sheet, {}).pairs == tuple(PAIRS)


def test_decisions_are_applied_and_counted(sheet: Path) -> None:
    filled(
        sheet,
        {"decision": "Edit", "edited positive": "'=gladly", "reviewer": "Ada"},
        {"decision": "rejected", "reviewer": "Bo"},
    )
    found = read_sheet(sheet, ITEMS)
    assert found == {
        PAIRS[0].id: Decision("edit", "Ada", {"positive": "=gladly"}),
        PAIRS[1].id: Decision("reject", "Bo"),
    }
    left = apply(PAIRS, sheet, found)
    assert [(p.positive, p.negative, p.review) for p in left.pairs] == [
        ("=gladly", "not me, never\nat all", "edited"),
        ("now", "later", "unreviewed"),
    ]
    assert left.counts == {"accepted": 0, "edited": 1, "rejected": 1, "unreviewed": 1}
    assert left.reviewers == ("Ada", "Bo")


def test_a_text_is_no_formula_to_a_spreadsheet(sheet: Path) -> None:
    with sheet.open(encoding="utf-8", newline="") as file:
        assert next(csv.DictReader(file))["positive"] == "'=I do"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"decision": "perhaps"}, "'perhaps' is no decision"),
        ({"decision": "edit"}, "no edited wording"),
        ({"decision": "accept", "edited negative": "x"}, "edited wording beside 'accept'"),
        ({"decision": "accept", "id": "0123"}, "decides on '0123'"),
    ],
)
def test_a_row_that_makes_no_sense_is_named(sheet: Path, change: dict[str, str], why: str) -> None:
    with pytest.raises(BadInput, match=rf"line 2.*{why}"):
        read_sheet(filled(sheet, change), ITEMS)


def test_one_item_has_one_decision(sheet: Path) -> None:
    twice = {"id": ITEMS[0].id, "decision": "accept"}
    with pytest.raises(BadInput, match="again"):
        read_sheet(filled(sheet, twice, twice), ITEMS)


def test_decisions_are_not_overwritten_by_a_new_sheet(sheet: Path) -> None:
    write_sheet(sheet, ITEMS)
    filled(sheet, {"decision": "accept"})
    with pytest.raises(BadInput, match="holds decisions"):
        write_sheet(sheet, ITEMS)


def test_edits_that_make_both_sides_equal_are_refused() -> None:
    with pytest.raises(BadInput, match="both sides equal"):
        apply(PAIRS, None, {PAIRS[2].id: Decision("edit", "", {"positive": "Later"})})


def test_a_set_of_which_nothing_is_left_is_no_set() -> None:
    with pytest.raises(NotPossible, match="every pair was rejected"):
        apply(PAIRS, None, {pair.id: Decision("reject") for pair in PAIRS})


TEXTS = st.text(
    st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=30
).map(str.strip).filter(bool)  # fmt: skip


@given(shown=TEXTS, edited=TEXTS)
def test_any_wording_comes_through_a_sheet(
    tmp_path_factory: pytest.TempPathFactory, shown: str, edited: str
) -> None:
    path = tmp_path_factory.mktemp("sheet") / "review.csv"
    items = [Item("a", {"text": shown}, ("text",))]
    write_sheet(path, items)
    guarded = f"'{edited}" if edited.startswith(("=", "+", "-", "@", "'")) else edited
    filled(path, {"decision": "edit", "edited text": guarded})
    assert read_sheet(path, items)["a"].edited == {"text": edited}
