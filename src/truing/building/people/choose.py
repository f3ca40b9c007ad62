"""Who is edited to what, and who is asked about: the same number of each group, decided by a seed and by
what people are, never by the order of rows. Nobody who is edited is asked about in another case, so that
edits can be made together."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from truing.benchmarks.draft import normalised
from truing.building.people.compare import Compared, Reasons, comparable, reasons
from truing.building.people.spec import Spec
from truing.building.people.table import Person, Table
from truing.errors import BadInput, NotPossible, UnknownName
from truing.seeds import Seeds

People = Mapping[str, Sequence[Person]]
"""People by group, or by the reason that they are left out."""


@dataclass(frozen=True, slots=True)
class Size:
    """At most ``cases`` edits (``None``: as many as there can be) and ``people`` others for each."""

    cases: int | None = None
    people: int = 20


@dataclass(frozen=True, slots=True)
class Edit:
    """``subject``, who is of ``group``, gets the value ``new`` in the place of ``old``. ``others`` have
    ``new`` and not ``old``, by group; there are no more of those in ``scarce``."""

    subject: Person
    group: str
    old: str
    new: str
    others: Mapping[str, tuple[Person, ...]]
    scarce: tuple[str, ...]

    @property
    def people(self) -> tuple[Person, ...]:
        """The others, one group after the other."""
        return tuple(chain.from_iterable(self.others.values()))


@dataclass(frozen=True)
class Chosen:
    """Edits of each group in turn. ``values`` can be edited to; ``quarantined`` values cannot, by
    reason. ``left_out`` are not in the set at all, ``not_edited`` may be asked about."""

    edits: tuple[Edit, ...]
    groups: tuple[str, ...]
    values: tuple[str, ...]
    quarantined: Mapping[str, tuple[str, ...]]
    left_out: Reasons
    not_edited: Reasons


def choose(
    table: Table, spec: Spec, categories: Mapping[str, str], size: Size, seed: int
) -> Chosen:
    """The edits of a set. At most half of a group is edited, and the others can be asked about.
    ``categories``: value to category, empty where there are none.

    Raises ``BadInput`` for groups that cannot be compared and sizes that they do not fit in,
    ``UnknownName`` for a candidate to edit to that nobody has, ``NotPossible`` where no value or nobody
    to edit is left.
    """
    path, compared = table.source.path, comparable(table, spec)
    _check_candidates(table, spec)
    _check(size, spec, compared)
    groups, seeds = tuple(compared.groups), Seeds(seed, ("people",))
    most = min(map(len, compared.groups.values())) // 2
    if size.cases is not None:
        most = min(most, size.cases // len(groups))
    able, not_edited = _able(compared, spec, categories, seeds)
    while True:
        _refuse_nobody(path, able, not_edited)
        count = min(most, *map(len, able.values()))
        subjects = {group: people[:count] for group, people in able.items()}
        holders = _holders(compared, subjects, spec)
        values, quarantined = _usable(holders, groups, spec, categories)
        _refuse_no_value(path, values, quarantined, spec)
        draw = _Draw(spec, categories, values, holders, size.people // len(groups), seeds)
        by_group = {group: draw.edits(group, people) for group, people in subjects.items()}
        if all(len(edits) == count for edits in by_group.values()):
            break
        made = {edit.subject.id for edits in by_group.values() for edit in edits}
        for group, people in subjects.items():
            unfit = [person for person in people if person.id not in made]
            not_edited["no other value fits"] += unfit
            gone = {person.id for person in unfit}
            able[group] = [person for person in able[group] if person.id not in gone]
    not_edited["not drawn"] += chain.from_iterable(people[count:] for people in able.values())
    return Chosen(
        edits=tuple(chain.from_iterable(zip(*by_group.values(), strict=True))),
        groups=groups,
        values=values,
        quarantined=quarantined,
        left_out=compared.left_out,
        not_edited=reasons(not_edited),
    )


def _check(size: Size, spec: Spec, compared: Compared) -> None:
    count = len(compared.groups)
    if size.people < spec.least * count:
        raise BadInput(
            f"{size.people} people are fewer than {spec.least} of each of {count} groups",
            "Raise --people, lower least, or compare fewer groups.",
        )
    if size.cases is not None and size.cases < count:
        raise BadInput(
            f"{size.cases} cases are fewer than one of each of {count} groups",
            "Raise --cases, or compare fewer groups.",
        )


def _check_candidates(table: Table, spec: Spec) -> None:
    there = {value for person in table.people for value in person.properties[spec.edits]}
    for value in spec.edited.candidates:
        if value not in there:
            raise UnknownName(f"candidate of '{spec.edits}'", value, there)


def _refuse_nobody(path: str, able: People, left: People) -> None:
    empty = [group for group, people in able.items() if not people]
    if empty:
        told = "; ".join(f"{why}: {len(people)}" for why, people in left.items())
        raise NotPossible(
            f"{path}: nobody of {', '.join(empty)} can be edited ({told})",
            "Lower least, compare other groups, or add people.",
        )


def _refuse_no_value(
    path: str, values: Sequence[str], left: Mapping[str, Sequence[str]], spec: Spec
) -> None:
    if not values:
        told = "; ".join(f"{why}: {len(names)}" for why, names in left.items())
        raise NotPossible(
            f"{path}: no value of '{spec.edits}' is left ({told})",
            "Lower least or --cases, compare fewer groups, or add people.",
        )


def _able(
    compared: Compared, spec: Spec, categories: Mapping[str, str], seeds: Seeds
) -> tuple[dict[str, list[Person]], dict[str, list[Person]]]:
    """Those of each group who could be edited, in the order of the draw, and why others could not."""
    able: dict[str, list[Person]] = {group: [] for group in compared.groups}
    left: dict[str, list[Person]] = defaultdict(list)
    for group, people in compared.groups.items():
        for person in sorted(people, key=lambda person: seeds.child(person.id).number):
            why = _trouble(person, spec, categories)
            (left[why] if why else able[group]).append(person)
    return able, left


def _trouble(person: Person, spec: Spec, categories: Mapping[str, str]) -> str:
    for name in (spec.edits, spec.asks):
        if not person.properties[name]:
            return f"no {name}"
    if categories and not set(person.properties[spec.edits]) <= set(categories):
        return f"no category of {spec.edits}"
    return ""


Holders = Mapping[str, People]
"""Value to group to the people who have it and are not edited; every group is there."""


def _holders(compared: Compared, subjects: People, spec: Spec) -> Holders:
    edited = {person.id for people in subjects.values() for person in people}
    found: dict[str, dict[str, list[Person]]] = {}
    for group, people in compared.groups.items():
        for person in people:
            for value in person.properties[spec.edits]:
                there = found.setdefault(value, {name: [] for name in compared.groups})
                if person.id not in edited:
                    there[group].append(person)
    return found


def _usable(
    holders: Holders, groups: Sequence[str], spec: Spec, categories: Mapping[str, str]
) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    wanted = spec.edited.candidates
    kept: list[str] = []
    left: dict[str, list[str]] = defaultdict(list)
    for value in sorted({*holders, *wanted}):
        few = [g for g in groups if len(holders.get(value, {}).get(g, ())) < spec.least]
        if wanted and value not in wanted:
            left["not a candidate"].append(value)
        elif not normalised(value):
            left["nothing but punctuation"].append(value)
        elif categories and value not in categories:
            left["no category"].append(value)
        elif few:
            left[f"fewer than {spec.least} of {', '.join(few)}"].append(value)
        else:
            kept.append(value)
    return tuple(kept), {why: tuple(values) for why, values in sorted(left.items())}


@dataclass(frozen=True, slots=True)
class _Draw:
    """``each``: other people of a group at most."""

    spec: Spec
    categories: Mapping[str, str]
    values: Sequence[str]
    holders: Holders
    each: int
    seeds: Seeds

    def edits(self, group: str, subjects: Sequence[Person]) -> list[Edit]:
        """One for each subject that a value fits. New values are spread evenly over them."""
        used: Counter[str] = Counter()
        found: list[Edit] = []
        for subject in subjects:
            edit = next(self._possible(group, subject, used), None)
            if edit is not None:
                used[edit.new] += 1
                found.append(edit)
        return found

    def _possible(self, group: str, subject: Person, used: Counter[str]) -> Iterator[Edit]:
        own = subject.properties[self.spec.edits]
        random = self.seeds.child(subject.id).child("edit").random()
        old = random.choice(own)
        taken = {normalised(value) for value in own}
        categories = {self.categories[value] for value in own if value in self.categories}
        values = random.sample(self.values, len(self.values))
        for new in sorted(values, key=lambda value: used[value]):
            if normalised(new) in taken or self.categories.get(new) in categories:
                continue
            have = self._others(new, old)
            count = min(self.each, *map(len, have.values()))
            if count >= self.spec.least:
                others = {g: tuple(random.sample(there, count)) for g, there in have.items()}
                scarce = tuple(g for g, there in have.items() if len(there) == count)
                yield Edit(subject, group, old, new, others, scarce)

    def _others(self, new: str, old: str) -> dict[str, list[Person]]:
        """Those with the new value and without the old one, by group."""
        gone, name = normalised(old), self.spec.edits
        return {
            group: [p for p in people if gone not in map(normalised, p.properties[name])]
            for group, people in self.holders[new].items()
        }
