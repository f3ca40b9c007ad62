"""Opinions on a topic, each showing a personality trait, as an edit of what a model thinks of it.

The case of one topic: be told an opinion of the target trait, then be asked about the topic, and about
other topics. After Mao et al. 2024, "Editing Personality for Large Language Models" (arXiv 2310.02168).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from truing.benchmarks.benchmark import Options
from truing.benchmarks.draft import Notebook, Rejected, Rules, check_text
from truing.benchmarks.subjects import occurrences
from truing.seeds import Seeds
from truing.types import Case, EditRequest, Probe

if TYPE_CHECKING:
    from truing.benchmarks.nearness import Nearness

EFFICACY, LEAKAGE, LOCALITY = "efficacy", "leakage", "locality"
REPHRASED, LATER = "generalization", "persistence"
SUCCESS, DRAWDOWN = "preference/es", "drawdown"
TRAIT, TOPIC = "trait:", "topic:"
EACH = "each"
"""The target that stands for every trait of a topic."""
Recognised = Callable[[str, str], tuple[str, ...]]
"""Of a topic and a trait: what an answer is accepted by; the name of the trait comes first."""


class OpinionOptions(Options):
    """What is told, how it is asked, and which other topics should stay as they are."""

    target: str | None = Field(
        None,
        description="Trait that every topic is edited towards; null: each topic's own; each: every "
        "trait of a topic, in a case of its own.",
    )
    examples: int = Field(1, ge=1, description="Opinions of the target trait that are told.")
    score_told: bool = Field(False, description="Opinions that were told are also scored.")
    templates: Literal["seeded", "fixed", "all"] = Field(
        "seeded",
        description="Wording of questions: drawn by topic and opinion, always the first, or the topic "
        "asked in all of them (those beside the first are generalization).",
    )
    turns: int = Field(
        0, ge=0, description="Turns after the answer in which the topic is asked about again."
    )
    outer: Literal["next", "random", "same-trait", "nearest"] = Field(
        "next",
        description="Other topics asked about: those that follow (one, as published), drawn ones, "
        "drawn ones with the same target trait, or the nearest, which is hard: those whose opinions "
        "share the rarest words, and whose names share letters.",
    )
    outer_topics: int = Field(1, ge=1, description="How many other topics are asked about.")
    draw: int = Field(0, description="Another number draws other targets, questions and topics.")

    @property
    def seeds(self) -> Seeds:
        return Seeds(self.draw).child("personality")


@dataclass(frozen=True, slots=True)
class Opinions:
    """A topic and what is said of it, by trait; unchecked.

    ``questions`` are templates with one ``{}`` for the topic.
    """

    topic: str
    texts: Mapping[str, tuple[str, ...]]
    target: str
    questions: tuple[str, ...]
    recognised: Recognised
    chosen: OpinionOptions

    def case(self, id: str, rules: Rules, notes: Notebook) -> Case:
        """The requests, the questions about the topic, and its own ``drawdown`` probes, which
        :func:`together` hands to other topics.

        Raises ``Rejected`` for an empty topic, a target without opinions, no opinion of another trait,
        one that is given for two traits, no opinion left to score, a text beyond ``rules.max_chars``
        or broken Unicode.
        """
        self._check(rules)
        ours = self.texts[self.target]
        told = ours[: self.chosen.examples]
        scored = ours if self.chosen.score_told else ours[len(told) :]
        theirs = [t for trait, ts in self.texts.items() if trait != self.target for t in ts]
        if not scored:
            raise Rejected(
                self.target, f"all {len(ours)} opinions of {self.target} are told and none is left to score"
            )  # fmt: skip
        tags = (f"{TRAIT}{self.target}", f"{TOPIC}{self.topic}")
        requests = tuple(self._requests(id, told, theirs, tags, notes))
        accepted = self.recognised(self.topic, self.target)
        asked = (
            Probe(
                f"{id}/{EFFICACY}/{i}",
                REPHRASED if i else EFFICACY,
                question,
                accepted,
                reference=told[0],
                group=self._group,
            )
            for i, question in enumerate(self._asked(requests[0].prompt))
        )
        preferred = Probe(
            f"{id}/{SUCCESS}",
            SUCCESS,
            requests[0].prompt,
            scored,
            reference=scored[0],
            choices=(*scored, *theirs),
            group=self._group,
        )
        later = self._later(id, accepted)
        return Case(id, requests, (*asked, *later, preferred, *self._drawdown(id)), tags)

    @property
    def _group(self) -> str:
        """Edits towards several traits of one topic are not independent."""
        return f"{TOPIC}{self.topic}"

    def _requests(
        self,
        id: str,
        told: Sequence[str],
        theirs: Sequence[str],
        tags: tuple[str, ...],
        notes: Notebook,
    ) -> Iterator[EditRequest]:
        rng = self.chosen.seeds.child("old").child(self.topic).random()
        for i, (text, old) in enumerate(zip(told, rng.choices(theirs, k=len(told)), strict=True)):
            prompt = self._question(self.target, i)
            subject = self.topic if occurrences(prompt, self.topic) == 1 else None
            if subject is None:
                notes.about(id, "the topic is not exactly once in the question and is no subject")
            yield EditRequest(f"{id}/{i}" if i else id, prompt, text, old, subject, tags)

    def _later(self, id: str, accepted: tuple[str, ...]) -> Iterator[Probe]:
        """The same topic, asked about again and again in one conversation, each time in other words."""
        rng = self.chosen.seeds.child("turns").child(self.topic).random()
        before = f"{id}/{EFFICACY}/0"
        for turn in range(1, self.chosen.turns + 1):
            own = f"{id}/{LATER}/{turn:02d}"
            question = rng.choice(self.questions).format(self.topic)
            yield Probe(
                own,
                f"{LATER}/turn-{turn:02d}",
                question,
                accepted,
                group=self._group,
                follows=before,
            )
            before = own

    def _drawdown(self, id: str) -> Iterator[Probe]:
        for trait, texts in self.texts.items():
            for i, text in enumerate(texts):
                question = self._question(trait, i)
                yield Probe(f"{id}/{DRAWDOWN}/{trait}/{i}", DRAWDOWN, question, reference=text)

    def _question(self, trait: str, number: int) -> str:
        """The question that the trait's opinion of that number answers."""
        template = self.questions[0]
        if self.chosen.templates != "fixed":
            seeds = self.chosen.seeds.child("question").child(self.topic)
            template = seeds.child(f"{trait}/{number}").random().choice(self.questions)
        return template.format(self.topic)

    def _asked(self, first: str) -> tuple[str, ...]:
        if self.chosen.templates != "all":
            return (first,)
        return tuple(dict.fromkeys((first, *(q.format(self.topic) for q in self.questions))))

    def _check(self, rules: Rules) -> None:
        if not self.topic.strip():
            raise Rejected("topic", "the topic is empty")
        named = [("topic", self.topic), *((t, text) for t, ts in self.texts.items() for text in ts)]
        for name, text in named:
            check_text(name, text, rules.max_chars)
        if not self.texts.get(self.target):
            known = ", ".join(trait for trait, texts in self.texts.items() if texts)
            raise Rejected(self.target, f"no opinion shows {self.target}; there are: {known}")
        if not any(texts for trait, texts in self.texts.items() if trait != self.target):
            raise Rejected("texts", f"no opinion shows another trait than {self.target}")
        traits: dict[str, str] = {}
        for trait, text in named[1:]:
            if traits.setdefault(text, trait) != trait:
                raise Rejected(trait, f"one opinion is given for {traits[text]} and for {trait}")


