"""Where the records of HalluEditBench lie, and in which order they are taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any

from truing.benchmarks import files
from truing.benchmarks.files import Contents, Record, Source
from truing.errors import BadInput

TOPICS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "art": ("sculpture",),
        "business": ("brand", "corporation", "industry"),
        "entertainment": ("anime", "music_genre", "song"),
        "event": ("film", "history", "sport"),
        "geography": ("forest", "glacier", "volcano"),
        "health": ("disease", "medication", "symptom"),
        "human": ("athlete", "entrepreneur", "scientist", "writer"),
        "places": ("city", "country", "landmark"),
        "technology": ("database", "programming_language", "software"),
    }
)
"""The 26 topics by domain. A file's name is the domain and the topic."""
PLACES = ("questions/hallucination_final", "data/questions/hallucination_final", ".")
"""Where the folders of the models lie in the data folder, in the layouts that are in use."""


def topics_of(name: str) -> list[str]:
    """A topic, or all topics of a domain."""
    every = [f"{domain}_{topic}" for domain, topics in TOPICS.items() for topic in topics]
    found = [topic for topic in every if topic == name or topic.partition("_")[0] == name]
    if not found:
        raise ValueError(f"'{name}' is no topic and no domain ({', '.join(TOPICS)})")
    return found


def read(path: Path, model: str, chosen: Sequence[str]) -> Contents:
    """The records of the chosen topics, the first of each topic before the second of any.

    Raises ``BadInput`` where ``path`` is not a folder with the model's files, or lacks a chosen topic.
    """
    folder = _folder(path, model)
    every = [topic for domain in TOPICS for topic in topics_of(domain)]
    there = [topic for topic in every if (folder / f"{topic}.csv").is_file()]
    lacking = [topic for topic in chosen or every if topic not in there]
    if not there or (chosen and lacking):
        raise BadInput(
            f"{folder} holds no {' and no '.join(f'{t}.csv' for t in lacking[:3])}",
            f"It holds the topics {', '.join(there)}." if there else "Pass the published folder.",
        )
    remarks = (
        [f"{len(lacking)} of 26 topics are not there: {', '.join(lacking)}"] if lacking else []
    )
    records: list[Record] = []
    sources: list[Source] = []
    for topic in chosen or there:
        contents = files.read(folder / f"{topic}.csv")
        shared = _subjects_of_objects(contents.records, path / "triplet" / f"{topic}.csv")
        records += [_placed(record, topic, model, shared) for record in contents.records]
        sources.append(contents.source)
        remarks += [f"{topic}: {remark}" for remark in contents.remarks]
    balanced = sorted(records, key=lambda record: record.index)
    numbered = tuple(replace(record, index=i) for i, record in enumerate(balanced))
    digest = sha256("".join(source.sha256 for source in sources).encode()).hexdigest()
    size = sum(source.bytes for source in sources)
    return Contents(
        Source(str(folder), digest, size, "csv", len(numbered)), numbered, tuple(remarks)
    )


def _folder(path: Path, model: str) -> Path:
    for place in PLACES:
        if (path / place / model).is_dir():
            return path / place / model
    known = sorted(
        child.name
        for place in PLACES[:2]
        if (path / place).is_dir()
        for child in (path / place).iterdir()
        if child.is_dir()
    )
    raise BadInput(
        f"{path} holds no folder {model}",
        f"Set the option model: {', '.join(known)}." if known else "Pass the published folder.",
    )


def _subjects_of_objects(records: Iterable[Record], triplets: Path) -> Counter[tuple[str, str]]:
    """How many subjects the data knows for each relation and object."""
    found = {
        tuple(str(record.fields.get(name, "")) for name in ("subject", "relation", "object"))
        for record in records
    }
    if triplets.is_file():
        names = ("subjectLabel", "relation", "objectLabel")
        found |= {
            tuple(str(record.fields.get(name, "")) for name in names)
            for record in files.read(triplets).records
        }
    return Counter((relation, object) for _, relation, object in found)


def _placed(
    record: Record, topic: str, model: str, shared: Mapping[tuple[str, str], int]
) -> Record:
    fields = record.fields
    fact = str(fields.get("relation", "")), str(fields.get("object", ""))
    more: dict[str, Any] = {"id": f"{topic}/{record.index}", "subjects_of_object": shared[fact]}
    if f"output_{model}" in fields:
        more["output"] = fields[f"output_{model}"]
    return replace(record, where=f"{topic}.csv {record.where}", fields={**fields, **more})
