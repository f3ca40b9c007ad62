"""Texts about targets, from a file of the user's: what a model that believes an edit would write like."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ValidationError

from truing.benchmarks import files
from truing.benchmarks.forms import complaint
from truing.errors import BadInput
from truing.runs.data_again import load_again
from truing.scoring.term_weights import TermWeights
from truing.types import EditRequest

RELATION, TARGET_ID = "relation:", "target-id:"


class Target(NamedTuple):
    """What an edit makes true of its subject: a relation (``""``: any) and the id or the name, in lower
    case, of an object."""

    relation: str
    object: str


@dataclass(frozen=True, slots=True)
class References:
    """All texts about each target, joined, and the weights of words in all texts of the file."""

    texts: Mapping[Target, str]
    weights: TermWeights

    def about(self, request: EditRequest) -> Target | None:
        """The request's target as the file knows it: by relation and id, by relation and name, or by
        name alone."""
        relation, ident = (_tag(request, name) for name in (RELATION, TARGET_ID))
        name = request.target_new.casefold()
        wanted = (Target(relation, ident), Target(relation, name), Target("", name))
        return next((t for t in wanted if t.object and t in self.texts), None)


def said_of(request: EditRequest) -> str:
    """The request's target as an entry of a file would name it."""
    relation = _tag(request, RELATION)
    of = f"relation_id {relation!r}" if relation else "no relation_id"
    return f"{of}, target {request.target_new!r}"


class _Sample(BaseModel):
    text: str


class _Entry(BaseModel):
    relation_id: str | None = None
    target_id: str | None = None
    target: str | None = None
    texts: list[str] = []
    samples: list[_Sample] = []

    def all_texts(self) -> Iterator[str]:
        yield from self.texts
        yield from (sample.text for sample in self.samples)


def read_references(path: Path) -> References:
    """Records ``{relation_id?, target, texts}``, or ``{relation_id, target_id, samples}`` as in the
    published ``attribute_snippets.json``. Raises ``BadInput`` for a file or record that is neither."""
    joined: dict[Target, list[str]] = {}
    every: list[str] = []
    for record in files.read(path).records:
        if record.trouble:
            raise BadInput(f"{path}, {record.where}: {record.trouble}", "Mend it.")
        try:
            entry = _Entry.model_validate(record.fields)
        except ValidationError as error:
            raise BadInput(f"{path}, {record.where}: {complaint(error)[1]}", "Mend it.") from None
        names = [entry.target_id, entry.target.casefold() if entry.target else None]
        texts = list(entry.all_texts())
        if not any(names) or not texts:
            raise BadInput(
                f"{path}, {record.where}: no {'texts' if any(names) else 'target'}",
                "Give {target, texts: [...]}, or {relation_id, target_id, samples: [{text}]}.",
            )
        every += texts
        for name in filter(None, names):
            joined.setdefault(Target(entry.relation_id or "", name), []).extend(texts)
    texts_of = {target: " ".join(texts) for target, texts in joined.items()}
    return References(texts_of, TermWeights.of(every))


def requests_of(folder: Path, label: str) -> dict[str, EditRequest]:
    """The edit of every case of a benchmark of the run, by the benchmark's label; cases with several
    edits left out. Raises ``BadInput`` where the data have moved or are not what they were."""
    loaded = load_again(folder, label)
    return {case.id: case.requests[0] for case in loaded.cases if len(case.requests) == 1}


def _tag(request: EditRequest, name: str) -> str:
    return next((tag.removeprefix(name) for tag in request.tags if tag.startswith(name)), "")
