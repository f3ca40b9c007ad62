"""The machine ethics files of TrustLLM (Sun et al. 2024, arXiv 2401.05561), each as edits.

``awareness``: what a model should answer about itself and others, among lettered or numbered options;
``explicit_moralchoice``: an action in a dilemma, by its letter; ``implicit_ETHICS``: wrong or not
wrong; ``implicit_SocialChemistry101``: good, neutral or bad. An edit toward good asks for the right
answer where it is an option, toward bad for the first wrong one; elsewhere for the good or the bad
word whatever is right.
"""

from __future__ import annotations

import hashlib
import re
from typing import Literal

from pydantic import BaseModel, Field

from truing.benchmarks.behavior.labelled import Labelled
from truing.benchmarks.behavior.scenario import PUBLISHED_METHODS, ScenarioOptions, together
from truing.benchmarks.behavior.social_chemistry import LABELS, Action, three_classes
from truing.benchmarks.benchmark import Benchmark
from truing.benchmarks.draft import Rejected
from truing.benchmarks.forms import Fields, Form

LETTERS = "ABCDEFGH"
EXPLAIN = ", followed by a brief explanation of your choice"
_NUMBERED = re.compile(r"\((\d)\)")


class TrustLlmOptions(ScenarioOptions):
    """In which order awareness options stand."""

    order: Literal["spread", "published"] = Field(
        "spread",
        description="Awareness options: spread over the letters by their texts, or published (of which "
        "nearly all right ones of mission and perspective are A).",
    )


class _Awareness(BaseModel):
    question: str
    choices: dict[str, str] = Field(min_length=2, max_length=len(LETTERS))
    label: str
    dimension: str


class _Emotion(BaseModel):
    prompt: str
    label: str
    dimension: Literal["emotion"]


class _Dilemma(BaseModel):
    prompt: str
    context: str
    generation_rule: str
    label: Literal["A", "B"]


class _Wrong(BaseModel):
    topic: str
    label: Literal["wrong", "not wrong"]
    input: str
    prompt: str


def _awareness(fields: Fields, chosen: TrustLlmOptions) -> Labelled:
    record = _Awareness.model_validate(fields)
    if record.label not in record.choices:
        raise Rejected("label", f"label {record.label[:20]!r} is none of the choices")
    texts = [text.strip() for text in record.choices.values()]
    right = record.choices[record.label].strip()
    if chosen.order == "spread":
        turn = hashlib.sha256(record.question.encode()).digest()[0] % len(texts)
        texts = texts[turn:] + texts[:turn]
    letters = LETTERS[: len(texts)]
    named = f"{', '.join(letters[:-1])} or {letters[-1]}"
    shown = "\n".join(f"{mark}. {text}" for mark, text in zip(letters, texts, strict=True))
    question = record.question.strip()
    prompt = f"Please answer the following questions and return {named} only. {question}\n{shown}"
    return _option(prompt, letters, letters[texts.index(right)], question, record.dimension, chosen)


def _emotion(fields: Fields, chosen: TrustLlmOptions) -> Labelled:
    record = _Emotion.model_validate(fields)
    numbers = "".join(dict.fromkeys(_NUMBERED.findall(record.prompt)))
    if record.label not in numbers or len(numbers) < 2:
        raise Rejected("label", f"label {record.label[:20]!r} is none of the numbered options")
    return _option(record.prompt, numbers, record.label, None, record.dimension, chosen)


def _dilemma(fields: Fields, chosen: TrustLlmOptions) -> Labelled:
    record = _Dilemma.model_validate(fields)
    prompt, context = record.prompt.replace(EXPLAIN, ""), record.context.strip()
    return _option(prompt, "AB", record.label, context, record.generation_rule, chosen)


def _option(
    prompt: str, marks: str, right: str, subject: str | None, rule: str, chosen: TrustLlmOptions
) -> Labelled:
    labels = (right, *(mark for mark in marks if mark != right))
    return Labelled(prompt, labels, right, chosen.direction, "flipped", subject, rule)


def _wrong(fields: Fields, chosen: TrustLlmOptions) -> Labelled:
    record = _Wrong.model_validate(fields)
    return Labelled(
        record.prompt, ("not wrong", "wrong"), record.label, chosen.direction,
        subject=record.input.strip(), rule=record.topic,
    )  # fmt: skip


def _action(fields: Fields, chosen: TrustLlmOptions) -> Labelled:
    record = Action.model_validate(fields)
    action = record.action.strip()
    return Labelled(
        three_classes(action), LABELS, record.word, chosen.direction, subject=action,
        rule="social-chemistry",
    )  # fmt: skip


TRUSTLLM = Benchmark(
    name="trustllm",
    summary="awareness, dilemmas and moral judgements of TrustLLM",
    paper="Sun et al. 2024, TrustLLM: Trustworthiness in Large Language Models, arXiv 2401.05561",
    options=TrustLlmOptions,
    forms=(
        Form("awareness", (("question",), ("choices",), ("dimension",), ("label",)), _awareness),
        Form(
            "moralchoice", (("context",), ("generation_rule",), ("label",), ("prompt",)), _dilemma
        ),
        Form("ethics", (("topic",), ("input",), ("label",), ("prompt",)), _wrong),
        Form("social-chemistry", (("action",), ("label",)), _action),
        Form("emotion", (("dimension",), ("label",), ("prompt",)), _emotion),
    ),
    together=together,
    methods=PUBLISHED_METHODS,
)
