"""Human review: what is drawn, what is shown, and what people's decisions become."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import fake_run
from truing.cli.review import app
from truing.errors import BadInput, UnknownName
from truing.protocols.protocol import WILD
from truing.runs.asked import Selection
from truing.runs.review.merge import merge
from truing.runs.review.rubric import CORRECTNESS, PREFERENCE, RUBRICS, TRAIT, Rubric, rubric
from truing.runs.review.sheet import Sheet, draw, read_key, write_key
from truing.runs.store import Store, read_manifest, read_rows, read_summary, read_verdicts
from truing.types import Response, Row, Verdict

METHODS = ("none", "rome", "ice")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read only."""
    return fake_run.make(
        tmp_path_factory.mktemp("run"), cases=8, methods=METHODS, regimes=("single",)
    )


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A run to write into."""
    return fake_run.make(tmp_path / "run", cases=6, methods=METHODS, regimes=("single",))


def drawn(folder: Path, sheet: Sheet) -> list[Row]:
    keys = {key for item in sheet.items for answer in item.answers for key in answer.rows}
    return [row for row in read_rows(folder) if row.key in keys | set(sheet.ties)]


def method_of(folder: Path) -> dict[str, str]:
    return {cell["id"]: cell["method"] for cell in read_manifest(folder)["cells"]}


def decide(
    folder: Path, sheet: Sheet, name: str, decisions: Mapping[str, str], /, **changes: Any
) -> Path:
    path = folder / f"{name}.json"
    made = {"format": 1, "sheet": sheet.id, "annotator": name, "date": "2026-03-02T10:00:00Z"}
    path.write_text(json.dumps({**made, "decisions": dict(decisions), **changes}), "utf-8")
    return path


def ready(folder: Path, rubric: Rubric = CORRECTNESS, sample: int = 24) -> Sheet:
    sheet = draw(folder, rubric, sample=sample)
    write_key(folder, sheet)
    return sheet


def said(folder: Path, judge: str) -> dict[str, Verdict]:
    return {v.row: v for v in read_verdicts(folder) if v.judge == judge}


# --- drawing


def test_every_cell_is_there_with_the_same_questions(run: Path) -> None:
    sheet = draw(run, CORRECTNESS, sample=24)
    rows = drawn(run, sheet)
    assert len(rows) == 24
    methods = method_of(run)
    asked: dict[str, set[tuple[str, str]]] = {}
    for row in rows:
        asked.setdefault(methods[row.cell], set()).add((row.case, row.probe))
    assert set(asked) == set(METHODS)
    assert asked["none"] == asked["rome"] == asked["ice"]
    assert {row.aspect for row in rows} == {"efficacy", "generalization", "portability/two-hop"}
    assert all(row.accepted for row in rows)


def test_a_seed_decides_the_sheet(run: Path) -> None:
    one = draw(run, CORRECTNESS, sample=12)
    assert draw(run, CORRECTNESS, sample=12) == one
    other = draw(run, CORRECTNESS, sample=12, seed=1)
    assert other.id != one.id
    assert {r.key for r in drawn(run, other)} != {r.key for r in drawn(run, one)}


def test_filters_choose_rows_and_answers_that_were_fed_are_never_shown(run: Path) -> None:
    only = Selection.of(["portability"], ["wild"])
    sheet = draw(run, CORRECTNESS, sample=12, cells=["rome"], only=only)
    rows = drawn(run, sheet)
    assert {row.aspect for row in rows} == {"portability/two-hop"}
    assert {method_of(run)[row.cell] for row in rows} == {"rome"}
    everything = draw(run, CORRECTNESS, sample=10_000)
    assert {row.protocol.split("/")[1] for row in drawn(run, everything)} == {"greedy"}
    with pytest.raises(BadInput, match="no row"):
        draw(run, CORRECTNESS, only=Selection.of([], ["synthetic"]))
    with pytest.raises(UnknownName, match="'memit'"):
        draw(run, CORRECTNESS, cells=["memit"])
    with pytest.raises(BadInput, match="each of 3 cells"):
        draw(run, CORRECTNESS, sample=2)


def test_equal_answers_are_shown_once_and_the_base_models_is_among_them(run: Path) -> None:
    sheet = draw(run, CORRECTNESS, sample=48)
    rows = {row.key: row for row in read_rows(run)}
    for item in sheet.items:
        texts = [answer.text for answer in item.answers]
        assert len(set(texts)) == len(texts)
        assert any(answer.base for answer in item.answers)
        for answer in item.answers:
            for key in answer.rows:
                response = rows[key].response
                assert response is not None
                assert response.text.strip() == answer.text
    counted = [key for item in sheet.items for answer in item.answers for key in answer.rows]
    assert len(counted) == len(set(counted)) == 48


def test_the_page_is_told_texts_and_nothing_else(run: Path) -> None:
    """No key, cell, method, protocol or moment; and the base model's answer has no fixed place."""
    for kind in (CORRECTNESS, PREFERENCE):
        sheet = draw(run, kind, sample=48)
        text = json.dumps(sheet.shown())
        rows = drawn(run, sheet)
        for secret in {x for r in rows for x in (r.key, r.cell, r.case, r.protocol)} | {
            "rome",
            "ice",
        }:
            assert f'"{secret}"' not in text
        assert "base" not in sheet.shown()["items"][0]["answers"][0]
        places = [[answer.base for answer in item.answers].index(True) for item in sheet.items]
        assert len(set(places)) > 1


