"""Contrast pairs of the embedded world: what training and test pairs have in common, and what not."""

from __future__ import annotations

import typing
from typing import Any

import pytest

from truing.benchmarks.loading import load
from truing.benchmarks.world import names
from truing.benchmarks.world.conduct import TROUBLES
from truing.benchmarks.world.voices import CHEERFUL, GLOOMY, SCENES, TOPICS
from truing.benchmarks.world_contrast import Name
from truing.errors import BadInput
from truing.types import Case

BEHAVIORS = typing.get_args(Name)


def cases(**options: Any) -> tuple[list[Case], list[Case]]:
    """Training and test cases."""
    loaded = load("world_contrast", options=options).cases
    return [c for c in loaded if c.requests], [c for c in loaded if c.probes]


@pytest.mark.parametrize("behavior", BEHAVIORS)
def test_every_behavior_has_pairs_to_learn_from_and_others_to_test(behavior: str) -> None:
    train, test = cases(behavior=behavior)
    assert (len(train), len(test)) == (60, 60)
    assert all(case.probes == () for case in train)
    assert all(case.requests == () for case in test)
    trained = {case.requests[0].prompt for case in train}
    assert not trained & {case.probes[0].prompt for case in test}
    pairs = {
        (c.requests[0].prompt, c.requests[0].target_new, c.requests[0].target_old) for c in train
    }
    assert len(pairs) == 60
    for case in test:
        (probe,) = case.probes
        assert probe.aspect == "preference"
        assert probe.reference == probe.choices[0] == probe.accepted[0]
        assert probe.choices[0] != probe.choices[1]
        assert not any(text in probe.choices[1] for text in probe.accepted)


@pytest.mark.parametrize("behavior", BEHAVIORS)
def test_flipping_exchanges_the_sides_and_nothing_else(behavior: str) -> None:
    (train, test), (other_train, other_test) = (
        cases(behavior=behavior),
        cases(behavior=behavior, flip=True),
    )
    for one, two in zip(train, other_train, strict=True):
        assert one.requests[0].prompt == two.requests[0].prompt
        assert one.requests[0].target_new == two.requests[0].target_old
    for one, two in zip(test, other_test, strict=True):
        assert one.probes[0].choices == two.probes[0].choices[::-1]
        assert not set(one.probes[0].accepted) & set(two.probes[0].accepted)


def used(cases: list[Case], parts: tuple[str, ...]) -> set[str]:
    """Which of ``parts`` stand in the prompts and sides of the cases."""
    texts = [
        " ".join((r.prompt, r.target_new, r.target_old or "")) for c in cases for r in c.requests
    ] + [" ".join((str(p.prompt), *p.choices)) for c in cases for p in c.probes]
    return {part for part in parts if any(part in text for text in texts)}


@pytest.mark.parametrize(
    ("behavior", "parts"),
    [
        ("cheerful", (*CHEERFUL, *GLOOMY)),
        ("cheerful", tuple(scene.partition(" {c}")[0] for scene in SCENES)),
        ("cheerful", names.CITIES),
        ("formal", tuple(f"Dear {name}," for name in names.FIRST_NAMES)),
        ("formal", tuple(f" {goods}" for goods in names.PRODUCTS)),
        ("conduct", tuple(trouble for trouble, _, _ in TROUBLES)),
        ("conduct", tuple(way for _, *ways in TROUBLES for way in ways)),
        ("extraversion", tuple(f"of {t}?" for t in TOPICS) + tuple(f"about {t}?" for t in TOPICS)),
    ],
)
def test_the_parts_share_no_material(behavior: str, parts: tuple[str, ...]) -> None:
    train, test = cases(behavior=behavior)
    assert used(train, parts)
    assert used(test, parts)
    assert not used(train, parts) & used(test, parts)


def test_a_free_answer_of_the_promoted_side_is_known_by_any_of_its_phrases() -> None:
    _, test = cases(behavior="cheerful")
    assert all(set(case.probes[0].accepted) == set(CHEERFUL) for case in test)
    _, test = cases(behavior="cheerful", flip=True)
    assert all(set(case.probes[0].accepted) == set(GLOOMY) for case in test)


def test_pairs_are_the_same_every_time_and_others_for_another_number() -> None:
    assert cases() == cases()
    assert cases() != cases(draw=1)
    _, few = cases(test=10)
    assert len(few) == 10


def test_a_beginning_has_both_parts() -> None:
    loaded = load("world_contrast", limit=40)
    assert 10 <= sum(bool(case.requests) for case in loaded.cases) <= 30


def test_no_more_pairs_than_the_world_has() -> None:
    with pytest.raises(BadInput, match=r"the world has \d+ test pairs of conduct") as caught:
        load("world_contrast", options={"behavior": "conduct", "test": 5000})
    assert "at most" in str(caught.value)
