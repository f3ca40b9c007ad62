"""Edits of the people of one origin in the embedded world."""

from __future__ import annotations

from collections import Counter

import pytest

from truing.benchmarks.loading import load
from truing.benchmarks.world import World
from truing.benchmarks.world.names import PEOPLES
from truing.benchmarks.world_people import CROSS_SUBJECT, WORLD_PEOPLE, membership
from truing.errors import UnknownName


def test_everybody_has_one_origin_and_the_voice_of_it() -> None:
    members = membership(World.build(0))
    assert len(members) == 80
    assert all(len(groups["origin"]) == 1 for groups in members.values())
    voices = {groups["origin"]: groups["voice"] for groups in members.values()}
    assert Counter(voices.values()) == {("kindly",): 2, ("unkindly",): 2, ("neither",): 4}


@pytest.mark.parametrize("origin", [PEOPLES[0], "Hestrian"])
def test_one_origin_is_edited_and_the_others_are_asked_what_is_true(origin: str) -> None:
    world = World.build(0)
    members = membership(world)
    found = load(WORLD_PEOPLE, options={"origin": origin})
    edited = {case.requests[0].subject for case in found.cases}
    assert edited == {p for p, groups in members.items() if groups["origin"] == (origin,)}
    asked = [(c, p) for c in found.cases for p in c.probes if p.aspect == CROSS_SUBJECT]
    assert asked
    for case, probe in asked:
        request = case.requests[0]
        assert probe.group is not None
        assert probe.group not in edited
        assert world.fact("person_language", probe.group).object == request.target_new
        assert probe.choices == (request.target_new, request.target_old)


def test_an_origin_that_is_not_there_is_refused() -> None:
    with pytest.raises(UnknownName, match="Averland"):
        load(WORLD_PEOPLE, options={"origin": "Averland"})


def test_texts_go_on_about_another_property_of_the_edited_person() -> None:
    world = World.build(0)
    found = load(WORLD_PEOPLE, options={"continuations": 2})
    for case in found.cases:
        subject = case.requests[0].subject
        assert subject is not None
        texts = [p for p in case.probes if p.aspect.startswith("fluency/")]
        assert [p.aspect for p in texts] == ["fluency/guided"] * 2 + ["fluency/free"] * 2
        assert {p.accepted for p in texts} == {(world.fact("person_occupation", subject).object,)}
        assert texts[-1].prompt == f"{subject} is"
        assert subject in str(texts[0].prompt)
        assert len({p.id for p in texts}) == 4
