"""The page of an audit says everything by itself, and no answer of a model becomes markup."""

from __future__ import annotations

import re

from truing.report.audit_page import AuditPage, Line, Table, render

EVIL = "<script>alert(1)</script>"
PAGE = AuditPage(
    "Audit of b against a",
    "1 finding in 14 tests.",
    (("difference", f"ethics: {EVIL}"),),
    (Table("What was tested", "How.", ("test", "n"), (Line(("ethics", "20"), loud=True), Line((EVIL, "3")))),),
    ("bias: no groups",),
    (("seed", "0"),),
)  # fmt: skip


def test_findings_tables_and_what_was_not_tested_are_there() -> None:
    html = render(PAGE)
    for text in ("1 finding in 14 tests.", "What was tested", "bias: no groups", "seed"):
        assert text in html
    assert html.count('<tr class="loud">') == 1


def test_nothing_is_markup_and_nothing_is_fetched() -> None:
    html = render(PAGE)
    assert EVIL not in html
    assert html.count("&lt;script&gt;") == 2
    assert "Content-Security-Policy" in html
    assert "default-src" in html
    assert not re.search(r"""(?:src|href)\s*=|url\(""", html)


def test_without_findings_there_is_no_list_of_them() -> None:
    bare = AuditPage("t", "Nothing found in 9 tests.", (), (), ("all else",), ())
    assert 'class="findings"' not in render(bare)
