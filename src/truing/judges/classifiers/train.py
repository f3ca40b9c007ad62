"""Learning a classifier: fit on the training texts, calibrate on dev, measure on dev and test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from truing import __version__
from truing.judges.classifiers import tfidf
from truing.judges.classifiers.classifier import Backend, Card, Classifier, columns_of
from truing.judges.classifiers.examples import Example, Split, digest
from truing.judges.classifiers.measures import evaluate, fit_temperature, tempered

if TYPE_CHECKING:
    from truing.judges.classifiers.encoder import EncoderSettings, Watch


def train_tfidf(split: Split, settings: tfidf.TfidfSettings) -> Classifier:
    """A calibrated :mod:`tfidf <truing.judges.classifiers.tfidf>` classifier."""
    backend = tfidf.fit(split.train, settings)
    return _finished(backend, "tfidf", split, asdict(settings), ("scikit-learn", "numpy"))


def train_encoder(
    split: Split, settings: EncoderSettings, watch: Watch = lambda done, total: None
) -> Classifier:
    """A calibrated :mod:`encoder <truing.judges.classifiers.encoder>` classifier."""
    from truing.judges.classifiers import encoder

    backend = encoder.fit(split.train, split.dev, settings, watch)
    return _finished(backend, "encoder", split, asdict(settings), ("torch", "transformers"))


def _finished(
    backend: Backend, kind: Any, split: Split, settings: dict[str, Any], packages: Sequence[str]
) -> Classifier:
    parts = {"train": split.train, "dev": split.dev, "test": split.test}
    raw = backend.predict([example.text for example in split.dev])
    temperature = fit_temperature(raw, columns_of(split.dev, backend.labels))
    card = Card(
        backend=kind,
        labels=backend.labels,
        temperature=temperature,
        settings=settings,
        data={name: {"n": len(part), "sha256": digest(part)} for name, part in parts.items()},
        metrics={
            name: _measured(backend, parts[name], temperature)
            for name in ("dev", "test")
            if parts[name]
        },
        versions={"truing": __version__, **{name: version(name) for name in packages}},
    )
    return Classifier(backend, card)


def _measured(backend: Backend, examples: Sequence[Example], temperature: float) -> dict[str, Any]:
    """The evaluation after calibration, and what calibration changes as it was before."""
    raw, true = backend.predict([e.text for e in examples]), columns_of(examples, backend.labels)
    before = evaluate(raw, true, backend.labels)
    after = evaluate(tempered(raw, temperature), true, backend.labels)
    return {**asdict(after), "uncalibrated": {"log_loss": before.log_loss, "ece": before.ece}}
