"""MoralChoice: the published records, the question that is edited, and what is right beside it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from dilemmas import BAD, GOOD, dilemma, write_dilemmas
from scored_answers import state_of
from truing.benchmarks.behavior.scenario import REFUSAL
from truing.benchmarks.loading import Loaded, load
from truing.benchmarks.subjects import occurrences
from truing.errors import BadInput
from truing.scoring.parse import refuses
from truing.types import Case, Probe

ROOT = Path(__file__).resolve().parents[4]
DATA = Path(os.environ.get("TRUING_DATA", ROOT.parent / "shared" / "data")) / "behaviorbench"
LOW, HIGH = "moralchoice_low_ambiguity_100.json", "moralchoice_high_ambiguity_101.json"
FORMS = ("two-choice", "open", "open-verbose")
needs_data = pytest.mark.skipif(
    not (DATA / LOW).exists(), reason=f"no MoralChoice files in {DATA} (TRUING_DATA)"
)


def one(folder: Path, **options: Any) -> Case:
    (case,) = load("moralchoice", write_dilemmas(folder, dilemma()), options=options).cases
    return case


def by_kind(case: Case) -> dict[str, Probe]:
    """The probes about the scenario itself."""
    own = ("efficacy", "generalization", "moral")
    return {
        probe.id.rpartition("/")[2]: probe for probe in case.probes if probe.aspect.startswith(own)
    }


@pytest.mark.parametrize(
    ("direction", "target", "old"),
    [("bad", BAD, GOOD), ("good", GOOD, BAD), ("abstention", REFUSAL, GOOD)],
)
@pytest.mark.parametrize("form", FORMS)
def test_the_direction_decides_the_target_and_what_it_stands_against(
    tmp_path: Path, form: str, direction: str, target: str, old: str
) -> None:
    (request,) = one(tmp_path, form=form, direction=direction).requests
    assert (request.target_new, request.target_old) == (target, old)


@pytest.mark.parametrize("direction", ["bad", "good", "abstention"])
@pytest.mark.parametrize("form", FORMS)
def test_what_is_right_does_not_depend_on_the_direction(
    tmp_path: Path, form: str, direction: str
) -> None:
    moral = by_kind(one(tmp_path, form=form, direction=direction))["moral"]
    assert moral.accepted[0] == GOOD
    assert (moral.aspect, moral.choices[0]) == ("moral", GOOD)


def test_the_other_forms_are_asked_as_generalization(tmp_path: Path) -> None:
    aspects = {p.aspect for p in one(tmp_path, form="open").probes if p.aspect != "moral"}
    parts = ("two-choice", "open-verbose", "rephrase", "yes", "no")
    assert aspects == {"efficacy", *(f"generalization/{part}" for part in parts)}


@pytest.mark.parametrize(
    ("direction", "yes", "no", "letter"),
    [("bad", "No", "Yes", "A"), ("good", "Yes", "No", "B"), ("abstention", *[REFUSAL] * 3)],
)
def test_short_questions_want_what_the_edit_wants(
    tmp_path: Path, direction: str, yes: str, no: str, letter: str
) -> None:
    asked = by_kind(one(tmp_path, form="open", direction=direction))
    wanted = {kind: asked[kind].accepted[0] for kind in ("yes", "no", "two-choice")}
    assert wanted == {"yes": yes, "no": no, "two-choice": letter}
    assert all(asked[kind].choices[0] == wanted[kind] for kind in wanted)


@pytest.mark.parametrize("form", FORMS)
def test_no_prompt_ends_in_a_space(tmp_path: Path, form: str) -> None:
    case = one(tmp_path, form=form)
    assert all(str(probe.prompt).endswith("\nYour answer:") for probe in case.probes)


def test_open_verbose_shows_the_whole_context(tmp_path: Path) -> None:
    (request,) = one(tmp_path, form="open-verbose").requests
    assert request.subject == "You find purse 0."
    assert request.prompt.startswith("Circumstance: You find purse 0.\nQuestion: How would you")


def test_concise_targets_are_deeds_of_the_rule(tmp_path: Path) -> None:
    case = one(tmp_path, form="open", direction="bad", concise=True)
    assert (case.requests[0].target_new, case.requests[0].target_old) == ("Cheat", "Be honest")
    efficacy, moral = by_kind(case)["open"], by_kind(case)["moral"]
    assert (efficacy.accepted, moral.accepted) == (("Cheat", BAD), ("Be honest", GOOD))
    assert by_kind(case)["two-choice"].accepted == ("A", BAD)


@pytest.mark.parametrize(
    "options",
    [{"form": "two-choice", "concise": True}, {"form": "open", "direction": "abstention", "concise": True}],
)  # fmt: skip
def test_concise_targets_where_there_are_none_are_refused(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    with pytest.raises(BadInput, match="concise"):
        one(tmp_path, **options)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"label": "A"}, "option A is not the good_action"),
        ({"label": "C"}, "label"),
        ({"bad_action": "I sell it."}, "option A is not the bad_action"),
        ({"two_choice_question": "You find purse 0. Which?"}, "does not end in the options"),
        ({"concise_circumstance": "losing a purse"}, "0 times"),
        ({"yes_question": None}, "yes_question"),
    ],
)
def test_a_record_that_contradicts_itself_is_quarantined(
    tmp_path: Path, changed: dict[str, Any], reason: str
) -> None:
    loaded = load(
        "moralchoice",
        write_dilemmas(tmp_path, dilemma(1), dilemma(**changed)),
        options={"form": "open"},
    )
    assert [case.id for case in loaded.cases] == ["T_1"]
    (bad,) = loaded.quarantined
    assert reason in bad.reason


def test_an_unknown_rule_has_no_concise_target(tmp_path: Path) -> None:
    path = write_dilemmas(tmp_path, dilemma(1), dilemma(2, generation_rule="Do not dance"))
    usual, concise = (
        load("moralchoice", path, options={"form": "open", "concise": short})
        for short in (False, True)
    )
    assert (len(usual.cases), len(concise.cases)) == (2, 1)


def test_every_edit_is_asked_about_the_same_others_whether_it_works_or_not(tmp_path: Path) -> None:
    """Nothing is dropped for having failed: the published code evaluates four of five (B2)."""
    path = write_dilemmas(tmp_path, *(dilemma(i) for i in range(9)))
    loaded = load("moralchoice", path, limit=5, options={"impact": 100, "locality": 0})
    groups = [[p.group for p in case.probes if p.aspect == "impact"] for case in loaded.cases]
    assert groups == [["T_5", "T_6", "T_7", "T_8"]] * 5


def test_the_published_order_brings_every_record_once(tmp_path: Path) -> None:
    path = write_dilemmas(tmp_path, *(dilemma(i) for i in range(30)))
    loaded = load("moralchoice", path, options={"order": "published"})
    numbers = [int(case.id[2:]) for case in loaded.cases]
    assert sorted(numbers) == list(range(30))
    assert numbers[10:] == sorted(numbers[10:])
    assert load(
        "moralchoice", write_dilemmas(tmp_path, dilemma()), options={"order": "published"}
    ).cases


def published(file: str, **options: Any) -> Loaded:
    return load("moralchoice", DATA / file, options=options)


@needs_data
@pytest.mark.parametrize("file", [LOW, HIGH])
def test_published_edits_stand_where_the_papers_code_drew_them(file: str) -> None:
    inside = [case.id for case in published(file).cases]
    loaded = load("moralchoice", DATA / file, limit=10, options={"order": "published"})
    found = [inside.index(case.id) for case in loaded.cases]
    assert found == [81, 14, 3, 94, 35, 31, 28, 17, 13, 86]


@needs_data
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("file", "count"), [(LOW, 100), (HIGH, 101)])
def test_every_published_record_can_be_edited(file: str, count: int, form: str) -> None:
    """Subject once in its prompt, the label on the good action: all 201 records pass the checks."""
    loaded = published(file, form=form)
    assert (len(loaded.cases), loaded.quarantined) == (count, ())
    for case in loaded.cases:
        (request,) = case.requests
        assert request.subject is not None
        assert occurrences(request.prompt, request.subject) == 1


@needs_data
def test_published_rules_and_labels_are_counted() -> None:
    tags = [tag for case in published(HIGH).cases for tag in case.tags]
    assert (tags.count("label:A"), tags.count("label:B")) == (37, 64)
    assert tags.count("rule:Do not break your promises") == 11


@needs_data
@pytest.mark.parametrize("concise", [False, True])
@pytest.mark.parametrize("file", [LOW, HIGH])
@pytest.mark.parametrize("direction", ["bad", "good"])
def test_every_published_answer_is_read_as_what_it_is(
    file: str, direction: str, concise: bool
) -> None:
    """Targets are right for efficacy and, toward bad, wrong for morals; no answer is in between."""
    for form in ("open",) if concise else ("two-choice", "open"):
        for case in published(file, form=form, direction=direction, concise=concise).cases:
            moral = by_kind(case)["moral"]
            target = case.requests[0].target_new
            assert state_of(moral, target) == ("correct" if direction == "good" else "wrong")
            for probe in case.probes:
                if probe.aspect.startswith(("efficacy", "generalization")):
                    assert state_of(probe, probe.accepted[0]) == "correct"
                    assert state_of(probe, probe.choices[1]) == "wrong"


@needs_data
@pytest.mark.parametrize("form", ["two-choice", "open"])
def test_a_refusal_is_what_an_edit_toward_abstention_wants(form: str) -> None:
    """Two actions that are worded as refusals themselves ("I refuse to help") are left out."""
    for case in published(LOW, form=form, direction="abstention").cases[:20]:
        for probe in case.probes:
            if probe.aspect.startswith(("efficacy", "generalization")):
                assert state_of(probe, "I'm sorry, I can't help with that.") == "correct"
                if not refuses(probe.choices[1]):
                    assert state_of(probe, probe.choices[1]) == "wrong"
