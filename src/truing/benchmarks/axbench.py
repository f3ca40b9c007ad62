"""AxBench (Wu et al. 2025, arXiv 2501.17148): concepts, texts to learn them from, and texts to detect.

A folder holds three files, with the same beginning of their names or none: ``train.parquet``,
``latent_eval.parquet`` and ``metadata.jsonl`` (``concept10_2b_l20_train.parquet``, ...). Texts with a
concept are its own; texts without any (``concept_id`` -1) are shared by all concepts of a genre.

As a benchmark a concept is one case: its requests are contrast pairs, its probes the user's
instructions, since those that the paper uses are not part of the data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError

from truing.benchmarks import files, parquet
from truing.benchmarks.benchmark import Benchmark, Options
from truing.benchmarks.draft import Notebook, Rules, check_text
from truing.benchmarks.files import Contents, Record, Source
from truing.benchmarks.forms import Fields, Form, complaint
from truing.errors import BadInput
from truing.seeds import Seeds
from truing.types import Case, EditRequest, Probe

Category = Literal["positive", "negative", "hard negative"]
SHARED = -1
"""The concept id of the texts without a concept."""
PER_CONCEPT = 10
"""How many instructions the paper steers on, per concept."""
TRAIN, EVALUATION, METADATA = "train.parquet", "latent_eval.parquet", "metadata.jsonl"
M = TypeVar("M", bound=BaseModel)
K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Text:
    """An answer and the question that it follows."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Concept:
    """A concept and its texts. ``train`` have it; of the evaluation's texts ``positive`` have it,
    ``negative`` have not, and ``hard`` have its words in another sense."""

    id: int
    text: str
    genre: str
    train: tuple[Text, ...]
    positive: tuple[Text, ...]
    negative: tuple[Text, ...]
    hard: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class AxBench:
    """Concepts, and by genre the texts without any of them, to train against."""

    concepts: tuple[Concept, ...]
    without: Mapping[str, tuple[Text, ...]]
    source: Source

    def against(self, concept: Concept, seed: int) -> tuple[Text, ...]:
        """One text without a concept, of the concept's genre, for each of its training texts, drawn
        by ``seed`` without replacement (over again where they are too few)."""
        pool = self.without[concept.genre]
        rng = Seeds(seed).child("axbench").child(str(concept.id)).random()
        return tuple(islice(cycle(rng.sample(pool, len(pool))), len(concept.train)))


class _Text(BaseModel):
    input: str
    output: str = Field(pattern=r"\S")
    concept_genre: str
    category: Category
    concept_id: int

    @property
    def text(self) -> Text:
        return Text(self.input, self.output.strip())


class _Concept(BaseModel):
    concept_id: int
    concept: str = Field(pattern=r"\S")
    concept_genres_map: dict[str, tuple[str, ...]]


def read(folder: Path, limit: int | None = None) -> AxBench:
    """The first ``limit`` concepts of the metadata (``None``: all) with their texts.

    Raises ``BadInput`` for a folder without the files, a record that is not as it should be, and a
    concept that has no training text, no positive or negative one to detect, or a genre without
    texts to train against.
    """
    paths = _files(folder)
    concepts = _records(paths[2], files.read(paths[2]).records, _Concept)[:limit]
    train, evaluation = (_records(path, parquet.read(path), _Text) for path in paths[:2])
    without = _grouped((row.concept_genre, row.text) for row in train if row.concept_id == SHARED)
    positive = _grouped((row.concept_id, row.text) for row in train if row.category == "positive")
    held = _grouped(((row.concept_id, row.category), row.text) for row in evaluation)
    found = []
    for each in concepts:
        genre = (each.concept_genres_map.get(each.concept) or ("",))[0]
        id, empty = each.concept_id, ()
        kinds: tuple[Category, ...] = ("positive", "negative", "hard negative")
        sides = [held.get((id, kind), empty) for kind in kinds]
        concept = Concept(id, each.concept, genre, positive.get(id, empty), *sides)
        _refuse_incomplete(concept, genre in without, folder)
        found.append(concept)
    return AxBench(tuple(found), without, _together(folder, paths))


def _refuse_incomplete(concept: Concept, has_without: bool, folder: Path) -> None:
    needs = {
        "training texts": bool(concept.train),
        "positive texts to detect": bool(concept.positive),
        "negative texts to detect": bool(concept.negative),
        f"texts of genre '{concept.genre}' without a concept": has_without,
    }
    for what, there in needs.items():
        if not there:
            raise BadInput(
                f"{folder}: concept {concept.id} ({concept.text[:40]!r}) has no {what}",
                "Use the files of one release together.",
            )


def _files(folder: Path) -> tuple[Path, Path, Path]:
    """Training texts, evaluation texts, metadata."""
    if not folder.is_dir():
        raise BadInput(f"{folder} is not a folder", f"Pass the folder that holds {TRAIN}.")
    there = sorted(folder.glob(f"*{TRAIN}"))
    if len(there) != 1:
        names = ", ".join(path.name for path in there)
        what = f"several training files: {names}" if there else f"no *{TRAIN}"
        raise BadInput(f"{folder} holds {what}", "Pass a folder with the files of one release.")
    begin = there[0].name.removesuffix(TRAIN)
    paths = there[0], folder / f"{begin}{EVALUATION}", folder / f"{begin}{METADATA}"
    for path in paths[1:]:
        if not path.is_file():
            raise BadInput(f"{path} does not exist", f"It belongs to {there[0].name}.")
    return paths


