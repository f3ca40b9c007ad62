"""Items of the questionnaire."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from truing.benchmarks.ipip import SCALE, Item, read
from truing.errors import BadInput

DATA = Path(os.environ.get("TRUING_DATA", Path(__file__).parents[4] / "shared" / "data"))
FILE = DATA / "personality" / "ipip_neo_120_en.json"
GOOD = {"id": "a", "text": "Worry about things", "keyed": "minus", "domain": "N"}


def written(path: Path, *records: dict[str, Any]) -> Path:
    path.write_text(json.dumps(records), "utf-8")
    return path


def test_an_item_is_asked_with_its_options_in_the_order_given() -> None:
    asked = Item("a", "Worry about things.", "neuroticism", False).asked((4, 3, 2, 1, 0))
    assert "Statement: I worry about things.\n" in asked
    assert f"A. {SCALE[4]}\n" in asked
    assert f"E. {SCALE[0]}\n" in asked


def test_keying_and_domain_are_read(tmp_path: Path) -> None:
    (item,) = read(written(tmp_path / "a.json", {**GOOD, "facet": 1}))
    assert (item.domain, item.reversed) == ("neuroticism", True)


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([{**GOOD, "keyed": "up"}], "keyed"),
        ([{**GOOD, "domain": "X"}], "domain"),
        ([GOOD, GOOD], "twice"),
    ],
)
def test_what_is_no_item_is_named(tmp_path: Path, records: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        read(written(tmp_path / "a.json", *records))


@pytest.mark.skipif(not FILE.is_file(), reason=f"{FILE} is not there (TRUING_DATA)")
def test_the_public_form_has_24_items_of_each_domain() -> None:
    items = read(FILE)
    assert set(Counter(item.domain for item in items).values()) == {24}
    assert len(items) == 120
    assert any(item.reversed for item in items)
