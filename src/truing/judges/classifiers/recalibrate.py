"""A trained classifier with its probabilities calibrated on other texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from truing.judges.classifiers.classifier import Classifier, columns_of
from truing.judges.classifiers.examples import Example, digest
from truing.judges.classifiers.measures import evaluate, fit_temperature, tempered

PART = "calibration"
"""The name of these texts in the card."""


def recalibrated(learned: Classifier, examples: Sequence[Example]) -> Classifier:
    """The same labels for every text, at the temperature with the least log loss on ``examples`` (Guo et
    al. 2017, "On Calibration of Modern Neural Networks", section 4.2).

    The card tells these texts beside those of the training; measures at the earlier temperature are no
    longer true and left out. Raises ``BadInput`` for labels that it lacks.
    """
    true_N = columns_of(examples, learned.labels)
    raw_N_K = learned.backend.predict([example.text for example in examples])
    temperature = fit_temperature(raw_N_K, true_N)
    before = evaluate(tempered(raw_N_K, learned.card.temperature), true_N, learned.labels)
    after = evaluate(tempered(raw_N_K, temperature), true_N, learned.labels)
    card = learned.card.model_copy(
        update={
            "temperature": temperature,
            "data": {**learned.card.data, PART: {"n": len(examples), "sha256": digest(examples)}},
            "metrics": {
                PART: {
                    **asdict(after),
                    "uncalibrated": {"log_loss": before.log_loss, "ece": before.ece},
                }
            },
        }
    )
    return Classifier(learned.backend, card)
