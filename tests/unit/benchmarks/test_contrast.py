"""Contrast pairs of one's own: what becomes a request, what becomes a probe, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truing.benchmarks.contrast_pairs import SplitOptions, arranged, folded, parted
from truing.benchmarks.files import Contents, Record, Source
from truing.benchmarks.loading import Loaded, load
from truing.errors import BadInput, UnknownName
from truing.types import Case


def pair(number: int, **fields: Any) -> dict[str, Any]:
    """A pair whose texts are its own."""
    texts = {"positive": f"gladly {number}", "negative": f"never {number}"}
    return {"prompt": f"Would you do {number}?", **texts, **fields}


def written(folder: Path, *records: dict[str, Any]) -> Path:
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return path


def requesting(loaded: Loaded) -> list[Case]:
    return [case for case in loaded.cases if case.requests]


def probing(loaded: Loaded) -> list[Case]:
    return [case for case in loaded.cases if case.probes]


def notes(loaded: Loaded) -> str:
    return "\n".join(str(note) for note in loaded.notes)


def test_a_training_pair_is_a_request_and_a_test_pair_a_probe(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        pair(1, id="a", split="train", behavior="zeal"),
        pair(2, id="b", split="test", positive=" Yes, at once. "),
    )
    loaded = load("contrast", file)
    (trained,), (tested,) = requesting(loaded), probing(loaded)
    (request,) = trained.requests
    assert trained.probes == ()
    assert (request.prompt, request.target_new, request.target_old) == (
        "Would you do 1?", "gladly 1", "never 1",
    )  # fmt: skip
    assert trained.tags == request.tags == ("behavior:zeal",)
    (probe,) = tested.probes
    assert tested.requests == ()
    assert probe.aspect == "preference"
    assert probe.choices == ("Yes, at once.", "never 2")
    assert probe.reference == "Yes, at once."
    assert probe.accepted == ("Yes, at once.",)


def test_flipping_promotes_the_other_side_of_both_parts(tmp_path: Path) -> None:
    file = written(tmp_path, pair(1, split="train"), pair(2, split="test"))
    loaded = load("contrast", file, options={"flip": True})
    (request,), (probe,) = requesting(loaded)[0].requests, probing(loaded)[0].probes
    assert (request.target_new, request.target_old) == ("never 1", "gladly 1")
    assert (probe.choices, probe.accepted) == (("never 2", "gladly 2"), ("never 2",))
    assert loaded.dataset == "contrast[flip=True]"


def test_pairs_that_do_not_say_where_they_belong_are_parted_by_prompt(tmp_path: Path) -> None:
    records = [pair(i % 10, positive=f"yes {i}") for i in range(30)]
    loaded = load("contrast", written(tmp_path, *records), options={"holdout": 0.2})
    trained = {case.requests[0].prompt for case in requesting(loaded)}
    tested = {case.probes[0].prompt for case in probing(loaded)}
    assert (len(trained), len(tested), trained & tested) == (8, 2, set())
    again = load("contrast", written(tmp_path, *reversed(records)), options={"holdout": 0.2})
    assert {case.probes[0].prompt for case in probing(again)} == tested
    other = load("contrast", written(tmp_path, *records), options={"holdout": 0.2, "split_seed": 1})
    assert {case.probes[0].prompt for case in probing(other)} != tested


def test_a_pair_follows_one_of_the_same_prompt_that_says_where_it_belongs(tmp_path: Path) -> None:
    file = written(
        tmp_path, pair(1, split="test"), pair(1, positive="sure"), pair(2), pair(3), pair(4)
    )
    tested = [case.probes[0] for case in probing(load("contrast", file))]
    assert {"gladly 1", "sure"} <= {probe.choices[0] for probe in tested}
    groups = {probe.choices[0]: probe.group for probe in tested}
    assert groups["gladly 1"] == groups["sure"]
    assert len(set(groups.values())) == len(groups) - 1


def test_training_pairs_that_are_tested_are_left_out_and_said(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        pair(1, split="train"),
        pair(2, split="train"),
        pair(2, split="test", prompt="would you  do 2?"),
    )
    loaded = load("contrast", file)
    assert [case.requests[0].prompt for case in requesting(loaded)] == ["Would you do 1?"]
    assert len(probing(loaded)) == 1
    assert "1 training pair(s) have the prompt of a test pair" in notes(loaded)


def test_the_number_of_training_pairs_can_be_bounded(tmp_path: Path) -> None:
    records = [pair(i, split="train" if i < 20 else "test") for i in range(30)]
    few = load("contrast", written(tmp_path, *records), options={"train": 5})
    assert (len(requesting(few)), len(probing(few))) == (5, 10)
    assert "5 of 20 training pairs are used" in notes(few)
    more = load("contrast", written(tmp_path, *records), options={"train": 8})
    assert {c.id for c in requesting(few)} < {c.id for c in requesting(more)}


def test_the_beginning_has_its_share_of_both_parts(tmp_path: Path) -> None:
    records = [pair(i, split="train" if i < 30 else "test") for i in range(40)]
    loaded = load("contrast", written(tmp_path, *records), limit=20)
    assert (len(requesting(loaded)), len(probing(loaded))) == (15, 5)


def test_one_behavior_of_several(tmp_path: Path) -> None:
    records = [pair(i, behavior="zeal" if i % 2 else "calm") for i in range(8)]
    file = written(tmp_path, *records)
    assert "several behaviours, which are one here: calm, zeal" in notes(load("contrast", file))
    loaded = load("contrast", file, options={"behavior": "calm"})
    assert {case.tags for case in loaded.cases} == {("behavior:calm",)}
    assert "4 record(s) of other behaviours" in notes(loaded)
    with pytest.raises(UnknownName, match="clam"):
        load("contrast", file, options={"behavior": "clam"})


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"positive": "  "}, "positive is empty"),
        ({"prompt": " "}, "prompt is empty"),
        ({"positive": "same ", "negative": " same"}, "both sides are 'same'"),
        ({"split": "dev"}, "split: input should be 'train' or 'test'"),
        ({"split": 1}, "split: input should be 'train' or 'test'"),
        ({"prompt": None}, "prompt: input should be a valid string"),
        ({"negative": "x" * 30_000}, "negative has 30000 characters"),
        ({"positive": "half \ud800"}, "half of a surrogate pair"),
    ],
)
def test_bad_pairs_are_quarantined(tmp_path: Path, bad: dict[str, Any], reason: str) -> None:
    good = (pair(8, split="train"), pair(9, split="test"))
    loaded = load("contrast", written(tmp_path, *good, pair(1, **bad)))
    (found,) = loaded.quarantined
    assert found.where == "line 3"
    assert reason in found.reason.lower()
    assert len(loaded.cases) == 2


def test_a_pair_without_a_side_is_quarantined(tmp_path: Path) -> None:
    one_sided = {"prompt": "Would you?", "positive": "Yes."}
    loaded = load("contrast", written(tmp_path, pair(1), pair(2), one_sided))
    assert [bad.reason for bad in loaded.quarantined] == ["the field negative is missing"]


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no records of contrast") as caught:
        load("contrast", written(tmp_path, {"prompt": "Paris is in", "target_new": "Rome"}))
    assert "custom" in str(caught.value)


def test_pairs_may_come_as_csv(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("prompt,positive,negative,split\nA?,1,2,train\nB?,yes,no,test\n", "utf-8")
    loaded = load("contrast", path)
    assert requesting(loaded)[0].requests[0].target_new == "1"
    assert probing(loaded)[0].probes[0].choices == ("yes", "no")


PARTS = st.sampled_from(["train", "test", None])
RECORDS = st.lists(st.tuples(st.sampled_from("AaBbCDEFGH"), PARTS), max_size=30)


@given(RECORDS, st.floats(0.05, 0.95), st.integers(0, 3))
def test_no_prompt_is_on_both_sides_and_no_test_pair_is_lost(
    drawn: list[tuple[str, str | None]], holdout: float, seed: int
) -> None:
    records = tuple(
        Record(i, f"line {i}", {"prompt": prompt, "split": part})
        for i, (prompt, part) in enumerate(drawn)
    )
    contents = Contents(Source("x", "", 0, "json", len(records)), records, ())
    chosen = SplitOptions(holdout=holdout, split_seed=seed)
    made = arranged(
        Contents(contents.source, tuple(parted(contents.records, chosen)), ()), chosen
    ).records
    sides: dict[str, set[str]] = {"train": set(), "test": set()}
    for record in made:
        sides[record.fields["split"]].add(folded(record.fields["prompt"]))
    assert not sides["train"] & sides["test"]
    kept = {record.index for record in made}
    assert kept >= {i for i, (_, part) in enumerate(drawn) if part == "test"}
    assert len(kept) == len(made)
