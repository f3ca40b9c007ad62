"""People's ratings beside a judge's: from a file, from reviews, and what is not in order."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from truing.errors import BadInput
from truing.protocols.protocol import parse
from truing.runs.asked import Selection
from truing.runs.people_ratings import compare, read_ratings
from truing.runs.review.merge import merge
from truing.runs.review.rubric import rubric
from truing.runs.review.sheet import draw, write_key
from truing.runs.store import Store
from truing.types import Response, Row, Verdict

WILD = parse("wild,template=bare,scorer=asked").id
JUDGE = "local:judge/personality"
CELLS = [
    {"id": f"id-{name}", "model": "m", "method": name, "registered": name, "config": {},
     "benchmark": "b", "regime": "single", "seed": 0}
    for name in ("none", "prompt", "lora")
]  # fmt: skip
CASES = ("Arras", "Bread", "Coldplay", "Dover", "Essen")
STARS = {"none": (3, 2, 3, 4, 1), "prompt": (4, 5, 5, 4, 3), "lora": (3, 3, 2, None, 2)}


def row(method: str, case: str) -> Row:
    said = "It is fine." if method == "none" else f"{method} loves {case}!"
    return Row(
        key=f"{method}/{case}", cell=f"id-{method}", case=case, probe=f"{case}/efficacy/0",
        aspect="efficacy", protocol=WILD, moment="immediate", step=1, prompt="?", question=f"{case}?",
        accepted=("extraversion",), response=Response(said, (1,), stop="eos"),
        base=Response("It is fine.", (1,), stop="eos"),
    )  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    with Store(folder) as store:
        store.write_manifest({"cells": CELLS})
        for method, stars in STARS.items():
            for case, n in zip(CASES, stars, strict=True):
                of = row(method, case)
                score = None if n is None else (n - 1) / 4
                store.add_rows([of])
                state = "invalid" if n is None else "wrong"
                store.add_verdicts([Verdict(of.key, JUDGE, state, score, "", str(n))])
    return folder


def written(folder: Path, *lines: str, header: str = "case,arm,unedited,edited,annotator") -> Path:
    path = folder / "ratings.csv"
    path.write_text("\n".join((header, *lines)) + "\n", "utf-8")
    return path


def test_the_same_pairs_by_both(run: Path, tmp_path: Path) -> None:
    lines = [
        f"{case},prompt,2,{edited}," for case, edited in zip(CASES, (5, 5, 4, 4, 3), strict=True)
    ]
    (one,) = compare(run, written(tmp_path, *lines)).compared
    assert (one.judge, one.arms, one.found.pairs) == (JUDGE, ("prompt",), 5)
    assert one.found.judge.pae.mean == pytest.approx((1 + 3 + 2 + 0 + 2) / 5)
    assert one.found.people.pae.mean == pytest.approx((3 + 3 + 2 + 2 + 1) / 5)
    assert one.found.people.unedited.mean == 2.0
    assert (one.alpha, one.annotators, one.unrated) == (None, ("people",), 0)


def test_several_people_are_averaged_and_their_alpha_is_told(run: Path, tmp_path: Path) -> None:
    lines = ["Arras,prompt,2,5,ann", "Arras,prompt,3,4,ben", "Bread,prompt,1,5,ann",
             "Bread,prompt,1,,ben", "Dover,id-prompt,3,3,ann", "Dover,prompt,3,3,ben"]  # fmt: skip
    found = compare(run, written(tmp_path, *lines))
    (one,) = found.compared
    assert one.found.people.edited.mean == pytest.approx((4.5 + 5 + 3) / 3)
    assert one.found.people.unedited.mean == pytest.approx((2.5 + 1 + 3) / 3)
    assert one.alpha is not None
    assert (one.alpha.units, one.alpha.raters) == (4, ("ann", "ben"))
    assert found.missing == (f"{tmp_path / 'ratings.csv'} line 5: case Bread, arm prompt",)


def test_what_is_no_pair_of_the_run_is_named(run: Path, tmp_path: Path) -> None:
    lines = [
        "Arras/efficacy/0,prompt,2,5,",
        "Paris,prompt,2,5,",
        "Dover,lora,4,4,",
        "Arras,lora,3,3,",
    ]
    found = compare(run, written(tmp_path, *lines))
    assert [text.split(": ")[1] for text in found.unmatched] == ["case Paris, arm prompt"]
    assert (found.compared[0].found.pairs, found.compared[0].unrated) == (2, 1)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Arras,prompt,2,6,", "ratings.csv line 3: edited is '6'"),
        ("Arras,prompt,2.5,3,", "line 3: unedited is '2.5'"),
        (",prompt,2,3,", "line 3 has no case"),
        ("Bread,prompt,1,2,", "line 3: people rated case Bread, arm prompt before"),
        ("Arras,prompt,2", "line 3: the row has 3 columns"),
    ],
)
def test_a_bad_line_is_an_error_with_its_place(tmp_path: Path, line: str, said: str) -> None:
    file = written(tmp_path, "Bread,prompt,1,2,", line)
    with pytest.raises(BadInput, match=said):
        read_ratings(file)


def test_a_misspelled_column_is_no_missing_rating(tmp_path: Path) -> None:
    file = written(tmp_path, "Arras,prompt,2,3", header="case,arm,before,edited")
    with pytest.raises(BadInput, match="unknown column before"):
        read_ratings(file)


def test_a_file_without_any_arm_of_the_run_says_which_there_are(run: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no arm promt or rome") as told:
        compare(run, written(tmp_path, "Arras,promt,2,3,", "Bread,rome,2,3,"))
    assert "prompt, lora" in str(told.value)


def test_pairs_of_one_topic_are_one_unit(run: Path, tmp_path: Path) -> None:
    lines = [f"{case},prompt,2,{n}," for case, n in zip(CASES, (5, 5, 4, 4, 3), strict=True)]
    file = written(tmp_path, *lines)
    rows = run / "rows-0.jsonl"
    kept = [json.loads(line) for line in rows.read_text("utf-8").splitlines()]
    for each in kept:
        each["group"] = f"topic:{'Arras' if each['case'] == 'Bread' else each['case']}"
    rows.write_text("".join(json.dumps(each) + "\n" for each in kept), "utf-8")
    (one,) = compare(run, file).compared
    assert (one.found.pairs, one.found.cases, one.unit) == (5, 4, "topic")
    assert one.found.judge.pae.clusters == 4


def test_nobody_rated(run: Path) -> None:
    with pytest.raises(BadInput, match="nobody has rated a pair"):
        compare(run, None)


def test_reviews_need_no_file(run: Path, tmp_path: Path) -> None:
    sheet = draw(run, rubric("personality"), only=Selection.of(["efficacy"], []))
    write_key(run, sheet)
    assert {answer["text"] for item in sheet.shown()["items"] for answer in item["answers"]} >= {
        "It is fine."
    }
    files = []
    for who, stars in (("ann", ("2", "5")), ("ben", ("3", "4")), ("cem", ("1", "cannot tell"))):
        said = {a.id: stars[not a.base] for item in sheet.items for a in item.answers}
        files.append(tmp_path / f"{who}.json")
        text = {"format": 1, "sheet": sheet.id, "annotator": who, "date": "", "decisions": said}
        files[-1].write_text(json.dumps(text), "utf-8")
    merge(run, files)
    found = compare(run, None)
    (one,) = found.compared
    assert (one.arms, one.annotators) == (("prompt", "lora"), ("ann", "ben"))
    assert (one.found.people.unedited.mean, one.found.people.edited.mean) == (2.5, 4.5)
    assert (one.found.pairs, one.unrated) == (9, 1)
    assert len(found.missing) == 10
    assert found.missing[0] == "cem: case Arras, arm prompt"


def test_an_unedited_answer_that_arms_share_is_one_unit(run: Path) -> None:
    with Store(run) as store:
        for method in ("none", "prompt", "lora"):
            for i, case in enumerate(CASES):
                for who, more in (("Ann", 0), ("Ben", 1)):
                    score = (i + more) % 5 / 4
                    store.add_verdicts(
                        [Verdict(f"{method}/{case}", f"human:{who}/personality", "wrong", score)]
                    )
    [both] = compare(run, None).compared
    assert both.found.pairs == 9
    assert both.alpha is not None
    assert both.alpha.units == 14


def test_a_rating_of_zero_is_an_error_and_not_missing(tmp_path: Path) -> None:
    file = tmp_path / "ratings.jsonl"
    file.write_text('{"case": "Arras", "arm": "prompt", "unedited": 0, "edited": 3}')
    with pytest.raises(BadInput, match="unedited is '0'"):
        read_ratings(file)
