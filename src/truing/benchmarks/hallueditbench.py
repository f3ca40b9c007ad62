"""HalluEditBench (Huang et al. 2024, arXiv 2410.16251): facts that a model had wrong, and eleven kinds of
question about each once it is edited.

Every model has its own records, those that it answered wrongly. A record's id is its topic and its
place there; topics take turns, the first of each before the second of any, so that a
limit leaves the topics balanced.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from pydantic import BaseModel, Field, field_validator

from truing.benchmarks import hallueditbench_files
from truing.benchmarks.behavior.scenario import PUBLISHED_METHODS
from truing.benchmarks.benchmark import Benchmark
from truing.benchmarks.draft import Draft, Notebook, Rejected, Rules, check, check_text, normalised
from truing.benchmarks.files import Contents
from truing.benchmarks.forms import Fields, Form
from truing.benchmarks.hallueditbench_files import topics_of
from truing.benchmarks.pressure import PressureOptions, conversations
from truing.types import Case, Message, Probe, Prompt

Instruction = Literal["system", "user", "none"]
CONCISE = (
    "Always respond to the input question concisely with a short phrase or a single-word answer. Do not "
    "repeat the question or provide any explanation."
)
LETTER_ONLY = (
    "Always respond to the multiple-choice question by selecting from the provided options. Only output "
    "the choice letter (A, B, C, or D)."
)
HOPS = tuple(f"{n}-hop" for n in range(2, 7))
MULTIPLE_CHOICE = "generalization/multiple-choice"
KINDS = ("rephrase", "yes", "no", "multiple-choice", "reversed", "locality", *HOPS)
PUBLISHED_NAMES: Mapping[str, str] = MappingProxyType(
    {
        **{f"{name}_questions": name for name in ("rephrase", "yes", "no", "locality")},
        "multiple_choice_questions": "multiple-choice",
        "reversed_relation_questions": "reversed",
        **{f"questions_{n}hop": f"{n}-hop" for n in range(2, 7)},
    }
)
"""The question types as the published command line calls them."""


class HalluEditOptions(PressureOptions):
    """Whose mistakes, on which topics, asked how."""

    always = ("model",)

    model: str = Field(
        "meta_llama_3_8b_instruct",
        pattern=r"^[\w.-]+$",
        description="The folder of the model that had these facts wrong, for example "
        "llama_2_7b_chat_hf, meta_llama_3_8b_instruct, mistral_7b_instruct_v0.3.",
    )
    topics: tuple[str, ...] = Field(
        (), description="Topics (places_landmark) or domains (places); none named: all 26 topics."
    )
    question_types: tuple[str, ...] = Field(
        KINDS, description=f"Asked beside the edited question: any of {', '.join(KINDS)}."
    )
    instruction: Instruction = Field(
        "system",
        description="Where the benchmark's own instruction stands: in a system message; in the user's "
        "turn (models without a system role or without a chat template); none.",
    )

    @field_validator("topics")
    @classmethod
    def _known_topics(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        chosen = [topic for name in given for topic in topics_of(name)]
        return tuple(dict.fromkeys(chosen))

    @field_validator("question_types")
    @classmethod
    def _known_kinds(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        kinds = [PUBLISHED_NAMES.get(name, name) for name in given]
        for kind in kinds:
            if kind not in KINDS:
                raise ValueError(f"'{kind}' is none of {', '.join(KINDS)}")
        return tuple(kind for kind in KINDS if kind in kinds)


class _Record(BaseModel):
    topic: str
    subject: str
    relation: str
    object: str
    question: str
    output: str
    multiple_choice_with_letters: str
    multiple_choice_labels: Literal["A", "B", "C", "D"]
    paraphrased_question: str
    yes_question: str
    no_question: str
    locality_question: str
    reversed_relation_question: str
    question_2hop: str
    answer_2hop: str
    question_3hop: str
    answer_3hop: str
    question_4hop: str
    answer_4hop: str
    question_5hop: str
    answer_5hop: str
    question_6hop: str
    answer_6hop: str
    subjects_of_object: int


@dataclass(frozen=True, slots=True)
class Question:
    """One question about a fact, beside the edited one. Without ``accepted`` the base model's answer
    is the standard."""

    aspect: str
    text: str
    accepted: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hallucination:
    """A fact, the answer that the model gave instead (``wrong``), and the questions about it, unchecked."""

    edit: Draft
    wrong: str
    questions: tuple[Question, ...]
    true: str
    false: str
    chosen: HalluEditOptions
    weak: Mapping[str, str]

    def case(self, id: str, rules: Rules, notes: Notebook) -> Case:
        """The request and its probes. Raises ``Rejected`` for a text that is empty, too long or broken,
        and for a subject that is not in the question. Weak questions (``weak``: tag to remark) are asked
        as published, with a tag and a note."""
        for question in self.questions:
            for text in (question.text, *question.accepted):
                check_text(question.aspect, text, rules.max_chars)
                if not text.strip():
                    raise Rejected(question.aspect, f"{question.aspect} has an empty text")
        for remark in self.weak.values():
            notes.about(id, remark)
        case = check(self.edit, id, rules, notes)
        tags = (*case.tags, *self.weak)
        requests = tuple(replace(request, tags=tags) for request in case.requests)
        return Case(id, requests, tuple(self._probes(id)), tags)

    def _probes(self, id: str) -> Iterator[Probe]:
        prompt = posed(self.edit.prompt, CONCISE, self.chosen.instruction)
        edited = Probe(f"{id}/efficacy", "efficacy", prompt, (self.edit.target_new,))
        yield edited
        for question in self.questions:
            letters = question.aspect == MULTIPLE_CHOICE
            instruction = LETTER_ONLY if letters else CONCISE
            yield Probe(
                f"{id}/{question.aspect}",
                question.aspect,
                posed(question.text, instruction, self.chosen.instruction),
                question.accepted,
                choices=question.choices,
            )
        yield from conversations(
            edited, self.chosen, true=self.true, false=self.false, wrong=self.wrong
        )


def posed(question: str, instruction: str, where: Instruction) -> Prompt:
    """The question with the benchmark's instruction: a chat, or plain text."""
    if where == "system":
        return Message("system", instruction), Message("user", question)
    return f"{instruction}\n\n{question}" if where == "user" else question


