"""The report in a browser, opened from a file with the network off."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fake_run
from truing.report import page as report

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        made = playwright.chromium.launch(
            executable_path=CHROMIUM, args=list(FLAGS), timeout=120_000
        )
        yield made
        made.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = fake_run.make(
        tmp_path_factory.mktemp("run"), cases=8, every=4, methods=("none", "rome", "ice")
    )
    return report.write([folder]).as_uri()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = fake_run.make(
        tmp_path_factory.mktemp("run"),
        cases=2,
        methods=("none", "rome"),
        regimes=("single",),
        hostile=True,
    )
    return report.write([folder]).as_uri()


class Watched:
    """A page and everything that went wrong or over the network on it."""

    def __init__(self, browser: Any, **settings: Any) -> None:
        size = settings.pop("viewport", {"width": 1440, "height": 900})
        self.context = browser.new_context(offline=True, viewport=size, **settings)
        self.page = self.context.new_page()
        self.page.set_default_timeout(60_000)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on(
            "console",
            lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None,
        )
        self.page.on("pageerror", lambda e: self.complaints.append(str(e)))
        self.page.on("request", lambda r: self.requests.append(r.url))


@pytest.fixture
def watched(browser: Any, address: str) -> Iterator[Watched]:
    made = Watched(browser)
    made.page.goto(address)
    yield made
    made.context.close()


def draw_all(page: Any) -> None:
    for host in page.locator("[data-figure]").all():
        host.scroll_into_view_if_needed()
        host.locator("svg.marks:visible").wait_for()


def rows(page: Any) -> Any:
    return page.locator("[data-rows] tr")


def detail(page: Any) -> str:
    return str(page.locator("[data-detail]").inner_text())


def test_every_figure_is_drawn_without_network_or_complaint(watched: Watched, address: str) -> None:
    page = watched.page
    draw_all(page)
    hosts, drawn = page.locator("[data-figure]").count(), page.locator("svg.marks:visible").count()
    assert hosts == drawn > 5
    label = page.locator('[role="graphics-document"]').first.get_attribute("aria-label")
    assert label is not None
    assert "rome" in label
    assert watched.requests == [address]
    assert watched.complaints == []


@pytest.mark.parametrize("width", [390, 1100, 1440])
def test_the_page_never_scrolls_sideways(browser: Any, address: str, width: int) -> None:
    made = Watched(browser, viewport={"width": width, "height": 800})
    made.page.goto(address)
    draw_all(made.page)
    assert made.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    made.context.close()


def test_the_theme_follows_the_system_until_the_reader_chooses(browser: Any, address: str) -> None:
    made = Watched(browser, color_scheme="dark")
    made.page.goto(address)
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = made.page.evaluate(ground)
    made.page.locator("svg.marks:visible").first.wait_for()
    assert made.page.locator('[data-look="dark"] svg.marks').count() > 0
    made.page.locator("[data-theme-toggle]").click()
    assert made.page.evaluate(ground) != dark
    made.page.locator('[data-look="light"]:not(.off) svg.marks').first.wait_for()
    assert made.page.locator('[data-look="dark"]:not(.off)').count() == 0
    made.page.reload()
    assert made.page.evaluate("document.documentElement.dataset.theme") == "light"
    assert made.complaints == []
    made.context.close()


def test_filters_search_and_lenses_select_answers(watched: Watched) -> None:
    page = watched.page
    total = page.locator("[data-found]").inner_text()
    page.select_option("select[name=method]", "rome")
    page.select_option("select[name=protocol]", "wild")
    assert set(page.locator("[data-rows] .m").all_inner_texts()) == {"rome"}
    assert set(page.locator("[data-rows] .m + .p").all_inner_texts()) == {"wild"}
    assert " of " in page.locator("[data-found]").inner_text()
    page.get_by_role("button", name=re.compile("^wrong")).click()
    assert set(page.locator("[data-rows] .verdict").all_inner_texts()) == {"wrong"}
    page.get_by_role("button", name="Clear").click()
    page.wait_for_function(
        "t => document.querySelector('[data-found]').textContent === t", arg=total
    )
    page.get_by_placeholder("Search prompts and answers").fill("out of MEMORY")
    assert rows(page).count() == 0
    page.get_by_placeholder("Search prompts and answers").fill("fact-003")
    rows(page).first.click()
    assert "fact-003" in detail(page)
    page.get_by_role("button", name="Clear").click()
    page.select_option("select[name=lens]", "lost")
    assert "correct" not in page.locator("[data-rows] .verdict").all_inner_texts()
    rows(page).first.click()
    assert "The same question elsewhere" in detail(page)


def test_one_answer_is_told_in_full_and_leads_to_the_others(watched: Watched) -> None:
    page = watched.page
    page.select_option("select[name=method]", "ice")
    rows(page).first.click()
    text = detail(page)
    for part in (
        "Prompt as sent",
        "New fact: The Glass Spire",
        "before",
        "after",
        "Counts as right",
        "Verdicts",
    ):
        assert part in text
    page.locator(".else button").first.click()
    assert page.evaluate("document.activeElement.matches('[data-detail]')")
    assert "none" in page.locator("[data-detail] h3").inner_text()


def test_everything_can_be_done_with_the_keyboard(watched: Watched) -> None:
    page = watched.page
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.name") == "text"
    page.keyboard.type("jk/")
    assert page.locator("input[name=text]").input_value() == "jk/"
    page.get_by_placeholder("Search prompts and answers").fill("")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    assert "on" in (rows(page).nth(0).get_attribute("class") or "")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("j")
    page.keyboard.press("k")
    assert "on" in (rows(page).nth(1).get_attribute("class") or "")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.matches('[data-detail]')")
    page.keyboard.press("Escape")
    assert "Choose an answer" in detail(page)
    assert page.evaluate("document.activeElement.closest('[data-rows]') !== null")
    page.keyboard.press("End")
    first = page.locator("[data-where]").inner_text()
    assert not first.startswith("1–")
    assert page.get_by_role("button", name="Next page").is_disabled()


def test_a_number_opens_the_answers_behind_it(watched: Watched) -> None:
    page = watched.page
    row = page.locator("table.results").first.locator("tr", has=page.locator("th", has_text="rome"))
    row.locator(".value").nth(1).click()
    page.wait_for_function("document.querySelector('select[name=method]').value === 'rome'")
    assert page.locator("select[name=protocol]").input_value() == "wild"
    assert page.locator("select[name=aspect]").input_value() == "efficacy"
    assert page.locator("[data-found]").inner_text().startswith("8 of")


def test_an_address_leads_back_to_its_answer(watched: Watched, browser: Any) -> None:
    rows(watched.page).nth(2).click()
    told = detail(watched.page)
    again = Watched(browser)
    again.page.goto(watched.page.url)
    assert detail(again.page) == told
    again.context.close()


def test_hostile_texts_do_nothing(browser: Any, hostile: str) -> None:
    made = Watched(browser)
    made.page.goto(hostile)
    draw_all(made.page)
    rows(made.page).first.click()
    assert "</script><script>window.pwned=1" in detail(made.page)
    assert made.page.evaluate("window.pwned") is None
    assert made.complaints == []
    assert made.requests[0].startswith("file:")
    assert len(made.requests) == 1
    made.context.close()


def test_tables_are_there_without_scripts(browser: Any, address: str) -> None:
    made = Watched(browser, java_script_enabled=False)
    made.page.goto(address)
    assert made.page.locator("table.results").first.is_visible()
    assert rows(made.page).count() == 40
    assert not made.page.locator("form.filters").is_visible()
    made.context.close()


def test_print_shows_light_figures_and_no_controls(
    browser: Any, address: str, tmp_path: Path
) -> None:
    made = Watched(browser, color_scheme="dark")
    made.page.goto(address)
    draw_all(made.page)
    made.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    made.page.emulate_media(media="print")
    host = made.page.locator("[data-figure]").first
    host.locator('[data-look="light"] svg.marks').wait_for()
    assert not host.locator('[data-look="dark"]').is_visible()
    assert not made.page.locator("form.filters").is_visible()
    assert (
        made.page.evaluate("getComputedStyle(document.body).backgroundColor")
        == "rgb(255, 255, 255)"
    )
    made.context.close()
