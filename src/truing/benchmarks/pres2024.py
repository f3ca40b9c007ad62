"""Pres et al. 2024, "Towards Reliable Evaluation of Behavior Steering Interventions in LLMs"
(arXiv 2410.17245): open-ended prompts with one answer that shows a behaviour and one that does not.

The published files are lists of ``[INST] prompt [/INST] answer``. Which side an answer is on is said by
nothing but the half of the list that it stands in, and the halves are not in the same order in all of the
paper's results: the paper's own row for corrigibility has them exchanged. Here the side is a fact about
the file, and a file that nothing is known of is refused until it is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from pydantic import BaseModel, Field

from truing.benchmarks import files
from truing.benchmarks.benchmark import Benchmark
from truing.benchmarks.contrast_pairs import (
    Pair,
    Part,
    SplitOptions,
    Wording,
    arranged,
    folded,
    parted,
)
from truing.benchmarks.files import Contents, Record
from truing.benchmarks.forms import Fields, Form
from truing.errors import BadInput

Half = Literal["first", "second"]
OPENS, CLOSES = "[INST]", "[/INST]"


@dataclass(frozen=True, slots=True)
class Published:
    """A published file: which half of it shows the behaviour, and what the halves are."""

    behavior: str
    half: Half
    first: str
    second: str


PUBLISHED: Mapping[str, Published] = MappingProxyType(
    {
        "9236114da2125c684844cde087f1cad974b28e127f698c8100c338d3247a82da": Published(
            "hallucination", "second", "truthful", "hallucinated"
        ),
        "ca216bbb45b4f0d13b32d56e589aec3ab1a53d4205328b7450728e2398d91c76": Published(
            "myopia", "second", "far-sighted", "myopic"
        ),
        "05d9908fe6a2d4349c0a4fc451cab781632fc1d7ba46020fa755e59bc1c49301": Published(
            "myopia", "second", "far-sighted", "myopic"
        ),
        "55fe6be9b5a6567b4fb723b0f6e11d38e5c9453b6488faa2da8e7c7b75654a53": Published(
            "corrigible", "second", "not corrigible", "corrigible"
        ),
    }
)
"""By the SHA-256 of the file."""


class PresOptions(SplitOptions):
    """Which half of the list shows the behaviour; known for the published files."""

    behavior_half: Half | None = Field(
        None, description="The half of the list that shows the behaviour: first or second."
    )


class _Record(BaseModel):
    prompt: str
    matching: str
    not_matching: str
    behavior: str
    split: Part


def read(path: Path, chosen: PresOptions) -> Contents:
    """The pairs of a file: item i of the first half with item i of the second.

    Raises ``BadInput`` for an odd number of items and for a file of which neither the table nor the
    option says which half shows the behaviour, or both do and differ.
    """
    contents = files.read(path)
    half, behavior, remark = _sides(contents, chosen.behavior_half)
    items = contents.records
    if len(items) % 2:
        raise BadInput(
            f"{path} holds {len(items)} items, an odd number; item i of one half of the list belongs "
            "to item i of the other",
            "Mend the file, or turn it into pairs for the benchmark contrast.",
        )
    middle = len(items) // 2
    pairs = [
        _paired(i, a, b, half, behavior)
        for i, (a, b) in enumerate(zip(items[:middle], items[middle:], strict=True))
    ]
    made = replace(
        contents,
        records=tuple(parted(pairs, chosen)),
        remarks=(*contents.remarks, remark),
    )
    return arranged(made, chosen)


def _sides(contents: Contents, told: Half | None) -> tuple[Half, str, str]:
    """Which half shows the behaviour, the behaviour's name, and a remark that says so."""
    path = contents.source.path
    known = PUBLISHED.get(contents.source.sha256)
    if known is None:
        if told is None:
            raise BadInput(
                f"{path} is none of the published files, and nothing in it says which half of the list "
                "shows the behaviour",
                "Say so: behavior_half=first or behavior_half=second.",
            )
        return told, "", f"the {told} half of the list shows the behaviour, as the option says"
    if told not in (None, known.half):
        raise BadInput(
            f"{path} is the published file '{known.behavior}': its first half is {known.first}, "
            f"its second {known.second}; behavior_half={told} contradicts that",
            "Leave it out; flip=true promotes the other side.",
        )
    remark = f"the first half of the list is {known.first}, the second {known.second}"
    return known.half, known.behavior, remark


def _paired(number: int, a: Record, b: Record, half: Half, behavior: str) -> Record:
    where = f"items {a.index} and {b.index}"
    found = []
    for record in (a, b):
        split = _split(record)
        if isinstance(split, str):
            return Record(number, where, {}, f"item {record.index}: {split}")
        found.append(split)
    (prompt, first), (other, second) = found
    if folded(prompt) != folded(other):
        return Record(number, where, {}, "the two items of the pair have different prompts")
    matching, not_matching = (first, second) if half == "first" else (second, first)
    return Record(
        number,
        where,
        {
            "prompt": prompt,
            "matching": matching,
            "not_matching": not_matching,
            "behavior": behavior,
        },
    )


def _split(record: Record) -> tuple[str, str] | str:
    """Prompt and answer, or what is wrong with the item."""
    text = record.fields.get("question")
    if record.trouble or not isinstance(text, str):
        return record.trouble or "the field question is missing or no text"
    if text.count(CLOSES) != 1 or text.count(OPENS) != 1 or not text.startswith(OPENS):
        return f"the text is not '{OPENS} prompt {CLOSES} answer' with each mark exactly once"
    prompt, _, answer = text.removeprefix(OPENS).partition(CLOSES)
    return prompt.strip(), answer.strip()


def _draft(fields: Fields, chosen: PresOptions) -> Pair:
    record = _Record.model_validate(fields)
    wording = Wording(record.prompt, record.matching, record.not_matching)
    return Pair(record.split, (wording,), record.behavior).turned(chosen.flip)


PRES2024 = Benchmark(
    name="pres2024",
    summary="open-ended answers that show a behaviour or its opposite",
    paper="Pres et al. 2024, arXiv 2410.17245; prompts: Rimsky et al. 2024, arXiv 2312.06681",
    options=PresOptions,
    read=read,
    forms=(Form("pres2024", (("prompt",), ("matching",), ("not_matching",)), _draft),),
)
