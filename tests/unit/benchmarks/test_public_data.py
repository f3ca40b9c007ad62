"""The public files, as far as a copy is at hand (``TRUING_DATA``): counts that are known for them."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from truing.benchmarks.loading import Loaded, load
from truing.benchmarks.subjects import guess

ROOT = Path(__file__).resolve().parents[3]
DATA = Path(os.environ.get("TRUING_DATA", ROOT.parent / "shared" / "data")) / "wild"


def file(name: str) -> Path:
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"{path} is absent; set TRUING_DATA to the folder that holds wild/{name}")
    return path


def counts(loaded: Loaded) -> Counter[str]:
    return Counter(probe.aspect for case in loaded.cases for probe in case.probes)


def note(loaded: Loaded, words: str) -> int:
    return sum(note.count for note in loaded.notes if words in note.text)


def test_counterfact_flattened() -> None:
    loaded = load("counterfact", file("counterfact_edit_1k.json"))
    assert (len(loaded.cases), len(loaded.quarantined), loaded.form) == (1000, 0, "edit")
    assert counts(loaded) == {
        "efficacy": 1000,
        "generalization": 1000,
        "locality/neighborhood": 1000,
    }
    assert all(case.requests[0].subject for case in loaded.cases)
    assert all(len(case.requests[0].target_new.split()) == 1 for case in loaded.cases)
    assert loaded.cases[0].requests[0].target_new == "English"
    first = load("counterfact", file("counterfact_edit_1k.json"), limit=100)
    assert first.cases == loaded.cases[:100]


def test_zsre_of_mend() -> None:
    loaded = load("zsre", file("zsre_mend_1k.json"))
    assert (len(loaded.cases), len(loaded.quarantined), loaded.form) == (1000, 0, "mend")
    assert note(loaded, "leading space of target_new") == 15
    assert len({case.requests[0].subject for case in loaded.cases}) == 711
    assert note(loaded, "same subject and another target") == 399
    assert loaded.dataset == "zsre[target=alt]"


def test_zsre_of_knowedit() -> None:
    loaded = load("zsre", file("zsre_knowedit_400.json"))
    assert (len(loaded.cases), len(loaded.quarantined), loaded.form) == (400, 0, "knowedit")
    assert counts(loaded) == {
        "efficacy": 400, "generalization": 400, "locality/relation-specificity": 800,
        "portability/reasoning": 228, "portability/subject-aliasing": 87, "portability/logical-generalization": 85,
    }  # fmt: skip
    assert note(loaded, "asks for nothing") == 18


def test_qaedit_with_its_known_faults() -> None:
    loaded = load("qaedit", file("QAEdit_inter_1k.json"))
    assert loaded.source.sha256.startswith("640e1d279759")
    assert (len(loaded.cases), loaded.sampling.total) == (999, 1000)
    (bad,) = loaded.quarantined
    assert (bad.record, bad.field) == ("NQ-664", "target_new")
    assert "')'" in bad.reason
    assert note(loaded, "leading space of target_new") == 8
    assert sum("subject:ambiguous" in case.tags for case in loaded.cases) == 4
    assert sum(case.requests[0].subject is None for case in loaded.cases) == 4
    assert sum("target:inner-stop" in case.tags for case in loaded.cases) == 46
    assert Counter(t for c in loaded.cases for t in c.tags if t.startswith("source:")) == {
        "source:SQA": 389, "source:TQA": 364, "source:NQ": 246,
    }  # fmt: skip
    assert len({case.id for case in loaded.cases}) == 999
    every = load("qaedit", file("QAEdit_inter_1k.json"), options={"locality": "all"})
    assert counts(every)["locality"] == 4995


def test_qaedit_ids_alone_repeat_and_are_told_apart() -> None:
    loaded = load("custom", file("QAEdit_inter_1k.json"))
    assert note(loaded, "more than once in the file") == 1000 - 961
    assert len({case.id for case in loaded.cases}) == 999


@pytest.mark.parametrize("name", ["counterfact_edit_1k.json", "zsre_mend_1k.json"])
def test_a_seeded_sample_of_a_public_file_is_a_subset_and_repeats(name: str) -> None:
    loaded = load("custom", file(name), limit=50, sample="seeded", seed=7)
    again = load("custom", file(name), limit=50, sample="seeded", seed=7)
    everything = {case.id: case for case in load("custom", file(name)).cases}
    assert loaded.cases == again.cases
    assert len(loaded.cases) == 50
    assert all(everything[case.id] == case for case in loaded.cases)


@pytest.mark.parametrize(
    ("name", "prompt", "rephrase", "least"),
    [
        ("counterfact_edit_1k.json", "prompt", "rephrase_prompt", 0.95),
        ("zsre_mend_1k.json", "src", "rephrase", 0.9),
        ("zsre_knowedit_400.json", "prompt", "rephrase_prompt", 0.87),
        ("QAEdit_inter_1k.json", "prompt", "rephrase", 0.3),
    ],
)
def test_guessed_subjects_agree_with_given_ones(
    name: str, prompt: str, rephrase: str, least: float
) -> None:
    rows = json.loads(file(name).read_text(encoding="utf-8"))
    right = sum(guess(row[prompt], [row[rephrase]]) == row["subject"] for row in rows)
    assert right / len(rows) >= least
