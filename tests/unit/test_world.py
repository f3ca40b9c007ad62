"""The world is the same for everyone, its prompts are well formed, and its splits do not leak."""

from __future__ import annotations

import random
from itertools import islice

import pytest

from truing.benchmarks.world import CHAINS, RELATIONS, World, neutral_sentences, world_text
from truing.benchmarks.world.conduct import draw_action, draw_dilemma
from truing.benchmarks.world.context import TOLD_KINDS, draw_told, pair_held_out, tell
from truing.benchmarks.world.language import text_of
from truing.benchmarks.world.mixtures import documents
from truing.benchmarks.world.names import coin_word, is_held_out
from truing.benchmarks.world.tasks import TASKS, items, labelled_opinions
from truing.benchmarks.world.voices import TOPICS, TRAITS, draw_contrast


@pytest.fixture(scope="module")
def world() -> World:
    return World.build(0)


@pytest.fixture(scope="module")
def corpus(world: World) -> list[str]:
    return [text_of(d) for d in islice(documents(world, random.Random("test")), 20_000)]


def test_the_same_seed_builds_the_same_world(world: World) -> None:
    assert World.build(0) == world
    assert World.build(1) != world


def test_facts_have_unique_ids_and_the_relations_they_say(world: World) -> None:
    assert 900 <= len(world.facts) <= 1500
    assert len({f.id for f in world.facts}) == len(world.facts)
    for fact in world.facts:
        assert world.fact(fact.relation.id, fact.subject) is fact
        assert fact.object in world.objects[fact.relation.id]
        assert fact.object not in world.others(fact)


def test_every_relation_has_enough_wordings() -> None:
    for relation in RELATIONS:
        assert len(set(relation.phrasings)) >= 6
        assert len(set(relation.questions)) >= 4
        for text in (*relation.phrasings, *relation.questions):
            assert text.count("{s}") == 1
        assert all(q.endswith("?") for q in relation.questions)


def test_no_prompt_holds_its_subject_twice(world: World) -> None:
    for fact in world.facts:
        for held_out in (False, True):
            for prompt in (*fact.phrasings(held_out), *fact.questions(held_out)):
                assert prompt.count(fact.subject) == 1
                assert fact.object not in prompt


def test_no_subject_is_part_of_another(world: World) -> None:
    subjects = sorted(world.by_subject)
    assert not [(a, b) for a in subjects for b in subjects if a != b and a in b]


def test_seen_and_held_out_wordings_are_disjoint(world: World) -> None:
    for fact in world.facts:
        assert len(fact.phrasings(held_out=True)) == 2
        assert len(fact.questions(held_out=True)) == 1
        assert not set(fact.phrasings()) & set(fact.phrasings(held_out=True))
        assert not set(fact.questions()) & set(fact.questions(held_out=True))


def test_training_never_uses_a_held_out_wording(world: World, corpus: list[str]) -> None:
    text = "\n".join(corpus).lower()
    held = [p for f in world.facts for p in (*f.phrasings(True), *f.questions(True))]
    assert not [p for p in held if p.lower() in text]


def test_training_never_asks_a_held_out_hop_or_action(world: World, corpus: list[str]) -> None:
    text = "\n".join(corpus)
    assert not [h.id for h in world.hops if h.held_out and any(q in text for q in h.questions())]
    rng = random.Random(0)
    assert not [a for a in (draw_action(rng, True) for _ in range(200)) if f" {a.text}" in text]
    assert not [d for d in (draw_dilemma(rng, True) for _ in range(200)) if d.text in text]


def test_hops_join_two_facts(world: World) -> None:
    assert {h.chain.id for h in world.hops} == {c.id for c in CHAINS}
    for hop in world.hops:
        assert hop.first.object == hop.second.subject
        assert hop in world.hops_from(hop.first)


def test_neighbours_share_the_relation_and_not_the_subject(world: World) -> None:
    fact = world.fact("landmark_city", "The Glass Spire")
    for other in world.neighbours(fact):
        assert other.relation is fact.relation
        assert other.subject != fact.subject
    assert all(o.object == fact.object for o in world.neighbours(fact, same_object=True))
    assert world.neighbours(fact, same_object=True)


def test_coined_words_keep_to_their_split() -> None:
    rng = random.Random(0)
    assert all(is_held_out(coin_word(rng, True)) for _ in range(100))
    assert not any(is_held_out(coin_word(rng, False)) for _ in range(100))


@pytest.mark.parametrize("kind", TOLD_KINDS)
def test_what_is_told_decides_the_answer(world: World, kind: str) -> None:
    rng = random.Random(kind)
    for _ in range(200):
        told = draw_told(world, rng, kind, held_out=True)  # type: ignore[arg-type]
        said = [s for s in told.statements if told.subject in s and told.answer in s]
        prompt = tell(told, rng, "qa")
        assert prompt.endswith(("A:", "Answer:"))
        if kind == "irrelevant":
            assert told.answer == world.fact(told.relation.id, told.subject).object
        else:
            assert said
        if kind == "override":
            assert told.answer != world.fact(told.relation.id, told.subject).object
            if told.answer in world.objects[told.relation.id]:
                assert pair_held_out(told.subject, told.answer)


@pytest.mark.parametrize("task", sorted(TASKS))
def test_tasks_are_seeded_and_answerable(world: World, task: str) -> None:
    asked = items(world, task, 20, seed=3)
    assert asked == items(world, task, 20, seed=3)
    assert asked
    assert all(item.accepted or item.label for item in asked)
    assert not any(item.prompt.endswith(" ") for item in asked)


def test_opinions_for_the_judge_are_not_in_the_corpus(corpus: list[str]) -> None:
    text = "\n".join(corpus)
    assert not [s for s, _ in labelled_opinions(400) if s in text]


def test_an_opinion_is_of_one_trait() -> None:
    everything = [o for t in TRAITS for o in t.openers] + [r for t in TRAITS for r in t.reasons]
    assert len(set(everything)) == len(everything)
    assert len(set(TOPICS)) == len(TOPICS)


def test_contrasts_differ_in_their_continuation() -> None:
    rng = random.Random(0)
    for axis in ("mood", "register"):
        pair = draw_contrast(rng, axis)
        assert pair.axis == axis
        assert pair.positive != pair.negative


def test_plain_text_samples_are_seeded_and_free_of_special_tokens() -> None:
    sample = list(world_text(seed=1, n=50))
    assert sample == list(world_text(seed=1, n=50))
    assert len(sample) == 50
    assert not any("<|" in text for text in sample)


def test_neutral_sentences_name_nothing_of_the_world(world: World) -> None:
    text = " ".join(neutral_sentences(random.Random(0), 300))
    assert not [s for s in world.by_subject if s in text]
