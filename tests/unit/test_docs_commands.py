"""Commands in the pages about other tools and about behaviour exist, with their options and names."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from truing.benchmarks.benchmark import BENCHMARKS
from truing.building.people.spec import read_spec
from truing.cli.main import app
from truing.methods.method import METHODS
from truing.runs import plan, published, published_answers, published_pres2024, references
from truing.runs.flextape import tables as flextape

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "docs" / name
    for name in ("coming-from.md", "behavior.md", "people.md", "audit.md", "personality.md")
]


def commands(page: Path) -> list[list[str]]:
    """Words of every command, in a block or in a line."""
    text = page.read_text("utf-8")
    blocks = re.findall(r"```\n(.*?)```", text, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    lines += [" ".join(code.split()) for code in re.findall(r"`(truing [^`]+)`", prose)]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("truing ")]


def command_of(words: list[str]) -> tuple[TyperCommand, list[str]]:
    """The command that ``words`` name, and what is left of them."""
    found = get_command(app)
    left = list(words)
    while isinstance(found, TyperGroup):
        assert left, f"truing {' '.join(words)}: names a group only"
        name = left.pop(0)
        assert name in found.commands, f"truing {' '.join(words)}: no verb {name}"
        found = found.commands[name]
    assert isinstance(found, TyperCommand)
    return found, left


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_command_has_its_verb_and_options(page: Path) -> None:
    found = commands(page)
    assert found
    for words in found:
        command, left = command_of(words)
        known = {name for p in command.params for name in (*p.opts, *p.secondary_opts)}
        wrong = [word for word in left if word.startswith("-") and word not in known]
        assert wrong == [], f"truing {' '.join(words)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_plan_table_method_and_benchmark_that_is_named_exists(page: Path) -> None:
    tables = {
        *published.tables(),
        *published_answers.answer_tables(),
        *published_pres2024.TABLES,
        *references.TABLES,
        *flextape.TABLES,
        flextape.AGREEMENT,
    }
    for words in commands(page):
        if words[0] == "reproduce":
            assert words[1] in tables
        for option, names in (("--benchmark", BENCHMARKS), ("--method", METHODS)):
            if option in words and (given := words[words.index(option) + 1]) != "NAME":
                assert [name for name in given.split(",") if name not in names] == []
        for word in words:
            assert not word.startswith("plans/") or (ROOT / word).is_file(), word


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_option_that_is_named_alone_is_one_of_run(page: Path) -> None:
    """In the columns of what to type here, not of what was typed there."""
    run = command_of(["run"])[0]
    known = {name for p in run.params for name in (*p.opts, *p.secondary_opts)}
    cells = re.findall(r"^\|.*\| ([^|]+) \|$", page.read_text("utf-8"), re.MULTILINE)
    named = [o for cell in cells for o in re.findall(r"`(--[\w-]+)", cell)]
    assert [option for option in named if option not in known] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_plan_and_specification_on_the_page_parses(page: Path, tmp_path: Path) -> None:
    for text in re.findall(r"```toml\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
        if "edits" in tomllib.loads(text):
            (tmp_path / "people.toml").write_text(text, "utf-8")
            assert read_spec(tmp_path / "people.toml").groups
        else:
            plan.parse(tomllib.loads(text))


def test_all_29_faults_have_their_line() -> None:
    text = (ROOT / "docs" / "behavior.md").read_text("utf-8")
    names = re.findall(r"^\| ([BH]\d+) \|", text, re.MULTILINE)
    assert names == [*(f"B{i}" for i in range(1, 23)), *(f"H{i}" for i in range(1, 8))]
