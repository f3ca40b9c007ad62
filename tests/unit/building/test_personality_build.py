"""A whole set: written offline, killed and gone on with, rated, reviewed, told in its card."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import typer
from drafts import Puppet, nobody
from opinions import NAMES, in_character, order
from typer.testing import CliRunner

from chat_server import Asked, Turn, chat_server, says
from truing.benchmarks.loading import load
from truing.benchmarks.world.voices import TOPICS, TRAITS
from truing.building.asks import REPLIES, Ask, Sampling, Writer
from truing.building.personality.build import SHEET, Rules, build, missing, rating
from truing.building.personality.generate import Band
from truing.building.personality.select import profile_of
from truing.building.personality.topics import Screen, Shares, Topic, choose
from truing.building.writers import Reach, writer_of
from truing.cli.personality_build import build as build_command
from truing.errors import BadInput, Locked, NotPossible
from truing.judges.specs import JudgeSettings
from truing.runs.lock import Lock
from truing.servers.reply import Reply

PROGRAM = """
import sys, typer
from truing.cli.personality_build import build
app = typer.Typer()
app.command("build")(build)
app.callback()(lambda: None)
app(sys.argv[1:])
"""
SAYS = {trait.person: trait for trait in TRAITS}
Whole = dict[str, Any]


def card(folder: Path) -> Whole:
    return dict(json.loads((folder / "card.json").read_text("utf-8")))


def published(folder: Path) -> list[Whole]:
    parts = [folder / f"{split}.json" for split in ("train", "dev", "test")]
    return [topic for part in parts if part.exists() for topic in json.loads(part.read_text())]


def outcome(folder: Path) -> dict[str, str]:
    """Everything that a build made, but for the order in which replies came."""
    texts = {p.name: p.read_text("utf-8") for p in folder.iterdir() if p.name != REPLIES}
    lines = sorted((folder / REPLIES).read_text("utf-8").splitlines())
    return {**texts, REPLIES: "\n".join(lines)}


def consistent(folder: Path) -> None:
    """The card is right about what is on disk."""
    told, topics = card(folder), published(folder)
    assert told["data"]["topics"] == len(topics)
    assert told["data"]["texts"] == sum(len(t[name]) for t in topics for name in told["texts"])
    for name, facts in told["texts"].items():
        fate = sum(facts["dropped"].values()) + facts["of topics with too few"]
        assert facts["asked for"] == fate + facts["in the set"]
        assert facts["in the set"] == sum(len(topic[name]) for topic in topics)
    for facts in told["data"]["files"].values():
        raw = (folder / facts["file"]).read_bytes()
        assert facts["sha256"] == hashlib.sha256(raw).hexdigest()
    drafts = (folder / "drafts.jsonl").read_text("utf-8").splitlines()
    assert len(drafts) == told["writer"]["asked"]


def test_the_embedded_model_writes_twenty_topics(tmp_path: Path) -> None:
    """Offline: three traits; every text is its trait's own, of which the world knows all."""
    chosen = choose([Topic(name) for name in TOPICS[:20]], Screen(), Shares(0.2, 0.3), 0)
    asked = order(chosen=chosen, n=2, spare=6)
    writer = writer_of(
        "local:truing/pocket", Sampling(max_tokens=40), Reach(JudgeSettings(device="cpu"))
    )
    built = build(tmp_path, asked, writer, Rules(), nobody, licence="CC0-1.0")
    assert len(built.entries) == 20
    consistent(tmp_path)
    told = card(tmp_path)
    assert (told["data"]["train"], told["data"]["dev"], told["data"]["test"]) == (10, 4, 6)
    assert set(told["data"]["targets"].values()) == {2}
    assert told["data"]["licence"] == "CC0-1.0"
    assert told["classifier"]["own trait leads"] >= 0.95 * told["classifier"]["texts"]
    own = {trait.name: (*trait.openers, *trait.reasons) for trait in TRAITS}
    for topic in published(tmp_path):
        for name, signs in own.items():
            for text in topic[name]:
                assert topic["ent"].removeprefix("the ") in text
                assert any(sign.format(t=topic["ent"]) in text for sign in signs)
    loaded = load("personality", tmp_path / "test.json")
    assert len(loaded.cases) == 6
    assert not loaded.quarantined
    record = json.loads((tmp_path / "records.jsonl").read_text("utf-8").splitlines()[0])
    (first, *_) = record["texts"]["extraversion"]
    assert record["source"]["model"] == "truing/pocket"
    assert first["facet"] in asked.traits[0].facets
    assert record["topic"] in first["question"]
    again = tmp_path / "again"
    again.mkdir()
    (again / REPLIES).write_bytes((tmp_path / REPLIES).read_bytes()[:-200])
    build(again, asked, writer, Rules(), nobody, licence="CC0-1.0")
    assert (again / "card.json").read_bytes() == (tmp_path / "card.json").read_bytes()
    assert (again / "test.json").read_bytes() == (tmp_path / "test.json").read_bytes()


