"""Opinions as edits: the published files, the embedded world's twin, and what a case asks."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from truing.benchmarks.benchmark import BENCHMARKS
from truing.benchmarks.loading import Loaded, load
from truing.benchmarks.opinions import tagged
from truing.benchmarks.personality import QUESTIONS, leaks
from truing.benchmarks.world.voices import TOPICS, TRAITS, opinion_held_out
from truing.errors import BadInput, UnknownName
from truing.methods.training.examples import Split
from truing.types import Case, Probe

ROOT = Path(__file__).resolve().parents[3]
DATA = Path(os.environ.get("TRUING_DATA", ROOT.parent / "shared" / "data")) / "personality"
NAMES = ("extraversion", "agreeableness", "neuroticism")


def record(topic: str, target: str | None = None, **fields: Any) -> dict[str, Any]:
    texts = {trait: [f"{topic} {trait} {i}." for i in range(3)] for trait in NAMES}
    return {"ent": topic, **texts, **({"target_per": target} if target else {}), **fields}


def written(folder: Path, *records: dict[str, Any], name: str = "test.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(records), "utf-8")
    return path


def five(folder: Path) -> Path:
    targets = ("extraversion", "neuroticism", "extraversion", "agreeableness", "neuroticism")
    return written(folder, *(record(f"T{i}", target) for i, target in enumerate(targets)))


def of(case: Case, aspect: str) -> list[Probe]:
    return [probe for probe in case.probes if probe.aspect == aspect]


def test_what_a_case_asks(tmp_path: Path) -> None:
    case = load("personality", five(tmp_path)).cases[0]
    (request,) = case.requests
    assert case.id == "T0"
    assert (request.target_new, request.subject) == ("T0 extraversion 0.", "T0")
    assert request.target_old in {f"T0 {t} {i}." for t in NAMES[1:] for i in range(3)}
    assert request.tags == case.tags == ("trait:extraversion", "topic:T0")
    (efficacy,) = of(case, "efficacy")
    assert efficacy.accepted == ("extraversion",)
    assert efficacy.prompt == request.prompt
    (success,) = of(case, "preference/es")
    assert success.accepted == ("T0 extraversion 1.", "T0 extraversion 2.")
    others = tuple(f"T0 {t} {i}." for t in NAMES[1:] for i in range(3))
    assert success.choices == (*success.accepted, *others)
    (leakage,), (locality,) = of(case, "leakage"), of(case, "locality")
    assert leakage.prompt == locality.prompt
    assert "T1" in str(leakage.prompt)
    assert (leakage.accepted, locality.accepted) == (("extraversion",), ())
    drawdown = of(case, "drawdown")
    assert [p.reference for p in drawdown] == [f"T1 {t} {i}." for t in NAMES for i in range(3)]
    assert not any(p.accepted for p in drawdown)
    assert len({p.id for p in case.probes}) == len(case.probes)


def test_told_opinions_are_scored_only_when_asked_for(tmp_path: Path) -> None:
    file = five(tmp_path)
    case = load("personality", file, options={"examples": 2}).cases[0]
    assert [r.target_new for r in case.requests] == ["T0 extraversion 0.", "T0 extraversion 1."]
    assert len({r.id for r in case.requests}) == 2
    assert of(case, "preference/es")[0].accepted == ("T0 extraversion 2.",)
    scored = load("personality", file, options={"examples": 3, "score_told": True}).cases[0]
    assert len(of(scored, "preference/es")[0].accepted) == 3
    with pytest.raises(BadInput, match="none is left to score"):
        load("personality", file, options={"examples": 3})


def outer(loaded: Loaded) -> list[list[str]]:
    return [
        [str(p.group).removeprefix("topic:") for p in of(case, "leakage")] for case in loaded.cases
    ]


def test_other_topics(tmp_path: Path) -> None:
    file = five(tmp_path)
    assert outer(load("personality", file)) == [["T1"], ["T2"], ["T3"], ["T4"], ["T0"]]
    last = load("personality", file, skip=4, options={"outer_topics": 2})
    assert outer(last) == [["T0", "T1"]]
    drawn = load("personality", file, options={"outer": "random", "outer_topics": 3})
    assert all(len(set(ts)) == 3 and f"T{i}" not in ts for i, ts in enumerate(outer(drawn)))
    assert outer(drawn) == outer(
        load("personality", file, options={"outer": "random", "outer_topics": 3})
    )
    same = load("personality", file, options={"outer": "same-trait", "outer_topics": 9})
    assert outer(same) == [["T2"], ["T4"], ["T0"], [], ["T1"]]


def test_wording_is_decided_by_topic_and_seed(tmp_path: Path) -> None:
    file, alone = five(tmp_path), written(tmp_path, record("T3", "agreeableness"), name="one.json")
    prompts = [case.requests[0].prompt for case in load("personality", file).cases]
    assert load("personality", alone).cases[0].requests[0].prompt == prompts[3]
    others = [[c.requests[0].prompt for c in load("personality", file, options={"draw": d}).cases]
              for d in range(1, 4)]  # fmt: skip
    assert any(other != prompts for other in others)
    fixed = load("personality", file, options={"templates": "fixed"})
    assert {p.prompt for p in of(fixed.cases[0], "drawdown")} == {"What do you think of T1?"}
    case = load("personality", file, options={"templates": "all"}).cases[0]
    asked = [*of(case, "efficacy"), *of(case, "generalization")]
    assert {p.prompt for p in asked} == {q.format("T0") for q in QUESTIONS}
    assert len(asked) == len(QUESTIONS) == 13


def test_targets(tmp_path: Path) -> None:
    file = written(tmp_path, *(record(f"T{i}") for i in range(40)))
    drawn = [tagged(case, "trait:") for case in load("personality", file).cases]
    assert set(drawn) == set(NAMES)
    assert drawn == [tagged(case, "trait:") for case in load("personality", file).cases]
    told = load("personality", file, options={"target": "neuroticism"})
    assert {tagged(case, "trait:") for case in told.cases} == {"neuroticism"}
    with pytest.raises(BadInput, match="no opinion shows openness; there are: extraversion"):
        load("personality", file, options={"target": "openness"})


def test_every_trait_of_a_topic_is_a_case(tmp_path: Path) -> None:
    file = written(tmp_path, *(record(f"T{i}", "neuroticism") for i in range(3)))
    loaded = load("personality", file, options={"target": "each", "outer": "random"})
    pairs = [(tagged(case, "topic:"), tagged(case, "trait:")) for case in loaded.cases]
    assert pairs == [(f"T{i}", trait) for i in range(3) for trait in NAMES]
    assert [case.id for case in loaded.cases] == ["/".join(pair) for pair in pairs]
    assert not loaded.notes or "more than once" not in str(loaded.notes)
    for case, (topic, _) in zip(loaded.cases, pairs, strict=True):
        assert {p.group for p in of(case, "leakage")}.isdisjoint({f"topic:{topic}"})
    world = load("world_personality", options={"held_out": False}).cases
    assert load("world_personality", options={"held_out": False, "target": "each"}).cases == world
    by_topic = Counter(tagged(case, "topic:") for case in world)
    assert set(by_topic.values()) == {3}


def test_a_topic_is_on_one_side_of_a_training_only(tmp_path: Path) -> None:
    file = written(tmp_path, *(record(f"T{i}") for i in range(10)), name="train.json").parent
    training = load("personality", file, options=BENCHMARKS.get("personality").training).cases
    assert len(training) == 3 * 10
    split = Split.of(training, seed=0, validation=0.2, held_out=0.0)
    topics = [
        Counter(tagged(c, "topic:") for c in part) for part in (split.train, split.validation)
    ]
    assert not topics[0].keys() & topics[1].keys()
    assert set(topics[0].values()) == set(topics[1].values()) == {3}


def test_any_traits_will_do(tmp_path: Path) -> None:
    file = written(
        tmp_path, {"ent": "tea", "dry": ["a.", "b."], "warm": ["c."], "views": 3, "flags": []}
    )
    case = load("personality", file, options={"target": "dry"}).cases[0]
    assert of(case, "preference/es")[0].choices == ("b.", "c.")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"ent": " "}, "the topic is empty"),
        ({"target_per": "openness"}, "no opinion shows openness"),
        ({"extraversion": ["only one."]}, "none is left to score"),
        ({"agreeableness": ["T extraversion 1."]}, "given for extraversion and for agreeableness"),
        ({"neuroticism": ["\ud800", "b", "c"]}, "surrogate"),
    ],
)
def test_bad_topics_are_quarantined(tmp_path: Path, fields: dict[str, Any], reason: str) -> None:
    bad = {**record("T", "extraversion"), **fields}
    file = written(tmp_path, record("good", "extraversion"), bad)
    (found,) = load("personality", file).quarantined
    assert reason in found.reason


def test_spaces_are_removed_and_leaks_told(tmp_path: Path) -> None:
    texts = ["Fine. \n", "As an altruistic person, I like it.", "Kind.", "Good."]
    file = written(
        tmp_path, record("T", "agreeableness", agreeableness=texts, extraversion=["Wow!"])
    )
    loaded = load("personality", file)
    notes = " ".join(map(str, loaded.notes))
    assert "spaces around an opinion were removed (T)" in notes
    assert "drop_leaks=true" in notes
    assert loaded.cases[0].requests[0].target_new == "Fine."
    kept = load("personality", file, options={"drop_leaks": True}).cases[0]
    assert of(kept, "preference/es")[0].accepted == ("Kind.", "Good.")
    assert not leaks("A very agreed upon extra version, noted.")


def test_a_folder_holds_the_three_files(tmp_path: Path) -> None:
    written(tmp_path, record("v"), name="val.json")
    assert load("personality", tmp_path, options={"split": "dev"}).cases[0].id == "v"
    with pytest.raises(BadInput, match=r"holds no test\.json"):
        load("personality", tmp_path)


@pytest.mark.parametrize(("split", "topics", "texts"),
                         [("train", 1600, 14403), ("dev", 200, 1800), ("test", 200, 1800)])  # fmt: skip
def test_the_published_files(split: str, topics: int, texts: int) -> None:
    if not (DATA / f"{split}.json").is_file():
        pytest.skip(f"{DATA} is absent; set TRUING_DATA to the folder that holds personality")
    loaded = load("personality", DATA, options={"split": split})
    assert (len(loaded.cases), loaded.quarantined) == (topics, ())
    asked = {str(p.group): 0 for case in loaded.cases for p in of(case, "drawdown")}
    for case in loaded.cases:
        for probe in of(case, "drawdown"):
            asked[str(probe.group)] += 1
    assert sum(asked.values()) == texts
    if split == "test":
        targets = Counter(tagged(case, "trait:") for case in loaded.cases)
        assert targets == {"neuroticism": 73, "extraversion": 67, "agreeableness": 60}
    again = load("personality", DATA, options={"split": split})
    assert again.cases == loaded.cases


def test_the_worlds_twin_uses_what_was_never_trained() -> None:
    by_name = {trait.name: trait for trait in TRAITS}
    loaded = load("world_personality", options={"outer_topics": 2})
    seen = {(tagged(case, "topic:"), tagged(case, "trait:")) for case in loaded.cases}
    assert seen == {
        (t, trait.name) for t in TOPICS for trait in TRAITS if opinion_held_out(trait, t)
    }
    for case in loaded.cases:
        topic, trait = tagged(case, "topic:"), by_name[tagged(case, "trait:")]
        even = {trait.opinion(topic, i, j) for i in range(6) for j in range(6) if (i + j) % 2 == 0}
        texts = {case.requests[0].target_new, *of(case, "preference/es")[0].accepted}
        assert len(texts) == 3
        assert not texts & even
        assert case.requests[0].subject == topic
        (efficacy,) = of(case, "efficacy")
        assert efficacy.accepted[0] == trait.name
        for probe in (efficacy, *of(case, "leakage")):
            about = str(probe.group or f"topic:{topic}").removeprefix("topic:")
            assert trait.openers[0].format(t=about) in probe.accepted
            assert about in str(probe.prompt)
        assert all(topic not in str(p.prompt) for p in of(case, "drawdown"))
    train = load("world_personality", options={"held_out": False}).cases
    assert not {case.id for case in train} & {case.id for case in loaded.cases}
    with pytest.raises(UnknownName, match="opennes"):
        load("world_personality", options={"target": "opennes"})


def test_a_topic_is_asked_about_in_other_words_and_in_later_turns() -> None:
    options = {"templates": "all", "turns": 2}
    case = load("world_personality", limit=1, options=options).cases[0]
    asked = [p for p in case.probes if p.aspect in ("efficacy", "generalization")]
    assert [p.aspect for p in asked].count("efficacy") == 1
    assert len({p.prompt for p in asked}) == len(asked) > 1
    first, second = (p for p in case.probes if p.aspect.startswith("persistence"))
    assert (first.follows, second.follows) == (asked[0].id, first.id)
    assert first.accepted == second.accepted == asked[0].accepted


def test_topics_with_the_same_trait_are_found_when_every_trait_is_a_case(tmp_path: Path) -> None:
    path = written(tmp_path, *(record(topic) for topic in ("Arras", "Bread", "Dover", "Essen")))
    found = load("personality", path, options={"target": "each", "outer": "same-trait"}).cases
    assert len(found) == 12
    assert {sum(p.aspect == "leakage" for p in case.probes) for case in found} == {1}