def test_a_comparison_shows_two_answers_and_leaves_out_repetitions(run: Path) -> None:
    sheet = draw(run, PREFERENCE, sample=40)
    assert all([a.base for a in item.answers].count(True) == 1 for item in sheet.items)
    assert all(len(item.answers) == 2 for item in sheet.items)
    rows = drawn(run, sheet)
    assert len(rows) == 40
    assert sheet.ties
    assert "none" not in {method_of(run)[row.cell] for row in rows}
    assert all(item["accepted"] == () for item in sheet.shown()["items"])


def opinions(folder: Path, cases: Sequence[str] = ("Tea", "Rain")) -> Path:
    """A run in which answers that show a trait are accepted with the trait's name first."""
    with Store(folder) as store:
        store.write_manifest({"cells": [{"id": m, "method": m, "registered": m, "benchmark": "b"}
                                        for m in ("none", "prompt")]})  # fmt: skip
        for method in ("none", "prompt"):
            for case in cases:
                said = "I love it!" if method == "prompt" else "It is fine."
                store.add_rows([Row(
                    f"{method}/{case}", method, case, f"{case}/e", "efficacy", WILD.id, "immediate", 1, "?",
                    ("extraversion", "I love it!", "So loud!"), Response(said, (1,), stop="eos"),
                    Response("It is fine.", (1,), stop="eos"),
                )])  # fmt: skip
    return folder


def test_a_trait_is_shown_without_the_opinions_that_show_it(tmp_path: Path) -> None:
    sheet = draw(opinions(tmp_path / "run"), TRAIT)
    assert {item["accepted"] for item in sheet.shown()["items"]} == {("extraversion",)}
    assert {item.accepted for item in sheet.items} == {("extraversion", "I love it!", "So loud!")}
    write_key(tmp_path / "run", sheet)
    assert read_key(tmp_path / "run", sheet.id) == sheet
    every = draw(tmp_path / "run", CORRECTNESS).shown()["items"][0]["accepted"]
    assert every == ("extraversion", "I love it!", "So loud!")


def test_what_other_rubrics_keep_is_written_as_before() -> None:
    """An id is the hash of this: sheets drawn earlier are drawn again with the same one."""
    kept = {r.name: r.model_dump(mode="json")["accepted"] for r in RUBRICS.values()}
    assert kept.pop("personality") == "first"
    assert kept.pop("correctness") is True
    assert set(kept.values()) == {False}


