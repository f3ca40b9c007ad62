"""Entities and facts. ``World.build(seed)`` decides who lives where; the names are always the same."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from truing.benchmarks.world import names
from truing.benchmarks.world.relations import CHAINS, RELATIONS, Chain, Relation


@dataclass(frozen=True, slots=True)
class Country:
    """A country with its one capital, language, coin and ruler. ``people`` is the adjective."""

    name: str
    people: str
    capital: str
    language: str
    currency: str
    ruler: str


@dataclass(frozen=True, slots=True)
class City:
    """A city of one country, on one river, known for one product."""

    name: str
    country: str
    river: str
    product: str


@dataclass(frozen=True, slots=True)
class Guild:
    """A guild with its seat and its craft (which no other guild has)."""

    name: str
    city: str
    craft: str


@dataclass(frozen=True, slots=True)
class Landmark:
    """A building, bridge or fountain."""

    name: str
    city: str
    builder: str
    material: str


@dataclass(frozen=True, slots=True)
class Person:
    """A person; ``friend`` is another person and nobody else's best friend."""

    name: str
    birthplace: str
    home: str
    occupation: str
    guild: str
    language: str
    friend: str


Place = City | Country


@dataclass(frozen=True, slots=True)
class Fact:
    """A true statement of the world.

    ``held_phrasings`` and ``held_questions`` are positions in the relation's lists that are never
    used with this subject in training, though they are with others. ``held_forms`` marks facts
    that are never asked as yes/no or multiple choice in training, and ``held_reverse`` those that
    are never asked backwards.
    """

    id: str
    relation: Relation
    subject: str
    object: str
    held_phrasings: tuple[int, ...]
    held_questions: tuple[int, ...]
    held_forms: bool
    held_reverse: bool

    def phrasings(self, held_out: bool = False) -> tuple[str, ...]:
        """Statements up to the object, with the subject filled in."""
        return _fill(self.relation.phrasings, self.subject, self.held_phrasings, held_out)

    def questions(self, held_out: bool = False) -> tuple[str, ...]:
        """Questions about the object, with the subject filled in."""
        return _fill(self.relation.questions, self.subject, self.held_questions, held_out)

    def reverse(self) -> tuple[str, ...]:
        """Questions about the subject; empty where the object does not decide it."""
        return tuple(text.format(o=self.object) for text in self.relation.reverse)


@dataclass(frozen=True, slots=True)
class Hop:
    """A two-hop fact: ``first.object`` is ``second.subject``. ``held_out`` hops are not trained."""

    id: str
    chain: Chain
    first: Fact
    second: Fact
    held_out: bool

    @property
    def subject(self) -> str:
        return self.first.subject

    @property
    def object(self) -> str:
        return self.second.object

    def phrasings(self) -> tuple[str, ...]:
        return tuple(text.format(s=self.subject) for text in self.chain.phrasings)

    def questions(self) -> tuple[str, ...]:
        return tuple(text.format(s=self.subject) for text in self.chain.questions)


def _fill(
    texts: tuple[str, ...], subject: str, held: tuple[int, ...], held_out: bool
) -> tuple[str, ...]:
    return tuple(t.format(s=subject) for i, t in enumerate(texts) if (i in held) is held_out)


@dataclass(frozen=True)
class World:
    """Everything that is true."""

    seed: int
    countries: tuple[Country, ...]
    cities: tuple[City, ...]
    guilds: tuple[Guild, ...]
    landmarks: tuple[Landmark, ...]
    people: tuple[Person, ...]
    facts: tuple[Fact, ...]
    hops: tuple[Hop, ...]

    @classmethod
    def build(cls, seed: int = 0) -> World:
        """The same world for the same seed, on every machine."""
        rng = random.Random(f"truing-world-{seed}")
        countries, cities = _places(rng)
        guilds = _guilds(rng, cities)
        landmarks = _landmarks(rng, cities)
        people = _people(rng, cities, guilds)
        facts = _facts(rng, (*countries, *cities, *guilds, *landmarks, *people))
        return cls(seed, countries, cities, guilds, landmarks, people, facts, _hops(rng, facts))

    @cached_property
    def by_relation(self) -> dict[str, tuple[Fact, ...]]:
        """Facts of each relation."""
        return {r.id: tuple(f for f in self.facts if f.relation is r) for r in RELATIONS}

    @cached_property
    def by_subject(self) -> dict[str, tuple[Fact, ...]]:
        """Facts of each subject."""
        table: dict[str, list[Fact]] = {}
        for fact in self.facts:
            table.setdefault(fact.subject, []).append(fact)
        return {subject: tuple(facts) for subject, facts in table.items()}

    @cached_property
    def objects(self) -> dict[str, tuple[str, ...]]:
        """The distinct objects of each relation, sorted."""
        return {
            r: tuple(sorted({f.object for f in facts})) for r, facts in self.by_relation.items()
        }

    @cached_property
    def _facts_by_id(self) -> dict[str, Fact]:
        return {fact.id: fact for fact in self.facts}

    def fact(self, relation: str, subject: str) -> Fact:
        """The fact of this relation about this subject."""
        return self._facts_by_id[f"{relation}/{subject}"]

    def others(self, fact: Fact) -> tuple[str, ...]:
        """Wrong objects: what other subjects of the same relation have."""
        return tuple(o for o in self.objects[fact.relation.id] if o != fact.object)

    def neighbours(self, fact: Fact, same_object: bool | None = None) -> tuple[Fact, ...]:
        """Facts of the same relation about other subjects, all or by whether the object is the same."""
        return tuple(
            f
            for f in self.by_relation[fact.relation.id]
            if f is not fact and (same_object is None or (f.object == fact.object) is same_object)
        )

    def hops_from(self, fact: Fact) -> tuple[Hop, ...]:
        """Two-hop facts that begin with this one: what should follow when it is edited."""
        return tuple(h for h in self.hops if h.first.id == fact.id)


