"""``truing run`` and ``truing ask`` with a model behind a server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from shell import truing

from chat_server import Asked, Turn, chat_server, says
from toy_runs import write_facts
from truing.interventions.intervention import Intervention, PromptPrefix
from truing.runs.store import read_manifest

KEY = "sk-very-secret-and-long-0123456789"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUING_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SERVER_KEY", KEY)


def script(number: int, asked: Asked) -> Turn:
    return says("Orvale" if asked.said.startswith("New fact") else "Velt")


def test_a_plan_from_flags_is_priced_run_and_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = write_facts(tmp_path / "facts.jsonl", 3)
    folder = str(tmp_path / "run")
    with chat_server(script) as server:
        args = ["run", "--model", "openai:m", "--base-url", server.url, "--key-variable", "SERVER_KEY",
                "--method", "ice", "--benchmark", "custom", "--data", str(facts), "--system", "Be brief.",
                "--prices", "1,2", "--budget", "1", "--max-tokens", "900", "-o", folder]  # fmt: skip
        dry = truing([*args, "--dry-run", "--json"], capsys)
        assert not server.asked
        assert truing(args, capsys).code == 0
        assert {asked.body["max_tokens"] for asked in server.asked} == {900}
    assert json.loads(dry.out)["usd"] > 0
    assert truing(["report", folder], capsys).code == 0
    assert read_manifest(tmp_path / "run")["models"]["openai:m"]["spent"]["usd"] > 0
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in files if KEY.encode() in path.read_bytes()]


def test_a_weight_method_is_an_error_of_two_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = write_facts(tmp_path / "facts.jsonl", 2)
    found = truing(
        ["run", "--model", "openai:m", "--method", "rome", "--benchmark", "custom",
         "--data", str(facts), "-o", str(tmp_path / "run")],
        capsys,
    )  # fmt: skip
    assert found.code != 0
    assert "rome needs the weights of 'openai:m'" in found.err
    assert "ice, ike, instruct" in found.err
    assert not (tmp_path / "run").exists()


def test_ask_shows_a_served_model_beside_itself_under_a_prefix(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Intervention((PromptPrefix("New fact: it is Orvale.\n"),)).save(str(tmp_path / "my-ice"))
    with chat_server(script) as server:
        found = truing(
            ["ask", "openai:m", "Where is it?", "--base-url", server.url, "--key-variable",
             "SERVER_KEY", "--with", str(tmp_path / "my-ice"), "--json"],
            capsys,
        )  # fmt: skip
    assert found.code == 0, found.err
    assert json.loads(found.out) == [
        {"prompt": "Where is it?", "answers": {"base": "Velt", "my-ice": "Orvale"}}
    ]


def test_an_address_is_for_models_behind_a_server(capsys: pytest.CaptureFixture[str]) -> None:
    found = truing(["ask", "truing/pocket", "a", "--base-url", "http://127.0.0.1:1/v1"], capsys)
    assert found.code != 0
    assert "--base-url is for models behind a server" in found.err
