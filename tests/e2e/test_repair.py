"""Editing back: the answers return, the weights do not."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

pytest.importorskip("torch")

from truing.benchmarks.loading import load
from truing.inspection import weights
from truing.inspection.answers import Answers, ask, asks_of, compare, probes_of
from truing.inspection.weights import Weights
from truing.models.handle import Model
from truing.protocols.protocol import WILD
from truing.seeds import Seeds
from truing.types import Case
from truing.verbs import edit

CASES = 4
ABOUT = ("efficacy", "generalization")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return Model.load("truing/pocket", cache=tmp_path_factory.mktemp("cache"))


def looks(
    model: Model, case: Case, method: str, config: Mapping[str, object]
) -> tuple[Answers, Weights]:
    """What is asked about the edit, with and without it, and what it did to the weights."""
    probes = [p for p in probes_of([case], WILD, 50) if p.aspect.partition("/")[0] in ABOUT]
    asks = asks_of(model, probes, WILD)
    base = ask(model, asks)
    iv = edit(model, case.requests, method, config)
    with model.using(iv):
        now = ask(model, asks)
    return compare(probes, base, now, WILD, seeds=Seeds(0)), weights.compare(model.arch, iv)


@pytest.mark.parametrize("method", ["ft_m", "rome"])
def test_the_answers_come_back_and_the_weights_do_not(model: Model, method: str) -> None:
    changed = {"edit": 0.0, "repair": 0.0}
    asked = 0
    for case in load("world", limit=CASES).cases:
        told, before = looks(model, case, method, {})
        back, after = looks(model, case, method, {"repair": "base"})
        asked += told.changed.n
        changed["edit"] += (told.changed.mean or 0.0) * told.changed.n
        changed["repair"] += (back.changed.mean or 0.0) * back.changed.n
        [one], [other] = before.changed, after.changed
        assert one.names == other.names
        assert one.relative is not None
        assert other.relative is not None
        assert other.relative > one.relative / 2
    assert asked >= 2 * CASES
    assert changed["edit"] > asked / 4
    assert changed["repair"] < changed["edit"] / 2
