"""What a run of steering tells by itself: effects, controls, collapse and doses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from truing.cli.arms import arm_lines
from truing.methods.steering.touched import Count, Divergence, Effect, Fired, together
from truing.report.page import write
from truing.runs.execute import execute
from truing.runs.plan import Plan, parse
from truing.runs.steered import collapses, verdicts
from truing.runs.store import Summary, read_edits, read_manifest
from truing.types import Comparison, Measure, Value


def measure(cell: str, metric: str, mean: float, width: float = 0.1, **more: Any) -> Measure:
    value = Value(9, mean, mean - width, mean + width, "95%", 9)
    told: dict[str, Any] = {"protocol": "p", "aspect": "efficacy", **more}
    return Measure(
        cell=cell, model="m", method=f"method {cell}", benchmark="b", regime="batch-all",
        moment="final", step=9, metric=metric, judge="likelihood", value=value, **told,
    )  # fmt: skip


def cell(ident: str, *control_of: str) -> dict[str, Any]:
    return {"id": ident, "registered": "caa", "control_of": list(control_of)}


CELLS = {c["id"]: c for c in (cell("arm"), cell("one", "arm"), cell("two", "arm"))}


def seen(nats: float, changed: int = 3) -> Effect:
    read, written = Count(1, 10, 0), Count(8, 80, changed)
    fired = Fired("resid_post", 2, read, written, 0.3 if changed else None)
    return Effect((fired,), Divergence(0.1, 16), Divergence(nats, 100))


@pytest.mark.parametrize(("best", "success"), [(0.5, True), (0.85, False), (2.0, False)])
def test_an_arm_beats_controls_whose_interval_lies_below_its_own(
    best: float, success: bool
) -> None:
    shifts = [measure("arm", "margin-shift", 1.0), measure("one", "margin-shift", 0.0)]
    shifts.append(measure("two", "margin-shift", best))
    [told] = verdicts(shifts, CELLS, {})
    assert told.success is success
    assert (told.controls, told.beaten, told.best) == (2, 1 + success, "method two")


@pytest.mark.parametrize("mean", [-0.5, 0.05])
def test_an_arm_that_is_not_above_zero_is_no_success(mean: float) -> None:
    shifts = [measure("arm", "margin-shift", mean)]
    shifts += [measure(control, "margin-shift", -2.0) for control in ("one", "two")]
    [told] = verdicts(shifts, CELLS, {})
    assert told.ahead
    assert not told.success
    assert "it is not above zero" in str(told)


@pytest.mark.parametrize("bare", ["arm", "one"])
def test_nothing_is_beaten_without_an_interval(bare: str) -> None:
    shifts = [measure("arm", "margin-shift", 1.0)]
    shifts += [measure(control, "margin-shift", 0.0) for control in ("one", "two")]
    shifts = [
        replace(m, value=replace(m.value, low=None, high=None)) if m.cell == bare else m
        for m in shifts
    ]
    [told] = verdicts(shifts, CELLS, {})
    assert not told.ahead
    assert not told.success


def test_what_a_broken_model_suppresses_is_no_success() -> None:
    found = [
        measure("arm", "margin-shift", 5.0),
        measure("arm", "promotion", -4.0),
        measure("arm", "suppression", 9.0),
        measure("one", "margin-shift", 0.0),
    ]
    reasons = collapses(found, {})
    assert list(reasons) == [("arm", "final", 9)]
    [told] = verdicts(found, CELLS, reasons)
    assert told.beaten == told.controls == 1
    assert not told.success
    assert "no success" in str(told)


def test_neutral_text_and_free_answers_tell_a_collapse_too() -> None:
    shift = measure("arm", "promotion", 0.1)
    assert collapses([shift], {"arm": seen(1.0)}) == {}
    assert collapses([shift], {"arm": seen(5.0)})
    lost = Comparison("none", -0.6, -0.7, -0.5, 0.0, 0.0, "t", 9)
    fluent = measure("arm", "fluent-rate", 0.3, protocol="wild", versus=lost)
    [[reason]] = collapses([shift, fluent], {}).values()
    assert "60 of 100" in reason


def test_weights_that_no_pair_is_asked_about_are_not_judged() -> None:
    effect = Effect((), Divergence(0.1, 16), Divergence(9.0, 100))
    assert collapses([measure("arm", "efficacy", 0.5)], {"arm": effect}) == {}


def test_effects_add_up_and_say_where_nothing_was_touched() -> None:
    both = together([seen(1.0), seen(2.0, changed=0)])
    [fired] = both.fired
    assert (fired.decode, fired.moved) == (Count(16, 160, 3), pytest.approx(0.3))
    assert both.neutral == Divergence(pytest.approx(1.5), 200)
    assert both.warnings == ()
    [warning] = seen(1.0, changed=0).warnings
    assert "nothing was changed" in warning


def steering(**values: Any) -> Plan:
    return parse(
        {
            "name": "steered", "model": "truing/pocket", "noise_sample": 0,
            "benchmarks": [{"name": "world_contrast", "options": {"train": 16, "test": 10}}],
            "regimes": [{"name": "batch", "moments": ["final"]}],
            "protocols": ["synthetic,scorer=likelihood-per-token", "wild,template=bare"],
            **values,
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Summary]:
    """``caa`` at three strengths, one of them absurd, and at tokens that are never there."""
    folder = tmp_path_factory.mktemp("steered") / "run"
    methods: list[Any] = [
        {"name": "caa", "label": f"caa {strength:g}", "config": {"strength": strength}}
        for strength in (0.1, 0.2, 50.0)
    ]
    nowhere = {"kind": "window", "start": 500, "stop": 501}
    methods.append({"name": "caa", "label": "nowhere", "config": {"positions": nowhere}})
    return folder, execute(steering(methods=methods, controls=1), folder).summary


def test_the_records_hold_what_was_seen(ran: tuple[Path, Summary]) -> None:
    folder, summary = ran
    names = {c["id"]: c["method"] for c in read_manifest(folder)["cells"]}
    effects = {names[e.cell]: e.effect for e in read_edits(folder)}
    assert effects["none"] is None
    weak, strong = effects["caa 0.1"], effects["caa 50"]
    assert weak is not None
    assert strong is not None
    assert weak.neutral.nats < strong.neutral.nats
    told = {names[ident]: seen for ident, seen in summary.meta["effects"].items()}
    assert told["nowhere"]["warnings"]
    assert not told["caa 0.1"]["warnings"]


def test_a_copy_is_as_long_as_its_arm(ran: tuple[Path, Summary]) -> None:
    folder, _ = ran
    names = {c["id"]: c["method"] for c in read_manifest(folder)["cells"]}
    resolved = {names[e.cell]: e.config for e in read_edits(folder)}
    for kind in ("random 1", "shuffled"):
        [length] = resolved[f"{kind} · caa 0.2"]["lengths"]
        assert length == pytest.approx(resolved["caa 0.2"]["vectors"][0]["added"], rel=1e-4)


def test_strength_fifty_is_degenerate_and_no_success(ran: tuple[Path, Summary]) -> None:
    _, summary = ran
    arms = {arm["arm"]: arm for arm in summary.meta["arms"]}
    assert arms["caa 50"]["degenerate"]
    assert not arms["caa 50"]["success"]
    assert not arms["caa 0.1"]["degenerate"]
    flags = {m.method: m.flags for m in summary.measures if m.metric == "suppression"}
    assert "degenerate" in flags["caa 50"]
    assert "degenerate" not in flags["caa 0.1"]


def test_doses_leave_out_controls_and_other_settings(ran: tuple[Path, Summary]) -> None:
    _, summary = ran
    [dose] = summary.meta["doses"]
    assert tuple(dose["strengths"]) == (0.0, 0.1, 0.2, 50.0)
    assert len(dose["cells"]) == 3


def test_the_terminal_and_the_page_tell_it(ran: tuple[Path, Summary]) -> None:
    folder, summary = ran
    cells = {c["id"]: c for c in read_manifest(folder)["cells"]}
    lines = "\n".join(arm_lines(json.loads(json.dumps(summary.meta)), cells))
    assert "no success" in lines
    assert "warning: world_contrast: nowhere" in lines
    page = write([folder]).read_text("utf-8")
    for text in ("Controls (", "Each unit of strength moves the margin", "nothing was changed"):
        assert text in page