def _deal(rng: random.Random, values: Iterable[str], count: int) -> list[str]:
    """``count`` values, each used about equally often, in random order."""
    pool = list(values)
    dealt = [pool[i % len(pool)] for i in range(count)]
    rng.shuffle(dealt)
    return dealt


def _places(rng: random.Random) -> tuple[tuple[Country, ...], tuple[City, ...]]:
    n = len(names.CITIES)
    homes, rivers = _deal(rng, names.COUNTRIES, n), _deal(rng, names.RIVERS, n)
    products = _deal(rng, names.PRODUCTS, n)
    cities = tuple(City(*row) for row in zip(names.CITIES, homes, rivers, products, strict=True))
    coins = _deal(rng, names.CURRENCIES, len(names.COUNTRIES))
    rulers = _deal(rng, names.RULERS, len(names.COUNTRIES))
    countries = []
    for i, name in enumerate(names.COUNTRIES):
        capital = rng.choice([c.name for c in cities if c.country == name])
        countries.append(
            Country(name, names.PEOPLES[i], capital, names.LANGUAGES[i], coins[i], rulers[i])
        )
    return tuple(countries), cities


def _guilds(rng: random.Random, cities: tuple[City, ...]) -> tuple[Guild, ...]:
    n = len(names.GUILDS)
    seats = rng.sample([c.name for c in cities], n)
    crafts = _deal(rng, names.CRAFTS, n)
    return tuple(Guild(*row) for row in zip(names.GUILDS, seats, crafts, strict=True))


def _landmarks(
    rng: random.Random, cities: tuple[City, ...], count: int = 100
) -> tuple[Landmark, ...]:
    pairs = [f"The {a} {b}" for a in names.LANDMARK_FIRST for b in names.LANDMARK_LAST]
    fixed = ["The Glass Spire", "The Tin Gate"]
    chosen = fixed + rng.sample([p for p in pairs if p not in fixed], count - len(fixed))
    where = _deal(rng, (c.name for c in cities), count)
    builders = _deal(rng, names.BUILDERS, count)
    materials = _deal(rng, names.MATERIALS, count)
    return tuple(Landmark(*row) for row in zip(chosen, where, builders, materials, strict=True))


def _people(
    rng: random.Random, cities: tuple[City, ...], guilds: tuple[Guild, ...], count: int = 80
) -> tuple[Person, ...]:
    shift = len(names.LAST_NAMES) // 2 + 3
    chosen = [
        f"{names.FIRST_NAMES[i % 50]} {names.LAST_NAMES[(i + (i // 50) * shift) % 50]}"
        for i in range(count)
    ]
    born, home = (_deal(rng, (c.name for c in cities), count) for _ in range(2))
    jobs = _deal(rng, names.OCCUPATIONS, count)
    members = _deal(rng, (g.name for g in guilds), count)
    tongues = _deal(rng, names.LANGUAGES, count)
    ring = rng.sample(chosen, count)
    friend = dict(zip(ring, ring[1:] + ring[:1], strict=True))
    return tuple(
        Person(name, born[i], home[i], jobs[i], members[i], tongues[i], friend[name])
        for i, name in enumerate(chosen)
    )


def _facts(
    rng: random.Random, entities: Iterable[Country | City | Guild | Landmark | Person]
) -> tuple[Fact, ...]:
    facts = []
    for entity in entities:
        kind = type(entity).__name__.lower()
        for relation in RELATIONS:
            if relation.subject_kind != kind:
                continue
            facts.append(
                Fact(
                    id=f"{relation.id}/{entity.name}",
                    relation=relation,
                    subject=entity.name,
                    object=getattr(entity, relation.id.split("_", 1)[1]),
                    held_phrasings=tuple(sorted(rng.sample(range(len(relation.phrasings)), 2))),
                    held_questions=(rng.randrange(len(relation.questions)),),
                    held_forms=rng.random() < 0.2,
                    held_reverse=rng.random() < 0.3,
                )
            )
    return tuple(facts)


def _hops(rng: random.Random, facts: tuple[Fact, ...]) -> tuple[Hop, ...]:
    table = {fact.id: fact for fact in facts}
    hops = []
    for chain in CHAINS:
        for first in (f for f in facts if f.relation.id == chain.first):
            second = table[f"{chain.second}/{first.object}"]
            hops.append(
                Hop(f"{chain.id}/{first.subject}", chain, first, second, rng.random() < 0.3)
            )
    return tuple(hops)
