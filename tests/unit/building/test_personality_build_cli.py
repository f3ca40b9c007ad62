"""``truing personality build`` and ``select-traits`` as a person types them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from truing.cli.personality_build import build, select_traits
from truing.errors import BadInput, UnknownName

OWN = '[[trait]]\nname = "{0}"\nperson = "a {0} one"\ndefinition = "is {0}"\nfacets = ["a"]\nadjectives = ["{0}"]\n'


def run(folder: Path, *more: str, topics: str = "chess\nboat trips\n") -> Result:
    (folder / "topics.txt").write_text(topics)
    (folder / "own.toml").write_text(OWN.format("wry") + OWN.format("warm"))
    app = typer.Typer()
    app.command("build")(build)
    app.command("select-traits")(select_traits)
    given = ["build", str(folder / "out"), "--topics", str(folder / "topics.txt"), *more]
    result = CliRunner().invoke(app, given if more[0] != "select-traits" else list(more))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def told(result: Result) -> Any:
    return json.loads(result.stdout)


def test_a_dry_run_counts_and_asks_nobody(tmp_path: Path) -> None:
    found = told(
        run(
            tmp_path, "--with", "openai:m", "--judge", "openai:j", "--n", "2", "--spare", "0",
            "--max-tokens", "50", "--prices", "1,2", "--dry-run", "--json",
        )
    )  # fmt: skip
    assert found["topics"] == 2
    assert found["writing"]["chats"] == 2 * 3 * 2
    assert found["writing"]["usd"] > 12 * 50 * 2 / 1e6
    assert found["rating"]["chats"] == 12 * 3
    assert not (tmp_path / "out").exists()


def test_traits_are_the_published_ones_those_named_or_all_of_ones_own(tmp_path: Path) -> None:
    def chats(*more: str) -> int:
        found = told(run(tmp_path, "--with", "openai:m", "--dry-run", "--json", "--n", "1", *more))
        return int(found["writing"]["chats"])

    assert chats() == 2 * 3 * 2
    assert chats("--trait", "openness", "--trait", "closedness") == 2 * 2 * 2
    assert chats("--traits", str(tmp_path / "own.toml")) == 2 * 2 * 2


@pytest.mark.parametrize(
    ("more", "error", "why"),
    [
        (("--temperature", "0"), BadInput, "at temperature 0"),
        (("--words", "many"), BadInput, "'many' is not LEAST,MOST"),
        (("--words", "9,3"), BadInput, "is no band"),
        (("--wording", "Be {mood}."), BadInput, "a place {mood}"),
        (("--trait", "openness"), BadInput, "the traits are openness"),
        (("--trait", "zeal", "--trait", "openness"), UnknownName, "unknown trait 'zeal'"),
        (("--budget", "1"), BadInput, "budget needs the prices"),
        (("--views", "5"), BadInput, "has no views"),
    ],
)
def test_what_cannot_be_built_is_said_before_anything_is_asked(
    tmp_path: Path, more: tuple[str, ...], error: type[Exception], why: str
) -> None:
    with pytest.raises(error, match=why):
        run(tmp_path, "--with", "openai:m", *more)
    assert not (tmp_path / "out").exists()


def test_traits_without_a_rubric_are_not_rated(tmp_path: Path) -> None:
    own = ("--traits", str(tmp_path / "own.toml"), "--judge", "openai:j")
    with pytest.raises(BadInput, match="no rubric personality-wry"):
        run(tmp_path, "--with", "openai:m", *own)
    assert not (tmp_path / "out").exists()


def test_the_matrices_of_a_pilot_are_shown(tmp_path: Path) -> None:
    line = {"trait": "wry", "ratings": {"wry": 4.0, "warm": None}}
    (tmp_path / "drafts.jsonl").write_text(json.dumps(line) + "\n")
    found = told(run(tmp_path, "select-traits", str(tmp_path), "--json"))
    assert found["means"] == [[4.0, None], [None, None]]
    shown = run(tmp_path, "select-traits", str(tmp_path)).stdout
    assert "4.00" in shown
    assert "Pearson" in shown
