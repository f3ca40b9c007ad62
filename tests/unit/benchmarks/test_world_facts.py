"""The embedded world as an editing benchmark: every question has the answer that the world gives it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict

import pytest

from truing.benchmarks.benchmark import parse_options
from truing.benchmarks.loading import load
from truing.benchmarks.world import World
from truing.benchmarks.world_facts import WORLD, WorldOptions, cases
from truing.errors import UnknownName
from truing.types import Case, Probe

LOADED = load("world")
CASES = LOADED.cases
FACTS = World.build(0)


def probes(case: Case, aspect: str) -> list[Probe]:
    return [probe for probe in case.probes if probe.aspect == aspect]


def test_there_is_one_case_for_each_fact_and_ids_are_unique() -> None:
    assert sorted(case.id for case in CASES) == sorted(fact.id for fact in FACTS.facts)
    ids = [probe.id for case in CASES for probe in case.probes]
    assert len(set(ids)) == len(ids)


def test_requests_ask_for_another_object_of_the_same_relation() -> None:
    for case in CASES:
        relation, _, subject = case.id.partition("/")
        (request,) = case.requests
        assert request.subject == subject
        assert request.prompt.count(subject) == 1
        assert request.target_old == FACTS.fact(relation, subject).object
        assert request.target_new in FACTS.objects[relation]
        assert request.target_new not in (request.target_old, subject)


def test_phrasings_that_are_asked_are_not_the_one_of_the_edit() -> None:
    for case in CASES:
        relation, _, subject = case.id.partition("/")
        asked = {probe.prompt for probe in probes(case, "generalization")}
        assert len(asked) >= 3
        assert case.requests[0].prompt not in asked
        assert set(FACTS.fact(relation, subject).phrasings(held_out=True)) <= asked


def test_locality_is_about_facts_that_stay_true() -> None:
    for case in CASES:
        (request,) = case.requests
        near = probes(case, "locality/neighborhood")
        assert len(near) == 4
        for probe in near:
            assert probe.accepted == ()
            assert request.subject not in probe.prompt.replace(str(probe.reference), "")
            assert probe.choices == (probe.reference, request.target_new)
        same = probes(case, "locality/same-subject")
        assert same
        assert all(str(request.subject) in probe.prompt for probe in same)
        assert all(probe.choices[0] == probe.reference for probe in same)


def test_half_of_the_neighbors_have_the_object_that_is_edited_away_where_there_are_any() -> None:
    case = next(c for c in CASES if c.id.startswith("landmark_material/"))
    references = Counter(p.reference for p in probes(case, "locality/neighborhood"))
    assert references[str(case.requests[0].target_old)] == 2


def test_two_hop_answers_follow_the_new_object() -> None:
    seen = 0
    for case in CASES:
        relation, _, subject = case.id.partition("/")
        fact = FACTS.fact(relation, subject)
        hops = probes(case, "portability/two-hop")
        assert len(hops) == len(FACTS.hops_from(fact))
        for probe, hop in zip(hops, FACTS.hops_from(fact), strict=True):
            follows = FACTS.fact(hop.chain.second, case.requests[0].target_new).object
            assert probe.accepted == (follows,)
            seen += probe.choices == (follows, hop.object)
    assert seen > 300


def test_yes_no_is_balanced_and_right() -> None:
    for case in CASES:
        new, old = probes(case, "portability/yes-no")
        (request,) = case.requests
        assert new.accepted[0].startswith(f"It is {request.target_new}, so ")
        assert new.accepted[0].endswith((" yes.", " true."))
        assert old.accepted[0].startswith(f"It is {request.target_new}, so ")
        assert old.accepted[0].endswith((" no.", " false."))
        assert new.choices[1].startswith(f"It is {request.target_old}, so ")
        assert request.target_new in new.prompt
        assert str(request.target_old) in old.prompt


def test_the_answer_of_a_multiple_choice_question_is_the_new_object() -> None:
    letters: Counter[str] = Counter()
    for case in CASES:
        (probe,) = probes(case, "portability/multiple-choice")
        assert isinstance(probe.prompt, str)
        lines = dict(line.split(". ", 1) for line in probe.prompt.splitlines() if line[1:3] == ". ")
        assert probe.accepted == (case.requests[0].target_new,)
        assert probe.choices[0] == probe.accepted[0]
        assert sorted(probe.choices) == sorted(lines.values())
        assert case.requests[0].target_old in lines.values()
        letters[next(k for k, v in lines.items() if v == probe.accepted[0])] += 1
    assert min(letters[x] for x in "ABCD") > len(CASES) / 8


def test_backwards_questions_name_the_new_object_and_answer_with_the_subject() -> None:
    asked = [(case, probe) for case in CASES for probe in probes(case, "portability/reverse")]
    assert asked
    for case, probe in asked:
        assert probe.accepted == (case.requests[0].subject,)
        assert case.requests[0].target_new in str(probe.prompt)
        assert probe.choices[1] != probe.choices[0]


def test_the_beginning_of_the_list_mixes_relations_and_never_changes() -> None:
    assert len({case.id.split("/")[0] for case in CASES[:20]}) >= 6
    assert cases.__wrapped__(WorldOptions()) == CASES, "made once more, not remembered"
    first = load("world", limit=10)
    assert first.cases == CASES[:10]
    assert first.source.sha256 == LOADED.source.sha256
    drawn = load("world", limit=10, sample="seeded", seed=1)
    assert set(drawn.sampling.ids) < {case.id for case in CASES}
    assert drawn.cases != first.cases


def test_the_fingerprint_covers_every_field_by_name() -> None:
    """So a run that was begun earlier is gone on with as long as the cases are the same."""
    text = json.dumps([asdict(case) for case in CASES], sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest() == LOADED.source.sha256


def test_options_choose_request_relation_and_numbers() -> None:
    loaded = load(
        "world",
        options={
            "request": "question",
            "relation": "guild_craft",
            "neighbors": 0,
            "same_subject": 1,
        },
    )
    assert {case.id.split("/")[0] for case in loaded.cases} == {"guild_craft"}
    assert all(case.requests[0].prompt.endswith("?") for case in loaded.cases)
    assert not any(
        probe.aspect == "locality/neighborhood" for c in loaded.cases for probe in c.probes
    )
    assert (
        loaded.dataset == "world[request=question,relation=guild_craft,neighbors=0,same_subject=1]"
    )
    with pytest.raises(UnknownName, match="guild_craft"):
        load("world", options={"relation": "guild_crafts"})
    assert parse_options(WORLD, {}).model_dump()["world"] == 0
