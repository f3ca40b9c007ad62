"""Every number that is shown is explained, and only like is averaged with like."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scored_rows import row

from truing.errors import BadInput
from truing.protocols.protocol import LIKELIHOOD, PROTOCOLS, SYNTHETIC, WILD
from truing.scoring.comparability import refuse_mixed
from truing.scoring.judge import JUDGES
from truing.scoring.metrics import GLOSSARY, metric_for
from truing.scoring.readings import READINGS, readings_for
from truing.types import Choice, Measure, Response, Value

MEASURE = Measure(
    "cell",
    "m",
    "rome",
    "world",
    "single",
    "immediate",
    1,
    WILD.id,
    "efficacy",
    "efficacy",
    "contains",
    Value(10, 0.5),
)


def test_every_entry_is_complete() -> None:
    for name, metric in GLOSSARY.items():
        assert metric.name == name
        for text in (
            metric.title,
            metric.definition,
            metric.formula,
            metric.denominator,
            metric.missing,
            metric.source,
        ):
            assert text.strip()


def test_whatever_can_be_shown_is_in_the_glossary() -> None:
    aspects = ("efficacy", "generalization", "locality", "portability/two-hop", "fluency", "moral")
    for judge in JUDGES:
        assert {metric_for(aspect, judge) for aspect in aspects} <= GLOSSARY.keys()
    assert set(READINGS) <= GLOSSARY.keys()
    assert all(READINGS[name].metric == name for name in READINGS)
    assert all(READINGS[name].bounded == (GLOSSARY[name].unit == "share") for name in READINGS)


def test_metrics_of_aspects() -> None:
    assert metric_for("portability/two-hop", "contains") == "portability"
    assert metric_for("efficacy", "token-match") == "efficacy"
    assert metric_for("fluency", "health") == "fluency"
    assert metric_for("moral", "letter") == "accuracy"


def test_which_readings_are_shown() -> None:
    def names(protocol: str, aspect: str) -> set[str]:
        asked = row(protocol=protocol, aspect=aspect)
        return {r.metric for r in readings_for(PROTOCOLS.get(protocol), asked)}

    assert "ngram-entropy" in names("wild", "fluency")
    assert "length-capped-rate" not in names("wild", "fluency")
    assert names("wild", "efficacy") == {
        "repetition-rate",
        "empty-rate",
        "fluent-rate",
        "length-capped-rate",
        "mean-length",
    }
    assert names("synthetic", "efficacy") == set()
    assert names("likelihood", "efficacy") == {"likelihood-margin"}


def test_readings() -> None:
    def read(name: str, response: Response) -> float | None:
        return READINGS[name].of(row(response=response))

    loop = Response("Rome Rome Rome Rome", (1, 1, 1, 1), stop="length")
    assert [
        read(n, loop)
        for n in ("repetition-rate", "empty-rate", "length-capped-rate", "mean-length")
    ] == [1, 0, 1, 4]
    assert read("ngram-entropy", loop) == 0.0
    assert read("distinct-2", loop) == pytest.approx(1 / 3)
    empty = Response("", (), stop="eos")
    assert [read(n, empty) for n in ("repetition-rate", "empty-rate", "mean-length")] == [0, 1, 0]
    assert read("ngram-entropy", empty) is None
    assert read("mean-length", Response("text of an API without ids")) is None
    chosen = Response(
        "", choices=(Choice("a", -1.0, 1), Choice("b", -3.5, 1), Choice("c", -3.0, 1))
    )
    assert read("likelihood-margin", chosen) == 2.0
    assert read("likelihood-margin", empty) is None
    assert READINGS["empty-rate"].of(row(None)) is None


def test_like_may_be_averaged_with_like() -> None:
    refuse_mixed([])
    refuse_mixed(
        [
            MEASURE,
            replace(MEASURE, method="memit", benchmark="zsre", model="n", aspect="portability"),
        ]
    )


@pytest.mark.parametrize(
    "change",
    [
        {"protocol": SYNTHETIC.id},
        {"protocol": LIKELIHOOD.id},
        {"judge": "exact-match"},
        {"metric": "portability"},
        {"moment": "final"},
        {"step": 100},
        {"compatibility": True},
        {"flags": ("nothing-changed",)},
    ],
)
def test_unlike_numbers_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(BadInput) as caught:
        refuse_mixed([MEASURE, replace(MEASURE, **change)])
    assert caught.value.next
