"""Topics that are alike by what is said of them and by their names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from truing.benchmarks.loading import load
from truing.benchmarks.nearness import Described, Nearness

BANDS = {"Ratt": "album", "Coldplay": "album", "Arsenal F.C.": "goal", "Chelsea F.C.": "goal",
         "Orvale": "street"}  # fmt: skip
TOPICS = [
    Described(name, (f"I love the {thing} by {name}.", f"Each {thing} worries me."))
    for name, thing in BANDS.items()
]
TEXT = some.text("abc ", max_size=8)


def test_what_is_said_decides_before_names() -> None:
    near = Nearness(TOPICS)
    assert near.nearest("Ratt", ["Orvale", "Arsenal F.C.", "Coldplay"])[0] == "Coldplay"
    assert near.nearest("Arsenal F.C.", ["Ratt", "Orvale", "Chelsea F.C."])[0] == "Chelsea F.C."
    assert near.between("Ratt", "Ratt") == 1


def test_names_decide_where_nothing_else_does() -> None:
    topics = [Described(name, ("Nice.",)) for name in ("River Tay", "Arras", "River Don")]
    assert Nearness(topics).nearest("River Tay", ["Arras", "River Don"]) == ["River Don", "Arras"]


def test_as_near_stays_in_order() -> None:
    near = Nearness([Described(name, ("Nice.",)) for name in ("aaa", "xyz", "qrs", "uvw")])
    assert near.nearest("aaa", ["uvw", "xyz", "qrs"]) == ["uvw", "xyz", "qrs"]


@given(
    some.dictionaries(TEXT, some.tuples(TEXT, TEXT), min_size=1, max_size=6),
    some.randoms(use_true_random=False),
)
def test_nearness_is_a_share_both_ways_and_order_decides_nothing(said, rng) -> None:  # type: ignore[no-untyped-def]
    topics = [Described(name, texts) for name, texts in said.items()]
    near, mixed = Nearness(topics), Nearness(rng.sample(topics, len(topics)))
    for a in said:
        for b in said:
            assert 0 <= near.between(a, b) <= 1
            assert near.between(a, b) == near.between(b, a)
            assert near.between(a, b) == pytest.approx(mixed.between(a, b), abs=1e-8)


def test_the_nearest_topics_are_asked_about(tmp_path: Path) -> None:
    records = [
        {"ent": t.name, "extraversion": [*t.texts, "Wow!"], "neuroticism": [f"{t.name} scares me."]}
        for t in TOPICS
    ]
    file = tmp_path / "test.json"
    file.write_text(json.dumps(records), "utf-8")
    options = {"outer": "nearest", "target": "extraversion"}
    assert asked(file, options) == {
        "Ratt": ["Coldplay"], "Coldplay": ["Ratt"], "Arsenal F.C.": ["Chelsea F.C."],
        "Chelsea F.C.": ["Arsenal F.C."],
    } | {"Orvale": asked(file, options)["Orvale"]}  # fmt: skip
    many = asked(file, {**options, "outer_topics": 9})
    assert all(sorted([name, *others]) == sorted(BANDS) for name, others in many.items())


def asked(file: Path, options: dict[str, object]) -> dict[str, list[str]]:
    return {
        case.id: [str(p.group).removeprefix("topic:") for p in case.probes if p.aspect == "leakage"]
        for case in load("personality", file, options=options).cases
    }


def test_the_worlds_twin_has_it_too() -> None:
    options = {"outer": "nearest", "outer_topics": 2}
    cases = load("world_personality", options=options).cases
    for case in cases:
        others = [str(p.group) for p in case.probes if p.aspect == "locality"]
        assert len(set(others)) == 2
        assert f"topic:{case.id.split('/')[0]}" not in others
    assert load("world_personality", options=options).cases == cases