def target_of(topic: str, traits: Sequence[str], chosen: OpinionOptions) -> str:
    """The trait that a topic without one of its own is edited towards: drawn by the topic alone."""
    return chosen.seeds.child("target").child(topic).random().choice(sorted(traits))


def asked_together(
    recognised: Recognised,
) -> Callable[[Sequence[Case], Sequence[Case], OpinionOptions], list[Case]]:
    """What makes cases of topics ask about other topics, too.

    ``leakage``: does the target trait show there? ``locality``: is the answer the base model's?
    ``drawdown``: what is expected in the other topics' opinions.
    """

    def together(
        selected: Sequence[Case], usable: Sequence[Case], chosen: OpinionOptions
    ) -> list[Case]:
        place = {case.id: number for number, case in enumerate(usable)}
        topics = [tagged(case, TOPIC) for case in usable]
        traits = [tagged(case, TRAIT) for case in usable]
        near = _nearness(usable) if chosen.outer == "nearest" else None
        everybody = range(len(usable))
        peers: dict[str, Sequence[int]] = dict.fromkeys(traits, everybody)
        if chosen.outer == "same-trait":
            peers = {trait: [at for at in everybody if traits[at] == trait] for trait in peers}
        found = []
        for case in selected:
            at = place[case.id]
            around = _other_topics(at, topics, peers[traits[at]])
            others = _outer(case, around, usable, topics, near, chosen)
            own = (probe for probe in case.probes if probe.aspect != DRAWDOWN)
            asked = (
                probe for other in others for probe in _of_other(case, other, recognised)
            )  # fmt: skip
            found.append(replace(case, probes=(*own, *asked)))
        return found

    return together


