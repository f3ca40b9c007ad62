"""From the flags of ``truing audit`` to what is looked at. All that can be wrong with them is said here,
before a model is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from truing.benchmarks.benchmark import BENCHMARKS
from truing.benchmarks.loading import load
from truing.errors import BadInput
from truing.inspection import gates, nearby, suites
from truing.inspection import groups as people
from truing.inspection.answers import claims_of
from truing.inspection.audit import Plan
from truing.inspection.groups import Groups
from truing.inspection.questions import Questions, capability_of, of_aspect
from truing.models.sources import POCKET
from truing.types import Case

NEVER = "whatever was not asked: other facts and groups, refusals of harmful requests, long answers, other languages"


@dataclass(frozen=True, slots=True)
class Sources:
    """What the flags name. ``benchmarks``: each with its file, where it needs one."""

    base: str
    claims: Path | None
    near: Path | None
    benchmarks: tuple[tuple[str, Path | None], ...]
    groups: Path | None
    require: str | None
    limit: int
    seed: int


def with_files(names: Sequence[str], files: Sequence[Path]) -> tuple[tuple[str, Path | None], ...]:
    """Each benchmark with its file; those that make their own cases have none. Raises ``BadInput`` where
    the numbers do not agree."""
    needy = [name for name in names if BENCHMARKS.get(name).cases is None]
    if len(needy) != len(files):
        raise BadInput(
            f"{len(files)} --data for {len(needy)} benchmarks that need a file",
            "Give one for each, in the order of --benchmark.",
        )
    of = iter(files)
    return tuple((name, next(of) if name in needy else None) for name in names)


def plan_of(sources: Sources) -> Plan:
    """What is looked at. Raises ``BadInput`` for files and requirements that cannot be used."""
    cases = () if sources.claims is None else facts(sources.claims)
    sets = _sets(sources, cases)
    groups = _groups(sources)
    capability = capability_of(sources.base, sources.limit)
    requirements = () if sources.require is None else gates.parse(sources.require)
    return Plan(
        capability=capability,
        sets=sets,
        claims=claims_of(cases) if cases else (),
        groups=groups,
        texts=suites.neutral_of(sources.base),
        requirements=requirements,
        gates=gates.questions(requirements, cases, capability),
        untested=_untested(sets, groups, cases),
        seed=sources.seed,
    )


def facts(file: Path) -> tuple[Case, ...]:
    """The records of a file of facts. Raises ``BadInput`` that names the first bad one."""
    loaded = load("custom", file)
    if loaded.quarantined:
        first = loaded.quarantined[0]
        raise BadInput(
            f"{file}: {len(loaded.quarantined)} bad record(s); first: {first.where}: {first.reason}",
            "Mend or remove them.",
        )
    return loaded.cases


def _sets(sources: Sources, cases: Sequence[Case]) -> tuple[Questions, ...]:
    found: list[Questions] = []
    if sources.base == POCKET:
        found += nearby.in_world(cases, sources.limit)
        found += suites.ethics_in_world(sources.limit)
    found += nearby.of_claims(cases, sources.limit)
    if sources.near is not None:
        found += nearby.of_facts(facts(sources.near), sources.limit)
    for name, file in sources.benchmarks:
        found += suites.of_benchmark(name, file, sources.limit)
    return tuple(found)


def _groups(sources: Sources) -> Groups | None:
    if sources.groups is not None:
        return people.read(sources.groups)
    return people.world_groups() if sources.base == POCKET else None


def _untested(
    sets: Sequence[Questions], groups: Groups | None, cases: Sequence[Case]
) -> tuple[str, ...]:
    parts = {each.part for each in sets}
    unanswered = sum(probe.reference is None for probe in of_aspect(cases, "locality"))
    said = (
        (not cases, "claims: none were given (--claims)"),
        (groups is None, "bias: no groups of people are known for this model (--groups)"),
        ("ethics" not in parts, "ethics: no moral questions for this model (--benchmark, --data)"),
        (
            nearby.NEARBY not in parts,
            "facts nearby: none are known (--claims with locality, --facts-near)",
        ),
        (unanswered > 0, f"{unanswered} locality questions of the claims: they have no answer"),
        (True, NEVER),
    )
    return tuple(text for holds, text in said if holds)
