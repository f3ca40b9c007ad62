from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from truing.report import cases, page
from truing.report.load import read_run


class Elements(HTMLParser):
    """Start tags with their attributes, and the text inside script elements."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag == "script"
        if self._inside:
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            attrs, held = self.scripts[-1]
            self.scripts[-1] = (attrs, held + data)


def parsed(html: str) -> Elements:
    found = Elements()
    found.feed(html)
    return found


def data_of(html: str, name: str) -> Any:
    return next(json.loads(text) for attrs, text in parsed(html).scripts if attrs.get("id") == name)


@pytest.fixture(scope="session")
def html(folder: Path) -> str:
    return page.render([read_run(folder)])


def test_the_page_asks_for_nothing_from_anywhere(html: str) -> None:
    for tag, attrs in parsed(html).tags:
        assert tag not in ("link", "iframe", "object", "embed", "base")
        for name in ("src", "href", "action", "data", "srcset"):
            value = attrs.get(name)
            assert value is None or value.startswith("#"), (tag, name, value)
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_the_policy_allows_the_pages_own_scripts_only(html: str) -> None:
    found = parsed(html)
    policy = next(
        a["content"]
        for t, a in found.tags
        if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    allowed = set(re.findall(r"'sha256-([^']+)'", policy))
    scripts = [text for attrs, text in found.scripts if "type" not in attrs]
    assert {
        base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts
    } == allowed
    assert not any(name.startswith("on") for _, attrs in found.tags for name in attrs)


def test_hostile_texts_stay_texts(hostile: Path) -> None:
    html = page.render([read_run(hostile)])
    found = parsed(html)
    assert not any(tag == "img" for tag, _ in found.tags)
    assert "window.pwned=1</script>" not in html
    assert not any("pwned" in text for attrs, text in found.scripts if "type" not in attrs)
    packed = data_of(html, "case-data")
    assert any("</script><script>window.pwned=1" in text for text in packed["strings"])


def test_numbers_and_first_cases_are_there_without_scripts(html: str) -> None:
    body = re.sub(r"<script.*?</script>", "", html, flags=re.S)
    assert body.count('<table class="results">') >= 3
    assert "The Glass Spire of Tamsin Reach is in the city of" in body
    assert "Does the edited statement hold when asked as it was edited?" in body


def test_every_kept_answer_is_in_the_data_once(folder: Path, html: str) -> None:
    run = read_run(folder)
    packed = data_of(html, "case-data")
    keys = [row[packed["fields"].index("key")] for row in packed["rows"]]
    assert len(keys) == len(set(keys))
    assert set(keys) == {r.key for r in run.rows if r.moment != "step"}


def test_a_packed_row_gives_back_what_was_measured(folder: Path, html: str) -> None:
    run = read_run(folder)
    packed = data_of(html, "case-data")
    at, strings = {n: i for i, n in enumerate(packed["fields"])}, packed["strings"]
    rows = {row[at["key"]]: row for row in packed["rows"]}
    for row in run.rows[:200]:
        if row.moment == "step":
            continue
        got = rows[row.key]
        assert strings[got[at["prompt"]]] == row.prompt
        assert [strings[i] for i in got[at["accepted"]]] == list(row.accepted)
        assert strings[got[at["answer"]]] == (row.response.text if row.response else "")
        assert [strings[v[1]] for v in got[at["verdicts"]]] == [
            v.state for v in run.verdicts[row.key]
        ]
        assert packed["cells"][got[at["cell"]]]["method"] == run.cells[row.cell]["method"]


def test_questions_are_shown_without_templates_and_opening_marks(folder: Path) -> None:
    run = read_run(folder, cases_per_cell=1)
    marked = replace(run, rows=tuple(replace(r, prompt=f"<|bos|>{r.prompt}") for r in run.rows))
    packed = cases.pack([marked], {})
    at, strings = {n: i for i, n in enumerate(packed["fields"])}, packed["strings"]
    for row in packed["rows"]:
        assert strings[row[at["prompt"]]].startswith("<|bos|>")
        assert "<|bos|>" not in strings[row[at["question"]]]
        assert (
            "Please answer the question" not in strings[row[at["question"]]]
            or "fluency" in strings[row[at["aspect"]]]
        )


def test_the_page_says_which_answers_it_leaves_out(folder: Path) -> None:
    few = page.render([read_run(folder, cases_per_cell=2)], cases_per_cell=2)
    assert "of each cell the first 2 cases are kept" in few
    assert "answers at intermediate steps are left out" in few


def test_structure_serves_readers_who_do_not_see_it(html: str) -> None:
    tags = parsed(html).tags
    names = [t for t, _ in tags]
    assert names.count("h1") == 1
    assert {"header", "nav", "main", "footer"} <= set(names)
    ids = [a["id"] for _, a in tags if a.get("id")]
    assert len(ids) == len(set(ids))
    targets = {a["href"][1:] for t, a in tags if t == "a" and a.get("href")}
    assert targets - {""} <= set(ids)
    labelled = {a["aria-labelledby"] for t, a in tags if t == "section"}
    assert labelled <= set(ids)
    assert all(a.get("scope") for t, a in tags if t == "th")
    assert any(a.get("aria-live") == "polite" for _, a in tags)


def test_flags_quarantine_and_failures_are_told(html: str) -> None:
    body = re.sub(r"<script.*?</script>", "", html, flags=re.S)
    assert "nothing-changed" in body
    assert "fact-113" in body
    assert "out of memory at batch size 1" in body
    assert "edits could not be made: the loss is not finite" in body


def test_write_puts_the_page_into_the_run(tmp_path: Path, folder: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "run")
    assert page.write([copy]) == copy / "report.html"
    elsewhere = tmp_path / "elsewhere.html"
    assert page.write([copy], elsewhere, cases_per_cell=0) == elsewhere
    assert "<h1" in elsewhere.read_text("utf-8")


def test_a_run_without_any_answer_still_has_a_page(tmp_path: Path, folder: Path) -> None:
    empty = tmp_path / "run"
    empty.mkdir()
    for name in ("plan.toml", "manifest.json"):
        shutil.copy(folder / name, empty / name)
    manifest = json.loads((empty / "manifest.json").read_text("utf-8"))
    (empty / "manifest.json").write_text(json.dumps({**manifest, "finished": None}), "utf-8")
    html = page.render([read_run(empty)])
    assert "There are no numbers yet." in html
    assert "has not finished" in html


def test_the_same_run_gives_the_same_page(folder: Path) -> None:
    assert page.render([read_run(folder)]) == page.render([read_run(folder)])


def test_a_report_needs_no_torch(folder: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from truing.report import page; "
        f"page.write([Path({str(folder)!r})], Path({str(tmp_path / 'r.html')!r})); "
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_vendored_scripts_are_the_ones_that_the_notice_names() -> None:
    folder = Path(page.__file__).parent / "static" / "vendor"
    notice = (folder / "NOTICE").read_text("utf-8")
    for script in folder.glob("*.js"):
        digest = hashlib.sha256(script.read_bytes()).hexdigest()
        assert f"{script.name}: sha256 {digest}" in notice
        assert "</script" not in script.read_text("utf-8").lower()
    assert {p.stem for p in (folder / "licences").iterdir()} >= {
        "vega",
        "vega-lite",
        "vega-embed",
        "d3",
    }
