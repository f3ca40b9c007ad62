"""Capability sets: what is asked, what is accepted, and what is refused."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from truing.benchmarks.capability.sets import CAPABILITIES, load, text_of
from truing.errors import BadInput, UnknownName
from truing.protocols.protocol import parse
from truing.scoring.judge import check_scorer
from truing.types import Message, Probe

ROOT = Path(__file__).resolve().parents[3]
DATA = Path(os.environ.get("TRUING_DATA", ROOT.parent / "shared" / "data"))
FILES = {
    "boolq": "boolq.jsonl",
    "nli": "natural_language_inference.tsv",
    "gsm8k": "gsm8k.jsonl",
    "natural-questions": "natural_questions.jsonl",
}
BOOLQ = {"question": "is the sky blue", "answer": True, "passage": "The sky is blue by day."}
SUM = {
    "question": "Two and three?",
    "answer": "It is 2+3=<<2+3=5>>5, times 1000.\n#### 5,000",
}


def written(tmp_path: Path, *records: dict[str, Any]) -> Path:
    path = tmp_path / "records.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in records), "utf-8")
    return path


def only(name: str, path: Path) -> Probe:
    (case,) = load(name, path).cases
    assert case.requests == ()
    (probe,) = case.probes
    assert probe.aspect == f"capability/{name}"
    return probe


@pytest.mark.parametrize("name", list(CAPABILITIES))
def test_every_set_is_asked_under_a_protocol_that_exists(name: str) -> None:
    check_scorer(parse(CAPABILITIES.get(name).protocol))


@pytest.mark.parametrize("name", ["micro", "micro-english"])
def test_own_items_are_different_answerable_and_always_the_same(name: str) -> None:
    cases = load(name).cases
    prompts = [text_of(case.probes[0].prompt) for case in cases]
    assert len(cases) >= 240
    assert len(set(prompts)) == len(prompts)
    assert load(name).source.sha256 == load(name).source.sha256
    for case in cases:
        probe = case.probes[0]
        assert probe.accepted
        assert not probe.choices or probe.choices[0] == probe.accepted[0]
        assert len(set(probe.choices)) == len(probe.choices)


def test_a_smaller_sample_is_part_of_a_larger_and_mixes_skills() -> None:
    cases = load("micro", seed=3).cases
    assert [c.id for c in cases] != [c.id for c in load("micro", seed=4).cases]
    skills = Counter(case.id.split("/")[2] for case in cases[:100])
    assert len(skills) == 7


def test_boolq_shows_the_passage_and_closed_does_not(tmp_path: Path) -> None:
    path = written(tmp_path, BOOLQ)
    ours, closed = only("boolq", path), only("boolq-closed", path)
    assert "blue by day" in str(ours.prompt)
    assert "Question: Is the sky blue?\n" in str(ours.prompt)
    assert "blue by day" not in str(closed.prompt)
    assert (ours.accepted, ours.choices) == (("Yes",), ("Yes", "No"))
    published = only("boolq-published", path)
    assert published.accepted == ("True",)
    assert published.prompt[1] == Message("user", "Question: is the sky blue. Answer:")


def test_gsm8k_shows_the_worked_solution_only_where_it_says_so(tmp_path: Path) -> None:
    path = written(tmp_path, SUM)
    ours, published = only("gsm8k", path), only("gsm8k-published", path)
    assert ours.accepted == published.accepted == ("5000",)
    assert "2+3" not in text_of(ours.prompt)
    assert "2+3=5, times" in text_of(published.prompt)
    assert "<<" not in text_of(published.prompt)
    assert "5,000" not in text_of(published.prompt)


def test_entailment_is_asked_as_a_question(tmp_path: Path) -> None:
    record = {"sentence1": "It rains.", "sentence2": "It is wet.", "label": "not_entailment"}
    assert only("nli", written(tmp_path, record)).accepted == ("No",)


@pytest.mark.parametrize(
    ("name", "bad", "field"),
    [
        ("boolq", {**BOOLQ, "answer": "yes"}, "answer"),
        ("boolq", {**BOOLQ, "question": " ? "}, "question"),
        ("boolq", {"question": "q", "answer": True}, "passage"),
        ("gsm8k", {"question": "q", "answer": "five"}, "answer"),
        ("natural-questions", {"question": "q", "answer": ["...", ""]}, "answer"),
        ("nli", {"sentence1": "a", "sentence2": "b", "label": "neutral"}, "label"),
    ],
)
def test_a_bad_record_is_quarantined_and_named(
    tmp_path: Path, name: str, bad: dict[str, Any], field: str
) -> None:
    good: dict[str, dict[str, Any]] = {
        "boolq": BOOLQ,
        "gsm8k": SUM,
        "natural-questions": {"question": "who?", "answer": ["Ada"]},
        "nli": {"sentence1": "a", "sentence2": "b", "label": "entailment"},
    }
    loaded = load(name, written(tmp_path, good[name], bad))
    assert len(loaded.cases) == 1
    assert [(q.where, q.field) for q in loaded.quarantined] == [("line 2", field)]
    with pytest.raises(BadInput, match="no usable record"):
        load(name, written(tmp_path, bad))


def test_repeated_questions_are_asked_once(tmp_path: Path) -> None:
    loaded = load("boolq", written(tmp_path, BOOLQ, BOOLQ))
    assert len(loaded.cases) == 1
    assert "same prompt" in str(loaded.notes[0])


def test_wrong_names_and_missing_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="boolk"):
        load("boolk")
    with pytest.raises(BadInput, match="needs a file"):
        load("boolq")
    with pytest.raises(BadInput, match="makes its own items"):
        load("micro", written(tmp_path, BOOLQ))


@pytest.mark.parametrize("name", sorted(FILES))
def test_the_published_files(name: str) -> None:
    path = DATA / "behaviorbench" / "general_capability" / FILES[name]
    if not path.is_file():
        pytest.skip(f"{path} is absent; set TRUING_DATA")
    loaded = load(name, path)
    rows = {"boolq": 3267, "nli": 2489, "gsm8k": 1319, "natural-questions": 3610}[name]
    repeated = sum(note.count for note in loaded.notes if "same prompt" in note.text)
    assert loaded.source.rows == rows
    assert len(loaded.cases) + len(loaded.quarantined) + repeated == rows
    assert len(loaded.cases) > 0.97 * rows
    if name == "boolq":
        assert Counter(c.probes[0].accepted[0] for c in loaded.cases)["Yes"] == 2031