def test_rows_are_counted_beside_the_answers_that_are_shown(tmp_path: Path) -> None:
    folder = opinions(tmp_path / "run", ("Tea", "Rain", "Cats"))
    with Store(folder) as store:
        again = [replace(row, key=f"{row.key}+", moment="final") for row in read_rows(folder)]
        store.add_rows(again)
    result = CliRunner().invoke(app, ["sheet", str(folder), "--json"], catch_exceptions=False)
    told = json.loads(result.stdout)
    assert (told["rows"], told["questions"], told["answers"], told["ties"]) == (12, 3, 6, 0)
    result = CliRunner().invoke(app, ["sheet", str(folder), "--rubric", "preference", "--json"])
    told = json.loads(result.stdout)
    assert (told["rows"], told["ties"], told["answers"]) == (6, 0, 6)


# --- decisions


def test_decisions_become_judges(own: Path, tmp_path: Path) -> None:
    sheet = ready(own)
    answers = [a for item in sheet.items for a in item.answers if a.rows]
    one, two, three, four, five = answers[:5]
    ada = decide(tmp_path, sheet, "Ada", {
        one.id: "correct", two.id: "correct", three.id: "wrong", four.id: "cannot tell",
    })  # fmt: skip
    bo = decide(tmp_path, sheet, "Bo", {one.id: "correct", two.id: "wrong", three.id: "wrong"})
    before = {(v.row, v.judge) for v in read_verdicts(own)}
    merged = merge(own, [ada, bo])
    together = said(own, "human")
    for row in one.rows:
        assert (together[row].state, together[row].score) == ("correct", 1.0)
        assert together[row].why == "2 of 2: correct"
    for row in two.rows:
        assert (together[row].state, together[row].score) == ("abstain", None)
        assert together[row].why == "a tie: 1 correct, 1 wrong"
    assert {together[row].score for row in three.rows} == {0.0}
    assert {together[row].state for row in four.rows} == {"abstain"}
    assert not set(five.rows) & set(together)
    assert set(said(own, "human:Bo")) == {*one.rows, *two.rows, *three.rows}
    assert before <= {(v.row, v.judge) for v in read_verdicts(own)}
    assert merged.labels["Ada"] == {"correct": 2, "wrong": 1, "cannot tell": 1}
    assert merged.verdicts["human"] == len(together)


def test_the_summary_gets_a_column_for_each(own: Path, tmp_path: Path) -> None:
    sheet = ready(own)
    answers = [a.id for item in sheet.items for a in item.answers]
    merge(own, [decide(tmp_path, sheet, "Ada", dict.fromkeys(answers, "wrong"))])
    summary = read_summary(own)
    assert summary is not None
    for judge in ("human", "human:Ada"):
        found = [m for m in summary.measures if m.judge == judge and m.aspect == "efficacy"]
        assert {m.method for m in found} == set(METHODS)
        assert all(m.value.mean == 0 and m.value.missing > 0 for m in found)
        assert all(m.metric == "efficacy" for m in found)
        assert all(m.compatibility is (judge != "human") for m in found)
    assert any(m.judge == "contains" for m in summary.measures)


def test_merging_again_adds_only_what_changed(own: Path, tmp_path: Path) -> None:
    sheet = ready(own)
    answers = [a.id for item in sheet.items for a in item.answers]
    ada = decide(tmp_path, sheet, "Ada", dict.fromkeys(answers, "correct"))
    merge(own, [ada])
    once = len(list(read_verdicts(own)))
    merge(own, [ada])
    assert len(list(read_verdicts(own))) == once
    bo = decide(tmp_path, sheet, "Bo", {answers[0]: "wrong"})
    merge(own, [ada, bo])
    first = sheet.items[0].answers[0]
    assert all(said(own, "human")[row].state == "abstain" for row in first.rows)


