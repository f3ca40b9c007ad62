"""The questions of CAA: letters and texts of the same question in one case, nothing tested that is trained."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from truing.benchmarks.caa import options_of, stem_of
from truing.benchmarks.loading import Loaded, load
from truing.errors import BadInput

ROOT = Path(__file__).resolve().parents[3]
DATA = Path(os.environ.get("TRUING_DATA", ROOT.parent / "shared" / "data")) / "steering" / "caa"
MYOPIC = {"behavior": "myopic-reward"}


def ab(stem: str, matching: str = "(A)", other: str = "(B)", listed: str = "") -> dict[str, str]:
    shown = listed or "\n\nChoices:\n (A) One now\n (B) Two later"
    return {
        "question": f"{stem}{shown}",
        "answer_matching_behavior": matching,
        "answer_not_matching_behavior": other,
    }


def folder(root: Path, train: list[Any], test: list[Any], asked: list[str]) -> Path:
    parts = {
        "generate": train,
        "test_ab": test,
        "test_open_ended": [{"question": q} for q in asked],
    }
    for part, records in parts.items():
        (root / part).mkdir()
        (root / part / "myopic-reward.json").write_text(json.dumps(records), "utf-8")
    return root


def parts(loaded: Loaded) -> Counter[str]:
    return Counter("train" if case.requests else "test" for case in loaded.cases)


def aspects(loaded: Loaded) -> Counter[str]:
    return Counter(probe.aspect for case in loaded.cases for probe in case.probes)


def notes(loaded: Loaded) -> str:
    return "\n".join(str(note) for note in loaded.notes)


def test_a_test_question_is_asked_by_letter_and_in_words(tmp_path: Path) -> None:
    root = folder(tmp_path, [ab("Beer?", "(B)", "(A)")], [ab("Cake?")], ["Cake?"])
    loaded = load("caa", root, options=MYOPIC)
    (trained,) = [case for case in loaded.cases if case.requests]
    (tested,) = [case for case in loaded.cases if case.probes]
    request = trained.requests[0]
    assert request.prompt.startswith("Beer?\n\nChoices:")
    assert (request.target_new, request.target_old) == ("(B)", "(A)")
    letters, words = tested.probes
    assert (letters.aspect, letters.choices) == ("preference/ab", ("(A)", "(B)"))
    assert (words.aspect, words.prompt) == ("preference/open", "Cake?")
    assert (words.choices, words.reference) == (("One now", "Two later"), "One now")
    flipped = load("caa", root, options={**MYOPIC, "flip": True})
    (turned,) = [case for case in flipped.cases if case.probes]
    assert [p.choices for p in turned.probes] == [("(B)", "(A)"), ("Two later", "One now")]


def test_open_questions_that_are_no_stem_are_left_out_and_said(tmp_path: Path) -> None:
    root = folder(tmp_path, [ab("Beer?")], [ab("Cake?")], ["Tea?", "Jam?"])
    loaded = load("caa", root, options=MYOPIC)
    assert aspects(loaded) == {"preference/ab": 1}
    assert "2 open-ended question(s) are the stem of no test question" in notes(loaded)


def test_training_questions_that_are_tested_are_left_out_and_said(tmp_path: Path) -> None:
    same = ab("Cake?", listed="\n(A) Later\n(B) Now")
    root = folder(tmp_path, [ab("Beer?"), same], [ab("Cake?")], ["Cake?"])
    loaded = load("caa", root, options=MYOPIC)
    assert parts(loaded) == {"train": 1, "test": 1}
    assert "1 training pair(s) have the prompt of a test pair" in notes(loaded)


def test_options_are_read_up_to_the_eighth() -> None:
    listed = "".join(f"\n ({letter}) option {letter}" for letter in "ABCDEFGH")
    assert stem_of(f"Which?\n\nChoices:{listed}") == "Which?"
    assert options_of(f"Which?{listed}") == {c: f"option {c}" for c in "ABCDEFGH"}
    assert options_of("Which?\n (A) as in\n (C) here\n (B) other") == {
        "A": "as in\n (C) here", "B": "other",
    }  # fmt: skip
    assert (stem_of("Why?"), options_of("Why?")) == ("Why?", {})


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (ab("Pie?", "(C)"), "which is no option of the question"),
        (ab("Pie?", "(A)", "(A)"), "both sides are '(A)'"),
        (ab("Pie?", ""), "which is no option of the question"),
        ({"question": "Pie?", "answer_matching_behavior": "(A)"}, "is missing"),
    ],
)
def test_bad_questions_are_quarantined_with_their_place(
    tmp_path: Path, bad: dict[str, str], reason: str
) -> None:
    root = folder(tmp_path, [ab("Beer?"), bad], [ab("Cake?")], ["Cake?"])
    (found,) = load("caa", root, options=MYOPIC).quarantined
    assert (found.record, found.where) == ("train-1", "train record 1")
    assert reason in found.reason


def test_the_original_layout_is_read_too(tmp_path: Path) -> None:
    files = {
        "generate/myopic-reward/generate_dataset.json": [ab("Beer?")],
        "test/myopic-reward/test_dataset_ab.json": [ab("Cake?")],
        "test/myopic-reward/test_dataset_open_ended.json": [{"question": "Cake?"}],
    }
    for name, records in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(json.dumps(records), "utf-8")
    loaded = load("caa", tmp_path, options=MYOPIC)
    assert aspects(loaded) == {"preference/ab": 1, "preference/open": 1}


def test_what_is_no_such_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is not a folder"):
        load("caa", tmp_path / "absent", options=MYOPIC)
    with pytest.raises(BadInput, match=r"holds none of generate/myopic-reward\.json"):
        load("caa", tmp_path, options=MYOPIC)
    with pytest.raises(BadInput, match="option 'behavior' is missing"):
        load("caa", tmp_path)


@pytest.mark.parametrize(
    ("behavior", "train", "open_ended"),
    [
        ("coordinate-other-ais", 360, 50),
        ("corrigible-neutral-HHH", 290, 50),
        ("hallucination", None, 50),
        ("myopic-reward", 950, 50),
        ("refusal", 403, 50),
        ("survival-instinct", 903, 50),
        ("sycophancy", None, 0),
    ],
)
def test_published_questions(behavior: str, train: int | None, open_ended: int) -> None:
    """403 of 408: four tested stems are in the training set of refusal, one of them twice."""
    if not DATA.is_dir():
        pytest.skip(f"{DATA} is absent; set TRUING_DATA to the folder that holds steering/caa")
    loaded = load("caa", DATA, options={"behavior": behavior})
    assert loaded.quarantined == ()
    found = aspects(loaded)
    assert (found["preference/ab"], found["preference/open"]) == (50, open_ended)
    if train is not None:
        assert parts(loaded)["train"] == train
    assert ("53 open-ended" in notes(loaded)) is (behavior == "sycophancy")
    assert ("5 training pair(s)" in notes(loaded)) is (behavior == "refusal")
