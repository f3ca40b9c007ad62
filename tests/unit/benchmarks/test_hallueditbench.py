"""HalluEditBench: eleven kinds of question as published, told apart from what they cannot measure."""

from __future__ import annotations

import csv
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from truing.benchmarks.catalogue import verify
from truing.benchmarks.hallueditbench import CONCISE, KINDS, LETTER_ONLY, HalluEditOptions
from truing.benchmarks.loading import Loaded, load
from truing.errors import BadInput
from truing.protocols.protocol import parse
from truing.protocols.questions import shown
from truing.scoring.judge import JUDGES
from truing.scoring.parse import options_in
from truing.types import Case, Message, Probe, Response, Row, Verdict

ROOT = Path(__file__).resolve().parents[3]
DATA = Path(os.environ.get("TRUING_DATA", ROOT.parent / "shared" / "data")) / "hallueditbench"
MODEL = "meta_llama_3_8b_instruct"
PROTOCOL = parse("wild-chat,scorer=as-asked").id
needs_data = pytest.mark.skipif(
    not (DATA / "questions").is_dir(), reason=f"no HalluEditBench files in {DATA} (TRUING_DATA)"
)


def record(number: int = 0, **changed: str) -> dict[str, str]:
    hops = {
        f"{part}_{n}hop": f"{part} {n} of {number}" for n in range(2, 7) for part in ("question", "answer")
    }  # fmt: skip
    return {
        "topic": "art_sculpture",
        "subject": f"Gate {number}",
        "relation": "made from",
        "object": "mercury",
        "question": f"What is Gate {number} made from?",
        f"output_{MODEL}": "None",
        f"eval_{MODEL}": "0.0",
        "multiple_choice_with_letters": "A. 80  B. NA  C. mercury  D. None",
        "multiple_choice_labels": "C",
        "paraphrased_question": f"Which is the material of Gate {number}?",
        "yes_question": f"Is Gate {number} made from mercury?",
        "no_question": f"Is Gate {number} made from None?",
        "locality_question": f"Where is Gate {number}?",
        "reversed_relation_question": "What is made from mercury?",
        **hops,
        **changed,
    }


