"""The review sheet as text: closed, blind and safe whatever the answers hold."""

from __future__ import annotations

import html
import json
import re

from fake_rows import HOSTILE
from truing.report.review_page import render

SHEET = {
    "sheet": "0123456789ab",
    "question": f"Right? {HOSTILE}",
    "compares": False,
    "labels": ["correct", "wrong"],
    "items": [
        {
            "id": "1",
            "question": HOSTILE,
            "accepted": [HOSTILE],
            "answers": [{"id": "1.1", "text": HOSTILE}],
        }
    ],
}


def test_texts_stay_texts() -> None:
    page = render(SHEET)
    assert page.count("<script") == 2
    assert "<img" not in page
    assert f"Right? {html.escape('</script>')}" in page
    held = re.search(r'<script type="application/json" id="sheet">(.*?)</script>', page, re.DOTALL)
    assert held is not None
    assert json.loads(held[1]) == SHEET


def test_the_page_is_one_file_that_may_load_nothing() -> None:
    page = render(SHEET)
    assert "default-src 'none'" in html.unescape(page)
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", page)
    assert "url(" not in page


def test_the_page_says_nothing_of_where_answers_come_from() -> None:
    """What is not among the sheet's own texts is the same for every sheet."""
    other = {**SHEET, "items": [], "question": "x"}
    skeleton = re.sub(r'id="sheet">.*?</script>', "", render(other), flags=re.DOTALL)
    mine = re.sub(
        r'id="sheet">.*?</script>', "", render({**SHEET, "question": "x"}), flags=re.DOTALL
    )
    assert mine == skeleton
