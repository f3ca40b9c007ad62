"""A review from end to end: draw a sheet, fill it in in a browser, merge what was downloaded."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from shell import truing

import fake_run
from truing.runs.store import read_verdicts

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
in_a_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return fake_run.make(tmp_path / "run", cases=4, methods=("none", "rome"), regimes=("single",))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        made = playwright.chromium.launch(
            executable_path=CHROMIUM, args=list(FLAGS), timeout=120_000
        )
        yield made
        made.close()


def drawn(run: Path, capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, Any]:
    outcome = truing(["review", "sheet", str(run), "--sample", "12", "--json", *more], capsys)
    assert outcome.code == 0, outcome.err
    return dict(json.loads(outcome.out))


class Filled:
    """A page and what went wrong or over the network on it."""

    def __init__(self, browser: Any, address: str) -> None:
        self.context = browser.new_context(offline=True, accept_downloads=True)
        self.page = self.context.new_page()
        self.page.set_default_timeout(60_000)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on(
            "console", lambda m: self.complaints.append(m.text) if m.type == "error" else None
        )
        self.page.on("pageerror", lambda e: self.complaints.append(str(e)))
        self.page.on("request", lambda r: self.requests.append(r.url))
        self.page.goto(address)

    def decided(self) -> str:
        return str(self.page.locator("[data-decided]").inner_text())

    def download(self, folder: Path) -> Path:
        with self.page.expect_download() as waiting:
            self.page.locator("[data-save]").click()
        path = folder / waiting.value.suggested_filename
        waiting.value.save_as(path)
        return path


@in_a_browser
def test_a_sheet_is_filled_in_and_merged(
    browser: Any, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = drawn(run, capsys)
    address = Path(made["page"]).as_uri()
    files = []
    for name, key in (("Ada", "1"), ("Bo Ek", "2")):
        filled = Filled(browser, address)
        page = filled.page
        page.locator("[data-save]").click()
        assert page.locator("[data-name]").evaluate("el => el === document.activeElement")
        page.locator("[data-name]").fill(name)
        page.locator("h1").click()
        page.keyboard.press("1")
        page.keyboard.press("ArrowUp")
        page.keyboard.press("1")
        assert filled.decided() == f"0 of {made['answers']} decided"
        page.locator('[data-label="wrong"]').first.click()
        for _ in range(made["answers"] - 1):
            page.keyboard.press(key)
        assert filled.decided() == f"{made['answers']} of {made['answers']} decided"
        assert page.locator("[data-done]").is_visible()
        page.reload()
        assert filled.decided() == f"{made['answers']} of {made['answers']} decided"
        files.append(filled.download(tmp_path))
        assert set(filled.requests) <= {
            address,
            *(u for u in filled.requests if u.startswith("blob:")),
        }
        assert filled.complaints == []
        filled.context.close()
    assert files[1].name == f"review-{made['sheet']}-bo-ek.json"
    held = json.loads(files[0].read_text())
    assert (held["sheet"], held["annotator"], held["decisions"]["1.1"]) == (
        made["sheet"],
        "Ada",
        "wrong",
    )
    outcome = truing(["review", "merge", str(run), *map(str, files)], capsys)
    assert outcome.code == 0, outcome.err
    assert "Cohen's kappa" in outcome.out
    assert {v.state for v in read_verdicts(run) if v.judge == "human:Bo Ek"} == {"wrong"}
    assert {v.judge for v in read_verdicts(run)} >= {"human", "human:Ada"}


@in_a_browser
def test_two_answers_are_compared(
    browser: Any, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = drawn(run, capsys, "--rubric", "preference")
    filled = Filled(browser, Path(made["page"]).as_uri())
    page = filled.page
    assert page.locator(".answer").count() == 2
    page.locator("[data-name]").fill("Ada")
    page.locator("h1").click()
    page.keyboard.press("1")
    assert page.locator("[data-where]").inner_text().startswith("Question 2")
    page.keyboard.press("ArrowLeft")
    assert page.locator('[data-label="first"]').get_attribute("aria-pressed") == "true"
    page.keyboard.press("n")
    assert page.locator("[data-where]").inner_text().startswith("Question 2")
    page.locator('[data-label="same"]').click()
    file = filled.download(tmp_path)
    assert json.loads(file.read_text())["decisions"] == {"1": "first", "2": "same"}
    page.on("dialog", lambda dialog: dialog.accept())
    page.locator("[data-clear]").click()
    assert filled.decided().startswith("0 of")
    filled.context.close()
    merged = truing(["review", "merge", str(run), str(file), "--json"], capsys)
    labels = json.loads(merged.out)["labels"]["Ada"]
    assert labels["same"] == 1
    assert labels.keys() - {"same"} <= {"better", "worse"}
    assert "human:all/preference" in json.loads(merged.out)["verdicts"]


@in_a_browser
@pytest.mark.parametrize("width", [390, 1200])
def test_the_sheet_never_scrolls_sideways(
    browser: Any, run: Path, width: int, capsys: pytest.CaptureFixture[str]
) -> None:
    made = drawn(run, capsys)
    filled = Filled(browser, Path(made["page"]).as_uri())
    filled.page.set_viewport_size({"width": width, "height": 800})
    assert filled.page.evaluate("document.documentElement.scrollWidth") <= width
    filled.context.close()


def test_errors_of_a_review_are_two_lines(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for args in (
        ["review", "sheet", str(run), "--cell", "memit"],
        ["review", "sheet", str(run), "--sample", "1"],
        ["review", "sheet", str(run), "--rubric", "nicety"],
        ["review", "merge", str(run), str(tmp_path / "absent.json")],
    ):
        outcome = truing(args, capsys)
        assert outcome.code == 2
        assert len(outcome.error_lines) == 2, outcome.err
