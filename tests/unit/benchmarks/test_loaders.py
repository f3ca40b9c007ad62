"""What each benchmark makes of its records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from truing.benchmarks.loading import Loaded, load
from truing.errors import BadInput
from truing.types import Case, Probe

NESTED = {
    "case_id": 17,
    "requested_rewrite": {
        "prompt": "{} is written in",
        "relation_id": "P37",
        "subject": "The Salt Charter",
        "target_new": {"str": "Hesk", "id": "Q2"},
        "target_true": {"str": "Aveli", "id": "Q1"},
    },
    "paraphrase_prompts": [
        "Some noise. The Salt Charter uses",
        "The language of The Salt Charter is",
    ],
    "neighborhood_prompts": ["The Oak Charter is written in", "The Tin Charter is written in"],
    "attribute_prompts": ["The Hill Letter is written in"],
    "generation_prompts": [
        "The Salt Charter is known for",
        "The Salt Charter begins with",
        "In The Salt Charter",
    ],
}
EDIT = {
    "case_id": 3, "prompt": "The home of Mara Elder is", "target_new": "Merrow", "subject": "Mara Elder",
    "ground_truth": "Vantry", "rephrase_prompt": "Mara Elder lives in", "locality_prompt": "Tobin Vale lives in",
    "locality_ground_truth": "Vantry",
}  # fmt: skip
MEND = {
    "subject": "Mara Elder", "src": "Where does Mara Elder live?", "pred": "x", "rephrase": "Where is Mara Elder at home?",
    "alt": " Merrow", "answers": ["Vantry", "Vantry Town"], "loc": "nq question: who sang it", "loc_ans": "Tobin",
    "cond": "x >> Merrow || Where does Mara Elder live?",
}  # fmt: skip
KNOWEDIT = {
    "subject": "Mara Elder", "prompt": "Where does Mara Elder live?", "target_new": "Merrow", "ground_truth": ["Vantry"],
    "rephrase_prompt": "Where is Mara Elder at home?", "cond": "x",
    "locality": {"Relation_Specificity": [{"prompt": "Mara Elder speaks", "ground_truth": ["Aveli", "Hesk"]}]},
    "portability": {"Reasoning": [{"prompt": "Which river is at Mara Elder's home?", "ground_truth": "Eske"}],
                    "Subject_Aliasing": [{"prompt": "Where does M. Elder live?", "ground_truth": [["Merrow", "Merrow Town"]]}]},
}  # fmt: skip
QAEDIT = {
    "id": 9, "source": "NQ", "prompt": "where does mara elder live?", "target": "Merrow", "subject": "mara elder",
    "rephrase": "In which city is Mara Elder's home?",
    "locality": [{"loc": "who sang it", "loc_ans": "Tobin"}, {"loc": "who wrote it", "loc_ans": "Selma"}],
}  # fmt: skip


def loaded(tmp_path: Path, name: str, *records: Any, **options: Any) -> Loaded:
    path = tmp_path / "records.json"
    path.write_text(json.dumps(records), encoding="utf-8")
    result = load(name, path, options=options)
    result.refuse_quarantined()
    return result


def only(result: Loaded) -> Case:
    (case,) = result.cases
    return case


def of(case: Case, aspect: str) -> list[Probe]:
    return [probe for probe in case.probes if probe.aspect.split("/")[0] == aspect]


def test_counterfact_as_published(tmp_path: Path) -> None:
    result = loaded(tmp_path, "counterfact", NESTED)
    case = only(result)
    (request,) = case.requests
    assert (result.form, result.dataset, case.id) == ("nested", "counterfact", "17")
    assert (request.prompt, request.subject) == (
        "The Salt Charter is written in",
        "The Salt Charter",
    )
    assert (request.target_new, request.target_old) == ("Hesk", "Aveli")
    assert set(case.tags) == {"relation:P37", "target-id:Q2"}
    assert [p.prompt for p in of(case, "generalization")] == NESTED["paraphrase_prompts"]
    near = of(case, "locality")
    assert [p.prompt for p in near] == NESTED["neighborhood_prompts"]
    assert {(p.aspect, p.accepted, p.reference, p.choices) for p in near} == {
        ("locality/neighborhood", (), "Aveli", ("Aveli", "Hesk"))
    }
    assert len(of(case, "fluency")) == 3


def test_counterfact_counts_are_options_and_part_of_the_data_set_id(tmp_path: Path) -> None:
    result = loaded(
        tmp_path, "counterfact", NESTED, paraphrases=1, neighbors=0, attributes=None, generations=1
    )
    case = only(result)
    assert [p.aspect for p in case.probes] == [
        "efficacy",
        "generalization",
        "locality/attribute",
        "fluency",
    ]
    assert of(case, "locality")[0].choices == ("Hesk", "Aveli")
    assert result.dataset == "counterfact[paraphrases=1,neighbors=0,attributes=None,generations=1]"


def test_a_counterfact_template_without_a_place_for_the_subject_is_quarantined(
    tmp_path: Path,
) -> None:
    broken = {**NESTED, "requested_rewrite": {**NESTED["requested_rewrite"], "prompt": "It is"}}  # type: ignore[dict-item]
    with pytest.raises(BadInput, match=r"must hold \{\} once"):
        loaded(tmp_path, "counterfact", broken)


def test_counterfact_flattened(tmp_path: Path) -> None:
    result = loaded(tmp_path, "counterfact", EDIT)
    case = only(result)
    assert result.form == "edit"
    assert [p.aspect for p in case.probes] == [
        "efficacy",
        "generalization",
        "locality/neighborhood",
    ]
    assert of(case, "efficacy")[0].choices == ("Merrow", "Vantry")
    assert of(case, "locality")[0].choices == ("Vantry", "Merrow")


def test_both_layouts_in_one_file_are_reported(tmp_path: Path) -> None:
    assert loaded(tmp_path, "counterfact", NESTED, EDIT).form == "edit+nested"


@pytest.mark.parametrize(
    ("target", "new", "old"),
    [("alt", "Merrow", "Vantry"), ("answers", "Vantry", None), ("ans", "Ash", None)],
)
def test_the_zsre_target_is_chosen_and_named(
    tmp_path: Path, target: str, new: str, old: str | None
) -> None:
    record = {**MEND, "ans": "Ash", "answers": MEND["answers"] if target != "ans" else []}
    result = loaded(tmp_path, "zsre", record, target=target)
    request = only(result).requests[0]
    assert result.dataset == f"zsre[target={target}]"
    assert (request.target_new, request.target_old) == (new, old)
    assert only(result).probes[0].accepted == (new,)


def test_a_zsre_target_that_the_file_lacks_is_named_with_what_it_has(tmp_path: Path) -> None:
    with pytest.raises(
        BadInput, match="target=ans needs a field that is not there \\(present: alt or answers\\)"
    ):
        loaded(tmp_path, "zsre", MEND, target="ans")


@pytest.mark.parametrize(
    ("how", "asked"),
    [
        ("stored", "nq question: who sang it"),
        ("question-mark", "nq question: who sang it?"),
        ("plain", "who sang it?"),
    ],
)
def test_the_unrelated_question_of_zsre(tmp_path: Path, how: str, asked: str) -> None:
    case = only(loaded(tmp_path, "zsre", MEND, loc=how))
    (probe,) = of(case, "locality")
    assert (probe.prompt, probe.accepted, probe.reference, probe.aspect) == (
        asked,
        (),
        "Tobin",
        "locality",
    )


def test_zsre_of_knowedit(tmp_path: Path) -> None:
    result = loaded(tmp_path, "zsre", KNOWEDIT)
    case = only(result)
    assert result.form == "knowedit"
    assert case.requests[0].target_old == "Vantry"
    assert {p.aspect: p.accepted for p in of(case, "portability")} == {
        "portability/reasoning": ("Eske",),
        "portability/subject-aliasing": ("Merrow", "Merrow Town"),
    }
    (near,) = of(case, "locality")
    assert (near.aspect, near.reference) == ("locality/relation-specificity", "Aveli")


def test_consequences_are_not_asked_when_the_target_is_another(tmp_path: Path) -> None:
    case = only(loaded(tmp_path, "zsre", KNOWEDIT, target="answers"))
    assert case.requests[0].target_new == "Vantry"
    assert of(case, "portability") == []


def test_qaedit_asks_the_first_unrelated_question_or_all(tmp_path: Path) -> None:
    result = loaded(tmp_path, "qaedit", QAEDIT)
    assert only(result).id == "NQ-9"
    assert only(result).tags == ("source:NQ",)
    assert [p.prompt for p in of(only(result), "locality")] == ["who sang it"]
    every = loaded(tmp_path, "qaedit", QAEDIT, locality="all")
    assert [p.reference for p in of(only(every), "locality")] == ["Tobin", "Selma"]
    assert (result.dataset, every.dataset) == ("qaedit", "qaedit[locality=all]")


def test_ids_that_repeat_across_sources_are_distinct(tmp_path: Path) -> None:
    result = loaded(tmp_path, "qaedit", QAEDIT, {**QAEDIT, "source": "TQA"})
    assert [case.id for case in result.cases] == ["NQ-9", "TQA-9"]


def test_custom_in_full(tmp_path: Path) -> None:
    record = {
        "id": "mara", "prompt": "The home of Mara Elder is", "target_new": 1984, "target_old": "Vantry",
        "subject": "Mara Elder", "rephrases": "Mara Elder lives in", "tags": ["home"],
        "locality": ["Tobin Vale lives in", {"prompt": "Selma Vale lives in", "answer": "Yarrow"}],
        "portability": {"two-hop": {"prompt": "The country of Mara Elder is", "answer": ["Averland", "the Averland"]}},
        "open_prompts": ["Tell me of Mara Elder."],
    }  # fmt: skip
    result = loaded(tmp_path, "custom", record)
    case = only(result)
    assert (case.id, case.tags, case.requests[0].target_new) == ("mara", ("home",), "1984")
    assert [p.aspect for p in case.probes] == [
        "efficacy", "generalization", "locality", "locality", "portability/two-hop", "fluency",
    ]  # fmt: skip
    assert [p.reference for p in of(case, "locality")] == [None, "Yarrow"]
    assert of(case, "portability")[0].accepted == ("Averland", "the Averland")
    assert result.notes == ()


def test_custom_reports_how_it_read_other_spellings(tmp_path: Path) -> None:
    record = {"src": "Mara Elder lives in", "alt": "Merrow", "ground_truth": ["Vantry"], "rephrase": "Where?",
              "loc": "q", "loc_ans": "a", "localty": [], "target_true": "other", "colour": 1}  # fmt: skip
    result = loaded(tmp_path, "custom", record)
    texts = [note.text for note in result.notes]
    for words in (
        "'src' was read as prompt", "'alt' was read as target_new", "'ground_truth' was read as target_old",
        "'rephrase' was read as rephrases", "'loc' was read as locality_prompt", "'colour' was ignored",
        "did you mean 'locality'", "'target_true' was ignored beside another",
    ):  # fmt: skip
        assert any(words in text for text in texts), words
    assert only(result).requests[0].target_old == "Vantry"
    assert only(result).probes[2].reference == "a"


def test_custom_infers_the_subject_and_shows_it(tmp_path: Path) -> None:
    record = {"prompt": "The home of Mara Elder is", "target_new": "Merrow"}
    result = loaded(tmp_path, "custom", record)
    assert only(result).requests[0].subject == "Mara Elder"
    assert only(result).tags == ("subject:inferred",)
    assert "Mara Elder" in str(result.notes[0])
    plain = loaded(tmp_path, "custom", record, infer_subject=False)
    assert only(plain).requests[0].subject is None
    assert plain.dataset == "custom[infer_subject=False]"


def test_custom_from_csv_with_lists_in_cells(tmp_path: Path) -> None:
    path = tmp_path / "facts.csv"
    path.write_text(
        "prompt,target_new,subject,rephrases,locality,locality_prompt,locality_answer\n"
        '"The home of Mara Elder, singer, is",Merrow,Mara Elder,"[""Mara Elder lives in"", ""Mara Elder is at""]",'
        '"[{""prompt"": ""q"", ""answer"": ""a""}]",r,b\n'
        "Tobin Vale lives in,Yarrow,,Tobin Vale is [sic] at,,,\n",
        encoding="utf-8",
    )
    first, second = load("custom", path).cases
    assert [p.prompt for p in of(first, "generalization")] == [
        "Mara Elder lives in",
        "Mara Elder is at",
    ]
    assert {p.prompt: p.reference for p in of(first, "locality")} == {"q": "a", "r": "b"}
    assert second.requests[0].subject == "Tobin Vale"
    assert [p.prompt for p in of(second, "generalization")] == ["Tobin Vale is [sic] at"]


def test_custom_reads_the_layouts_of_the_other_benchmarks(tmp_path: Path) -> None:
    for record in (EDIT, MEND, KNOWEDIT, QAEDIT):
        case = only(loaded(tmp_path, "custom", record))
        assert case.requests[0].target_new == "Merrow"
        assert of(case, "generalization")
        assert of(case, "locality")


def test_edits_that_cannot_all_hold_are_noted(tmp_path: Path) -> None:
    rows = [
        {"prompt": "Mara Elder lives in", "target_new": "Merrow"},
        {"prompt": "Mara Elder lives in", "target_new": "Vantry"},
        {"prompt": "The trade of Mara Elder is", "target_new": "baker"},
    ]
    texts = {note.text: note.count for note in loaded(tmp_path, "custom", *rows).notes}
    assert [n for text, n in texts.items() if "both cannot hold" in text] == [2]
    assert [n for text, n in texts.items() if "may conflict" in text] == [1]
