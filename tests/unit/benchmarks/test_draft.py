"""The rules that every record of every benchmark is checked by."""

from __future__ import annotations

from dataclasses import replace

import pytest

from truing.benchmarks.draft import Draft, Note, Notebook, Query, Rejected, Rules, check
from truing.types import Case

DEFAULT = Rules()
FACT = Draft("The Tin Gate is in", "Orvale", "Belmar", "The Tin Gate")


def checked(draft: Draft, rules: Rules = DEFAULT) -> tuple[Case, list[str]]:
    notes = Notebook()
    return check(draft, "7", rules, notes), [note.text for note in notes.notes()]


def rejected(draft: Draft, rules: Rules = DEFAULT) -> Rejected:
    with pytest.raises(Rejected) as caught:
        check(draft, "7", rules, Notebook())
    return caught.value


def with_(draft: Draft, **changes: object) -> Draft:
    return replace(draft, **changes)  # type: ignore[arg-type]


def test_a_plain_fact_becomes_a_request_and_probes() -> None:
    draft = with_(
        FACT,
        rephrases=("To see The Tin Gate go to",),
        locality=(
            Query(
                "The Old Gate is in", ("Merrow", "Merrow"), "Same_Relation", ("Merrow", "Orvale")
            ),
        ),
        portability=(
            Query("Which country is The Tin Gate in?", ("Averland", "averland "), "two hop"),
        ),
        open_prompts=("Tell me about The Tin Gate.",),
    )
    case, notes = checked(draft)
    (request,) = case.requests
    assert (request.id, request.subject, request.target_new, request.target_old) == (
        "7", "The Tin Gate", "Orvale", "Belmar",
    )  # fmt: skip
    efficacy, generalization, locality, portability, fluency = case.probes
    assert (efficacy.aspect, efficacy.accepted, efficacy.choices) == (
        "efficacy",
        ("Orvale",),
        ("Orvale", "Belmar"),
    )
    assert (generalization.aspect, generalization.accepted) == ("generalization", ("Orvale",))
    assert (locality.aspect, locality.accepted, locality.reference) == (
        "locality/same-relation",
        (),
        "Merrow",
    )
    assert locality.choices == ("Merrow", "Orvale")
    assert (portability.aspect, portability.accepted) == (
        "portability/two-hop",
        ("Averland", "averland"),
    )
    assert (fluency.aspect, fluency.accepted) == ("fluency", ())
    assert len({probe.id for probe in case.probes}) == 5
    assert notes == []


def test_targets_are_stripped_and_both_ends_are_noted() -> None:
    case, notes = checked(with_(FACT, target_new="  Orvale\n"))
    assert case.requests[0].target_new == "Orvale"
    assert any("leading" in note for note in notes)
    assert any("trailing" in note for note in notes)


@pytest.mark.parametrize("target", ["", "  ", ")", "...", "?!"])
def test_a_target_that_an_empty_answer_would_match_is_rejected(target: str) -> None:
    why = rejected(with_(FACT, target_new=target))
    assert why.field == "target_new"
    assert "empty" in why.reason


@pytest.mark.parametrize("target", ["A", "the"])
def test_an_article_is_kept_and_tagged(target: str) -> None:
    case, notes = checked(with_(FACT, target_new=target))
    assert "target:article" in case.tags
    assert notes


@pytest.mark.parametrize(
    ("target", "tagged"),
    [
        ("St. Moritz", True),
        ("24,303.04", True),
        ("two\nlines", True),
        ("Inc.", False),
        ("x", False),
    ],
)
def test_targets_that_a_full_stop_would_cut_are_tagged(target: str, tagged: bool) -> None:
    assert ("target:inner-stop" in checked(with_(FACT, target_new=target))[0].tags) is tagged


def test_a_target_that_changes_nothing_is_noted_and_gives_no_choices() -> None:
    case, notes = checked(with_(FACT, target_old="orvale."))
    assert case.requests[0].target_old is None
    assert case.probes[0].choices == ()
    assert any("asks for nothing" in note for note in notes)


def test_a_subject_that_is_not_there_is_rejected_with_the_reason() -> None:
    assert "The Old Gate" in rejected(with_(FACT, subject="The Old Gate")).reason
    assert "letter case" in rejected(with_(FACT, subject="the tin gate")).reason


@pytest.mark.parametrize(
    ("prompt", "subject"), [("Rome and Rome is in", "Rome"), ("ananas is", "ana")]
)
def test_a_subject_that_is_there_twice_is_left_out_and_tagged(prompt: str, subject: str) -> None:
    case, notes = checked(with_(FACT, prompt=prompt, subject=subject))
    assert case.requests[0].subject is None
    assert "subject:ambiguous" in case.requests[0].tags
    assert len(notes) == 1


def test_spaces_around_a_subject_do_not_matter_and_an_empty_one_is_none() -> None:
    assert checked(with_(FACT, subject=" The Tin Gate "))[0].requests[0].subject == "The Tin Gate"
    assert checked(with_(FACT, subject=" "))[0].requests[0].subject is None


def test_a_subject_is_inferred_only_where_the_rules_say_so() -> None:
    bare = with_(FACT, subject=None)
    assert checked(bare)[0].requests[0].subject is None
    case, notes = checked(bare, Rules(infer_subject=True))
    assert case.requests[0].subject == "The Tin Gate"
    assert "subject:inferred" in case.requests[0].tags
    assert notes == ["the subject was inferred"]


def test_long_texts_are_rejected_wherever_they_are() -> None:
    rules = Rules(max_chars=50)
    long = "x" * 51
    assert (
        rejected(with_(FACT, prompt=long), rules).reason
        == "prompt has 51 characters, more than max_chars=50"
    )
    assert rejected(with_(FACT, rephrases=("ok", long)), rules).field == "rephrases[1]"
    assert rejected(with_(FACT, locality=(Query(long),)), rules).field == "locality[0].prompt"
    assert (
        rejected(with_(FACT, portability=(Query("ok", (long,)),)), rules).field
        == "portability[0].answer"
    )


def test_broken_unicode_and_an_empty_prompt_are_rejected() -> None:
    assert rejected(with_(FACT, target_new="a\ud800")).field == "target_new"
    assert rejected(with_(FACT, prompt=" ", subject=None)).field == "prompt"


def test_side_questions_without_text_or_answer_are_left_out_and_noted() -> None:
    draft = with_(
        FACT,
        rephrases=("",),
        locality=(Query(" "), Query("q")),
        portability=(Query("q"), Query("q", (")",))),
    )
    case, notes = checked(draft)
    assert [probe.aspect for probe in case.probes] == ["efficacy", "locality"]
    assert case.probes[1].reference is None
    assert len(notes) == 3


def test_choices_that_are_the_same_are_no_choices() -> None:
    draft = with_(FACT, locality=(Query("q", ("Orvale",), "", ("Orvale", "orvale.")),))
    assert checked(draft)[0].probes[1].choices == ()


def test_a_notebook_counts_records_and_shows_the_first() -> None:
    notes = Notebook(shown=2)
    for id in "abc":
        notes.about(id, "was mended")
    notes.remark("a mark was skipped")
    assert notes.notes() == (Note("was mended", 3, ("a", "b")), Note("a mark was skipped", 1))
    assert str(notes.notes()[0]) == "3 record(s): was mended (a, b, ...)"