def folder(tmp_path: Path, **topics: list[dict[str, str]]) -> Path:
    """A data folder in the published layout."""
    place = tmp_path / "questions" / "hallucination_final" / MODEL
    place.mkdir(parents=True)
    for topic, records in topics.items():
        with (place / f"{topic}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(records[0]))
            writer.writeheader()
            writer.writerows({**each, "topic": topic} for each in records)
    return tmp_path


def loaded(tmp_path: Path, *records: dict[str, str], **options: Any) -> Loaded:
    made = folder(tmp_path, art_sculpture=list(records or (record(),)))
    return load("hallueditbench", made, options=options)


def asked(case: Case) -> dict[str, Probe]:
    return {probe.aspect: probe for probe in case.probes}


def judged(probe: Probe, answer: str, judge: str = "as-asked", base: str | None = None) -> Verdict:
    row = Row(
        key="k", cell="c", case="x", probe=probe.id, aspect=probe.aspect, protocol=PROTOCOL,
        moment="immediate", step=1, prompt="", accepted=probe.accepted,
        response=Response(answer, (1,), stop="eos"),
        base=None if base is None else Response(base, (2,), stop="eos"),
        question=shown(probe.prompt), choices=probe.choices,
    )  # fmt: skip
    return JUDGES.get(judge).judge(row)


def test_every_kind_of_question_has_its_aspect_and_its_answer(tmp_path: Path) -> None:
    (case,) = loaded(tmp_path).cases
    assert {aspect: probe.accepted for aspect, probe in asked(case).items()} == {
        "efficacy": ("mercury",),
        "generalization/rephrase": ("mercury",),
        "generalization/yes": ("Yes",),
        "generalization/no": ("No",),
        "generalization/multiple-choice": ("C",),
        "generalization/reversed": ("Gate 0",),
        "locality": (),
        **{f"portability/{n}-hop": (f"answer {n} of 0",) for n in range(2, 7)},
    }
    (request,) = case.requests
    assert (request.prompt, request.subject) == ("What is Gate 0 made from?", "Gate 0")
    assert (request.target_new, request.target_old) == ("mercury", "None")
    assert case.tags == ("topic:art_sculpture", "domain:art")


def test_words_that_look_like_nothing_are_text(tmp_path: Path) -> None:
    case = loaded(tmp_path, record(object="NA", answer_2hop="80", answer_3hop="None")).cases[0]
    found = asked(case)
    assert found["efficacy"].accepted == ("NA",)
    assert found["portability/2-hop"].accepted == ("80",)
    assert found["portability/3-hop"].accepted == ("None",)


def test_the_instruction_is_a_system_message_and_another_one_for_letters(tmp_path: Path) -> None:
    found = asked(loaded(tmp_path).cases[0])
    question = "What is Gate 0 made from?"
    assert found["efficacy"].prompt == (Message("system", CONCISE), Message("user", question))
    letters = f"{question} A. 80  B. NA  C. mercury  D. None"
    assert found["generalization/multiple-choice"].prompt == (
        Message("system", LETTER_ONLY),
        Message("user", letters),
    )


@pytest.mark.parametrize(("where", "before"), [("user", f"{CONCISE}\n\n"), ("none", "")])
def test_without_system_messages_prompts_are_plain_text(
    tmp_path: Path, where: str, before: str
) -> None:
    case = loaded(tmp_path, instruction=where, pressure="both", turns=1).cases[0]
    assert all(isinstance(probe.prompt, str) for probe in case.probes)
    assert asked(case)["efficacy"].prompt == f"{before}What is Gate 0 made from?"


def test_published_names_of_question_types_and_domains_are_understood() -> None:
    chosen = HalluEditOptions(
        question_types=("questions_2hop", "yes_questions", "reversed_relation_questions", "yes"),
        topics=("places", "art_sculpture", "places_city"),
    )
    assert chosen.question_types == ("yes", "reversed", "2-hop")
    assert chosen.topics == ("places_city", "places_country", "places_landmark", "art_sculpture")
    for wrong in ({"question_types": ("7-hop",)}, {"topics": ("moon",)}, {"model": "../up"}):
        with pytest.raises(ValidationError):
            HalluEditOptions.model_validate(wrong)


@pytest.mark.parametrize("kinds", [(), ("locality",), ("yes", "6-hop")])
def test_the_edited_question_is_always_asked(tmp_path: Path, kinds: tuple[str, ...]) -> None:
    aspects = [probe.aspect for probe in loaded(tmp_path, question_types=kinds).cases[0].probes]
    assert aspects[0] == "efficacy"
    assert [aspect.rpartition("/")[2] for aspect in aspects[1:]] == [k for k in KINDS if k in kinds]


def test_a_limit_leaves_the_topics_balanced(tmp_path: Path) -> None:
    made = folder(
        tmp_path, art_sculpture=[record(i) for i in range(5)], places_city=[record(i) for i in range(2)]
    )  # fmt: skip
    found = [case.id for case in load("hallueditbench", made, limit=4).cases]
    assert found == ["art_sculpture/0", "places_city/0", "art_sculpture/1", "places_city/1"]
    assert len(load("hallueditbench", made).cases) == 7


def test_topics_that_are_not_there_are_told_or_refused(tmp_path: Path) -> None:
    made = folder(tmp_path, art_sculpture=[record()])
    assert "25 of 26 topics are not there" in str(load("hallueditbench", made).notes[0])
    with pytest.raises(BadInput, match=r"places_city\.csv"):
        load("hallueditbench", made, options={"topics": ["places_city"]})
    with pytest.raises(BadInput, match="llama_2_7b_chat_hf") as error:
        load("hallueditbench", made, options={"model": "llama_2_7b_chat_hf"})
    assert MODEL in str(error.value)


def test_a_record_that_cannot_be_used_is_quarantined(tmp_path: Path) -> None:
    bad = (
        record(1, subject="Another Gate"),
        record(2, multiple_choice_labels="E"),
        record(3, answer_4hop=" "),
    )
    found = loaded(tmp_path, record(), *bad)  # fmt: skip
    assert [case.id for case in found.cases] == ["art_sculpture/0"]
    assert [quarantined.where for quarantined in found.quarantined] == [
        f"art_sculpture.csv line {n}" for n in (3, 4, 5)
    ]


def test_weak_questions_are_tagged_and_told_h4(tmp_path: Path) -> None:
    weak = record(
        1, locality_question="What is mercury good for?", no_question="Is it red mercury?"
    )
    found = loaded(tmp_path, record(relation="inspired by"), weak, record(2))
    tags = [set(case.tags) - {"topic:art_sculpture", "domain:art"} for case in found.cases]
    assert tags == [
        set(),
        {"locality:names-object", "no:names-object", "reversed:several"},
        {"reversed:several"},
    ]
    told = " ".join(str(note) for note in found.notes)
    for part in ("locality question names", "answer is No names", "other right answers"):
        assert part in told


def test_triplets_of_the_folder_count_among_the_right_answers_h4(tmp_path: Path) -> None:
    (tmp_path / "triplet").mkdir()
    text = "subjectLabel,relation,objectLabel\nPool,made from,mercury\n"
    (tmp_path / "triplet" / "art_sculpture.csv").write_text(text, "utf-8")
    assert "reversed:several" in loaded(tmp_path).cases[0].tags


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ("C", "correct"), ("C. mercury", "correct"), ("mercury", "correct"), ("A", "wrong"),
        ("Ice", "invalid"), ("", "degenerate"), ("cold marble", "invalid"),
    ],
)  # fmt: skip
def test_a_letter_is_read_strictly_h1_h2(tmp_path: Path, answer: str, state: str) -> None:
    probe = asked(loaded(tmp_path).cases[0])["generalization/multiple-choice"]
    assert judged(probe, answer).state == state
    assert judged(probe, answer, "as-asked-strict").score == float(state == "correct")