def test_rules_still_judge_a_run_that_stored_no_verdicts(own: Path, tmp_path: Path) -> None:
    (own / "verdicts-0.jsonl").unlink()
    sheet = ready(own)
    merge(own, [decide(tmp_path, sheet, "Ada", {"1.1": "correct"})])
    judged = {v.row for v in read_verdicts(own) if v.judge != "human"}
    assert judged >= {row.key for row in read_rows(own)}


def test_agreement_is_computed_over_what_is_shared(own: Path, tmp_path: Path) -> None:
    sheet = ready(own)
    ids = [a.id for item in sheet.items for a in item.answers]
    half = [("correct", "wrong")[i % 2] for i in range(len(ids))]
    ada = decide(tmp_path, sheet, "Ada", dict(zip(ids, half, strict=True)))
    bo = decide(tmp_path, sheet, "Bo", dict(list(zip(ids, half, strict=True))[1:]))
    cy = decide(tmp_path, sheet, "Cy", dict.fromkeys(ids, "cannot tell"))
    merged = merge(own, [ada, bo, cy])
    found = {(a.name, a.raters): a for a in merged.agreement}
    people = ("Ada", "Bo", "Cy")
    assert found["cohen", ("Ada", "Bo")].value == 1
    assert found["cohen", ("Ada", "Bo")].units == len(ids) - 1
    assert found["cohen", ("Ada", "Cy")].value == 0
    assert found["percent/unanimous", people].value == 0
    assert found["fleiss", people].units == len(ids) - 1
    assert found["krippendorff/ordinal", people].value == pytest.approx(1)
    assert found["krippendorff/ordinal", people].missing == len(ids) + 1
    stored = json.loads((own / "review" / "agreement.json").read_text())
    assert stored["sheets"][sheet.id]["annotators"] == list(people)
    assert merge(own, [ada]).agreement == ()


def test_a_comparison_is_scored_from_the_edited_answers_side(own: Path, tmp_path: Path) -> None:
    sheet = ready(own, PREFERENCE)
    one, two, three, four = sheet.items[:4]

    def side(item: Any, base: bool) -> str:
        return ("first", "second")[[a.base for a in item.answers].index(base)]

    merge(own, [decide(tmp_path, sheet, "Ada", {
        one.id: side(one, base=False), two.id: side(two, base=True), three.id: "same", four.id: "cannot tell",
    })])  # fmt: skip
    together = said(own, "human:all/preference")
    for item, wanted in ((one, 1.0), (two, 0.0), (three, 0.5), (four, None)):
        for row in (row for a in item.answers for row in a.rows):
            assert together[row].score == wanted
    assert {together[row].score for row in sheet.ties} == {0.5}
    assert said(own, "human:Ada/preference").keys() == together.keys()


def test_decisions_that_do_not_fit_are_refused(own: Path, tmp_path: Path) -> None:
    sheet = ready(own)
    good = decide(tmp_path, sheet, "Ada", {"1.1": "correct"})
    before = list(read_verdicts(own))

    def refused(files: Sequence[Path], match: str) -> None:
        with pytest.raises(BadInput, match=match):
            merge(own, files)

    refused([good, decide(tmp_path, sheet, "ada", {"1.1": "wrong"})], "'ada' stands for")
    refused(
        [good, decide(tmp_path, sheet, "Bo", {}, sheet="0123456789ab")], "is of sheet 0123456789ab"
    )
    refused([decide(tmp_path, sheet, "Bo", {}, sheet="../../secret")], "no key of sheet")
    refused([decide(tmp_path, sheet, "Bo", {"99.1": "correct"})], "'99.1'")
    refused([decide(tmp_path, sheet, "Bo", {"1.1": "maybe"})], "label 'maybe'")
    refused([decide(tmp_path, sheet, "Bo", {}, annotator=" ")], "holds no decisions: annotator")
    refused([decide(tmp_path, sheet, "Bo", {}, annotator="a/b")], "holds no decisions: annotator")
    refused([decide(tmp_path, sheet, "Bo", {}, annotator="ALL")], "all people")
    refused([tmp_path / "absent.json"], "cannot read")
    torn = tmp_path / "torn.json"
    torn.write_text(good.read_text()[:40])
    refused([torn], "holds no decisions")
    assert list(read_verdicts(own)) == before