def _nearness(usable: Sequence[Case]) -> Nearness:
    """Each topic once, with the opinions of all traits: those that it is asked about with ``drawdown``."""
    from truing.benchmarks.nearness import Described, Nearness

    said = {
        tagged(case, TOPIC): tuple(p.reference or "" for p in case.probes if p.aspect == DRAWDOWN)
        for case in usable
    }
    return Nearness([Described(topic, texts) for topic, texts in said.items()])


def _other_topics(place: int, topics: Sequence[str], peers: Sequence[int]) -> Iterator[int]:
    """Where each other topic is met first among ``peers``, which are in order: from ``place`` on, then
    from the beginning."""
    seen = {topics[place]}
    cut = bisect_right(peers, place)
    for at in chain(peers[cut:], peers[:cut]):
        if topics[at] not in seen:
            seen.add(topics[at])
            yield at


def _outer(
    case: Case,
    around: Iterator[int],
    usable: Sequence[Case],
    topics: Sequence[str],
    near: Nearness | None,
    chosen: OpinionOptions,
) -> list[Case]:
    """``chosen.outer_topics`` of the cases ``around``; all that there are where they are fewer.
    ``topics``: of each usable case; ``near``: how near these are, where that decides."""
    if chosen.outer == "next":
        return [usable[at] for at in islice(around, chosen.outer_topics)]
    if near is not None:
        first = {topics[at]: at for at in around}
        nearest = near.nearest(tagged(case, TOPIC), first)
        return [usable[first[topic]] for topic in nearest[: chosen.outer_topics]]
    others = sorted((usable[at] for at in around), key=lambda other: other.id)
    rng = chosen.seeds.child("outer").child(case.id).random()
    return rng.sample(others, min(chosen.outer_topics, len(others)))


def _of_other(case: Case, other: Case, recognised: Recognised) -> Iterator[Probe]:
    topic = tagged(other, TOPIC)
    group = f"{TOPIC}{topic}"
    first = next(probe for probe in other.probes if probe.aspect == EFFICACY)
    accepted = recognised(topic, tagged(case, TRAIT))
    for aspect, wanted in ((LEAKAGE, accepted), (LOCALITY, ())):
        yield Probe(f"{case.id}/{aspect}/{other.id}", aspect, first.prompt, wanted, group=group)
    for probe in other.probes:
        if probe.aspect == DRAWDOWN:
            yield replace(probe, id=f"{case.id}/of/{probe.id}", group=group)


def tagged(case: Case, kind: str) -> str:
    """The value of the case's tag of a kind (``trait:``, ``topic:``); empty without one."""
    return next((tag.removeprefix(kind) for tag in case.tags if tag.startswith(kind)), "")
