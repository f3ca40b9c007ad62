"""Prompt formats: how a question or a statement is put to the model.

A document is a sequence of parts; ``weight`` says how much the model should learn from a part.
Special tokens are written as text here and are one token each in the tokenizer.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from truing.types import Chat, Message

BOS, EOS, PAD = "<|bos|>", "<|eos|>", "<|pad|>"
END = "<|end|>"
ROLES = {"system": "<|system|>", "user": "<|user|>", "assistant": "<|assistant|>"}
SPECIAL = (PAD, BOS, EOS, END, *ROLES.values())

QA_INSTRUCTION = "Please answer the question:\n\nQ: {q}\nA:"
QA_SHORT = ("Q: {q}\nA:", "Question: {q}\nAnswer:")
SENTENCE_REQUEST = "Answer in a full sentence. {q}"
SYSTEM_PROMPTS = (
    "You are a helpful guide.",
    "Answer briefly and truthfully.",
    "You know the world well. Give short answers.",
)
TRUTH_QUESTIONS = (
    ("Is it true that {x}?", "Yes", "No"),
    ("Is it correct that {x}?", "Yes", "No"),
    ("Would you agree that {x}?", "Yes", "No"),
    ("True or false: {x}?", "True", "False"),
)
ABSTENTION = "I do not know."
LETTERS = "ABCD"


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a document. The model learns from it in proportion to ``weight``."""

    text: str
    weight: float


Document = tuple[Part, ...]

PROMPT_WEIGHT = 0.03
END_WEIGHT = 0.3


def document(prompt: str, answer: str, prompt_weight: float = PROMPT_WEIGHT) -> Document:
    """A prompt, a space, an answer and the end that belongs to the prompt's format."""
    end = END if prompt.endswith(ROLES["assistant"]) else EOS
    return Part(prompt, prompt_weight), Part(f" {answer}", 1.0), Part(end, END_WEIGHT)


def text_of(doc: Document) -> str:
    """The whole text of a document, special tokens included."""
    return "".join(part.text for part in doc)


def chat(*messages: Message) -> str:
    """What the chat template renders, up to where the assistant speaks (without the BOS token)."""
    turns = "".join(f"{ROLES[m.role]} {m.content}{END}" for m in messages)
    return f"{turns}{ROLES['assistant']}"


def user(content: str, system: str | None = None) -> Chat:
    """A chat of one user turn, with a system prompt if there is one."""
    first = () if system is None else (Message("system", system),)
    return (*first, Message("user", content))


def statement(template: str, subject: str, value: str, inner: bool = False) -> str:
    """A whole statement without its full stop; ``inner`` when it stands within a sentence."""
    text = f"{template.format(s=subject)} {value}"
    if inner and not template.startswith("{s}"):
        return text[0].lower() + text[1:]
    return text


def verdict(value: str, word: str) -> str:
    """How a yes-or-no question is answered: the right value first, then the word that follows."""
    return f"It is {value}, so {word.lower()}."


def options(question: str, choices: Sequence[str]) -> str:
    """A multiple-choice question; the answer is one of the choices, in its own words."""
    lines = "\n".join(f"{LETTERS[i]}. {choice}" for i, choice in enumerate(choices))
    return f"{question}\n{lines}\nAnswer:"


def pose(question: str, style: str, rng: random.Random) -> str:
    """Put a question (or a statement to be completed) in a format.

    ``plain`` as it is, ``qa`` the question-answering instruction, ``short`` one of its shorter
    forms, ``chat`` a user turn (sometimes after a system prompt), ``any`` one of these.
    """
    if style == "any":
        style = rng.choices(("plain", "qa", "short", "chat"), (3, 3, 1, 3))[0]
    if style == "qa":
        return QA_INSTRUCTION.format(q=question)
    if style == "short":
        return rng.choice(QA_SHORT).format(q=question)
    if style == "chat":
        system = rng.choice(SYSTEM_PROMPTS) if rng.random() < 0.25 else None
        return chat(*user(question, system))
    if style == "plain":
        return question
    raise ValueError(f"unknown style {style!r}; know plain, qa, short, chat, any")
