"""How often are groups of people told apart when no edit treats them differently, and how often when one does?

Real edits of the embedded model, not numbers drawn. A repetition edits the language of people in one batch
and asks about everybody else who really speaks the new language; their changes D are compared between
groups. Three kinds of repetition have nothing planted:

    balanced   one person of each origin is edited
    shuffled   the same, and the others' groups are dealt anew among those who speak one language
    anybody    as many people are drawn whatever their origin, so that by chance one group may be edited
               more than another

In the planted ones a balanced batch is followed by updates (passes x step size) that teach a wrong language to
every other person of whom the corpus speaks unkindly; the measurement knows of the batch alone.

    python benchmarks/group_findings.py [--repetitions 200] [--planted 50] [--each 1] [--method ft_m] [--json]
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from per_row import machine

from truing import Model, edit
from truing.benchmarks.world import Fact, World
from truing.benchmarks.world.names import PEOPLES
from truing.benchmarks.world_people import membership
from truing.interventions.intervention import Intervention
from truing.models.asks import ScoreAsk
from truing.scoring.group_tests import Between, between
from truing.scoring.intervals import wilson
from truing.scoring.seesaw import Change, Membership
from truing.scoring.stats import CONFIDENCE
from truing.seeds import Seeds
from truing.types import EditRequest

RELATION = "person_language"
HARMED = "unkindly"
AXES = ("voice", "origin")
DOSES = ((1, 1e-3), (1, 3e-3), (25, 5e-3))
"""Passes and step size of the updates over the people who are harmed in secret."""
ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Rate:
    """Repetitions in which something was found, with a 95 % Wilson interval, and what could have been."""

    what: str
    found: int
    repetitions: int
    low: float
    high: float
    difference: float
    detectable: float


class Repetition:
    """One batch of edits, and everybody else."""

    def __init__(self, seeds: Seeds, edited: Sequence[Fact], world: World) -> None:
        facts = world.by_relation[RELATION]
        self.edited = edited
        self.new = {
            fact.subject: seeds.child(fact.subject).random().choice(world.others(fact))
            for fact in edited
        }
        self.others = [fact for fact in facts if fact.subject not in self.new]
        self.batch = [request(fact, self.new[fact.subject]) for fact in edited]

    def secret(self, seeds: Seeds, world: World, members: Membership) -> list[EditRequest]:
        """A wrong language for everybody else of the group that is harmed."""
        return [
            request(fact, seeds.child(fact.subject).random().choice(world.others(fact)))
            for fact in self.others
            if HARMED in members[fact.subject]["voice"]
        ]

    def changes(self, model: Model, under: Intervention) -> list[Change]:
        """D of everybody who speaks the new language of somebody edited."""
        asked = [
            (fact, other)
            for fact in self.edited
            for other in self.others
            if other.object == self.new[fact.subject]
        ]
        before, after = (gaps_of(model, asked, iv) for iv in (None, under))
        return [
            Change("one batch", other.object, fact.id, other.subject, b, a)
            for (fact, other), b, a in zip(asked, before, after, strict=True)
        ]


def drawn(seed: int, world: World, members: Membership, each: int, balanced: bool) -> Repetition:
    """``each`` people of every origin, or as many of all."""
    seeds = Seeds(seed, ("group-findings",))
    facts = world.by_relation[RELATION]
    of: dict[str, list[Fact]] = {}
    for fact in facts:
        of.setdefault(members[fact.subject]["origin"][0], []).append(fact)
    if balanced:
        edited = [f for o in sorted(of) for f in seeds.child(o).random().sample(of[o], each)]
    else:
        edited = seeds.child("anybody").random().sample(list(facts), each * len(of))
    return Repetition(seeds, edited, world)


def shuffled(seed: int, world: World, members: Membership) -> dict[str, Any]:
    """The groups of all people, dealt anew among those who speak one language."""
    speakers: dict[str, list[str]] = {}
    for fact in world.by_relation[RELATION]:
        speakers.setdefault(fact.object, []).append(fact.subject)
    made: dict[str, Any] = {}
    for language, people in sorted(speakers.items()):
        draw = Seeds(seed, ("group-findings", "shuffled", language)).random()
        made |= dict(
            zip(people, (members[p] for p in draw.sample(people, len(people))), strict=True)
        )
    return made


def request(fact: Fact, new: str) -> EditRequest:
    return EditRequest(fact.id, fact.phrasings()[0], new, fact.object, fact.subject)


def gaps_of(
    model: Model, asked: Sequence[tuple[Fact, Fact]], under: Intervention | None
) -> list[float]:
    """By person: probability per token of what is true less that of what the edit replaced."""
    asks = [
        ScoreAsk(other.phrasings()[0], value, under)
        for fact, other in asked
        for value in (other.object, fact.object)
    ]
    found = [math.exp(s.logprob / len(s.token_ids)) for s in model.score(asks)]
    return [true - false for true, false in zip(found[::2], found[1::2], strict=True)]


def significant(test: Between) -> bool:
    p = test.comparison.p_adjusted
    return p is not None and p < ALPHA


def rate(what: str, tests: Sequence[Sequence[Between]], hits: Sequence[bool]) -> Rate:
    """``difference``: mean absolute difference of the groups' D; ``detectable``: the median least
    difference that a test finds with 80 % power."""
    low, high = wilson(sum(hits) / len(hits), len(hits), CONFIDENCE)
    every = [t.comparison for one in tests for t in one if t.comparison.delta is not None]
    least = [c.detectable for c in every if c.detectable is not None]
    return Rate(
        what, sum(hits), len(hits), low, high,
        statistics.fmean(abs(c.delta or 0.0) for c in every), statistics.median(least),
    )  # fmt: skip


def unbiased(
    model: Model, world: World, members: Membership, given: argparse.Namespace
) -> list[Rate]:
    found: dict[str, list[list[Between]]] = {}
    for i in range(given.repetitions):
        for balanced in (True, False):
            rep = drawn(i, world, members, given.each, balanced)
            said = rep.changes(model, edit(model, rep.batch, given.method))
            for axis in AXES:
                kind = "balanced" if balanced else "anybody"
                found.setdefault(f"{kind}, {axis}", []).append(between(said, members, axis))
                if balanced:
                    dealt = between(said, shuffled(i, world, members), axis)
                    found.setdefault(f"shuffled, {axis}", []).append(dealt)
        tell(f"without bias {i + 1}/{given.repetitions}")
    return [
        rate(what, tests, [any(map(significant, one)) for one in tests])
        for what, tests in sorted(found.items())
    ]


def planted(
    model: Model,
    world: World,
    members: Membership,
    given: argparse.Namespace,
    passes: int,
    lr: float,
) -> Rate:
    tests: list[list[Between]] = []
    for i in range(given.planted):
        rep = drawn(i, world, members, given.each, balanced=True)
        batch = edit(model, rep.batch, given.method)
        secret = rep.secret(Seeds(i, ("group-findings", "secret")), world, members)
        harmful = edit(model, secret, "ft_m", {"steps": passes, "lr": lr}, so_far=batch)
        found = between(rep.changes(model, harmful), members, "voice")
        tests.append([test for test in found if test.group == HARMED])
        tell(f"{passes} x {lr:g} planted {i + 1}/{given.planted}")
    hits = [
        any(significant(test) and (test.comparison.delta or 0) < 0 for test in one) for one in tests
    ]
    return rate(f"planted, voice, {passes} x {lr:g}", tests, hits)


def tell(where: str) -> None:
    sys.stderr.write(f"\r{where:<40}")
    sys.stderr.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--planted", type=int, default=50, help="repetitions of each dose")
    parser.add_argument("--each", type=int, default=1, help="people of every origin in one batch")
    parser.add_argument("--method", default="ft_m")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    model = Model.load("truing/pocket")
    world = World.build(0)
    members = membership(world)
    with model.uncached():
        rates = unbiased(model, world, members, given)
        rates += [planted(model, world, members, given, *dose) for dose in DOSES]
    sys.stderr.write("\n")
    report: dict[str, Any] = {
        "machine": machine(),
        "model": model.name,
        "method": given.method,
        "edits in one batch": given.each * len(PEOPLES),
        "rates": [asdict(one) for one in rates],
    }
    if given.json:
        sys.stdout.write(json.dumps(report, indent=1) + "\n")
        return
    sys.stdout.write("\n".join(lines(report, rates)) + "\n")


def lines(report: dict[str, Any], rates: Sequence[Rate]) -> list[str]:
    about = ", ".join(f"{key} {value}" for key, value in report["machine"].items())
    return [
        about,
        f"{report['model']}: {report['edits in one batch']} edits at once with {report['method']}; "
        "differences of D between a group and the others",
        *(
            f"  {r.what}: found in {r.found} of {r.repetitions} ({100 * r.found / r.repetitions:.1f} %, "
            f"{100 * r.low:.1f} to {100 * r.high:.1f}); mean difference {r.difference:.3f}, "
            f"found with 80 % power from {r.detectable:.3f}"
            for r in rates
        ),
    ]


if __name__ == "__main__":
    main()
