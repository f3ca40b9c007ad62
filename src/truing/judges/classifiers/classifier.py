"""A calibrated classifier and its folder: ``classifier.json`` and the files of its backend."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from truing.errors import BadInput
from truing.headers import HeaderFile
from truing.judges.classifiers.examples import Example
from truing.judges.classifiers.measures import Evaluation, Floats, Ints, evaluate, tempered

FORMAT = "truing-classifier"
VERSION = 1
CARD = "classifier.json"


class Backend(Protocol):
    """What tells labels of texts."""

    @property
    def labels(self) -> tuple[str, ...]: ...

    def predict(self, texts: Sequence[str]) -> Floats:
        """Probabilities float64 (texts, labels); rows sum to 1."""

    def save(self, folder: Path) -> None: ...


class Card(BaseModel):
    """``classifier.json``: everything that is known of a classifier but its numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["truing-classifier"] = "truing-classifier"
    version: Literal[1] = 1
    backend: Literal["tfidf", "encoder"]
    labels: tuple[str, ...] = Field(min_length=2)
    temperature: float = Field(gt=0, description="fitted on the dev texts")
    settings: dict[str, Any] = Field(description="of the training, all resolved")
    data: dict[str, Any] = Field(
        default={}, description="counts and hashes of the texts of each part"
    )
    metrics: dict[str, Any] = Field(
        default={}, description="on dev and test texts, before and after"
    )
    versions: dict[str, str] = {}
    sha256: dict[str, str] = Field(default={}, description="of the other files")


@dataclass(frozen=True)
class Classifier:
    """``backend`` with its probabilities calibrated as ``card`` says."""

    backend: Backend
    card: Card

    @property
    def labels(self) -> tuple[str, ...]:
        return self.card.labels

    def predict(self, texts: Sequence[str]) -> Floats:
        """Calibrated probabilities float64 (texts, labels); rows sum to 1."""
        raw_N_K = self.backend.predict(texts)
        return tempered(raw_N_K, self.card.temperature) if len(texts) else raw_N_K

    def evaluate(self, examples: Sequence[Example]) -> Evaluation:
        """Measure on texts that it did not learn from. Raises ``BadInput`` for labels it lacks."""
        true_N = columns_of(examples, self.labels)
        return evaluate(self.predict([e.text for e in examples]), true_N, self.labels)

    @property
    def digest(self) -> str:
        """SHA-256 of what decides its predictions: files, labels, temperature."""
        decides = [self.card.sha256, self.card.labels, self.card.temperature]
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()

    def save(self, folder: Path) -> Classifier:
        """Write everything; the card, with the hashes of all other files, comes last. Gives back the
        classifier as :func:`load` would. Raises ``BadInput`` where the folder is taken."""
        refuse_taken(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.backend.save(folder)
            card = self.card.model_copy(update={"sha256": _hashes(folder)})
            text = card.model_dump_json(indent=1) + "\n"
            (folder / CARD).write_text(text, "utf-8")
        except OSError as error:
            raise BadInput(
                f"cannot write the classifier into '{folder}': {error.strerror}",
                "Choose a folder that can be written.",
            ) from None
        return Classifier(self.backend, Card.model_validate_json(text))


def load(folder: Path) -> Classifier:
    """A saved classifier. Raises ``CannotLoad`` for what is missing, damaged or newer."""
    card = _CARDS.read(folder)
    for name, wanted in card.sha256.items():
        try:
            found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        except OSError as error:
            raise _CARDS.damaged(folder, f"{name}: {error.strerror}") from None
        if found != wanted:
            raise _CARDS.damaged(folder, f"{name} is not the file that was saved (sha256 differs)")
    if card.backend == "tfidf":
        from truing.judges.classifiers.tfidf import TfidfBackend

        return Classifier(TfidfBackend.load(folder, card.labels), card)
    from truing.judges.classifiers.encoder import EncoderBackend

    max_tokens = card.settings.get("max_tokens")
    if not isinstance(max_tokens, int):
        raise _CARDS.damaged(folder, f"{CARD}: settings.max_tokens is no number")
    return Classifier(EncoderBackend.load(folder, card.labels, max_tokens), card)


def refuse_taken(folder: Path) -> None:
    """Raise ``BadInput`` where ``folder`` holds something."""
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise BadInput(f"'{folder}' is not empty", "Give a new folder.")


def columns_of(examples: Sequence[Example], labels: Sequence[str]) -> Ints:
    """The column of each example's label. Raises ``BadInput`` for no examples or other labels."""
    unknown = sorted({example.label for example in examples} - set(labels))
    if unknown or not examples:
        raise BadInput(
            f"the classifier does not know the label '{unknown[0]}'" if unknown else "no texts",
            f"It knows: {', '.join(labels)}.",
        )
    return np.array([labels.index(example.label) for example in examples], np.int64)


def _hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != CARD
    }


_CARDS = HeaderFile(
    CARD,
    FORMAT,
    VERSION,
    "classifier",
    "truing classifier train",
    "FILE --out FOLDER",
    TypeAdapter(Card),
)
