"""Methods at rising budgets of side effects: an ordinary run, and what its cases cost."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from truing.errors import BadInput, NotPossible
from truing.models.handle import Model
from truing.runs.cells import ModelSpec
from truing.runs.events import Event, RunStarted
from truing.runs.resistance import Report, Task, measure

POCKET = ModelSpec(name="truing/pocket")
TASK = Task(
    (POCKET,), ("ft_m", "lora"), {"name": "world", "limit": 3}, budgets=(0.0005, 0.01),
    fixed={"steps": 10},
)  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return Model.load("truing/pocket", cache=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def found(model: Model, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    folder = tmp_path_factory.mktemp("resistance") / "run"
    return folder, measure(TASK, folder, load=lambda spec: model)


def test_every_method_has_a_price_for_every_case(found: tuple[Path, Report]) -> None:
    _, report = found
    assert [(arm.model, arm.method) for arm in report.arms] == [
        ("truing/pocket", "ft_m"), ("truing/pocket", "lora"),
    ]  # fmt: skip
    for arm in report.arms:
        assert len(arm.found.prices) + arm.already + arm.found.unknown == 3
        assert arm.found.budgets == TASK.budgets
        assert all(each.first in (*TASK.budgets, None) for each in arm.found.prices)
        assert arm.failed == {}


def test_methods_are_compared_on_the_same_cases(found: tuple[Path, Report]) -> None:
    [versus] = found[1].versus
    assert (versus.ours, versus.theirs) == ("lora", "ft_m")
    assert versus.found.cheaper.n_pairs == 3


def test_only_the_edit_itself_is_asked_about(found: tuple[Path, Report]) -> None:
    folder, _ = found
    lines = [json.loads(line) for file in folder.glob("rows-*.jsonl") for line in file.open()]
    assert {row["aspect"].partition("/")[0] for row in lines} == {"efficacy"}
    assert len({row["cell"] for row in lines}) == 1 + 2 * 2


def test_a_finished_run_is_read_again_not_made_again(
    found: tuple[Path, Report], model: Model
) -> None:
    folder, report = found
    heard: list[Event] = []
    assert measure(TASK, folder, heard.append, load=lambda spec: model) == report
    [started] = [event for event in heard if isinstance(event, RunStarted)]
    assert started.done == started.rows
    stored = json.loads((folder / "resistance.json").read_text("utf-8"))
    assert stored["arms"][0]["method"] == "ft_m"


def test_what_the_model_says_already_has_nothing_to_flip(model: Model, tmp_path: Path) -> None:
    facts = tmp_path / "facts.jsonl"
    known = {"prompt": "The Glass Spire is in the city of", "target_new": "Wexmoor"}
    facts.write_text(json.dumps(known) + "\n", encoding="utf-8")
    task = replace(
        TASK, methods=("ft_m",), benchmark={"name": "custom", "data": str(facts)}, budgets=(0.01,)
    )
    [arm] = measure(task, tmp_path / "run", load=lambda spec: model).arms
    assert arm.already == 1
    assert arm.found.prices == ()
    assert arm.found.first is None


def test_methods_without_a_budget_are_refused_with_those_that_can() -> None:
    with pytest.raises(NotPossible, match="ice") as error:
        measure(replace(TASK, methods=("ft_m", "ice")), Path("nowhere"))
    assert len(str(error.value).splitlines()) == 2
    assert "rome" in str(error.value)
    assert not Path("nowhere").exists()


def test_budgets_are_budgets() -> None:
    with pytest.raises(BadInput, match="rise"):
        replace(TASK, budgets=(0.2, 0.1)).plan  # noqa: B018
    with pytest.raises(BadInput, match="max_kl"):
        replace(TASK, fixed={"max_kl": 1.0}).plan  # noqa: B018
