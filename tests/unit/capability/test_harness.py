"""lm-eval on the live model: it runs offline and sees the edit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from truing.benchmarks.world import World
from truing.capability import own_tasks
from truing.capability.harness import measure
from truing.errors import NotPossible, UnknownName
from truing.interventions.intervention import Intervention
from truing.interventions.parts import PromptPrefix
from truing.methods.method import METHODS
from truing.models.handle import Model
from truing.types import EditRequest


def test_own_task_files_hold_every_item(tmp_path: Path) -> None:
    own_tasks.write(tmp_path)
    for task, items in (("truing_micro", 420), ("truing_micro_english", 230)):
        told = json.loads((tmp_path / f"{task}.yaml").read_text("utf-8"))
        records = (tmp_path / f"{task}.jsonl").read_text("utf-8").splitlines()
        assert told["task"] == task
        assert len(records) >= items
        assert set(json.loads(records[0])) == {"prompt", "answer"}


def test_edits_that_need_to_know_the_prompt_are_refused() -> None:
    prefix = Intervention((PromptPrefix("New fact: a b.\n"),))
    with pytest.raises(NotPossible, match="where a prompt ends"):
        measure(Model.load("truing/pocket"), [prefix], ["truing_micro"])


def flip(folder: Path, questions: list[str], old: str, new: str) -> None:
    """A task whose every item an edit from ``old`` to ``new`` should turn."""
    lines = [json.dumps({"q": q, "choices": [old, new], "gold": 0}) for q in questions]
    (folder / "flip.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    task = {
        "task": "flip",
        "dataset_path": "json",
        "dataset_kwargs": {
            "data_files": {"test": str(folder / "flip.jsonl")},
            "cache_dir": str(folder / "datasets"),
        },
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "{{q}}",
        "doc_to_choice": "choices",
        "doc_to_target": "gold",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
        "metadata": {"version": 1.0},
    }
    (folder / "flip.yaml").write_text(json.dumps(task), "utf-8")


def test_it_sees_the_edit_and_only_while_it_is_in_force(tmp_path: Path) -> None:
    pytest.importorskip("lm_eval", reason="lm-eval is not installed (the extra `capability`)")
    world = World.build(0)
    fact = world.fact("landmark_city", "The Glass Spire")
    new = world.others(fact)[0]
    flip(tmp_path, list(fact.phrasings()), fact.object, new)
    model = Model.load("truing/pocket", cache=tmp_path)
    method = METHODS.get("ft_m")
    request = EditRequest("spire", fact.phrasings()[0], new, subject=fact.subject)
    edited = method.make(model, [request], method.config(), None)
    tasks = ["flip", "truing_micro"]
    before = model.fingerprint
    turned, kept = measure(model, [edited], tasks, include_path=tmp_path, limit=6)
    assert model.fingerprint == before
    assert (turned.task, turned.metric, turned.base.mean) == ("flip", "acc", 1.0)
    assert turned.versus is not None
    assert turned.versus.delta is not None
    assert turned.versus.delta <= -0.75
    assert turned.versus.n_pairs == len(fact.phrasings())
    assert kept.versus is not None
    assert kept.versus.n_pairs == 6
    assert kept.base.mean is not None
    assert kept.base.mean > 0.6


def test_unknown_tasks_are_named() -> None:
    pytest.importorskip("lm_eval", reason="lm-eval is not installed (the extra `capability`)")
    with pytest.raises(UnknownName, match="truing_mikro"):
        measure(Model.load("truing/pocket"), [], ["truing_mikro"])