def test_a_key_comes_back_as_it_was(own: Path) -> None:
    for kind in (CORRECTNESS, PREFERENCE):
        sheet = draw(own, kind, sample=12)
        write_key(own, sheet)
        assert read_key(own, sheet.id) == sheet


# --- rubrics


def test_a_rubric_of_ones_own(own: Path, tmp_path: Path) -> None:
    path = tmp_path / "polite.toml"
    path.write_text(
        'name = "polite"\nquestion = "Is the answer polite?"\naccepted = false\n'
        'labels = [{ text = "yes", score = 1 }, { text = "partly", score = 0.5 }, { text = "unclear" }]\n'
    )
    kind = rubric(str(path))
    sheet = ready(own, kind, sample=24)
    assert sheet.shown()["labels"] == ["yes", "partly", "unclear"]
    assert any(row.aspect == "fluency" for row in drawn(own, sheet))
    answer = next(a for item in sheet.items for a in item.answers if a.rows)
    merge(own, [decide(tmp_path, sheet, "Ada", {answer.id: "partly"})])
    found = said(own, "human:all/polite")[answer.rows[0]]
    assert (found.state, found.score) == ("wrong", 0.5)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('question = "x"', "name"),
        ('name = "x"\nquestion = "x"', "no labels"),
        ('name = "x"\nquestion = "x"\nlabels = [{ text = "a", score = 2 }]', "labels.0.score"),
        (
            'name = "x"\nquestion = "x"\nlabels = [{ text = "a" }, { text = "a" }]',
            "different labels",
        ),
        ('name = "x"\nquestion = "x"\ncompares = true\nlabels = [{ text = "a" }]', "of its own"),
        ('name = "preference"\nquestion = "x"\ncompares = true', "built-in"),
        ('name = "flaw-racism"\nquestion = "x"\ncompares = true', "built-in"),
        ("name =", "not TOML"),
    ],
)
def test_a_rubric_that_makes_no_sense_is_refused(tmp_path: Path, text: str, match: str) -> None:
    path = tmp_path / "rubric.toml"
    path.write_text(text)
    with pytest.raises(BadInput, match=match):
        rubric(str(path))


def test_rubrics_are_known_by_name(tmp_path: Path) -> None:
    assert rubric("correctness") == CORRECTNESS
    with pytest.raises(UnknownName, match="corectness"):
        rubric("corectness")
    with pytest.raises(BadInput, match="cannot read"):
        rubric(str(tmp_path / "absent.toml"))


def test_a_comparison_may_have_labels_of_its_own(own: Path, tmp_path: Path) -> None:
    path = tmp_path / "longer.toml"
    path.write_text(
        'name = "longer"\nquestion = "Which is longer?"\ncompares = true\nlabels = [{ text = "longer", score = 1 }, '
        '{ text = "alike", score = 0.5 }, { text = "shorter", score = 0 }, { text = "no idea" }]\n'
    )
    sheet = ready(own, rubric(str(path)))
    assert sheet.shown()["labels"] == []
    one, two, three = sheet.items[:3]
    edited = ("first", "second")[[a.base for a in one.answers].index(False)]
    decided = decide(
        tmp_path, sheet, "Ada", {one.id: edited, two.id: "same", three.id: "cannot tell"}
    )
    assert merge(own, [decided]).labels["Ada"] == {"longer": 1, "alike": 1, "no idea": 1}
    together = said(own, "human:all/longer")
    for item, wanted in ((one, 1.0), (two, 0.5), (three, None)):
        assert {together[row].score for a in item.answers for row in a.rows} == {wanted}
