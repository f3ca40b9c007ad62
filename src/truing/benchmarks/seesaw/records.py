"""Records of Seesaw-CF as cases: one case is one edit of one property of one person.

Asked are the edit itself (``efficacy``; for a field of work or native language, and where the record
has ``paraphrase_prompts``, other wordings too),
people who really have the new value (``locality/cross-subject``; the person is the probe's group),
another property of the same person among declared answers, with both published prompts apart
(``locality/cross-property-guided`` and ``-free``), and continuations of these prompts
(``fluency/guided`` and ``fluency/free``), each drawn for itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from truing.benchmarks import files
from truing.benchmarks.benchmark import Benchmark, Options
from truing.benchmarks.draft import Draft, Notebook, Rejected, Rules, check
from truing.benchmarks.files import Contents, Record, Source
from truing.benchmarks.forms import Fields, Form
from truing.benchmarks.seesaw.groups import read_groups
from truing.benchmarks.seesaw.tables import CANDIDATES, FIELD, Tables, data_root, read_tables
from truing.errors import BadInput
from truing.seeds import Seeds
from truing.types import Case, Probe

LANGUAGE = "P103"
WORDINGS = {
    FIELD: (
        "{} works in the field of", "{}'s expertise is", "{}'s area of work is",
        "{}'s domain of activity is", "The domain of activity of {} is", "{} works in the area of",
        "The expertise of {} is", "{} specializes in", "The domain of work of {} is",
        "{}'s domain of work is",
    ),
    LANGUAGE: (
        "The mother tongue of {} is", "{} spoke the language", "{}, a native",
        "The native language of {} is", "{} is a native speaker of", "{}, speaker of",
    ),
}  # fmt: skip
"""The published wordings of two properties; the others have one."""
PATTERNS = ("seesaw_cf_{}.json", "rewrites_only_{}.json", "seesaw_cf_{}_eff.json")
CROSS_SUBJECT, CROSS_PROPERTY = "locality/cross-subject", "locality/cross-property"
_SEEDS = Seeds(0, ("seesaw",))


class SeesawOptions(Options):
    """Which edits, and how much is asked around each."""

    always = ("set",)

    set: str = Field(
        "P27_P101",
        pattern=r"^[\w.-]+$",
        description="The set: the edited property, then the one asked of the same person. P101 field of "
        "work, P103 native language, P21 gender, P19 place of birth, P27 citizenship; or one of your own.",
    )
    people: int | None = Field(
        20, ge=0, description="Other people asked about per edit, evenly over the published list."
    )
    candidates: int | None = Field(
        20, ge=1, description="Wrong answers beside each right one; default 20, null: all of them."
    )
    continuations: int = Field(
        0,
        ge=0,
        description="Texts that go on from the guided and from the free prompt; the published set has 5 of each.",
    )


class _Value(BaseModel):
    text: str = Field(alias="str")
    id: str = ""


class _Rewrite(BaseModel):
    prompt: str
    subject: str
    relation_id: str
    target_new: _Value
    target_true: _Value


class _Asked(BaseModel):
    """Another property of the edited person: what is true, and every answer to choose from."""

    property: str
    answers: tuple[str, ...]
    candidates: tuple[str, ...]


class _Record(BaseModel):
    requested_rewrite: _Rewrite
    attribute_prompts: list[str] = []
    attribute_aux_info: list[str] = []
    attribute_aux_ent: list[str] = []
    generation_prompts: list[str] = []
    paraphrase_prompts: list[str] | None = None
    asked: _Asked | None = None


@dataclass(frozen=True, slots=True)
class _Edit:
    """A record of which the edit is checked as any other, and what is asked around it."""

    record: _Record
    chosen: SeesawOptions

    def case(self, id: str, rules: Rules, notes: Notebook) -> Case:
        rewrite = self.record.requested_rewrite
        if rewrite.prompt.count("{}") != 1:
            raise Rejected("requested_rewrite.prompt", "the prompt must hold {} once")
        if rewrite.target_true.text != rewrite.target_true.text.strip():
            notes.about(id, "spaces around target_true were removed")
        asked = self.record.asked
        tags = [f"edits:{rewrite.relation_id}", *([f"asks:{asked.property}"] if asked else [])]
        case = check(
            Draft(
                prompt=rewrite.prompt.replace("{}", rewrite.subject),
                target_new=rewrite.target_new.text,
                target_old=rewrite.target_true.text,
                subject=rewrite.subject,
                rephrases=self._rephrases(),
                tags=tuple(tags),
            ),
            id,
            rules,
            notes,
        )
        more = (*self._others(case, notes), *self._property(case, notes), *self._texts(case))
        return replace(case, probes=(*case.probes, *more))

    def _rephrases(self) -> tuple[str, ...]:
        """The record's own, else the published wordings of the property."""
        rewrite = self.record.requested_rewrite
        if self.record.paraphrase_prompts is not None:
            return tuple(self.record.paraphrase_prompts)
        wordings = WORDINGS.get(rewrite.relation_id, ())
        return tuple(w.replace("{}", rewrite.subject) for w in wordings if w != rewrite.prompt)

    def _others(self, case: Case, notes: Notebook) -> Iterator[Probe]:
        record, request = self.record, case.requests[0]
        if not record.attribute_aux_info:
            return
        lists = (record.attribute_aux_info, record.attribute_aux_ent, record.attribute_prompts)
        if len({len(values) for values in lists}) != 1:
            raise Rejected("attribute_prompts", "the lists of other people differ in length")
        if request.target_old is None:
            raise Rejected(
                "target_true", "without a true value, other people have nothing to choose"
            )
        people: dict[str, str] = {}
        for person, name, prompt in zip(*lists, strict=True):
            if name == request.subject:
                notes.about(case.id, "the edited person is among the others and was left out")
            elif person in people:
                notes.about(case.id, "somebody is among the others twice and was kept once")
            else:
                people[person] = prompt
        for person in _evenly(list(people), self.chosen.people):
            yield Probe(
                id=f"{case.id}/cross-subject/{person}",
                aspect=CROSS_SUBJECT,
                prompt=people[person],
                reference=request.target_new,
                choices=(request.target_new, request.target_old),
                group=person,
            )

    def _property(self, case: Case, notes: Notebook) -> Iterator[Probe]:
        asked = self.record.asked
        if asked is None:
            return
        if not asked.answers:
            notes.about(case.id, f"the tables do not say what {asked.property} of the person is")
        wrong = [name for name in asked.candidates if name not in asked.answers]
        if self.chosen.candidates is not None and self.chosen.candidates < len(wrong):
            drawn = _SEEDS.child(case.id).random().sample(wrong, self.chosen.candidates)
            wrong = sorted(drawn)
        for wording, prompt in self._prompts().items():
            for i, answer in enumerate(asked.answers):
                yield Probe(
                    id=f"{case.id}/cross-property-{wording}/{i}",
                    aspect=f"{CROSS_PROPERTY}-{wording}",
                    prompt=prompt,
                    reference=answer,
                    choices=(answer, *wrong),
                )

    def _texts(self, case: Case) -> Iterator[Probe]:
        asked = self.record.asked
        answers = () if asked is None else asked.answers
        return continuations(case.id, self._prompts(), self.chosen.continuations, answers)

    def _prompts(self) -> dict[str, str]:
        """The guided prompt, which asks for the other property, and the free one ("<person> is")."""
        subject = self.record.requested_rewrite.subject
        prompts = list(dict.fromkeys(self.record.generation_prompts))
        free = [p for p in prompts if p in (f"{subject} is", f"{subject} was")]
        guided = [p for p in prompts if p not in free]
        return {name: texts[0] for name, texts in (("guided", guided), ("free", free)) if texts}


