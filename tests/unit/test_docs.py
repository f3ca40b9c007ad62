"""What the pages say is true: examples run, names exist, links lead somewhere."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text("utf-8"), re.DOTALL)


def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in blocks(ROOT / "README.md", "python"):
        exec(compile(block, "README.md", "exec"), names)
    assert (tmp_path / "ashmere-rome" / "intervention.json").is_file()
    edited = names["answers"]
    assert isinstance(edited, list)
    assert len(edited) == 2


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text("utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_plan_in_the_pages_and_every_shipped_plan_parse() -> None:
    from truing.runs import plan, plan_file

    for text in blocks(ROOT / "docs" / "runs.md", "toml"):
        plan.parse(tomllib.loads(text))
    shipped = sorted((ROOT / "plans").glob("*.toml"))
    assert shipped
    for path in shipped:
        plan_file.load(path)


def test_every_method_has_its_place_in_the_methods_page() -> None:
    from truing.methods.method import METHODS

    text = (ROOT / "docs" / "methods.md").read_text("utf-8")
    assert [name for name in METHODS if f"`{name}`" not in text] == []


def test_every_protocol_preset_is_documented_with_its_id() -> None:
    from truing.protocols.protocol import PROTOCOLS

    text = (ROOT / "docs" / "protocols.md").read_text("utf-8")
    for name in PROTOCOLS:
        assert f"| `{name}` | `{PROTOCOLS.get(name).id}` |" in text, name


def test_every_verb_is_in_the_readme() -> None:
    from truing.cli.main import app

    text = (ROOT / "README.md").read_text("utf-8")
    verbs = [c.name for c in app.registered_commands] + [g.name for g in app.registered_groups]
    assert [verb for verb in verbs if f"truing {verb}" not in text and verb != "pocket"] == []
