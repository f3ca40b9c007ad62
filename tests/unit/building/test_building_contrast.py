"""A whole set: built, killed and gone on with, reviewed, loaded, and made into a vector."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from drafts import QUESTIONS, TOPICS, Puppet, draft, nobody, plainly

from chat_server import Asked, Turn, chat_server, says
from truing.benchmarks.loading import load
from truing.building.asks import REPLIES, Sampling
from truing.building.balance import Bounds
from truing.building.contrast import PAIRS, SHEET, build, missing
from truing.building.pairs import Rules
from truing.building.writers import Reach, writer_of
from truing.errors import BadInput, Locked, NotPossible
from truing.judges.specs import JudgeSettings
from truing.models.handle import Model
from truing.runs.lock import Lock
from truing.servers.reply import Reply
from truing.verbs import edit

PROGRAM = """
import sys, typer
from truing.cli.steer_build import build
app = typer.Typer()
app.command("build")(build)
app.callback()(lambda: None)
app(sys.argv[1:])
"""


def outcome(folder: Path) -> dict[str, str]:
    """Everything that a build made, but for the order in which replies came."""
    texts = {p.name: p.read_text("utf-8") for p in folder.iterdir() if p.name != REPLIES}
    lines = sorted((folder / REPLIES).read_text("utf-8").splitlines())
    return {**texts, REPLIES: "\n".join(lines)}


def card(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "card.json").read_text("utf-8")))


def test_the_embedded_model_writes_a_set_that_becomes_a_vector(tmp_path: Path) -> None:
    sampling, asked = Sampling(max_tokens=40), draft(QUESTIONS[:8])
    writer = writer_of("local:truing/pocket", sampling, Reach(JudgeSettings(device="cpu")))
    built = build(tmp_path, asked, writer, Rules(), nobody, licence="CC0-1.0")
    assert len(built.pairs) >= 6
    assert abs(built.lean) <= 1
    loaded = load("contrast", tmp_path / PAIRS)
    assert not loaded.quarantined
    requests = [request for case in loaded.cases for request in case.requests]
    probes = [probe for case in loaded.cases for probe in case.probes]
    assert len(requests) + len(probes) == len(built.pairs)
    assert all(r.tags == ("behavior:extraversion",) for r in requests)
    vector = edit(Model.load("truing/pocket", device="cpu"), requests, "caa", {"layers": [2]})
    assert vector.parts
    told = card(tmp_path)
    assert told["data"]["licence"] == "CC0-1.0"
    assert told["data"]["sha256"] == hashlib.sha256((tmp_path / PAIRS).read_bytes()).hexdigest()
    assert told["writer"]["weights"]
    assert told["lengths"]["unit"] == "tokens of truing/pocket"
    again = tmp_path / "again"
    again.mkdir()
    (again / REPLIES).write_bytes((tmp_path / REPLIES).read_bytes()[:-100])
    build(again, asked, writer, Rules(), nobody, licence="CC0-1.0")
    assert (again / "card.json").read_bytes() == (tmp_path / "card.json").read_bytes()
    assert (again / PAIRS).read_bytes() == (tmp_path / PAIRS).read_bytes()


def answers(number: int, asked: Asked) -> Turn:
    """Content alone decides an answer, as with a server that honours seeds."""
    whom = asked.body["messages"][0]["content"]
    digest = hashlib.sha256(json.dumps(asked.body).encode()).digest()
    mood = "I love it" if "extraverted" in whom else "I fear it" if "neurotic" in whom else "Well"
    return says(f"{mood}: {asked.said} It is {' so' * (digest[0] % 5)} plain. Nothing more to say.")


def command(folder: Path, prompts: Path, url: str) -> list[str]:
    return [
        sys.executable, "-c", PROGRAM, "build", str(folder), "--behavior", "extraversion",
        "--prompts", str(prompts), "--with", "openai:some-model", "--base-url", url,
        "--for", "Answer as an extraverted person.", "--neutral", "",
        "--against", "Answer as a neurotic person.", "--samples", "2", "--json",
    ]  # fmt: skip


def test_a_killed_build_goes_on_and_ends_as_if_it_had_never_been(tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("\n".join(QUESTIONS))
    asks, first = 2 * 3 * len(TOPICS), 20
    stalling = threading.Event()
    stalling.set()

    def stalls(number: int, asked: Asked) -> Turn:
        turn = answers(number, asked)
        return replace(turn, hang_s=60) if stalling.is_set() and number >= first else turn

    with chat_server(stalls) as server:
        folder = tmp_path / "killed"
        process = subprocess.Popen(command(folder, prompts, server.url))
        try:
            until = time.monotonic() + 120
            while kept_lines(folder) < first:
                assert time.monotonic() < until
                assert process.poll() is None
                time.sleep(0.02)
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        stalling.clear()
        assert kept_lines(folder) == first
        assert not (folder / PAIRS).exists()
        before = len(server.asked)
        done = subprocess.run(
            command(folder, prompts, server.url), capture_output=True, check=True, text=True
        )
        assert len(server.asked) - before == asks - first
        subprocess.run(
            command(tmp_path / "whole", prompts, server.url), capture_output=True, check=True
        )
    assert outcome(folder) == outcome(tmp_path / "whole")
    assert json.loads(done.stdout)["pairs"] == len(QUESTIONS)
    loaded = load("contrast", folder / PAIRS)
    assert len(loaded.cases) == len(QUESTIONS)
    assert not loaded.quarantined


def kept_lines(folder: Path) -> int:
    path = folder / REPLIES
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_a_review_is_applied_and_told_in_the_card(tmp_path: Path) -> None:
    build(tmp_path, draft(), Puppet(plainly), Rules(), nobody)
    assert card(tmp_path)["review"]["pairs"]["unreviewed"] == len(QUESTIONS)
    sheet = tmp_path / SHEET
    with sheet.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    rows[0] |= {"decision": "reject", "reviewer": "Ada"}
    rows[1] |= {"decision": "accept", "reviewer": "Ada"}
    with sheet.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    with pytest.raises(BadInput, match="holds decisions"):
        build(tmp_path, draft(), Puppet(plainly), Rules(), nobody)
    silent = Puppet(lambda ask: Reply(None, error="nobody is asked again"))
    built = build(tmp_path, draft(), silent, Rules(), nobody, reviewed=sheet)
    assert silent.asked == []
    told = card(tmp_path)["review"]
    assert told["reviewers"] == ["Ada"]
    assert told["sheet"]["sha256"] == hashlib.sha256(sheet.read_bytes()).hexdigest()
    assert told["pairs"] == {"accepted": 1, "edited": 0, "rejected": 1, "unreviewed": 10}
    lines = [json.loads(line) for line in (tmp_path / PAIRS).read_text().splitlines()]
    assert [line["review"] for line in lines] == ["accepted", *["unreviewed"] * 10]
    assert len(built.pairs) == 11
    assert QUESTIONS[0] not in {pair.prompt for pair in built.pairs}


def test_a_review_holds_though_a_reply_that_failed_could_be_had_by_now(tmp_path: Path) -> None:
    failing = Puppet(lambda a: Reply(None, error="busy") if "sea" in a.prompt else plainly(a))
    first = build(tmp_path, draft(), failing, Rules(), nobody)
    sheet = tmp_path / SHEET
    sheet.write_text(sheet.read_text("utf-8").replace(",,,,\n", ",accept,,,Bo\n"), "utf-8")
    well = Puppet(plainly)
    assert missing(tmp_path, draft(), well).chats == 3
    held = build(tmp_path, draft(), well, Rules(), nobody, reviewed=sheet)
    assert well.asked == []
    assert [p.id for p in held.pairs] == [p.id for p in first.pairs]
    assert held.reviews["accepted"] == len(QUESTIONS) - 1


def test_other_bounds_ask_for_nothing_new(tmp_path: Path) -> None:
    build(tmp_path, draft(), Puppet(plainly), Rules(), nobody)
    again = Puppet(plainly)
    assert missing(tmp_path, draft(), again).chats == 0
    built = build(tmp_path, draft(), again, Rules(bounds=Bounds(most=5)), nobody)
    assert again.asked == []
    assert len(built.pairs) == 5
    assert built.rejected["left out for balance"] == len(QUESTIONS) - 5


def test_the_card_tells_what_was_asked_and_what_was_rejected(tmp_path: Path) -> None:
    refusing = Puppet(
        lambda a: Reply("I cannot help with that.") if "sea" in a.prompt else plainly(a)
    )
    build(tmp_path, draft(), refusing, Rules(), nobody)
    text = (tmp_path / "card.md").read_text("utf-8")
    for line in (
        "| replies: for: refusal | 1 |",
        "| prompts: a side has no usable reply | 1 |",
        "| for | Answer as an extraverted person. |",
        "| licence | not stated |",
        "| pairs: unreviewed | 11 |",
    ):
        assert line in text


def test_replies_that_give_no_pair_say_why(tmp_path: Path) -> None:
    with pytest.raises(NotPossible, match=r"no prompt gave a pair.*both sides are equal \(12\)"):
        build(tmp_path, draft(), Puppet(lambda ask: Reply("It is what it is.")), Rules(), nobody)


def test_two_builds_do_not_write_one_folder(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "lock")
    with pytest.raises(Locked):
        build(tmp_path, draft(), Puppet(plainly), Rules(), nobody)
    lock.release()