def continuations(
    case: str, prompts: Mapping[str, str], count: int, answers: tuple[str, ...]
) -> Iterator[Probe]:
    """``count`` texts that go on from each of ``prompts``, which are named by their wording. Sampling
    depends on the probe, so that no two are one draw. ``answers`` are right answers about the other
    property: a text may name one; it is judged as text all the same."""
    for wording, prompt in prompts.items():
        for i in range(count):
            aspect = f"fluency/{wording}"
            yield Probe(f"{case}/{aspect}/{i}", aspect, prompt, accepted=answers)


def _evenly(people: list[str], count: int | None) -> list[str]:
    """``count`` of the list at equal distances: the published lists have women first, then men."""
    if count is None or count >= len(people):
        return people
    return [people[i * len(people) // count] for i in range(count)]


def read(path: Path, chosen: SeesawOptions) -> Contents:
    """The records of a set, from a data folder or its file, with the other property's right answers and
    candidates: the record's own, else those of the data folder's tables. Raises ``BadInput``."""
    root = data_root(path)
    file = path if path.is_file() else _file(path, chosen.set)
    contents, tables = files.read(file), read_tables(root)
    asked = _asked(file, chosen)
    groups = read_groups(root, contents.records, tables)
    people = {p for r in contents.records for p in _listed(r.fields.get("attribute_aux_info"))}
    lacking = ", ".join(f"{groups.without(people, axis)} no {axis}" for axis in groups.axes)
    remarks = [*tables.remarks, *groups.remarks]
    if people and lacking:
        remarks.append(f"of {len(people)} other people, {lacking} in the data")
    records = [_with_answers(record, asked, tables) for record in contents.records]
    return replace(
        contents,
        source=_with_candidates(contents.source, root / CANDIDATES),
        records=tuple(records),
        remarks=(*contents.remarks, *remarks),
    )


def _with_candidates(source: Source, listed: Path) -> Source:
    """The source, whose checksum tells of the candidates too: other ones ask something else."""
    if not listed.is_file():
        return source
    digest = sha256(source.sha256.encode() + listed.read_bytes()).hexdigest()
    return replace(source, sha256=digest)


def _file(folder: Path, name: str) -> Path:
    for pattern in PATTERNS:
        found = sorted(folder.rglob(pattern.format(name)))
        if found:
            return found[0]
    there = sorted({n for p in folder.rglob("*.json") if (n := _set_of(p)) is not None})
    known = f"Sets there: {', '.join(there)}." if there else "Give the folder that holds the set."
    raise BadInput(f"{folder} holds no {PATTERNS[0].format(name)}", known)


def _set_of(file: Path) -> str | None:
    """The set that a file's name tells, ``None`` for other files and those of efficacy alone."""
    found = re.fullmatch(r"(?:seesaw_cf|rewrites_only)_([\w.-]+?)(_eff)?\.json", file.name)
    return found[1] if found and not found[2] else None


def _asked(file: Path, chosen: SeesawOptions) -> str | None:
    """The other property: the second in the name of a published pair, else ``None``."""
    name = _set_of(file)
    if name not in (None, chosen.set):
        raise BadInput(f"{file} is not of the set {chosen.set}", "Name the file's set with set=.")
    pair = re.fullmatch(r"P\d+_(P\d+)", name or "")
    return pair[1] if pair else None


def _listed(value: Any) -> list[str]:
    return (
        [person for person in value if isinstance(person, str)] if isinstance(value, list) else []
    )


def _with_answers(record: Record, asked: str | None, tables: Tables) -> Record:
    rewrite = record.fields.get("requested_rewrite")
    subject = rewrite.get("subject") if isinstance(rewrite, dict) else None
    own = record.fields.get("asked")
    if isinstance(own, dict) and "candidates" not in own and own.get("property") in tables.listed:
        told = {**own, "candidates": tables.listed[own["property"]]}
        return replace(record, fields={**record.fields, "asked": told})
    if asked is None or "asked" in record.fields or not isinstance(subject, str):
        return record
    told = {
        "property": asked,
        "answers": tables.answers(subject, asked),
        "candidates": tables.candidates.get(asked, ()),
    }
    return replace(record, fields={**record.fields, "asked": told})


def _draft(fields: Fields, chosen: SeesawOptions) -> _Edit:
    return _Edit(_Record.model_validate(fields), chosen)


SEESAW = Benchmark(
    name="seesaw",
    summary="a property of a person is edited; other people and other properties are asked about",
    paper="Halevy et al. 2024, Flex Tape Can't Fix That, arXiv 2403.00180",
    options=SeesawOptions,
    read=read,
    forms=(
        Form("seesaw-pair", (("requested_rewrite",), ("generation_prompts",)), _draft),
        Form("seesaw-efficacy", (("requested_rewrite",), ("attribute_prompts",)), _draft),
    ),
)
