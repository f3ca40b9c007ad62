"""``openai:MODEL`` against a real server on this machine that misbehaves on purpose."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from chat_server import Asked, ChatServer, Script, Turn, chat_server, refuses, says
from truing.errors import BadInput, NotPossible
from truing.servers.openai import OpenAISettings, OpenAISpeaker
from truing.servers.reply import Reply
from truing.types import Chat, Message

KEY = "sk-secret-0123456789abcdef"
QUICK = {"first_wait_s": 0.01, "timeout_s": 5.0, "attempts": 3, "concurrency": 4}


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def speaker_for(server: ChatServer, **settings: Any) -> OpenAISpeaker:
    return OpenAISpeaker("m", OpenAISettings(**{**QUICK, "base_url": server.url, **settings}))


def chats(n: int) -> list[Chat]:
    return [(Message("system", "Judge."), Message("user", f"chat {i}")) for i in range(n)]


def ask(script: Script, n: int = 1, labels: tuple[str, ...] = (), **settings: Any) -> list[Reply]:
    with chat_server(script) as server:
        got = dict(speaker_for(server, **settings).replies(chats(n), labels))
    return [got[i] for i in range(n)]


def in_turn(*turns: Turn) -> Script:
    """The turns in order; the last one for ever."""
    return lambda number, asked: turns[min(number, len(turns) - 1)]


def until_it_stops(speaker: OpenAISpeaker, n: int) -> tuple[dict[int, Reply], NotPossible]:
    got: dict[int, Reply] = {}
    try:
        for index, reply in speaker.replies(chats(n), ()):
            got[index] = reply
    except NotPossible as error:
        return got, error
    raise AssertionError("it did not stop")


def test_every_chat_gets_its_own_reply_and_the_settings_are_sent() -> None:
    with chat_server(lambda n, asked: says(f"to {asked.said}")) as server:
        speaker = speaker_for(server, max_tokens=7, seed=3)
        got = dict(speaker.replies(chats(20), ()))
    assert {i: r.text for i, r in got.items()} == {i: f"to chat {i}" for i in range(20)}
    assert got[0] == Reply("to chat 0", None, None, 100, 10)
    asked = server.asked[0]
    assert asked.path == "/v1/chat/completions"
    assert asked.key == f"Bearer {KEY}"
    assert asked.body == {
        "model": "m",
        "messages": [{"role": "system", "content": "Judge."}, asked.body["messages"][1]],
        "max_tokens": 7,
        "temperature": 0.0,
        "seed": 3,
    }
    assert (speaker.spent.requests, speaker.spent.tokens_in, speaker.spent.usd) == (20, 2000, None)


def test_never_more_requests_at_once_than_allowed() -> None:
    with chat_server(lambda n, asked: Turn(**{**vars(says("x")), "hang_s": 0.02})) as server:
        list(speaker_for(server, concurrency=3).replies(chats(12), ()))
    assert 2 <= server.most_at_once <= 3


def test_replies_come_as_they_are_ready() -> None:
    def script(number: int, asked: Asked) -> Turn:
        return Turn(**{**vars(says("x")), "hang_s": 0.5 if asked.said == "chat 0" else 0.0})

    with chat_server(script) as server:
        order = [i for i, _ in speaker_for(server).replies(chats(4), ())]
    assert order[-1] == 0


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 408, 529])
def test_a_passing_failure_is_asked_again(status: int) -> None:
    assert ask(in_turn(refuses(status, "busy"), says("yes")))[0].text == "yes"


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "0.4"},
        {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "400ms"},
    ],
)
def test_a_wait_that_is_asked_for_holds_everybody(headers: dict[str, str]) -> None:
    with chat_server(in_turn(refuses(429, "slow down", **headers), says("yes"))) as server:
        speaker = speaker_for(server, concurrency=1)
        assert [r.text for _, r in speaker.replies(chats(3), ())] == ["yes"] * 3
    first, *later = (asked.at for asked in server.asked)
    assert min(later) - first >= 0.39


def test_a_date_to_wait_for_is_obeyed() -> None:
    def script(number: int, asked: Asked) -> Turn:
        then = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
        return says("yes") if number else refuses(429, "later", Retry_After=then)

    with chat_server(script) as server:
        assert next(speaker_for(server).replies(chats(1), ()))[1].text == "yes"
    assert server.asked[1].at - server.asked[0].at >= 0.9  # dates have whole seconds


def test_limits_that_are_used_up_are_waited_for_before_a_refusal() -> None:
    full = {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "0.3s"}
    turns = in_turn(Turn(**{**vars(says("one")), "headers": full}), says("two"))
    with chat_server(turns) as server:
        list(speaker_for(server, concurrency=1).replies(chats(2), ()))
    assert server.asked[1].at - server.asked[0].at >= 0.29


def test_a_server_that_asks_to_wait_for_hours_ends_the_run() -> None:
    with chat_server(in_turn(refuses(429, "daily limit", Retry_After="7200"))) as server:
        _, error = until_it_stops(speaker_for(server), 1)
    assert "asks to wait 7200 s" in str(error)
    assert len(server.asked) == 1


def test_waits_between_attempts_grow_and_jitter_is_drawn_from_the_seed() -> None:
    with chat_server(in_turn(refuses(500, "no"))) as server:
        list(speaker_for(server, first_wait_s=0.1, attempts=4).replies(chats(1), ()))
    gaps = [b.at - a.at for a, b in zip(server.asked, server.asked[1:], strict=False)]
    assert len(gaps) == 3
    assert all(0.05 * 2**i <= gap <= 0.1 * 2**i + 0.1 for i, gap in enumerate(gaps))


@pytest.mark.parametrize(
    ("turn", "words", "requests"),
    [
        (Turn(body="{ this is not"), "not JSON", 3),
        (Turn(body="[1, 2]"), "no choice", 3),
        (Turn(body={"choices": []}), "no choice", 3),
        (Turn(body={"error": {"message": "overloaded"}}), "overloaded", 3),
        (Turn(body={"choices": [{"message": {}}]}), "empty", 3),
        (says(None), "empty", 3),
        (says("  "), "empty", 3),
        (says(None, finish_reason="length"), "max_tokens", 1),
        (says(None, finish_reason="content_filter"), "content filter", 1),
        (refuses(503, "melting"), "HTTP 503: melting (3 attempts)", 3),
        (refuses(400, "too long", "context_length_exceeded"), "too long", 1),
        (refuses(413, "too long"), "HTTP 413", 1),
    ],
)
def test_a_chat_without_a_reply_says_why_and_others_go_on(
    turn: Turn, words: str, requests: int
) -> None:
    def script(number: int, asked: Asked) -> Turn:
        return turn if asked.said == "chat 1" else says("yes")

    with chat_server(script) as server:
        got = dict(speaker_for(server).replies(chats(4), ()))
    assert got[1].text is None
    assert words in (got[1].error or "")
    assert [got[i].text for i in (0, 2, 3)] == ["yes"] * 3
    assert sum(asked.said == "chat 1" for asked in server.asked) == requests


def test_a_timeout_is_asked_again_and_then_given_up() -> None:
    slow = Turn(**{**vars(says("late")), "hang_s": 0.6})
    assert ask(in_turn(slow, says("yes")), timeout_s=0.2)[0].text == "yes"
    reply = ask(in_turn(slow), timeout_s=0.2, attempts=2)[0]
    assert (reply.text, reply.error) == (None, "no answer within 0.2 s (2 attempts)")


def test_a_dropped_connection_is_asked_again() -> None:
    assert ask(in_turn(Turn(drop=True), says("yes")))[0].text == "yes"


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "Check the model and the settings"),
        (401, "Set OPENAI_API_KEY"),
        (403, "rights of the key"),
        (404, "often ends in /v1"),
        (307, "as base_url"),
    ],
)
def test_what_asking_again_cannot_help_stops_at_once(status: int, words: str) -> None:
    with chat_server(in_turn(refuses(status, "no way"))) as server:
        got, error = until_it_stops(speaker_for(server, concurrency=1), 50)
    assert not got
    assert len(server.asked) == 1
    assert words in str(error)
    assert len(str(error).splitlines()) == 2


def test_credit_that_is_used_up_is_no_rate_limit() -> None:
    with chat_server(in_turn(refuses(429, "quota", "insufficient_quota"))) as server:
        _, error = until_it_stops(speaker_for(server), 1)
    assert len(server.asked) == 1
    assert "credit" in str(error)


def test_a_server_that_dies_keeps_what_was_answered() -> None:
    with chat_server(in_turn(says("yes"))) as server:
        replies = speaker_for(server, concurrency=1).replies(chats(400), ())
        got = [next(replies)]
        server.stop()
        with pytest.raises(NotPossible, match=r"cannot be reached: .*\n.*is kept"):
            got.extend(replies)
    assert 1 <= len(got) == len(server.asked) < 400
    assert {reply.text for _, reply in got} == {"yes"}


def test_a_server_that_fails_for_good_is_not_asked_for_every_chat() -> None:
    with chat_server(in_turn(refuses(503, "down"))) as server:
        got, error = until_it_stops(speaker_for(server, concurrency=1), 50)
    assert [r.text for r in got.values()] == [None, None]
    assert "3 chats in a row" in str(error)
    assert len(server.asked) == 9


def test_an_address_where_nobody_listens() -> None:
    with chat_server(in_turn(says("yes"))) as server:
        server.stop()
        started = time.monotonic()
        _, error = until_it_stops(speaker_for(server), 3)
    assert "cannot be reached" in str(error)
    assert time.monotonic() - started < 5


def test_who_stops_listening_stops_the_asking() -> None:
    with chat_server(in_turn(says("yes"))) as server:
        replies = speaker_for(server, concurrency=1).replies(chats(200), ())
        next(replies)
        assert isinstance(replies, Iterator)
        replies.close()  # type: ignore[attr-defined]
        asked = len(server.asked)
        time.sleep(0.1)
    assert len(server.asked) == asked < 200


def test_the_key_is_nowhere_but_in_the_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.DEBUG)
    shown: list[object] = []
    turns = (refuses(400, f"bad key {KEY}"), refuses(403, f"no {KEY}"), refuses(401, KEY),
             refuses(503, KEY), says(f"your key is {KEY}"), Turn(body=KEY))  # fmt: skip
    for turn in turns:
        with chat_server(in_turn(turn)) as server:
            speaker = speaker_for(server)
            try:
                shown += list(speaker.replies(chats(1), ("A",)))
            except NotPossible as error:
                shown += [error, error.__cause__, error.__context__, error.args]
            shown += [speaker, vars(speaker), speaker.name, speaker.facts, speaker.settings]
        assert server.asked[0].key == f"Bearer {KEY}"
    assert "your key is [key]" in str(shown)
    assert KEY not in repr(shown) + str(shown) + caplog.text
    assert list(tmp_path.rglob("*")) == []


def test_a_key_is_cut_out_however_it_is_written_and_placeholders_are_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "abc/def/0123456789")
    body = r'{"choices": [{"message": {"content": "it is abc\/def\/0123456789"}}]}'
    assert ask(in_turn(Turn(body=body)))[0].text == "it is [key]"
    monkeypatch.setenv("OPENAI_API_KEY", "EMPTY")
    assert ask(in_turn(says("EMPTY words")))[0].text == "EMPTY words"


def test_a_key_is_needed_elsewhere_and_never_sent_in_the_clear(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("nothing may be sent")

    monkeypatch.setattr(urllib.request.OpenerDirector, "open", refuse)
    far = OpenAISpeaker("m", OpenAISettings(base_url="http://192.0.2.1/v1"))
    with pytest.raises(NotPossible, match="unencrypted"):
        list(far.replies(chats(1), ()))
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\n{KEY}")
    with pytest.raises(NotPossible, match="cannot be sent") as caught:
        list(OpenAISpeaker("m", OpenAISettings()).replies(chats(1), ()))
    assert KEY not in str(caught.value)
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(NotPossible, match=r"OPENAI_API_KEY is not set\nSet it"):
        list(OpenAISpeaker("m", OpenAISettings()).replies(chats(1), ()))


def test_a_server_on_this_machine_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with chat_server(in_turn(says("yes"))) as server:
        assert next(speaker_for(server).replies(chats(1), ()))[1].text == "yes"
    assert server.asked[0].key == "Bearer none"


A_OR_B = [{
    "token": "A", "logprob": -0.105,
    "top_logprobs": [{"token": "A", "logprob": -0.105}, {"token": "B", "logprob": -2.31}],
}]  # fmt: skip


def test_the_likelihood_of_each_label() -> None:
    reply = ask(in_turn(says("A", logprobs={"content": A_OR_B})), labels=("A", "B"))[0]
    assert reply.label_logprobs == pytest.approx((-0.105, -2.31), abs=1e-6)


@pytest.mark.parametrize("message", ["unknown field: logprobs", "top_logprobs must be at most 5"])
def test_a_server_without_logprobs_is_asked_without(message: str) -> None:
    def script(number: int, asked: Asked) -> Turn:
        too_many = asked.body.get("top_logprobs", 0) > (5 if "at most" in message else 0)
        return refuses(400, message) if too_many else says("A")

    with chat_server(script) as server:
        got = dict(speaker_for(server, concurrency=1).replies(chats(3), ("A", "B")))
    assert [(r.text, r.label_logprobs) for r in got.values()] == [("A", None)] * 3
    tops = [asked.body.get("top_logprobs") for asked in server.asked]
    assert tops == ([20, 5, 5, 5] if "at most" in message else [20, 5, None, None, None])


def test_a_server_that_calls_the_limit_otherwise() -> None:
    def script(number: int, asked: Asked) -> Turn:
        if "max_tokens" in asked.body:
            return refuses(400, "Unsupported parameter. Use 'max_completion_tokens' instead.")
        return says(str(asked.body["max_completion_tokens"]))

    assert ask(script, max_tokens=9)[0].text == "9"


def test_an_estimate_asks_nobody() -> None:
    settings = OpenAISettings(usd_per_million_in=2.0, usd_per_million_out=10.0, max_tokens=100)
    found = OpenAISpeaker("m", settings).estimate(chats(1000))
    assert (found.chats, found.tokens_out) == (1000, 100_000)
    assert 10_000 < found.tokens_in < 20_000
    assert found.usd == pytest.approx(found.tokens_in * 2e-6 + 1.0)
    assert OpenAISpeaker("m", OpenAISettings()).estimate(chats(1000)).usd is None


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_budget_is_never_exceeded_and_what_it_bought_is_kept(concurrency: int) -> None:
    cap = 0.005
    with chat_server(in_turn(says("yes"))) as server:
        speaker = speaker_for(
            server, concurrency=concurrency, max_tokens=20, budget_usd=cap,
            usd_per_million_in=1.0, usd_per_million_out=10.0,
        )  # fmt: skip
        got, error = until_it_stops(speaker, 100)
    usd = speaker.spent.usd
    assert usd is not None
    assert 0.8 * cap < usd <= cap
    assert usd == pytest.approx(len(server.asked) * 200e-6)
    assert len(got) == len(server.asked)
    assert "exceed the budget" in str(error)


def test_answers_that_do_not_say_what_they_used_count_in_full() -> None:
    silent = Turn(body={"choices": [{"message": {"content": "yes"}}]})
    with chat_server(in_turn(silent)) as server:
        speaker = speaker_for(server, max_tokens=20)
        list(speaker.replies(chats(1), ()))
    assert speaker.spent.tokens_out == 20
    assert speaker.spent.tokens_in > 12


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"base_url": "127.0.0.1:8000"}, "http"),
        ({"base_url": f"https://me:{KEY}@host/v1"}, "key_variable"),
        ({"base_url": f"https://host/v1?key={KEY}"}, "key_variable"),
        ({"concurrency": 0}, "concurrency"),
        ({"attempts": 0}, "attempts"),
        ({"first_wait_s": -1}, "first_wait_s"),
        ({"budget_usd": 1.0}, "prices"),
    ],
)
def test_settings_that_cannot_be_meant(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words) as caught:
        OpenAISettings(**settings)
    assert KEY not in str(caught.value)


def test_facts_tell_what_decides_a_reply_and_nothing_else() -> None:
    def facts(**settings: Any) -> object:
        return OpenAISpeaker("m", OpenAISettings(**settings)).facts

    assert facts() == facts(concurrency=2, attempts=9, timeout_s=1.0, key_variable="OTHER")
    assert facts() == facts(base_url="https://api.openai.com/v1/")
    for decides in ({"temperature": 1.0}, {"seed": 5}, {"max_tokens": 3}, {"base_url": "http://a"}):
        assert facts() != facts(**decides)


def wait_for(port: int, serving: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 300
    while serving.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)


@pytest.mark.slow
def test_transformers_serve_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for needed in ("fastapi", "uvicorn", "openai"):
        pytest.importorskip(needed, reason="transformers serve needs transformers[serving]")
    from tiny import tiny

    model, tokenizer = tiny()
    model.save_pretrained(tmp_path / "tiny")
    tokenizer.save_pretrained(tmp_path / "tiny")
    monkeypatch.delenv("OPENAI_API_KEY")
    with chat_server(in_turn(says(""))) as free:
        port = int(free.url.rsplit(":", 1)[1].split("/")[0])
    start = "import sys; from transformers.cli.transformers import main; sys.exit(main())"
    command = [sys.executable, "-c", start, "serve", "--port", str(port), "--device", "cpu"]
    log = tmp_path / "log"
    with (
        log.open("w") as out,
        subprocess.Popen(
            command, stdout=out, stderr=out, env={**os.environ, "HF_HUB_OFFLINE": "1"}
        ) as serving,
    ):
        try:
            wait_for(port, serving)
            settings = OpenAISettings(
                base_url=f"http://127.0.0.1:{port}/v1", timeout_s=120, max_tokens=4, concurrency=2
            )
            speaker = OpenAISpeaker(str(tmp_path / "tiny"), settings)
            got = dict(speaker.replies(chats(3), ("yes", "no")))
            again = dict(speaker.replies(chats(3), ("yes", "no")))
        finally:
            serving.terminate()
    assert len(got) == 3
    assert all(reply.text for reply in got.values()), log.read_text()
    assert {i: r.text for i, r in again.items()} == {i: r.text for i, r in got.items()}
    assert all(reply.label_logprobs is None for reply in got.values())