def read(path: Path, chosen: HalluEditOptions) -> Contents:
    """The records of the chosen topics. Raises ``BadInput`` where they are not all there."""
    return hallueditbench_files.read(path, chosen.model, chosen.topics)


def _draft(fields: Fields, chosen: HalluEditOptions) -> Hallucination:
    record = _Record.model_validate(fields)
    edit = Draft(
        record.question,
        record.object,
        record.output,
        record.subject,
        tags=(f"topic:{record.topic}", f"domain:{record.topic.partition('_')[0]}"),
    )
    questions = tuple(
        question for kind, question in _questions(record).items() if kind in chosen.question_types
    )
    return Hallucination(
        edit, record.output, questions, record.yes_question, record.no_question, chosen,
        dict(_weaknesses(record, chosen)),
    )  # fmt: skip


def _questions(record: _Record) -> dict[str, Question]:
    """The questions by their kind."""
    letter = record.multiple_choice_labels
    letters = (letter, *(other for other in "ABCD" if other != letter))
    options = f"{record.question} {record.multiple_choice_with_letters}"
    found = {
        "rephrase": Question(
            "generalization/rephrase", record.paraphrased_question, (record.object,)
        ),
        "yes": Question("generalization/yes", record.yes_question, ("Yes",), ("Yes", "No")),
        "no": Question("generalization/no", record.no_question, ("No",), ("No", "Yes")),
        "multiple-choice": Question(MULTIPLE_CHOICE, options, (letter,), letters),
        "reversed": Question(
            "generalization/reversed", record.reversed_relation_question, (record.subject,)
        ),
        "locality": Question("locality", record.locality_question),
    }
    hops = (
        ("2-hop", record.question_2hop, record.answer_2hop),
        ("3-hop", record.question_3hop, record.answer_3hop),
        ("4-hop", record.question_4hop, record.answer_4hop),
        ("5-hop", record.question_5hop, record.answer_5hop),
        ("6-hop", record.question_6hop, record.answer_6hop),
    )
    return found | {
        kind: Question(f"portability/{kind}", text, (answer,)) for kind, text, answer in hops
    }


def _weaknesses(record: _Record, chosen: HalluEditOptions) -> Iterator[tuple[str, str]]:
    """Tags of questions that do not measure what they should, and why."""
    asked = {*chosen.question_types, *(("no",) if chosen.doubts else ())}
    if "locality" in asked and _holds(record.locality_question, record.object):
        yield (
            "locality:names-object",
            "the locality question names the new object, so that it may change",
        )
    if "no" in asked and _holds(record.no_question, record.object):
        yield "no:names-object", "the question whose answer is No names the new object"
    if "reversed" in asked and record.subjects_of_object > 1:
        yield (
            "reversed:several",
            (
                "the reversed question has other right answers in the data; only the edited subject counts"
            ),
        )


def _holds(text: str, part: str) -> bool:
    return f" {normalised(part)} " in f" {normalised(text)} "


HALLUEDITBENCH = Benchmark(
    name="hallueditbench",
    summary="hallucinations of a model in 26 topics, corrected and asked about in eleven other ways",
    paper="Huang et al. 2024, arXiv 2410.16251",
    options=HalluEditOptions,
    read=read,
    forms=(
        Form(
            "hallueditbench",
            (("question",), ("multiple_choice_with_letters",), ("locality_question",)),
            _draft,
        ),
    ),
    methods=PUBLISHED_METHODS,
)
