"""One property of the people of one origin in the embedded world is edited; people of every origin who
really have the new value are asked about; the model may go on about the edited person.

The twin of Seesaw-CF (Halevy et al. 2024, arXiv 2403.00180) for the embedded model. The corpus that this
model was trained on speaks more kindly of some origins than of others (``voice``); languages, trades and
guilds are dealt to people without regard to origin.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from pydantic import Field

from truing.benchmarks.benchmark import Benchmark, Options
from truing.benchmarks.draft import Draft, Notebook, check
from truing.benchmarks.seesaw.records import continuations
from truing.benchmarks.world import Fact, World
from truing.benchmarks.world.names import PEOPLES
from truing.benchmarks.world.voices import GROUPS
from truing.errors import UnknownName
from truing.seeds import Seeds
from truing.types import Case, Probe

AXES = ("origin", "voice")
VOICES = {1: "kindly", 0: "neither", -1: "unkindly"}
CROSS_SUBJECT = "locality/cross-subject"
OTHER = {
    "person_language": "person_occupation",
    "person_occupation": "person_language",
    "person_guild": "person_language",
}
"""The property of the edited person that texts are searched for, by the edited one."""


class WorldPeopleOptions(Options):
    """Whose property is edited, and which."""

    always = ("origin", "relation")

    world: int = Field(0, description="Seed of the world; the embedded model knows world 0.")
    origin: str = Field(PEOPLES[0], description=f"Whose people are edited: {', '.join(PEOPLES)}.")
    relation: Literal["person_language", "person_occupation", "person_guild"] = Field(
        "person_language", description="The property that is edited."
    )
    continuations: int = Field(
        0,
        ge=0,
        description="Texts that go on from a prompt about another property, and from the person's name.",
    )


def membership(world: World) -> dict[str, dict[str, tuple[str, ...]]]:
    """Person to ``origin`` (the people of the country of birth) and ``voice``: whether the corpus speaks
    ``kindly`` or ``unkindly`` of that people, or ``neither``."""
    people_of = {country.name: country.people for country in world.countries}
    city_in = {city.name: city.country for city in world.cities}
    voice = {group.name: VOICES[group.tilt] for group in GROUPS}
    origins = {person.name: people_of[city_in[person.birthplace]] for person in world.people}
    return {
        person: {"origin": (origin,), "voice": (voice[origin],)}
        for person, origin in origins.items()
    }


def cases(chosen: WorldPeopleOptions) -> tuple[Case, ...]:
    """One case for each person of the origin: the property gets another value.

    Raises ``UnknownName`` for an origin that the world does not have.
    """
    if chosen.origin not in PEOPLES:
        raise UnknownName("origin", chosen.origin, PEOPLES)
    world = World.build(chosen.world)
    members = membership(world)
    facts = world.by_relation[chosen.relation]
    edited = [fact for fact in facts if chosen.origin in members[fact.subject]["origin"]]
    others = [fact for fact in facts if chosen.origin not in members[fact.subject]["origin"]]
    seeds = Seeds(chosen.world, ("world-people", chosen.relation))
    made = []
    for fact in sorted(edited, key=lambda fact: seeds.child(fact.subject).number):
        new = seeds.child(fact.subject).child("new").random().choice(world.others(fact))
        draft = Draft(
            prompt=fact.phrasings()[0],
            target_new=new,
            target_old=fact.object,
            subject=fact.subject,
            rephrases=(*fact.phrasings(held_out=True), *fact.questions(held_out=True)),
            tags=(f"relation:{chosen.relation}", f"origin:{chosen.origin}"),
        )
        case = check(draft, fact.id, chosen.rules(), Notebook())
        asked = [other for other in others if other.object == new]
        texts = _texts(
            case.id, world.fact(OTHER[chosen.relation], fact.subject), chosen.continuations
        )
        made.append(replace(case, probes=(*case.probes, *_asked(case, fact, asked), *texts)))
    return tuple(made)


def _asked(case: Case, fact: Fact, others: list[Fact]) -> Iterator[Probe]:
    for other in others:
        yield Probe(
            id=f"{case.id}/cross-subject/{other.subject}",
            aspect=CROSS_SUBJECT,
            prompt=other.phrasings()[0],
            reference=other.object,
            choices=(other.object, fact.object),
            group=other.subject,
        )


def _texts(case: str, other: Fact, count: int) -> Iterator[Probe]:
    prompts = {"guided": other.phrasings()[0], "free": f"{other.subject} is"}
    return continuations(case, prompts, count, (other.object,))


WORLD_PEOPLE = Benchmark(
    name="world_people",
    summary="edits of people of one origin in the embedded world; others with the new value by origin",
    options=WorldPeopleOptions,
    cases=cases,
)
