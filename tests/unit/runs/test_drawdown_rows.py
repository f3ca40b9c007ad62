"""Drawdown from the probe to the measure: single edits, chains, and edits that fail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from asking import dense, low_rank, under
from toy_runs import toy_model
from truing.interventions.intervention import Intervention, PromptPrefix
from truing.models.handle import Model
from truing.protocols.protocol import DRAWDOWN, parse
from truing.runs.capability import Protocols
from truing.runs.execute import execute
from truing.runs.keys import Keys
from truing.runs.making import Failed
from truing.runs.measuring import Measuring
from truing.runs.noise import noise_rows
from truing.runs.plan import parse as parse_plan
from truing.runs.schedule import Sheet
from truing.runs.store import read_rows
from truing.runs.summary import load_or_summarise
from truing.scoring.judge import judge_row
from truing.scoring.readings import readings_for
from truing.seeds import Seeds
from truing.types import Case, Probe, Response, Row

PROBES = (
    Probe("told", "efficacy", "The Glass Spire is in the city of", ("Orvale",)),
    Probe("dd/1", "drawdown", "Where is the Tin Gate?", reference="It is in Rome, I am told."),
    Probe("dd/2", "drawdown", "What is the mother tongue of Mara?", reference="French."),
    Probe("own", "drawdown", "The Tin Gate is in the city of"),
    Probe("near", "locality", "The Tin Gate is in the city of", reference="Paris"),
)
SHEETS = [Sheet(Case(f"c{i}", (), PROBES), "final", 1, "") for i in range(2)]


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return toy_model(cache=tmp_path)


def measuring(model: Model, *protocols: str) -> Measuring:
    chosen = tuple(map(parse, protocols or ("drawdown", "synthetic")))
    return Measuring(model, "cell", Keys("x"), Protocols(chosen, {}), Seeds(0))


def drawdowns(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.aspect == "drawdown"]


def read(row: Row) -> float | None:
    [reading] = readings_for(parse(row.protocol), row)
    return reading.of(row)


def test_every_probe_is_asked_under_the_protocols_made_for_it(model: Model) -> None:
    made = measuring(model, "drawdown", "synthetic", "wild", "likelihood")
    asked = {(row.probe, row.protocol) for row in made.rows(SHEETS[:1], [Intervention()])}
    under_kl = {probe for probe, protocol in asked if protocol == DRAWDOWN.id}
    assert under_kl == {"dd/1", "dd/2", "own"}
    assert all(protocol == DRAWDOWN.id for probe, protocol in asked if probe in under_kl)
    assert {probe for probe, _ in asked} == {probe.id for probe in PROBES}


def test_without_an_edit_drawdown_is_exactly_zero(model: Model) -> None:
    for row in drawdowns(measuring(model).rows(SHEETS, [Intervention()] * 2)):
        if row.response is None:  # the toy may have no words of its own
            assert row.probe == "own"
            continue
        assert row.response == row.base
        assert read(row) == 0.0
        [verdict] = judge_row(row, DRAWDOWN)
        assert (verdict.judge, verdict.score) == ("kl", 1.0)


@pytest.mark.parametrize("kind", ["dense", "low-rank", "told", "dense and told"])
def test_a_chain_reads_what_single_edits_read(model: Model, kind: str) -> None:
    told = PromptPrefix("New fact: the eagle flies over St. Louis. ")
    heavy = dense(model.arch.down(1), 3, size=0.5)
    total = {
        "dense": under(heavy),
        "low-rank": under(low_rank(model.arch.down(1), 3, size=0.5)),
        "told": under(told),
        "dense and told": under(told, heavy),
    }[kind]
    apart = {row.key: row for row in measuring(model).rows(SHEETS, [total] * 2)}
    chained = measuring(model).rows_under(SHEETS, total)
    assert {row.key for row in chained} == set(apart)
    for row in chained:
        other = apart[row.key]
        assert (row.prompt, row.probe, row.error) == (other.prompt, other.probe, other.error)
        if row.response is None or other.response is None:
            continue
        assert row.response.logprobs == pytest.approx(other.response.logprobs, abs=1e-4)
        assert row.response.divergences == pytest.approx(
            other.response.divergences, rel=1e-3, abs=1e-5
        )
        if row.aspect == "drawdown":
            assert row.base is not None
            assert row.response.token_ids == row.base.token_ids
            assert (read(row) or 0.0) > 1e-4
            assert row.seconds is not None
        else:
            assert row.response.divergences == ()
    assert not model.in_force


def test_a_failed_edit_is_a_row_that_says_so(model: Model) -> None:
    change = under(low_rank(model.arch.down(1), 3))
    rows = drawdowns(measuring(model).rows(SHEETS, [Failed("it broke"), change]))
    for row in rows:
        if row.case == "c0" and row.base is not None:
            assert (row.response, row.error) == (None, "it broke")
            assert read(row) is None
            [verdict] = judge_row(row, DRAWDOWN)
            assert (verdict.state, verdict.score) == ("invalid", None)
    assert any(read(row) for row in rows if row.case == "c1")


def test_weights_that_are_damaged_are_no_answer(model: Model) -> None:
    part = low_rank(model.arch.down(1), 3)
    part.delta.left[0, 0] = float("nan")  # type: ignore[union-attr]
    row = drawdowns(measuring(model).rows(SHEETS[:1], [under(part)]))[0]
    assert row.response is None
    assert "not finite" in str(row.error)


def test_a_text_that_is_too_long_spares_the_others(model: Model) -> None:
    long = replace(PROBES[1], id="long", reference="very " * 5000)
    sheet = replace(SHEETS[0], case=replace(SHEETS[0].case, probes=(long, PROBES[1])))
    first, second = measuring(model).rows([sheet], [under(low_rank(model.arch.down(1), 3))])
    assert "tokens" in str(first.error)
    assert isinstance(second.response, Response)


def test_a_second_pass_of_the_base_is_a_row_like_others(model: Model) -> None:
    for row in drawdowns(noise_rows(measuring(model), SHEETS)):
        if row.response is not None and row.base is not None:
            assert row.response.predicted == row.base.predicted


def test_the_verdict_counts_first_choices() -> None:
    base = Response("", (1, 2, 3, 4), (1, 2, 3, 4), stop="forced", divergences=(0.0,) * 4)
    now = replace(base, predicted=(1, 2, 3, 5), divergences=(0.0, 0.5, 0.5, 1.0))
    row = Row("k", "cell", "c", "p", "drawdown", DRAWDOWN.id, "final", 1, "?", (), now, base)
    assert read(row) == 0.5
    [verdict] = judge_row(row, DRAWDOWN)
    assert (verdict.state, verdict.score) == ("wrong", 0.75)
    assert "0.5 nats" in verdict.why
    for other in (replace(row, base=None), replace(row, response=replace(now, divergences=()))):
        [verdict] = judge_row(other, DRAWDOWN)
        assert (verdict.state, verdict.score) == ("invalid", None)


@pytest.mark.parametrize("regime", ["single", "sequential"])
@pytest.mark.parametrize("kind", ["dense", "low-rank"])
def test_a_run_reports_drawdown_and_agreement(tmp_path: Path, regime: str, kind: str) -> None:
    plan = parse_plan(
        {
            "name": "toy",
            "model": "toy",
            "methods": ["none", {"name": "nudge", "config": {"kind": kind}}],
            "benchmark": {"name": "world_personality", "limit": 2},
            "regimes": [regime],
            "protocols": ["drawdown", "synthetic,scorer=likelihood-per-token"],
        },
        root=tmp_path,
    )
    result = execute(plan, tmp_path / "run", load=lambda spec: toy_model(spec, cache=tmp_path))
    rows = drawdowns(list(read_rows(result.folder)))
    assert rows
    assert {row.protocol for row in rows} == {DRAWDOWN.id}
    found = {
        (m.method, m.metric): m.value.mean
        for m in load_or_summarise(result.folder).measures
        if m.aspect == "drawdown" and m.metric in ("drawdown", "top-1-agreement")
    }
    assert (found["none", "drawdown"], found["none", "top-1-agreement"]) == (0.0, 1.0)
    nudged = next(method for method, _ in found if method != "none")
    assert (found[nudged, "drawdown"] or 0.0) > 0.01
    assert (found[nudged, "top-1-agreement"] or 1.0) < 1.0
