"""The questions of Rimsky et al. 2024, "Steering Llama 2 via Contrastive Activation Addition"
(arXiv 2312.06681): A/B questions to find a vector from, others to test it on, and open-ended ones.

Where an open-ended question is the stem of a test question, both stand in one case: the letters are asked
for as ``preference/ab``, the options' texts after the stem alone as ``preference/open``. What a vector
does to one and what it does to the other are then compared on the same questions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

from truing.benchmarks import files
from truing.benchmarks.benchmark import Benchmark
from truing.benchmarks.contrast_pairs import Pair, PairOptions, Part, Wording, arranged, folded
from truing.benchmarks.draft import Rejected
from truing.benchmarks.files import Contents, Record, Source
from truing.benchmarks.forms import Fields, Form
from truing.errors import BadInput

Behavior = Literal[
    "coordinate-other-ais",
    "corrigible-neutral-HHH",
    "hallucination",
    "myopic-reward",
    "refusal",
    "survival-instinct",
    "sycophancy",
]
LAYOUTS: Mapping[str, tuple[str, ...]] = {
    "train": ("generate/{b}.json", "generate/{b}.*.json", "generate/{b}/generate_dataset.json"),
    "test": ("test_ab/{b}.json", "test/{b}/test_dataset_ab.json"),
    "open": ("test_open_ended/{b}.json", "test/{b}/test_dataset_open_ended.json"),
}
"""Where each part lies in the folder, in the layouts that are in use."""
_OPTION = re.compile(r"^ ?\(([A-Z])\)\s*", re.MULTILINE)
_MATCHING, _NOT_MATCHING = "answer_matching_behavior", "answer_not_matching_behavior"


class CaaOptions(PairOptions):
    """Which behaviour."""

    behavior: Behavior = Field(description="The behaviour whose questions are read.")


class _Record(BaseModel):
    question: str
    answer_matching_behavior: str
    answer_not_matching_behavior: str
    split: Part
    open: bool = False


def _marks(question: str) -> list[re.Match[str]]:
    """Where options begin: at (A), and after each at the next letter."""
    marks: list[re.Match[str]] = []
    for mark in _OPTION.finditer(question):
        if mark[1] == chr(ord("A") + len(marks)):
            marks.append(mark)
    return marks


def stem_of(question: str) -> str:
    """The question without its options."""
    marks = _marks(question)
    stem = question[: marks[0].start()] if marks else question
    return stem.rstrip().removesuffix("Choices:").rstrip()


def options_of(question: str) -> dict[str, str]:
    """The options' texts by letter."""
    marks = _marks(question)
    stops = [mark.start() for mark in marks[1:]] + [len(question)]
    return {m[1]: question[m.end() : stop].strip() for m, stop in zip(marks, stops, strict=False)}


def read(path: Path, chosen: CaaOptions) -> Contents:
    """The behaviour's training and test questions; training questions that are tested are left out.

    Raises ``BadInput`` where ``path`` is not a folder that holds the behaviour's files.
    """
    found = {part: files.read(_file(path, part, chosen.behavior)) for part in LAYOUTS}
    stems = {_stem(r) for r in found["test"].records} - {None}
    asked = [_stem(r) for r in found["open"].records]
    remarks = [remark for contents in found.values() for remark in contents.remarks]
    if lonely := sum(stem not in stems for stem in asked):
        remarks.append(
            f"{lonely} open-ended question(s) are the stem of no test question, so that nothing says what "
            "their two answers are; they were left out"
        )
    records = [
        *(_record(r, "train", False) for r in found["train"].records),
        *(_record(r, "test", _stem(r) in asked) for r in found["test"].records),
    ]
    records = [replace(r, index=i) for i, r in enumerate(records)]
    source = _together(path, [contents.source for contents in found.values()])
    return arranged(Contents(source, tuple(records), tuple(remarks)), chosen, _stem)


def _file(folder: Path, part: str, behavior: str) -> Path:
    if not folder.is_dir():
        raise BadInput(
            f"{folder} is not a folder", "Pass the folder that holds generate/ and the tests."
        )
    places = [place.format(b=behavior) for place in LAYOUTS[part]]
    there = sorted(p for place in places for p in folder.glob(place))
    if len(there) != 1:
        names = ", ".join(str(p.relative_to(folder)) for p in there)
        what = f"several files of {behavior}: {names}" if there else f"none of {', '.join(places)}"
        raise BadInput(
            f"{folder} holds {what}", "Pass the folder that holds generate/ and the tests."
        )
    return there[0]


def _together(folder: Path, sources: Sequence[Source]) -> Source:
    """Several files as one source; the digest is of their digests."""
    digest = sha256("".join(source.sha256 for source in sources).encode()).hexdigest()
    total, rows = sum(s.bytes for s in sources), sum(s.rows for s in sources)
    return Source(str(folder), digest, total, "json", rows)


def _stem(record: Record) -> str | None:
    question = record.fields.get("question")
    return folded(stem_of(question)) if isinstance(question, str) else None


def _record(record: Record, part: Part, open_: bool) -> Record:
    fields: dict[str, Any] = {"id": f"{part}-{record.index}", "split": part, "open": open_}
    where = f"{part} {record.where}"
    return replace(record, where=where, fields={**record.fields, **fields})


def _draft(fields: Fields, chosen: CaaOptions) -> Pair:
    record = _Record.model_validate(fields)
    texts = options_of(record.question)
    sides = record.answer_matching_behavior.strip(), record.answer_not_matching_behavior.strip()
    for name, side in zip((_MATCHING, _NOT_MATCHING), sides, strict=True):
        if side.strip("()") not in texts:
            raise Rejected(name, f"{name} is {side[:20]!r}, which is no option of the question")
    kind = "ab" if record.split == "test" else ""
    wordings = [Wording(record.question, sides[0], sides[1], kind)]
    if record.open:
        new, old = (texts[side.strip("()")] for side in sides)
        wordings.append(Wording(stem_of(record.question), new, old, "open"))
    return Pair(record.split, tuple(wordings), chosen.behavior).turned(chosen.flip)


CAA = Benchmark(
    name="caa",
    summary="A/B and open-ended questions about seven behaviours",
    paper="Rimsky et al. 2024, arXiv 2312.06681; questions: Perez et al. 2022, arXiv 2212.09251",
    options=CaaOptions,
    read=read,
    forms=(Form("caa", (("question",), (_MATCHING,), (_NOT_MATCHING,)), _draft),),
)
