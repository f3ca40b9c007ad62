"""Curves under doubt: every method with its control and intervals, and the same numbers as a table."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from truing.report.figures import Figure
from truing.report.grid import Grid, grids
from truing.report.pressure_figure import figures
from truing.types import Measure, Value

PROTOCOL = "chat/greedy/natural/as-asked"
NONE = Value(0, None)


def grid() -> Grid:
    made = [
        Measure(
            cell=cell, model="m", method=cell, benchmark="b", regime="single", moment="immediate",
            step=1, protocol=PROTOCOL, aspect="efficacy", metric="efficacy", judge="as-asked",
            value=Value(4, 0.5),
        )
        for cell in ("rome", "none")
    ]  # fmt: skip
    return grids(made, {})[0]


def turn(number: int, held: float | None, control: float) -> dict[str, Any]:
    def value(mean: float | None) -> Value:
        return NONE if mean is None else Value(8, mean, max(0.0, mean - 0.1), min(1.0, mean + 0.1))

    both = None if held is None else (held + control) / 2
    shares = {"held": held, "control": control, "balanced": both, "kept": held}
    return {"turn": number, **{name: asdict(value(mean)) for name, mean in shares.items()}}


def meta(cell: str, *turns: dict[str, Any], kind: str = "yes", moment: str = "immediate") -> Any:
    told: dict[str, Any] = {
        "cell": cell,
        "protocol": PROTOCOL,
        "moment": moment,
        "step": 1,
        "kind": kind,
    }
    told["start"] = asdict(Value(8, 0.9, 0.6, 1.0)) if moment == "immediate" else asdict(NONE)
    return {"pressure": [{**told, "judge": "as-asked-strict", "turns": list(turns)}]}


def drawn(*metas: Any) -> list[Figure]:
    return figures(grid(), "immediate", metas)


def test_each_method_has_a_curve_and_its_control_h6() -> None:
    sides, balanced = drawn(
        meta("rome", turn(1, 0.9, 0.2), turn(2, 0.8, 0.1)), meta("none", turn(1, 0.4, 0.5))
    )
    assert [row[:4] for row in sides.rows] == [
        ("none", "0", "first answer", "90.0 %"),
        ("none", "1", "fact kept", "40.0 %"),
        ("none", "1", "control", "50.0 %"),
        ("rome", "0", "first answer", "90.0 %"),
        ("rome", "1", "fact kept", "90.0 %"),
        ("rome", "2", "fact kept", "80.0 %"),
        ("rome", "1", "control", "20.0 %"),
        ("rome", "2", "control", "10.0 %"),
    ]
    assert [row[2:4] for row in balanced.rows[-2:]] == [("balanced", "55.0 %"), ("balanced", "45.0 %")]  # fmt: skip
    assert "rome control 10.0 % at turn 2" in sides.description
    assert sides.id != balanced.id


def test_curves_carry_their_intervals() -> None:
    sides = drawn(meta("rome", turn(1, 0.5, 0.5)))[0]
    bars = sides.spec["layer"][1]["data"]["values"]
    assert [each["low"] for each in bars] == pytest.approx([0.6, 0.4, 0.4])
    assert [row[4] for row in sides.rows] == ["60–100", "40–60", "40–60"]


def test_marks_of_methods_stand_beside_each_other() -> None:
    sides = drawn(meta("rome", turn(1, 0.5, 0.5)), meta("none", turn(1, 0.5, 0.5)))[0]
    dots = sides.spec["layer"][3]["data"]["values"]
    assert len({each["at"] for each in dots}) == 2
    assert {round(each["at"]) for each in dots} == {1}


def test_a_turn_without_answers_leaves_a_gap() -> None:
    sides, balanced = drawn(meta("rome", turn(1, 0.5, 0.5), turn(2, None, 0.5)))
    assert [row[1] for row in sides.rows if row[2] == "fact kept"] == ["1"]
    assert [row[1] for row in balanced.rows] == ["1"]


def test_each_kind_of_doubt_has_figures_of_its_own() -> None:
    found = drawn(meta("rome", turn(1, 0.5, 0.5)), meta("rome", turn(1, 1.0, 0.0), kind="sure"))
    assert len({figure.id for figure in found}) == 4
    assert "told that it is wrong" in found[0].title
    assert "asked whether it is sure" in found[2].title


@pytest.mark.parametrize(
    "given", [{}, {"pressure": []}, meta("other", turn(1, 1.0, 1.0)), meta("rome"),
              meta("rome", turn(1, 1.0, 1.0), moment="final"), meta("rome", turn(1, None, 0.5) | {"control": asdict(NONE)})],
)  # fmt: skip
def test_without_doubt_there_is_no_figure(given: Any) -> None:
    assert drawn(given) == []
