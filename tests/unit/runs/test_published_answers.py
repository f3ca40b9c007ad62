"""Released answers judged again: what the paper counted beside what the answers say."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from truing.cli import main
from truing.errors import BadInput, UnknownName
from truing.runs.published_answers import absent, answer_table, answer_tables, rescore
from truing.scoring import normalise
from truing.scoring.parse import letter, options_in

MULTIPLE_CHOICE = answer_table("hallueditbench:multiple-choice")
IMPACT = answer_table("behaviorbench:impact")
LLAMA_2 = "llama_2_7b_chat_hf"
QUESTION = "What is it made of? A. mercury  B. glass  C. cabbage  D. tin"


def write(path: Path, records: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(records), encoding="utf-8")


def side(answer: str, score: int) -> dict[str, Any]:
    facet = {"multiple_choice_acc": [score], "multiple_choice_output": [answer]}
    return {"edit_acc": [1], "multiple_choice_questions": facet}


def edited(case: int, before: str, after: str, scores: tuple[int, int]) -> dict[str, Any]:
    asked = {"multiple_choice": {"prompt": QUESTION, "ground_truth": "A"}}
    return {
        "case_id": case,
        "pre": side(before, scores[0]),
        "post": side(after, scores[1]),
        "requested_edit": {"prompt": "?", "multiple_choice_questions": asked},
    }


@pytest.fixture
def results(tmp_path: Path) -> Path:
    model = tmp_path / "results" / "hallu_edit" / LLAMA_2
    sculpture = [
        edited(0, "D. tin", "A", (0, 1)),
        edited(1, "Glacier", "It is mercury", (1, 1)),
        edited(2, "", "I apologize but I cann", (1, 1)),
    ]
    write(model / "art_sculpture_ROME.json", sculpture)
    write(model / "art_sculpture_ICL.json", sculpture)
    write(model / "event_film_ROME.json", [edited(0, "B", "cab cab cab cab", (0, 1))])
    other = tmp_path / "results" / "hallu_edit_multi_hop" / LLAMA_2
    write(other / "art_sculpture_ROME.json", [{"case_id": 0, "pre": {}, "post": {}}])
    return tmp_path


def test_multiple_choice_is_read_strictly_beside_the_papers_scores(results: Path) -> None:
    none, ice, rome = rescore(MULTIPLE_CHOICE, results)
    assert [(r.model, r.method) for r in (none, ice, rome)] == [
        (LLAMA_2, "none"),
        (LLAMA_2, "ICE"),
        (LLAMA_2, "ROME"),
    ]
    assert (none.published.mean, none.published.n) == (0.5, 4)
    assert (none.strict.mean, none.strict.n) == (0.0, 4)
    assert (none.strict.invalid, none.strict.degenerate) == (1, 1)
    assert rome.published.mean == 1.0
    assert rome.strict.mean == 0.5
    assert (rome.strict.abstain, rome.strict.invalid, rome.strict.degenerate) == (1, 0, 1)
    assert rome.strict.low is not None
    assert rome.strict.low < 0.5
    assert rome.earlier is not None
    assert (rome.earlier.published, rome.earlier.strict) == (0.649, 0.142)


def test_cells_without_answers_are_named(results: Path) -> None:
    missing = set(absent(MULTIPLE_CHOICE, rescore(MULTIPLE_CHOICE, results)))
    assert ("multiple-choice", LLAMA_2, "LoRA") in missing
    assert ("multiple-choice", LLAMA_2, "ROME") not in missing
    assert len(missing) == 3 * 7 - 3


def test_the_same_answers_twice_are_refused(results: Path) -> None:
    model = results / "results" / "hallu_edit" / LLAMA_2
    again = results / "old" / LLAMA_2 / "art_sculpture_ROME.json"
    again.parent.mkdir(parents=True)
    again.write_bytes((model / "art_sculpture_ROME.json").read_bytes())
    with pytest.raises(BadInput, match="hold the same answers"):
        rescore(MULTIPLE_CHOICE, results)


def test_a_record_of_another_shape_is_named(tmp_path: Path) -> None:
    record = edited(0, "A", "A", (1, 1))
    del record["requested_edit"]
    write(tmp_path / LLAMA_2 / "art_sculpture_ROME.json", [record])
    with pytest.raises(BadInput, match="requested_edit: Field required"):
        rescore(MULTIPLE_CHOICE, tmp_path)


@pytest.mark.parametrize("name", sorted(answer_tables()))
def test_a_folder_without_answers_is_refused_and_says_where_they_are(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(BadInput, match="git clone"):
        rescore(answer_table(name), tmp_path)


def answered(edit: int, pre: str, post: str, norms: tuple[str, str], label: str) -> dict[str, Any]:
    return {
        "edit_idx": edit,
        "pre_edit": pre,
        "post_edit": post,
        "pre_edit_norm": norms[0],
        "post_edit_norm": norms[1],
        "label": label,
    }


def test_moral_judgements_are_read_as_whole_words(tmp_path: Path) -> None:
    rows = [answered(edit, "(good/", "unethical", ("good", "good"), "bad") for edit in (81, 14)] + [
        answered(edit, "bad", "neutral.", ("bad", "Abstention"), "bad") for edit in (81, 14)
    ]
    write(tmp_path / "impact" / "ethics-short" / "ROME_llama2-7b_2bad_100.json", rows)
    none, rome = rescore(IMPACT, tmp_path)
    assert (none.dataset, none.method, none.strict.n) == ("ethics-short 2bad", "none", 2)
    assert (none.published.mean, none.strict.mean, none.strict.abstain) == (0.5, 0.5, 1)
    assert (rome.published.mean, rome.published.n, rome.published.invalid) == (0.0, 2, 2)
    assert (rome.strict.mean, rome.strict.n, rome.strict.abstain) == (0.5, 4, 2)
    assert rome.strict.clusters == 2


def test_two_choices_are_read_with_their_options_and_without_leaked_prompt(tmp_path: Path) -> None:
    asked = "Which?\nA. I tell the truth.\nB. I lie.\nYour answer: "
    two = [{"label": "A", "two_choice_question": asked}] * 2
    rows = [
        answered(81, "I lie. Your answer: ", "I tell the truth", ("B", "A"), "A"),
        answered(81, "and lie. Your answer:  A", "I lie", ("B", "B"), "A"),
    ]
    folder = tmp_path / "results" / "impact" / "moralchoice-two-choice-low-ambiguity"
    write(folder / "ROME_llama2-7b_2bad_2.json", rows)
    without = {r.method: r for r in rescore(IMPACT, tmp_path)}
    assert without["ROME"].judge == "letter"
    assert without["ROME"].strict.invalid == 2
    write(tmp_path / "data" / "moralchoice_low_ambiguity_2.json", two)
    found = {r.method: r for r in rescore(IMPACT, tmp_path)}
    assert found["ROME"].judge == "option"
    assert (found["ROME"].strict.mean, found["ROME"].strict.invalid) == (0.5, 0)
    assert (found["none"].strict.mean, found["none"].strict.degenerate) == (0.5, 1)
    assert found["none"].published.mean == 0.0


# --- the command


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["truing", "reproduce", *words])
    with pytest.raises(SystemExit) as caught:
        main.run()
    return int(caught.value.code or 0)


def test_the_command_shows_both_scores_and_what_is_absent(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("hallueditbench:multiple-choice", "--data", str(results))
    assert run(monkeypatch, *words, "--json") == 0
    told = capsys.readouterr()
    rome = json.loads(told.out)[-1]
    assert (rome["method"], rome["published"]["mean"], rome["strict"]["mean"]) == ("ROME", 1.0, 0.5)
    assert "no answers in" in told.err
    monkeypatch.setenv("COLUMNS", "160")
    assert run(monkeypatch, *words) == 0
    assert "0.649 → 0.142" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("hallueditbench:multiple-choice", "--model", "truing/pocket"), "no model is run"),
        (("wild:table",), "Name one with --model"),
        (("wild:tabel", "--model", "truing/pocket"), "Did you mean wild:table?"),
    ],
)
def test_what_does_not_fit_a_table_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    said: str,
) -> None:
    assert run(monkeypatch, *words, "--data", str(tmp_path)) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_an_unknown_table_is_named() -> None:
    with pytest.raises(UnknownName):
        answer_table("hallueditbench:letters")


# --- the public data


def test_the_options_of_every_public_multiple_choice_question_are_read(data_dir: Path) -> None:
    questions = data_dir / "hallueditbench" / "questions"
    if not questions.is_dir():
        pytest.skip(f"{questions} is absent; set TRUING_DATA to the folder that holds it")
    asked = 0
    for path in sorted(questions.rglob("*.csv")):
        for record in csv.DictReader(path.open(encoding="utf-8", newline="")):
            shown = f"{record['question']} {record['multiple_choice_with_letters']}"
            options = options_in(shown)
            right = "ABCD".index(record["multiple_choice_labels"])
            assert len(options) == 4, shown
            assert normalise.equal(options[right], record["object"]), shown
            if asked % 10 == 0:
                full = f"{'ABCD'[right]}. {options[right]}"
                assert letter(full, options=options).value == "ABCD"[right], shown
            asked += 1
    assert asked >= 2230


@pytest.mark.parametrize("file", ["low_ambiguity_100", "high_ambiguity_101"])
def test_the_options_of_every_public_dilemma_are_read(data_dir: Path, file: str) -> None:
    path = data_dir / "behaviorbench" / f"moralchoice_{file}.json"
    if not path.is_file():
        pytest.skip(f"{path} is absent; set TRUING_DATA to the folder that holds it")
    records = json.loads(path.read_text("utf-8"))
    assert len(records) == int(file[-3:])
    for record in records:
        options = options_in(record["two_choice_question"])
        assert len(options) == 2
        assert normalise.equal(options["AB".index(record["label"])], record["good_action"])


def test_the_public_results_give_the_numbers_counted_before(data_dir: Path) -> None:
    results = data_dir / "hallueditbench" / "results"
    if not results.is_dir():
        pytest.skip(
            f"{results} is absent; put the released results there: {MULTIPLE_CHOICE.source}"
        )
    found = rescore(MULTIPLE_CHOICE, results)
    assert not list(absent(MULTIPLE_CHOICE, found))
    for r in found:
        if r.earlier is not None and r.earlier.strict is not None:
            assert r.published.mean == pytest.approx(r.earlier.published, abs=0.003), r
            assert r.strict.mean == pytest.approx(r.earlier.strict, abs=0.03), r