def test_the_published_reading_finds_the_letter_in_any_word_h1(tmp_path: Path) -> None:
    probe = asked(loaded(tmp_path).cases[0])["generalization/multiple-choice"]
    assert judged(probe, "Ice", "letter-published").score == 1.0
    assert judged(probe, "Ice").score is None


def test_an_empty_answer_is_never_right_nor_unchanged_h2(tmp_path: Path) -> None:
    for probe in loaded(tmp_path).cases[0].probes:
        judge = "as-asked" if probe.accepted else "same-as-base"
        assert judged(probe, "", judge, base="bronze").score == 0.0


def test_a_loop_that_holds_the_answer_is_not_right_h3(tmp_path: Path) -> None:
    probe = asked(loaded(tmp_path).cases[0])["efficacy"]
    assert judged(probe, "mercury://:// " + "mercury " * 20).state == "degenerate"


@pytest.fixture(scope="module")
def published() -> dict[str, Loaded]:
    models = sorted(place.name for place in (DATA / "questions/hallucination_final").iterdir())
    options = {"pressure": "both", "turns": 1}
    return {m: load("hallueditbench", DATA, options={"model": m, **options}) for m in models}


@needs_data
def test_all_published_records_load_as_text(published: dict[str, Loaded]) -> None:
    found = published[MODEL]
    assert (len(found.cases), found.quarantined) == (2230, ())
    tags = Counter(tag for case in found.cases for tag in case.tags)
    assert sum(tag.startswith("topic:") for tag in tags) == 26
    assert sum(tag.startswith("domain:") for tag in tags) == 9
    assert tags["topic:health_medication"] == 25
    for case in found.cases:
        (request,) = case.requests
        assert request.subject is not None
        assert request.prompt.count(request.subject) == 1
    answers = [probe.accepted for case in found.cases for probe in case.probes]
    assert sum(answer in (("None",), ("80",)) for answer in answers) > 0


@needs_data
def test_every_published_answer_is_read_as_what_it_is(published: dict[str, Loaded]) -> None:
    """Answers beside the accepted one are wrong, and the four options are found in every question.
    Free answers are cut at the end of their first sentence: names with an inner stop are the rest."""
    unread: list[str] = []
    for probe in (p for found in published.values() for case in found.cases for p in case.probes):
        if probe.accepted and judged(probe, probe.accepted[0]).state != "correct":
            unread.append(probe.accepted[0])
        for other in probe.choices[1:]:
            assert judged(probe, other).state == "wrong"
        if probe.aspect.endswith("multiple-choice"):
            assert len(options_in(shown(probe.prompt))) == 4
    assert len(unread) < 20
    assert all(". " in answer or len(answer) == 1 for answer in unread)


@needs_data
def test_the_accepted_letter_is_that_of_the_new_object(published: dict[str, Loaded]) -> None:
    for case in (case for found in published.values() for case in found.cases):
        probe = asked(case)["generalization/multiple-choice"]
        options = dict(zip("ABCD", options_in(shown(probe.prompt)), strict=True))
        assert options[probe.accepted[0]] == case.requests[0].target_new


@needs_data
def test_the_catalogue_knows_the_files_at_hand() -> None:
    paths = sorted((DATA / "questions").rglob("*.csv"))
    checked = [one for path in paths for one in verify(path)]
    assert {(one.state, one.dataset) for one in checked} == {("ok", "hallueditbench")}
