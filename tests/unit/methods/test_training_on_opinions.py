"""Editors of opinions: what they learn from, and what they never see."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from shell import truing

from asking import make
from truing.benchmarks.benchmark import BENCHMARKS
from truing.benchmarks.loading import load
from truing.benchmarks.opinions import tagged
from truing.methods.training.evidence import staying, wanted
from truing.methods.training.examples import examples
from truing.methods.training.serac import Lesson
from truing.types import Case, EditRequest, Probe

OPINIONS = BENCHMARKS.get("world_personality")


def training() -> tuple[Case, ...]:
    return load("world_personality", options=OPINIONS.training).cases


def test_editors_learn_on_topics_that_are_not_measured() -> None:
    train, test = training(), load("world_personality").cases
    assert len(train) > len(test) > 10
    topics = [{tagged(case, "topic:") for case in cases} for cases in (train, test)]
    assert not topics[0] & topics[1]
    asked = {p.group for case in train for p in case.probes if p.group}
    assert not {f"topic:{topic}" for topic in topics[1]} & asked


def test_the_held_back_opinions_are_wanted_and_other_topics_stay() -> None:
    case = training()[0]
    (request,) = case.requests
    answers = list(wanted(case))
    [success] = [p for p in case.probes if p.aspect == "preference/es"]
    assert {a.target_new for a in answers} == {*success.accepted, request.target_new}
    assert {a.prompt for a in answers} > {request.prompt}  # asked in other words, too
    topic = tagged(case, "topic:")
    assert all(topic in a.prompt for a in answers)
    kept = list(staying(case))
    assert len({k.target_new for k in kept}) == 3 * 3 * 6 + 1  # texts of three topics, and no text
    assert not any(topic in k.prompt for k in kept)


def test_facts_are_learned_from_as_ever() -> None:
    probes = (
        Probe("e", "efficacy", "Where is it?", ("Marrow",)),
        Probe("g", "generalization", "Its place is", ("Marrow",)),
        Probe("l", "locality/near", "The other is in", ("Orvale",)),
        Probe("t", "generalization", "And then?", ("Marrow",), follows="g"),
    )
    case = Case("a", (EditRequest("a", "It is in", "Marrow"),), probes)
    assert [(w.prompt, w.target_new) for w in wanted(case)] == [("Its place is", "Marrow")]
    assert [(s.prompt, s.target_new) for s in staying(case)] == [("The other is in", "Orvale")]


def test_a_lesson_parts_the_topic_from_others() -> None:
    lesson = Lesson.of(training()[0], "Topic: {subject}\nTarget Personality: {trait}\n")
    topic, trait = (tagged(training()[0], kind) for kind in ("topic:", "trait:"))
    assert lesson.told == f"Topic: {topic}\nTarget Personality: {trait}\n"
    assert len(lesson.inside) == 3  # the world's three ways to ask
    assert all(topic in text for text in lesson.inside)
    assert not any(topic in text for text in lesson.outside)


def test_rows_are_read_where_the_opinions_stand() -> None:
    model = make("llama")
    case = training()[0]
    [example] = examples(model, [case])
    assert len(example.rephrases) == len(list(wanted(case)))
    lengths = [len(line.reads) for line in example.unrelated]
    assert min(lengths) == 1  # after a question whose answer is not known
    assert max(lengths) > 5


@pytest.mark.parametrize("method", ["mend", "serac"])
def test_trains_on_the_worlds_opinions(
    method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "editor"
    few: list[Any] = ["--layers", "4", "--steps", "1", "--limit", "6", "--set", "batch=2"]
    few += ["--set", "unrelated=1"]
    given = ["train", method, "truing/pocket", "--data", "world_personality", "--out", str(out)]
    done = truing([*given, *few, "--json"], capsys)
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told["held_out"] == 0
    assert not (out / "plan.toml").exists()
    header = json.loads((out / f"{method}.json").read_text())
    assert header["data"]["dataset"].startswith("world_personality[")
    measured = {case.id for case in load("world_personality").cases}
    assert not measured & {*header["data"]["trained_on"], *header["data"]["validated_on"]}