def answers(number: int, asked: Asked) -> Turn:
    """What is asked alone decides an answer, as with a server that honours seeds. As a judge it
    knows the voices of the world."""
    system, said = asked.body["messages"][0]["content"], asked.said
    draw = int.from_bytes(hashlib.sha256(json.dumps(asked.body).encode()).digest()[:2], "big")
    if "You rate" in system:
        wanted = {"talkative": 0, "trustful": 1, "nervous": 2}
        trait = TRAITS[next(i for word, i in wanted.items() if word in said)]
        return says("5" if any(reason in said for reason in trait.reasons) else "2")
    trait = next(trait for person, trait in SAYS.items() if person in system)
    topic = next(name for name in TOPICS if f"{name}?" in said)
    return says(f"{trait.opinion(topic, draw % 6, draw // 6 % 6)} I say so {draw} times.")


def typed(folder: Path, topics: Path, url: str) -> list[str]:
    return [
        "build", str(folder), "--topics", str(topics),
        "--with", "openai:some-model", "--judge", "openai:some-judge", "--base-url", url,
        "--wording", "Answer as {person}.", "--words", "5,40", "--n", "2", "--json",
    ]  # fmt: skip


def run(args: list[str]) -> str:
    """What the command prints, here and without a new process."""
    app = typer.Typer()
    app.command("build")(build_command)
    app.callback()(lambda: None)
    done = CliRunner().invoke(app, args, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def kept_lines(folder: Path) -> int:
    path = folder / REPLIES
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_a_killed_build_goes_on_and_ends_as_if_it_had_never_been(tmp_path: Path) -> None:
    """Killed while it writes, and again while the judge rates."""
    topics, folder, whole = tmp_path / "t.txt", tmp_path / "killed", tmp_path / "whole"
    topics.write_text("\n".join(TOPICS[:20]))
    asks, stalling, ratings = 20 * 3 * 3, {"writing", "rating"}, count()

    def stalls(number: int, asked: Asked) -> Turn:
        turn = answers(number, asked)
        if "You rate" in asked.body["messages"][0]["content"]:
            late = "rating" in stalling and next(ratings) >= 30
        else:
            late = "writing" in stalling and number >= 40
        return replace(turn, hang_s=300) if late else turn

    def killed(url: str, lines: int) -> None:
        command = [sys.executable, "-c", PROGRAM, *typed(folder, topics, url)]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            until = time.monotonic() + 120
            while kept_lines(folder) < lines:
                assert time.monotonic() < until
                assert process.poll() is None
                time.sleep(0.02)
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()

    with chat_server(stalls) as server:
        killed(server.url, 40)
        assert kept_lines(folder) == 40
        assert not (folder / "card.json").exists()
        stalling.remove("writing")
        killed(server.url, asks + 30)
        assert kept_lines(folder) == asks + 30
        stalling.clear()
        done = run(typed(folder, topics, server.url))
        run(typed(whole, topics, server.url))
    assert outcome(folder) == outcome(whole)
    told = json.loads(done)
    assert (told["topics"], told["train"], told["dev"], told["test"]) == (20, 16, 2, 2)
    consistent(folder)
    judged = card(folder)["judge"]
    assert judged["ratings"] == 3 * sum(
        bool(json.loads(line)["ratings"]) for line in drafts(folder)
    )
    assert judged["not readable"] == 0
    found = profile_of(folder)
    assert found.means[0][0] == 5.0
    assert not found.warnings


def drafts(folder: Path) -> list[str]:
    return (folder / "drafts.jsonl").read_text("utf-8").splitlines()


def test_a_budget_stops_a_build_and_what_was_written_stays(tmp_path: Path) -> None:
    """A reply takes 100 tokens in and 10 out, so 10 of them cost 0.0012 USD."""
    chosen = choose([Topic(name) for name in TOPICS[:10]], Screen(), Shares(), 0)
    asked = order(chosen=chosen)

    def writer(url: str, budget: float) -> Writer:
        access = JudgeSettings(base_url=url, budget_usd=budget, prices=(1.0, 2.0))
        return writer_of("openai:some-model", Sampling(max_tokens=50), Reach(access))

    with chat_server(answers) as server:
        with pytest.raises(NotPossible, match="exceed the budget"):
            build(tmp_path, asked, writer(server.url, 0.0024), Rules(), nobody)
        before = len(server.asked)
        assert 0 < kept_lines(tmp_path) == before < 25
        build(tmp_path, asked, writer(server.url, 1.0), Rules(), nobody)
        assert len(server.asked) == len(asked.asks)
    consistent(tmp_path)


def test_a_review_is_fed_back_and_told(tmp_path: Path) -> None:
    asked, writer = order(), Puppet(in_character)
    build(tmp_path, asked, writer, Rules(), nobody)
    with (tmp_path / SHEET).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    own = {line["id"]: line for line in map(json.loads, drafts(tmp_path))}
    for person in ("ada", "bo"):
        for number, row in enumerate(rows):
            row["trait"] = "none" if number == 0 else own[row["id"]]["trait"]
        with (tmp_path / f"{person}.csv").open("w", encoding="utf-8", newline="") as file:
            sheet = csv.DictWriter(file, list(rows[0]))
            sheet.writeheader()
            sheet.writerows(rows)
    silent = Puppet(lambda ask: Reply(None, error="nobody is asked again"))
    sheets = [tmp_path / "ada.csv", tmp_path / "bo.csv"]
    built = build(tmp_path, asked, silent, Rules(), nobody, reviewed=sheets)
    assert silent.asked == []
    consistent(tmp_path)
    told = card(tmp_path)["review"]
    assert told["annotators"] == ["ada", "bo"]
    assert told["texts"]["accepted"] == len(rows) - 1
    assert told["texts"]["rejected"] == 1
    assert told["agreement"]["trait"]["percent/pairs"]["value"] == 1.0
    assert told["agreement"]["trait"]["cohen"]["value"] == 1.0
    assert rows[0]["text"] not in json.dumps(published(tmp_path))
    assert built.dropped["rejected in review"] == 1
    # a spare text has taken the place: it alone has not been looked at
    assert built.reviews == {"accepted": len(rows) - 1, "unreviewed": 1}


def test_a_set_that_people_began_to_review_is_not_built_over(tmp_path: Path) -> None:
    build(tmp_path, order(), Puppet(in_character), Rules(), nobody)
    sheet = tmp_path / SHEET
    lines = sheet.read_text("utf-8").splitlines()
    lines[1] = lines[1].removesuffix(",,,,,,") + ",none,,,,,"
    sheet.write_text("\n".join(lines) + "\n", "utf-8")
    before = card(tmp_path)
    with pytest.raises(BadInput, match="holds decisions"):
        build(tmp_path, order(seed=1), Puppet(in_character), Rules(), nobody)
    assert card(tmp_path) == before


def test_a_topic_without_enough_texts_of_a_trait_is_left_out(tmp_path: Path) -> None:
    def shy(ask: Ask) -> Reply:
        lost = NAMES[0] in ask.prompt and "neurotic" in ask.system
        return Reply("I'm sorry, but I can't help with that.") if lost else in_character(ask)

    built = build(tmp_path, order(), Puppet(shy), Rules(), nobody)
    assert built.incomplete == 1
    assert NAMES[0] not in {entry.topic.name for entry in built.entries}
    assert card(tmp_path)["topics"]["left out for too few texts"] == 1
    consistent(tmp_path)


def test_ratings_that_cannot_be_read_are_missing_and_never_a_number(tmp_path: Path) -> None:
    def mute(ask: Ask) -> Reply:
        return Reply("hm") if ask.prompt.endswith("Which digit fits?") else in_character(ask)

    with pytest.raises(NotPossible, match=r"a rating is missing \(\d+\)"):
        build(tmp_path, order(), Puppet(mute), Rules(), nobody, judge=Puppet(mute, facts={"j": 1}))


def test_no_text_no_set(tmp_path: Path) -> None:
    dull = Puppet(lambda ask: Reply("I can say a great many things."))
    with pytest.raises(NotPossible, match=r"no topic has enough texts.*mention the topic \(90\)"):
        build(tmp_path, order(), dull, Rules(), nobody)


def test_what_is_to_come_is_told_before(tmp_path: Path) -> None:
    asked = order(band=Band(5, 40))
    assert missing(tmp_path, asked, Puppet(in_character)).chats == 90
    assert rating(asked, Puppet(in_character)).chats == 270
    build(tmp_path, asked, Puppet(in_character), Rules(), nobody)
    assert missing(tmp_path, asked, Puppet(in_character)).chats == 0
    assert missing(tmp_path, order(spare=2), Puppet(in_character)).chats == 30


def test_two_builds_do_not_write_one_folder(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "lock")
    with pytest.raises(Locked):
        build(tmp_path, order(), Puppet(in_character), Rules(), nobody)
    lock.release()
