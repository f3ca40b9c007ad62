"""``truing steer build`` as a person types it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from truing.cli.steer_build import build
from truing.errors import BadInput, UnknownName


def run(folder: Path, *more: str, prompts: str = "Who are you?\nWhat is a boat?\n") -> Result:
    (folder / "prompts.txt").write_text(prompts)
    app = typer.Typer()
    app.command()(build)
    given = [str(folder / "out"), "--behavior", "zeal", "--prompts", str(folder / "prompts.txt")]
    result = CliRunner().invoke(app, [*given, *more])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def told(result: Result) -> Any:
    return json.loads(result.stdout)


def test_a_dry_run_counts_and_asks_nobody(tmp_path: Path) -> None:
    result = run(
        tmp_path, "--with", "openai:m", "--about", "is full of zeal", "--samples", "2",
        "--max-tokens", "50", "--prices", "1,2", "--dry-run", "--json",
    )  # fmt: skip
    assert (told(result)["chats"], told(result)["tokens_out"]) == (12, 600)
    assert told(result)["usd"] > 600 * 2 / 1e6
    assert not (tmp_path / "out").exists()


def test_a_dry_run_with_a_local_writer_loads_no_model(tmp_path: Path) -> None:
    result = run(
        tmp_path, "--with", "local:nowhere/none", "--about", "is calm", "--dry-run", "--json"
    )
    assert told(result)["chats"] == 6


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (("--with", "openai:m"), "what should be written is not said"),
        (("--with", "openai:m", "--for", "Be bold."), "what should be written is not said"),
        (
            ("--with", "openai:m", "--about", "x", "--samples", "2", "--temperature", "0"),
            "2 samples at temperature 0",
        ),
        (("--with", "openai:m", "--about", "x", "--budget", "1"), "budget needs the prices"),
    ],
)
def test_what_cannot_be_built_is_said_before_anything_is_asked(
    tmp_path: Path, more: tuple[str, ...], why: str
) -> None:
    with pytest.raises(BadInput, match=why):
        run(tmp_path, *more)


def test_a_writer_is_local_or_on_a_server(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="unknown writer 'gpt'"):
        run(tmp_path, "--with", "gpt", "--about", "x")


def test_no_prompts_no_set(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no prompts"):
        run(tmp_path, "--with", "openai:m", "--about", "x", prompts="\n\n")
