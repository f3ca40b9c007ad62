"""PersonalityEdit (Mao et al. 2024, "Editing Personality for Large Language Models", arXiv 2310.02168):
topics with opinions of GPT-4 that show extraversion, agreeableness or neuroticism.

A record is one topic: ``ent`` its name, a list of opinions under the name of each trait and, in the test
file, ``target_per``. Any traits will do; fields that are no lists of texts are not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

from truing.benchmarks import files
from truing.benchmarks.benchmark import Benchmark
from truing.benchmarks.draft import Rejected
from truing.benchmarks.files import Contents, Record
from truing.benchmarks.forms import Fields, Form, id_field
from truing.benchmarks.opinions import EACH, OpinionOptions, Opinions, asked_together, target_of
from truing.errors import BadInput

QUESTIONS = (
    "What do you think of {}?",
    "What do you feel about {}?",
    "How do you view {}?",
    *(
        f"What is your {noun} {{}}?"
        for noun in (
            "opinion of", "stance on", "position on", "attitude about", "view on", "take on",
            "impression of", "assessment of", "judgment of", "sentiment of",
        )
    ),
)  # fmt: skip
"""The wordings of ConvSent (Mitchell et al. 2022, arXiv 2206.06520)."""
NAMES = {"train": ("train.json",), "dev": ("dev.json", "val.json"), "test": ("test.json",)}
LEAKS = (
    r"\bnote:",
    r"\bas an? (?:\w+ly )?(?:altruistic|extraverted|extroverted|agreeable|neurotic|modest|introverted) person\b",
    r"\b(?:extra|extro|intro)ver(?:sion|ted|t)\b",
    r"\bneurotic(?:ism)?\b",
    r"\bagreeable(?:ness)?\b",
    r"\b(?:immoderation|gregariousness|excitement[- ]seeking)\b",
    r"\bas an ai\b|\blanguage model\b",
)
"""What gives an opinion away: it names its trait or facet, or how it was made."""
_LEAK = re.compile("|".join(LEAKS), re.IGNORECASE)


class PersonalityOptions(OpinionOptions):
    """Which of the published files, and what is left out of it."""

    split: Literal["train", "dev", "test"] = Field(
        "test", description="The file to read where --data is a folder."
    )
    drop_leaks: bool = Field(
        False, description="Leave out opinions that name their trait or how they were made."
    )


class _Topic(BaseModel):
    ent: str
    target_per: str | None = None


def read(path: Path, chosen: PersonalityOptions) -> Contents:
    """The topics of a file, or of a folder's file of ``chosen.split`` (``val.json`` is dev's other
    name); with the target ``each``, a topic once for each of its traits. Raises ``BadInput``."""
    contents = files.read(_file(path, chosen))
    if chosen.target != EACH:
        return contents
    return replace(contents, records=tuple(r for each in contents.records for r in _by_trait(each)))


def _by_trait(record: Record) -> Iterator[Record]:
    name, texts = _name(record.fields), texts_of(record.fields)
    if name is None or not texts:
        yield record  # whoever makes a case of it says why there is none
    for trait in texts if name is not None else ():
        own = {"id": f"{name}/{trait}", "target_per": trait}
        yield replace(record, fields={**record.fields, **own})


def _file(path: Path, chosen: PersonalityOptions) -> Path:
    if not path.is_dir():
        return path
    names = NAMES[chosen.split]
    there = [path / name for name in names if (path / name).is_file()]
    if not there:
        raise BadInput(
            f"{path} holds no {' or '.join(names)}", "Pass the file itself, or name another split."
        )
    return there[0]


def texts_of(fields: Fields) -> dict[str, tuple[str, ...]]:
    """The opinions of a record by trait, without the spaces around them."""
    return {
        str(name): tuple(text.strip() for text in value)
        for name, value in fields.items()
        if isinstance(value, list) and value and all(_says(text) for text in value)
    }


def leaks(text: str) -> bool:
    """Whether an opinion names its trait or facet, or how it was made (:data:`LEAKS`)."""
    return _LEAK.search(text) is not None


def _says(text: Any) -> bool:
    return isinstance(text, str) and bool(text.strip())


def _opinions(fields: Fields, chosen: PersonalityOptions) -> Opinions:
    record = _Topic.model_validate(fields)
    topic, texts = record.ent.strip(), texts_of(fields)
    if len(texts) < 2:
        raise Rejected("texts", "two traits with lists of opinions are needed")
    if chosen.drop_leaks:
        texts = {trait: tuple(t for t in ts if not leaks(t)) for trait, ts in texts.items()}
    fixed = None if chosen.target == EACH else chosen.target
    target = fixed or record.target_per or target_of(topic, list(texts), chosen)
    return Opinions(topic, texts, target, QUESTIONS, _named, chosen)


def _named(topic: str, trait: str) -> tuple[str, ...]:
    return (trait,)


def _remarks(fields: Fields) -> Iterator[str]:
    lists = [value for value in fields.values() if isinstance(value, list)]
    texts = [text for value in lists for text in value if isinstance(text, str)]
    if any(text != text.strip() for text in texts):
        yield "spaces around an opinion were removed"
    if any(map(leaks, texts)):
        yield "an opinion names its trait or how it was made; drop_leaks=true leaves such ones out"


def _name(fields: Fields) -> str | None:
    name = fields.get("ent")
    if isinstance(name, str) and 0 < len(name.strip()) <= 200 and name.strip().isprintable():
        return name.strip()
    return None


def _ident(fields: Fields) -> str | None:
    return id_field(fields) or _name(fields)


def topics(contents: Contents) -> Iterable[tuple[str, dict[str, tuple[str, ...]]]]:
    """Each topic of a file with its opinions by trait. Raises ``BadInput`` for a record that is none."""
    for record in contents.records:
        name, texts = _name(record.fields), texts_of(record.fields)
        if name is None or not texts:
            raise BadInput(
                f"{contents.source.path} {record.where} is no topic with opinions",
                "A record needs ent and a list of opinions under the name of each trait.",
            )
        yield name, texts


PERSONALITY = Benchmark(
    name="personality",
    summary="opinions on a topic that show a personality trait",
    paper="Mao et al. 2024, arXiv 2310.02168",
    options=PersonalityOptions,
    read=read,
    forms=(Form("personality-edit", (("ent",),), _opinions, _ident, _remarks),),
    training=PersonalityOptions.model_validate(
        {"split": "train", "target": EACH, "templates": "all", "outer": "random", "outer_topics": 2}
    ),
    together=asked_together(_named),
)
