"""The search for settings: what it tries, when it ends, what it chooses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from truing.errors import NotPossible
from truing.methods.method import METHODS
from truing.runs.tuning import Config, Search, Try, best, harmonic, label_of

OWN = {"layer": 0, "lr": 0.5, "clamp": 4.0}


def hill(layer: int, lr: float) -> Any:
    """A landscape whose top is at ``layer`` and ``lr``."""

    def value(resolved: Mapping[str, Any]) -> float:
        distance = abs(resolved["layer"] - layer) + abs(math.log10(resolved["lr"] / lr))
        return float(math.exp(-distance))

    return value


class Tried:
    """A measure that remembers what it was asked."""

    def __init__(self, value: Any) -> None:
        self.value, self.asked = value, list[Config]()

    def __call__(self, configs: Sequence[Config]) -> list[Try]:
        self.asked += configs
        found = []
        for config in configs:
            resolved = {**OWN, **config}
            found.append(Try(config, {"efficacy": self.value(resolved)}, resolved))
        return found


def search(measure: Any, tries: int, effects: Sequence[float] | None = None) -> list[Try]:
    return Search(METHODS.get("rome"), 8, tries, effects, measure).run()


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 7), st.floats(0.01, 50), st.integers(1, 30))
def test_a_search_keeps_to_its_tries_repeats_nothing_and_never_gets_worse(
    layer: int, lr: float, tries: int
) -> None:
    measure = Tried(hill(layer, lr))
    tried = search(measure, tries)
    labels = [label_of(config) for config in measure.asked]
    assert len(labels) == len(set(labels)) == len(tried) <= tries
    assert labels[0] == "default"
    score = best(tried).score
    assert score is not None
    assert score >= (tried[0].score or 0)


def test_the_top_is_found() -> None:
    found = best(search(Tried(hill(5, 4.5)), 30))
    assert found.resolved["layer"] == 5
    assert found.resolved["lr"] == 4.5


def test_tracing_says_which_layers_come_first() -> None:
    measure = Tried(hill(0, 0.5))
    search(measure, 5, effects=[0, 0.1, 0.9, 0.3, 0, 0, 0, 0])
    assert measure.asked[1:3] == [{"layer": 2}, {"layer": 3}]


def test_the_default_stays_where_nothing_is_better() -> None:
    assert best(search(Tried(lambda resolved: 0.5), 12)).config == {}


def test_values_that_the_method_refuses_are_not_tried() -> None:
    def flat(configs: Sequence[Config]) -> list[Try]:
        own = {"threshold": 0.6}
        return [Try(c, {"efficacy": 0.5}, {**own, **c}) for c in configs]

    tried = Search(METHODS.get("serac_in_context"), 4, 9, None, flat).run()
    assert [t.config for t in tried] == [{}, {"threshold": 0.2}, {"threshold": 0.06}]


def test_settings_that_change_nothing_are_not_tried() -> None:
    def flat(configs: Sequence[Config]) -> list[Try]:
        own = {"layers": (2,), "strength": 0.5}
        return [Try(c, {"preference": 0.5}, {**own, **c}) for c in configs]

    tried = Search(METHODS.get("caa"), 5, 9, None, flat, ("strength",)).run()
    assert [t.config for t in tried] == [{}, *({"layers": (at,)} for at in (0, 1, 3, 4))]


def test_a_missing_goal_is_no_score_and_a_failed_goal_is_zero() -> None:
    assert harmonic([0.5, None]) is None
    assert harmonic([]) is None
    assert harmonic([0.0, 1.0]) == 0.0
    assert harmonic([0.5, 1.0]) == pytest.approx(2 / 3)
    assert best([Try({}, {"efficacy": None}, {}), Try({"lr": 1}, {"efficacy": 0.0}, {})]).config


def test_a_method_without_strength_is_refused() -> None:
    with pytest.raises(NotPossible, match="nothing to tune"):
        Search(METHODS.get("ice"), 4, 5, None, Tried(hill(0, 1))).run()


@pytest.mark.parametrize("name", sorted(METHODS))
def test_what_a_method_is_tuned_by_are_settings_of_its(name: str) -> None:
    method = METHODS.get(name)
    assert set(method.tunes) <= set(method.config.model_fields)