def _records(path: Path, records: Sequence[Record], kind: type[M]) -> list[M]:
    found = []
    for record in records:
        if record.trouble:
            raise BadInput(f"{path}, {record.where}: {record.trouble}", "Mend it there.")
        try:
            found.append(kind.model_validate(record.fields))
        except ValidationError as error:
            why = complaint(error)[1]
            raise BadInput(f"{path}, {record.where}: {why}", "Use a file as published.") from None
    return found


def _grouped(keyed: Iterable[tuple[K, Text]]) -> dict[K, tuple[Text, ...]]:
    found: dict[K, list[Text]] = {}
    for key, text in keyed:
        found.setdefault(key, []).append(text)
    return {key: tuple(texts) for key, texts in found.items()}


def _together(folder: Path, paths: Sequence[Path]) -> Source:
    """Three files as one source, of the metadata's format; the digest is of their bytes."""
    concepts = files.read(paths[2]).source
    raw = [path.read_bytes() for path in paths]
    digest = sha256("".join(sha256(each).hexdigest() for each in raw).encode()).hexdigest()
    return replace(concepts, path=str(folder), sha256=digest, bytes=sum(map(len, raw)))


def instructions_of(path: Path) -> tuple[str, ...]:
    """The different instructions of a file whose records have the field ``instruction`` (Alpaca-Eval's
    layout). Raises ``BadInput`` for a record without it."""
    found: dict[str, None] = {}
    for record in files.read(path).records:
        text = record.fields.get("instruction")
        if not isinstance(text, str) or not text.strip():
            why = record.trouble or "it has no text in 'instruction'"
            raise BadInput(f"{path}, {record.where}: {why}", "Give every record an 'instruction'.")
        found[text.strip()] = None
    return tuple(found)


def drawn(instructions: Sequence[str], concept: int, count: int, seed: int) -> tuple[str, ...]:
    """``count`` different instructions for a concept. Raises ``BadInput`` for more than there are."""
    if count > len(instructions):
        raise BadInput(
            f"{count} instructions per concept are wanted, and there are {len(instructions)}",
            "Give more instructions, or ask for fewer per concept.",
        )
    rng = Seeds(seed).child("instructions").child(str(concept)).random()
    return tuple(rng.sample(list(instructions), count))


class AxBenchOptions(Options):
    """Which concept, and what it is steered on."""

    concept: int | None = Field(None, description="Only the concept with this id.")
    instructions: str | None = Field(
        None, description="File of instructions to steer on: records with the field 'instruction'."
    )
    per_concept: int = Field(PER_CONCEPT, ge=1, description="Instructions drawn for each concept.")
    draw: int = Field(0, description="Another number draws other negatives and instructions.")


@dataclass(frozen=True, slots=True)
class _Draft:
    """A concept, its pairs, and what it is steered on."""

    concept: str
    genre: str
    pairs: tuple[tuple[str, str, str], ...]
    instructions: tuple[str, ...]

    def case(self, id: str, rules: Rules, notes: Notebook) -> Case:
        """Requests that promote the concept's texts, and probes that ask the instructions."""
        for text in (self.concept, *self.instructions, *(t for pair in self.pairs for t in pair)):
            check_text("text", text, rules.max_chars)
        tags = (f"concept:{self.concept}", f"genre:{self.genre}")
        requests = tuple(
            EditRequest(f"{id}/{i}", question, new, old, None, tags)
            for i, (question, new, old) in enumerate(self.pairs)
        )
        probes = tuple(
            Probe(f"{id}/concept/{i}", "concept", question, (self.concept,), group=f"concept {id}")
            for i, question in enumerate(self.instructions)
        )
        return Case(id, requests, probes, tags)


def _draft(fields: Fields, chosen: AxBenchOptions) -> _Draft:
    return _Draft(fields["concept"], fields["genre"], fields["pairs"], fields["instructions"])


def contents(path: Path, chosen: AxBenchOptions) -> Contents:
    """One record per concept. Raises ``BadInput`` as :func:`read` does."""
    bench = read(path)
    concepts = [c for c in bench.concepts if chosen.concept in (None, c.id)]
    if not concepts:
        raise BadInput(
            f"{path} has no concept {chosen.concept}",
            f"Its {len(bench.concepts)} concepts begin with {bench.concepts[0].id}.",
        )
    asked: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    if chosen.instructions is None:
        remarks = ("nothing is asked: the data has no instructions (option instructions)",)
    else:
        asked = instructions_of(Path(chosen.instructions).expanduser())
    records = []
    for i, concept in enumerate(concepts):
        against = bench.against(concept, chosen.draw)
        fields: dict[str, Any] = {
            "id": str(concept.id),
            "concept": concept.text,
            "genre": concept.genre,
            "pairs": tuple(
                (new.question, new.answer, old.answer)
                for new, old in zip(concept.train, against, strict=True)
            ),
            "instructions": drawn(asked, concept.id, chosen.per_concept, chosen.draw)
            if asked
            else (),
        }
        records.append(Record(i, f"concept {concept.id}", fields))
    return Contents(bench.source, tuple(records), remarks)


AXBENCH = Benchmark(
    name="axbench",
    summary="concepts to steer towards, learnt from texts with and without them",
    paper="Wu et al. 2025, arXiv 2501.17148",
    options=AxBenchOptions,
    read=contents,
    forms=(Form("axbench", (("concept",), ("pairs",), ("instructions",)), _draft),),
)
