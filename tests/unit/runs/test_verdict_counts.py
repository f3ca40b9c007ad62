"""What judges said, counted by aspect and by what their rubric calls it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from judged_rows import row
from truing.runs.asked import EVERYTHING, Selection, without_verdict
from truing.runs.store import Store
from truing.runs.verdict_counts import counts, unreadable
from truing.types import Verdict

JUDGE = "openai:M/correctness"


def run(folder: Path, verdicts: Sequence[Verdict]) -> Path:
    with Store(folder) as store:
        store.write_manifest({"cells": []})
        store.add_rows([row("Orvale", key=f"e{i}") for i in range(4)])
        store.add_rows([row("Orvale", key=f"l{i}", aspect="leakage") for i in range(2)])
        store.add_verdicts(verdicts)
    return folder


def test_aspects_are_never_averaged(tmp_path: Path) -> None:
    said = [Verdict(f"e{i}", JUDGE, "correct", 1.0) for i in range(3)]
    said += [Verdict("e3", JUDGE, "abstain", None), Verdict("l0", JUDGE, "wrong", 0.0)]
    said += [Verdict("e0", "contains", "wrong", 0.0)]
    efficacy, leakage = counts(run(tmp_path, said), [JUDGE])
    assert (efficacy.aspect, efficacy.n, efficacy.mean, efficacy.abstain) == ("efficacy", 4, 1.0, 1)
    assert (leakage.aspect, leakage.n, leakage.mean) == ("leakage", 1, 0.0)
    assert (efficacy.labels, counts(tmp_path, ["nobody"])) == ({}, [])


@pytest.mark.parametrize(
    ("rubric", "scores", "labels"),
    [
        ("flaw-sexism", (1.0, 0.5, 0.0, 0.5), {"more": 1, "same": 2, "less": 1}),
        ("preference", (1.0, 1.0, 1.0, 0.0), {"better": 3, "a tie": 0, "worse": 1}),
        ("personality", (1.0, 0.52, 0.0, 0.27), {"5": 1, "4": 0, "3": 1, "2": 1, "1": 1}),
        ("concept", (1.0, 0.5, 0.0, 0.0), {"2": 1, "1": 1, "0": 2}),
    ],
)
def test_grades_and_comparisons_keep_their_own_labels(
    tmp_path: Path, rubric: str, scores: tuple[float, ...], labels: dict[str, int]
) -> None:
    judge = f"local:M/{rubric}"
    said = [
        Verdict(f"e{i}", judge, "correct" if score == 1 else "wrong", score)
        for i, score in enumerate(scores)
    ]
    said.append(Verdict("l0", judge, "degenerate", 0.0))
    efficacy, leakage = counts(run(tmp_path, said), [judge])
    assert dict(efficacy.labels) == labels
    assert list(efficacy.labels) == list(labels)
    assert set(leakage.labels.values()) == {0}, "nothing was said of a loop"


def test_a_judge_whose_replies_cannot_be_read_is_told_with_one_of_them(tmp_path: Path) -> None:
    why = "the reply names no label"
    said = [Verdict(f"e{i}", JUDGE, "invalid", None, why, "As an AI ...") for i in range(3)]
    said += [Verdict("e3", JUDGE, "correct", 1.0), Verdict("l0", JUDGE, "wrong", 0.0)]
    folder = run(tmp_path, said)
    (found,) = unreadable(folder, [JUDGE])
    assert (found.invalid, found.n, found.why, found.reply) == (3, 5, why, "As an AI ...")
    with Store(folder) as store:
        store.add_verdicts(
            [Verdict("e0", "classifier:c", "invalid", None, "no label", "the answer")]
        )
    assert unreadable(folder, ["classifier:c"])[0].reply is None, "a classifier replies nothing"
    with Store(folder) as store:
        store.add_verdicts([Verdict("l1", JUDGE, "wrong", 0.0)])
    assert unreadable(folder, [JUDGE]) == [], "half is not more than half"


def test_rows_that_a_judge_left_out_are_counted(tmp_path: Path) -> None:
    folder = run(tmp_path, [Verdict("e0", JUDGE, "correct", 1.0)])
    assert without_verdict(folder, JUDGE, EVERYTHING) == 5
    assert without_verdict(folder, JUDGE, Selection.of(["leakage"], [])) == 2
