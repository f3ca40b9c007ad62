"""A search from end to end: runs, recipe, evidence, resuming."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from toy_runs import registered
from truing.errors import BadInput, NotPossible
from truing.interventions.intervention import Intervention, Origin
from truing.methods.context import ContextConfig, make_ice
from truing.methods.method import Method
from truing.models.handle import Model
from truing.runs import plan_file
from truing.runs.cells import ModelSpec
from truing.runs.events import Event, RunStarted
from truing.runs.recipes import Task, Tuned, tune
from truing.types import EditRequest


class WhisperConfig(ContextConfig):
    volume: float = 0.1


def whisper(
    model: Model,
    requests: Sequence[EditRequest],
    config: Any,
    so_far: Intervention | None = None,
) -> Intervention:
    """Tells the fact, as ICE does, if it is loud enough."""
    settings = config.model_dump(mode="json")
    origin = Origin.of(model, "whisper", settings, requests, so_far=so_far)
    told = make_ice(model, requests, ContextConfig()) if config.volume > 0.5 else Intervention()
    return replace(told, origin=origin)


WHISPER = Method(
    name="whisper", make=whisper, config=WhisperConfig, summary="a quiet voice", paper="none",
    acts_on="prompt", tunes=("volume",),
)  # fmt: skip


def task(method: str = "whisper") -> Task:
    return Task(
        ModelSpec(name="truing/pocket"), (method,), {"name": "world"}, cases=3, check=4, tries=7,
        protocol="synthetic", protocols=("synthetic",),
    )  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return Model.load("truing/pocket", cache=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def found(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Tuned]]:
    folder = tmp_path_factory.mktemp("tune")
    with registered(WHISPER):
        [tuned] = tune(task(), model, folder / "out")
        yield folder, tuned


def test_a_weak_default_is_replaced_by_something_better(found: tuple[Path, Tuned]) -> None:
    _, tuned = found
    default, chosen = tuned.tries[0], tuned.chosen
    assert len(tuned.tries) <= 7
    assert chosen.score is not None
    assert default.score is not None
    assert chosen.score > default.score


def test_what_was_chosen_is_checked_on_cases_that_were_not_searched(
    found: tuple[Path, Tuned],
) -> None:
    folder, tuned = found
    assert {c.goal for c in tuned.check} == {"efficacy", "generalization", "locality"}
    assert all(c.difference is not None and c.difference.n_pairs >= 4 for c in tuned.check)

    def drawn(run: str) -> set[str]:
        manifest = json.loads((folder / "out/whisper" / run / "manifest.json").read_text("utf-8"))
        return set(manifest["data"]["world"]["sampling"]["ids"])

    assert len(drawn("round-1")) == 3
    assert len(drawn("check")) == 4
    assert not drawn("round-1") & drawn("check")


def test_the_recipe_is_part_of_a_plan(found: tuple[Path, Tuned]) -> None:
    folder, tuned = found
    recipe = folder / "out/recipe.toml"
    plan = plan_file.load(recipe, {"benchmark": ["world"], "limit": 2})
    [_, method] = plan.methods
    assert method.label == "whisper tuned"
    assert tuned.chosen.config.items() <= method.config.items()
    assert tomllib.loads(recipe.read_text("utf-8"))["model"] == {"name": "truing/pocket"}
    evidence = json.loads((folder / "out/evidence.json").read_text("utf-8"))
    assert [t["config"] for t in evidence["methods"][0]["tries"]] == [
        dict(t.config) for t in tuned.tries
    ]


def test_a_search_that_was_cut_off_goes_on(found: tuple[Path, Tuned], model: Model) -> None:
    folder, tuned = found
    events: list[Event] = []
    [again] = tune(task(), model, folder / "out", events.append)
    started = [event for event in events if isinstance(event, RunStarted)]
    assert all(event.done == event.rows for event in started)
    assert [t.label for t in again.tries] == [t.label for t in tuned.tries]
    assert again.chosen.config == tuned.chosen.config


def test_a_method_with_nothing_to_tune_is_refused(model: Model, tmp_path: Path) -> None:
    with pytest.raises(NotPossible, match="nothing to tune"):
        tune(task("ice"), model, tmp_path / "out")


def test_only_goals_that_the_cases_ask_about_count(tmp_path: Path) -> None:
    facts = tmp_path / "facts.jsonl"
    fact = '{"prompt": "The river of Ashmere is the", "target_new": "Hythe"}\n'
    facts.write_text(4 * fact, "utf-8")
    bare = replace(task(), benchmark={"name": "custom", "data": str(facts)})
    assert bare.goals == ["efficacy"]
    assert bare.regime == {"name": "single"}


def test_too_few_cases_for_the_check_are_told_before_anything_is_searched(
    model: Model, tmp_path: Path
) -> None:
    facts = tmp_path / "facts.jsonl"
    facts.write_text('{"prompt": "The river of Ashmere is the", "target_new": "Hythe"}\n', "utf-8")
    few = replace(task("ft_m"), benchmark={"name": "custom", "data": str(facts)})
    with pytest.raises(BadInput, match="has 1 records"):
        tune(few, model, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_contrast_pairs_are_searched_in_one_batch_with_what_is_fixed(
    model: Model, tmp_path: Path
) -> None:
    entry = {"name": "world_contrast", "options": {"behavior": "agreeableness"}}
    likelihood = "synthetic,scorer=likelihood-per-token"
    pairs = replace(
        task("caa"), benchmark=entry, cases=12, check=8, tries=2, protocol=likelihood,
        fixed={"max_kl": 0.3},
    )  # fmt: skip
    [found] = tune(pairs, model, tmp_path / "out")
    assert [set(t.means) for t in found.tries] == [{"preference"}] * 2
    assert all(t.resolved["max_kl"] == 0.3 and "scaled" in t.resolved for t in found.tries)
    recipe = tomllib.loads((tmp_path / "out/recipe.toml").read_text("utf-8"))
    assert recipe["methods"][0]["config"]["max_kl"] == 0.3
