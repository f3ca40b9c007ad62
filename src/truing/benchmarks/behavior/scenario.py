"""Behaviour edits: a scenario, a direction, and what is asked of it and of other scenarios.

Two standards are never mixed (Huang et al. 2025, arXiv 2506.20606). ``efficacy`` and
``generalization`` compare an answer with the edit's *target*; ``moral`` and ``impact`` compare it
with what is *right*, whatever the direction. An edit toward harm that works raises the first and
lowers the second.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from pydantic import Field, NonNegativeInt

from truing.benchmarks.benchmark import Options
from truing.benchmarks.draft import Notebook, Rejected, Rules, check_text
from truing.benchmarks.subjects import occurrences
from truing.types import Case, EditRequest, Probe

Direction = Literal["good", "bad", "abstention"]
REFUSAL = "I cannot assist."
"""The target of every edit toward abstention, as published."""
RULE = "rule:"
PUBLISHED_METHODS = ("lora", "ft_m", "ft_l", "ice", "rome", "memit", "grace")
"""The seven that the original runs compare."""


class ScenarioOptions(Options):
    """Toward what scenarios are edited, and how many others are asked about."""

    always: ClassVar[tuple[str, ...]] = ("direction",)

    direction: Direction = Field(
        "bad", description="Toward the good answer, the bad one, or declining (abstention)."
    )
    impact: NonNegativeInt | Literal["all"] = Field(
        0, description="Other scenarios asked under every edit, or all."
    )
    locality: NonNegativeInt = Field(
        2, description="Other scenarios of the same rule, and of other rules, that should stay."
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """One way of asking about a scenario.

    ``target`` holds the answers that the edit wants, ``moral`` those that are right (none where
    nobody says). ``choices``: the texts between which an open answer lies, the target first.
    """

    kind: str
    prompt: str
    target: tuple[str, ...]
    moral: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario and its edit, unchecked. The edit is made on the first of ``asked``.

    ``rule`` is what the scenario is an instance of; ``label`` its moral label, for reports by class.
    """

    target_new: str
    asked: tuple[Asked, ...]
    subject: str | None = None
    target_old: str | None = None
    rule: str = ""
    label: str = ""

    def case(self, id: str, rules: Rules, notes: Notebook) -> Case:
        """The request, its efficacy and generalization, and the moral question.

        Raises ``Rejected`` for an empty text, a subject that is not once in the prompt, a text beyond
        ``rules.max_chars`` or broken Unicode.
        """
        first = self.asked[0]
        self._check(rules)
        tags = tuple(
            f"{name}{value}" for name, value in ((RULE, self.rule), ("label:", self.label)) if value
        )
        request = EditRequest(
            id, first.prompt, self.target_new, self.target_old, self.subject, tags
        )
        return Case(id, (request,), tuple(self._probes(id)), tags)

    def _probes(self, id: str) -> Iterator[Probe]:
        for asked in self.asked:
            aspect = "efficacy" if asked is self.asked[0] else f"generalization/{asked.kind}"
            yield Probe(
                f"{id}/{asked.kind}", aspect, asked.prompt, asked.target, choices=asked.choices
            )
        first = self.asked[0]
        if first.moral:
            between = tuple(c for c in first.choices if c != REFUSAL or c in first.moral)
            right = _first(between, first.moral)
            yield Probe(f"{id}/moral", "moral", first.prompt, first.moral, choices=right)

    def _check(self, rules: Rules) -> None:
        for asked in self.asked:
            for name, text in ((asked.kind, asked.prompt), *(("target", t) for t in asked.target)):
                check_text(name, text, rules.max_chars)
                if not text.strip():
                    raise Rejected(name, f"{name} is empty")
        if not self.target_new.strip():
            raise Rejected("target", "the target is empty")
        if self.subject is not None:
            count = occurrences(self.asked[0].prompt, self.subject)
            if count != 1:
                raise Rejected("subject", f"the subject is {count} times in the prompt, not once")


def together(
    selected: Sequence[Case], usable: Sequence[Case], chosen: ScenarioOptions
) -> list[Case]:
    """``selected`` with what each edit is asked of other scenarios.

    ``impact``: is the answer right in scenarios that are not edited (where all are, in all but its
    own)? ``locality``: is it still the base model's, in scenarios of the same rule and of others?
    """
    edited = {case.id for case in selected}
    free = [case for case in usable if case.id not in edited] or list(usable)
    rules = {_rule(case) for case in selected}
    kin = {rule: [case for case in free if _rule(case) == rule] for rule in rules if rule}
    strangers = {rule: [case for case in free if _rule(case) != rule] for rule in rules}
    asked = len(free) if chosen.impact == "all" else chosen.impact
    found = []
    for case in selected:
        rule = _rule(case)
        others = [other for other in free if other.id != case.id] if asked else []
        like = [other for other in kin.get(rule, ()) if other.id != case.id]
        probes = [
            *_of_others(case, others[:asked], "impact"),
            *_of_others(case, _spread(like, chosen.locality), "locality/same-rule"),
            *_of_others(case, _spread(strangers[rule], chosen.locality), "locality/other-rules"),
        ]
        found.append(replace(case, probes=(*case.probes, *probes)))
    return found


def _of_others(case: Case, others: Iterable[Case], aspect: str) -> Iterator[Probe]:
    for other in others:
        for probe in other.probes:
            if probe.aspect == "moral":
                kept = aspect.startswith("locality")
                yield replace(
                    probe,
                    id=f"{case.id}/{aspect}/{probe.id}",
                    aspect=aspect,
                    accepted=() if kept else probe.accepted,
                    group=other.id,
                )


def _spread(cases: Sequence[Case], count: int) -> list[Case]:
    """``count`` of ``cases``, evenly from the first to the last."""
    count = min(count, len(cases))
    return [cases[i * len(cases) // count] for i in range(count)]


def _rule(case: Case) -> str:
    return next((tag for tag in case.tags if tag.startswith(RULE)), "")


def _first(choices: tuple[str, ...], right: tuple[str, ...]) -> tuple[str, ...]:
    """``choices`` with those that are right in front."""
    return tuple(sorted(choices, key=lambda choice: choice not in right))
