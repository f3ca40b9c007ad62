"""A whole plan on a model behind a server of this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chat_server import Asked, ChatServer, Turn, chat_server, refuses, says
from toy_runs import write_facts
from truing.benchmarks.benchmark import BENCHMARKS, Benchmark
from truing.errors import BadInput, NotPossible, ServerStopped
from truing.registry import Entry
from truing.runs import plan_file
from truing.runs.cells import ServedSpec
from truing.runs.estimate import estimate
from truing.runs.events import Event, RowsWritten
from truing.runs.execute import execute
from truing.runs.plan import Plan, parse
from truing.runs.store import read_manifest, read_rows, read_summary, read_verdicts
from truing.types import Case, EditRequest, Probe, Row

KEY = "sk-of-the-run-0123456789abcdef"
FACT = "New fact: "


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("TRUING_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("truing.servers.pace.own_wait", lambda *args: 0.01)


def told(number: int, asked: Asked) -> Turn:
    """Repeats the fact that it is told, and knows Velt otherwise. It says who it is."""
    said = asked.said
    text = said.split(".\n")[0].split()[-1] if said.startswith(FACT) else "Velt"
    turn = says(f"{text}, of course.\nMore of the same.", finish_reason="stop")
    return Turn(body={**turn.body, "model": "m-2026-01-01", "system_fingerprint": "fp_7"})


def plan_for(server: ChatServer, folder: Path, count: int = 3, **values: Any) -> Plan:
    write_facts(folder / "facts.jsonl", count)
    raw = {
        "name": "served",
        "model": "openai:m",
        "base_url": server.url,
        "methods": ["ice", "instruct"],
        "benchmark": "custom",
        "data": "facts.jsonl",
        "at_once": 2,
        "noise_sample": 0,
        **values,
    }
    return parse(raw, root=folder)


def rows_of(folder: Path) -> dict[tuple[str, str, str], Row]:
    method = {c["id"]: c["method"] for c in read_manifest(folder)["cells"]}
    return {(method[r.cell], r.case, r.probe): r for r in read_rows(folder)}


def texts(folder: Path) -> dict[tuple[str, str, str], str]:
    return {
        k: r.response.text if r.response else f"({r.error})" for k, r in rows_of(folder).items()
    }


def key_in(*folders: Path) -> list[str]:
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 4
    return [str(path) for path in files if KEY.encode() in path.read_bytes()]


def test_a_plan_from_beginning_to_end(tmp_path: Path) -> None:
    with chat_server(told) as server:
        done = execute(plan_for(server, tmp_path), tmp_path / "run")
    rows = rows_of(tmp_path / "run")
    efficacy = {k: r for k, r in rows.items() if r.aspect == "efficacy"}
    ice = next(r for k, r in efficacy.items() if k[:2] == ("ice", "fact-1"))
    assert ice.response is not None
    assert ice.base is not None
    assert (ice.response.text, ice.response.stop) == ("Marrow, of course.", "stop")
    assert ice.base.text == "Velt, of course."
    assert ice.prompt.startswith("New fact: The Glass Gate number 1 is in the city of Marrow.\n")
    plain = next(r for k, r in efficacy.items() if k[:2] == ("none", "fact-1"))
    assert plain.prompt == "The Glass Gate number 1 is in the city of"
    states = {v.row: v.state for v in read_verdicts(tmp_path / "run")}
    assert states[ice.key] == "correct"
    assert states[plain.key] == "wrong"
    assert {m.method for m in read_summary(tmp_path / "run").measures} == {
        "none",
        "ice",
        "instruct",
    }
    assert not done.failed
    assert {a.key for a in server.asked} == {f"Bearer {KEY}"}
    assert all(a.body["temperature"] == 0.0 and "stop" not in a.body for a in server.asked)
    assert not key_in(tmp_path)


def test_identical_requests_are_asked_once_and_are_one_observation(tmp_path: Path) -> None:
    """Published runs against servers counted five equal prompts at temperature 0 as five."""
    with chat_server(told) as server:
        plan = plan_for(server, tmp_path, seeds=[0, 1, 2])
        execute(plan, tmp_path / "run")
        execute(plan, tmp_path / "again")
    sent = [str(asked.body["messages"]) for asked in server.asked]
    assert len(sent) == len(set(sent))
    assert texts(tmp_path / "run") == texts(tmp_path / "again")


def test_the_manifest_says_what_answered_and_when_and_what_it_took(tmp_path: Path) -> None:
    with chat_server(told) as server:
        plan = plan_for(server, tmp_path, usd_per_million_in=1.0, usd_per_million_out=2.0)
        execute(plan, tmp_path / "run")
    account = read_manifest(tmp_path / "run")["models"]["openai:m"]
    assert list(account["heard"]) == ["m-2026-01-01 fp_7"]
    assert account["heard"]["m-2026-01-01 fp_7"]["first"].endswith("Z")
    asked = len(server.asked)
    assert account["spent"]["requests"] == asked
    assert account["spent"]["usd"] == pytest.approx(asked * (100 * 1e-6 + 10 * 2e-6))
    assert account["asked"]["server"] == server.url


def stop_after(rows: int) -> Callable[[Event], None]:
    def on_event(event: Event) -> None:
        if isinstance(event, RowsWritten) and event.done >= rows:
            raise KeyboardInterrupt

    return on_event


def test_a_run_that_was_stopped_goes_on_without_asking_anything_twice(tmp_path: Path) -> None:
    with chat_server(told) as server:
        plan = plan_for(server, tmp_path, count=5)
        with pytest.raises(KeyboardInterrupt):
            execute(plan, tmp_path / "run", on_event=stop_after(12))
        half = len(server.asked)
        assert half > 0
        execute(plan, tmp_path / "run", resume=True)
        assert len(server.asked) > half
        sent = [str(asked.body["messages"]) for asked in server.asked]
        execute(plan, tmp_path / "whole")
    assert len(sent) == len(set(sent))
    assert texts(tmp_path / "run") == texts(tmp_path / "whole")
    account = read_manifest(tmp_path / "run")["models"]["openai:m"]
    assert account["spent"]["requests"] == len(sent)


def test_rate_limits_and_server_errors_are_asked_again(tmp_path: Path) -> None:
    def script(number: int, asked: Asked) -> Turn:
        if number in (0, 3):
            return refuses(429, f"slow down {KEY}", retry_after="0.05")
        return refuses(503, "busy") if number in (1, 5) else told(number, asked)

    with chat_server(script) as server:
        execute(plan_for(server, tmp_path), tmp_path / "run")
    assert not any(text.startswith("(") for text in texts(tmp_path / "run").values())
    assert not key_in(tmp_path)


def test_a_question_without_an_answer_is_missing_and_not_wrong(tmp_path: Path) -> None:
    def script(number: int, asked: Asked) -> Turn:
        if "number 1 is" in asked.said and not asked.said.startswith(FACT):
            return says(None, finish_reason="content_filter")
        return told(number, asked)

    with chat_server(script) as server:
        execute(plan_for(server, tmp_path), tmp_path / "run")
    lost = [r for r in rows_of(tmp_path / "run").values() if r.error is not None]
    assert lost
    assert all("content filter" in (r.error or "") and r.response is None for r in lost)
    scores = {v.row: v.score for v in read_verdicts(tmp_path / "run")}
    assert all(scores.get(r.key) is None for r in lost)


def test_a_server_that_is_gone_stops_the_run_and_the_next_session_goes_on(tmp_path: Path) -> None:
    with chat_server(lambda n, a: told(n, a) if n < 8 else refuses(401, "no")) as server:
        plan = plan_for(server, tmp_path, concurrency=1)
        with pytest.raises(ServerStopped, match=r"refused the key") as stopped:
            execute(plan, tmp_path / "run")
    assert "--resume" in str(stopped.value)
    manifest = read_manifest(tmp_path / "run")
    assert manifest["finished"] is None
    assert manifest["models"]["openai:m"]["spent"]["requests"] == 9


def test_the_budget_holds_over_sessions_and_a_larger_one_goes_on(tmp_path: Path) -> None:
    prices = {"usd_per_million_in": 1000.0, "usd_per_million_out": 1000.0}
    with chat_server(told) as server:
        plan = plan_for(server, tmp_path, budget_usd=1.0, concurrency=1, **prices)
        for _ in range(2):
            with pytest.raises(ServerStopped, match="budget"):
                execute(plan, tmp_path / "run", resume=True)
        first = len(server.asked)
        assert 0.11 * first <= 1.0
        assert first >= 5
        larger = plan_for(server, tmp_path, budget_usd=50.0, concurrency=1, **prices)
        execute(larger, tmp_path / "run", resume=True)
        sent = [str(asked.body["messages"]) for asked in server.asked]
    assert len(sent) == len(set(sent))
    spent = read_manifest(tmp_path / "run")["models"]["openai:m"]["spent"]
    assert spent["usd"] == pytest.approx(0.11 * len(sent))


@pytest.mark.parametrize("method", ["rome", "caa", "grace", "serac", "neutral_prefix"])
def test_a_method_that_needs_weights_is_refused_with_those_that_can(
    method: str, tmp_path: Path
) -> None:
    with chat_server(told) as server:
        plan = plan_for(server, tmp_path, methods=[method], controls=0)
        with pytest.raises(NotPossible, match=rf"{method} needs the weights") as refused:
            execute(plan, tmp_path / "run")
    assert "ice, ike, instruct, prompt, serac_in_context" in str(refused.value)
    assert not server.asked
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "protocol", ["synthetic", "likelihood", "wild,truncation=gold-length,scorer=token-match"]
)
def test_a_protocol_that_needs_likelihoods_is_refused_with_those_that_can(
    protocol: str, tmp_path: Path
) -> None:
    with (
        chat_server(told) as server,
        pytest.raises(NotPossible, match=r"which no server tells\n.*wild-chat"),
    ):
        execute(plan_for(server, tmp_path, protocols=[protocol]), tmp_path / "run")
    assert not server.asked


def test_a_dry_run_tells_tokens_and_dollars_and_asks_nothing(tmp_path: Path) -> None:
    with chat_server(told) as server:
        plan = plan_for(server, tmp_path, usd_per_million_in=1.0, usd_per_million_out=10.0)
        found = estimate(plan)
        assert not server.asked
        execute(plan, tmp_path / "run")
    assert found.usd is not None
    spent = sum(c.usd or 0.0 for c in found.cells)
    assert found.usd == pytest.approx(spent)
    assert found.asks == len(server.asked)
    assert found.usd > found.asks * 50 * 10e-6
    assert estimate(plan_for(server, tmp_path)).usd is None


def talks() -> Iterator[Case]:
    for i in range(2):
        request = EditRequest(
            f"c{i}", f"The Tin Spire {i} is in", "Orvale", subject=f"Tin Spire {i}"
        )
        first = Probe(f"{i}/0", "efficacy", f"Where is the Tin Spire {i}?", ("Orvale",))
        second = Probe(f"{i}/1", "robustness", "Are you sure?", ("Yes",), follows=first.id)
        yield Case(f"c{i}", (request,), (first, second))


def test_later_turns_of_a_conversation_are_turns_of_the_chat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = list(talks())
    found = Benchmark("talks", "conversations", cases=lambda options: cases)
    monkeypatch.setitem(BENCHMARKS._entries, "talks", Entry("<added>", "conversations"))
    monkeypatch.setitem(BENCHMARKS._loaded, "talks", found)
    with chat_server(told) as server:
        plan = plan_for(
            server, tmp_path, benchmark="talks", data=None, methods=["ice"], system="Be brief."
        )
        execute(plan, tmp_path / "run")
    longest = [a.body["messages"] for a in server.asked if len(a.body["messages"]) == 4]
    edited = [m for m in longest if m[1]["content"].startswith(FACT)]
    assert len(longest) == 4
    assert len(edited) == 2
    for messages in edited:
        assert [m["role"] for m in messages] == ["system", "user", "assistant", "user"]
        assert messages[0]["content"] == "Be brief."
        assert messages[2]["content"] == "Orvale, of course."
        assert messages[3]["content"] == "Are you sure?"


def test_a_chain_of_told_facts_is_kept_and_gone_on_with(tmp_path: Path) -> None:
    with chat_server(told) as server:
        plan = plan_for(server, tmp_path, methods=["ice"], regime="sequential", checkpoint_every=1)
        with pytest.raises(KeyboardInterrupt):
            execute(plan, tmp_path / "run", on_event=stop_after(14))
        execute(plan, tmp_path / "run", resume=True)
        execute(plan, tmp_path / "whole")
    assert texts(tmp_path / "run") == texts(tmp_path / "whole")
    final = [r for r in read_rows(tmp_path / "run") if r.moment == "final" and r.step == 3]
    assert any(r.prompt.count(FACT) == 3 for r in final)


def test_keys_of_a_plan(tmp_path: Path) -> None:
    facts = str(write_facts(tmp_path / "facts.jsonl", 1))
    raw = {"methods": ["ice"], "benchmark": "custom", "data": facts}
    plan = parse(
        {**raw, "model": {"name": "openai:m", "max_tokens": 9}, "base_url": "http://127.0.0.1:1/v1"}
    )
    [spec] = plan.models
    assert isinstance(spec, ServedSpec)
    assert (spec.base_url, spec.max_tokens, spec.key_variable) == (
        "http://127.0.0.1:1/v1",
        9,
        "OPENAI_API_KEY",
    )
    assert plan.protocols == ("chat/greedy/natural/contains",)
    (tmp_path / "plan.toml").write_text(plan.text(tmp_path), "utf-8")
    again = plan_file.load(
        tmp_path / "plan.toml",
        {"budget_usd": 2.0, "usd_per_million_in": 1, "usd_per_million_out": 1},
    )
    assert plan.differences(again) == []
    assert again.models[0] != spec
    assert plan.differences(plan_file.load(tmp_path / "plan.toml", {"system": "Be brief."})) == [
        "models.0.system"
    ]
    with pytest.raises(BadInput, match="'base_url' is for models behind a server"):
        parse({**raw, "model": "truing/pocket", "base_url": "http://127.0.0.1:1/v1"})
    with pytest.raises(BadInput, match="dtype"):
        parse({**raw, "model": {"name": "openai:m", "dtype": "float32"}})
    with pytest.raises(BadInput, match="names no model"):
        parse({**raw, "model": "openai:"})
    with pytest.raises(BadInput, match="needs the prices"):
        parse({**raw, "model": "openai:m", "budget_usd": 3})


def test_no_key_is_needed_to_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    facts = str(write_facts(tmp_path / "facts.jsonl", 1))
    plan = parse({"model": "openai:m", "methods": ["ice"], "benchmark": "custom", "data": facts})
    assert estimate(plan).rows > 0
    with pytest.raises(ServerStopped, match="OPENAI_API_KEY is not set"):
        execute(plan, tmp_path / "run")
    assert "OPENAI_API_KEY" not in os.environ
