"""``truing judge --with openai:...`` against a server that fails in every way there is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from shell import truing

from chat_server import Asked, Turn, chat_server, refuses, says
from judged_rows import row
from truing.runs.store import Store, read_verdicts

KEY = "sk-very-secret-and-long-0123456789"
JUDGE = "openai:judge/correctness"
TEXTS = [f"It is Orvale, house {letter}" for letter in "KLMNOPQRSTUV"]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRUING_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr("truing.servers.pace.own_wait", lambda *args: 0.01)
    cell = {"id": "rome", "model": "m", "method": "rome", "registered": "rome", "config": {},
            "benchmark": "b", "regime": "single", "seed": 0}  # fmt: skip
    with Store(tmp_path / "run") as store:
        store.write_manifest({"cells": [cell]})
        store.write_text("plan.toml", "")
        store.add_rows([row(text, key=f"r{n}") for n, text in enumerate(TEXTS)])
    return tmp_path / "run"


def states(run: Path) -> dict[str, str]:
    return {v.row: v.state for v in read_verdicts(run) if v.judge == JUDGE}


def holds_key(folder: Path) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 5
    return [str(path) for path in files if KEY.encode() in path.read_bytes()]


def test_passing_failures_are_asked_again_and_lasting_ones_are_counted(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Answers 0 and 1 fail once, in two ways; 2 is never answered as it should be."""
    seen: dict[str, int] = {}

    def script(number: int, asked: Asked) -> Turn:
        mine = next((n for n in range(3) if TEXTS[n] in asked.said), None)
        if mine is None or ("number 1" in asked.said and "number 1\n" not in asked.said + "\n"):
            return says("A")
        seen[asked.said] = seen.get(asked.said, 0) + 1
        if mine == 2:
            return Turn(body="{not json") if seen[asked.said] % 2 else Turn(body={"choices": []})
        if seen[asked.said] > 1:
            return says("A")
        return refuses(429, f"slow down, {KEY}", retry_after="0") if mine else refuses(500, KEY)

    with chat_server(script) as server:
        told = truing(
            ["judge", str(run), "--with", "openai:judge", "--base-url", server.url, "--json"],
            capsys,
        )
    assert told.code == 0, told.err
    assert KEY not in told.out + told.err
    found = states(run)
    assert found.pop("r2") == "invalid"
    assert set(found.values()) == {"correct"}
    assert len(found) == len(TEXTS) - 1
    [count] = json.loads(told.out)["judges"]
    assert (count["n"], count["correct"], count["invalid"]) == (12, 11, 1)
    assert {asked.key for asked in server.asked} == {f"Bearer {KEY}"}
    assert holds_key(tmp_path) == []


def test_a_server_that_dies_loses_nothing(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def dying(number: int, asked: Asked) -> Turn:
        return says("A") if number < 5 else Turn(drop=True)

    command = ["judge", str(run), "--with", "openai:judge", "--json"]
    with chat_server(dying) as server:
        told = truing([*command, "--base-url", server.url], capsys)
    assert told.code == 1
    assert len(told.error_lines) <= 3
    kept = states(run)
    assert 0 < len(kept) < len(TEXTS)
    with chat_server(lambda number, asked: says("B")) as server:
        told = truing([*command, "--base-url", server.url], capsys)
        asked_again = len(server.asked)
    assert told.code == 0
    found = states(run)
    assert len(found) == len(TEXTS)
    assert {key: found[key] for key in kept} == kept
    assert asked_again <= len(TEXTS) - len(kept)
    assert holds_key(tmp_path) == []
