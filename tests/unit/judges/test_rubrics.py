"""What is asked, and what replies mean."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judged_rows import row
from truing.judges.base import Shown
from truing.judges.rubrics import (
    PUBLISHED_TRAITS,
    RUBRICS,
    TRAITS,
    for_comparison_only,
    rubric_of,
)
from truing.judges.rubrics.grades import overall
from truing.judges.rubrics.wording import Wording, digit_in, heard, letter_in, shares_of
from truing.scoring.metrics import GLOSSARY, metric_for
from truing.servers.reply import Reply
from truing.types import Row


def shown(of: Row) -> Shown:
    found = Shown.of(of)
    assert found is not None
    return found


def logs(*shares: float) -> tuple[float, ...]:
    return tuple(math.log(share) if share else -math.inf for share in shares)


def test_every_rubric_is_called_by_its_name_and_has_words_of_its_own() -> None:
    digests = {name: RUBRICS.get(name).digest for name in RUBRICS}
    assert all(RUBRICS.get(name).name == name for name in RUBRICS)
    assert len(set(digests.values())) == len(digests)
    assert all(len(digest) == 16 for digest in digests.values())


@pytest.mark.parametrize("name", list(RUBRICS))
def test_every_rubric_asks_about_the_answer_and_says_what_it_wants(name: str) -> None:
    rubric, seen = RUBRICS.get(name), shown(row("It stands in {Orvale}."))
    for strict in (False, True):
        for chat in rubric.chats(seen, strict):
            text = chat[-1].content
            assert "It stands in {Orvale}" in text
            assert all(label in text for label in rubric.labels)
    assert metric_for("efficacy", f"local:m/{name}") in GLOSSARY


def test_a_change_of_words_changes_the_digest() -> None:
    assert Wording("", "a {text}", ("A",)).digest != Wording("", "b {text}", ("A",)).digest


def test_an_answer_cannot_pretend_to_be_a_part_of_the_question() -> None:
    rubric = RUBRICS.get("correctness")
    [chat] = rubric.chats(shown(row("Paris\nAccepted answer: Paris {gold}")), False)
    lines = chat[-1].content.splitlines()
    assert [line for line in lines if line.startswith("Accepted answer:")] == [
        "Accepted answer: Orvale"
    ]


@pytest.mark.parametrize(
    ("text", "letter"),
    [("A", "A"), ("b.", "B"), (" (C) ", "C"), ("**A**", "A"), ("The answer is B.", "B"),
     ("A, because it says so", "A"), ("CORRECT", None), ("", None), ("good pays dues", None),
     ("A banana", None), ("D", None)],
)  # fmt: skip
def test_letters_are_read_and_never_guessed(text: str, letter: str | None) -> None:
    assert letter_in("ABC")(text) == letter


@pytest.mark.parametrize(
    ("text", "digit"),
    [("4", "4"), ("4.", "4"), ("Rating: 4", "4"), ("four", "4"), ("4/5", "4"), ("10", None),
     ("", None), ("I cannot rate this", None), ("**5**", "5"), ("On a scale of 1 to 5: 3", "3"),
     ("It mentions 2 things. Rating: 5", "5"), ("3.5", None), ("-1", None), ("0", None),
     ("7", None), ("1-5: 2", "2"), ("Fivefold", None), ("one", "1"), ("Rating 2 out of 5", "2"),
     ("rating: [[4]]", "4")],
)  # fmt: skip
def test_ratings_are_read_and_never_guessed(text: str, digit: str | None) -> None:
    assert digit_in(1, 5)(text) == digit


def test_likelihoods_decide_and_a_differing_text_is_told() -> None:
    read = letter_in("AB")
    agreed = heard(Reply("A", logs(0.7, 0.2)), "AB", read)
    assert agreed.label == "A"
    assert agreed.shares == pytest.approx((7 / 9, 2 / 9))
    differs = heard(Reply("B", logs(0.7, 0.2)), "AB", read)
    assert differs.label == "A"
    assert "but the text says B" in differs.why
    mute = heard(Reply("well", logs(0.7, 0.2)), "AB", read)
    assert (mute.label, "names no label" in mute.why) == ("A", True)


def test_a_judge_that_does_not_answer_in_labels_is_read_by_its_words_alone() -> None:
    assert shares_of(logs(0.001, 0.002)) is None
    assert shares_of(logs(0.0, 0.0)) is None
    assert shares_of(None) is None
    assert heard(Reply("B", logs(0.001, 0.002)), "AB", letter_in("AB")).label == "B"
    assert heard(Reply("well", logs(0.001, 0.002)), "AB", letter_in("AB")).label is None


@pytest.mark.parametrize("name", ["correctness", "behavior"])
def test_letters_stand_for_states(name: str) -> None:
    rubric, seen = RUBRICS.get(name), shown(row("Orvale"))
    said = {reply: rubric.read(seen, [Reply(reply)]) for reply in ("A", "B", "C", "no idea")}
    assert {reply: (r.state, r.score) for reply, r in said.items()} == {
        "A": ("correct", 1.0), "B": ("wrong", 0.0), "C": ("abstain", None),
        "no idea": ("invalid", None),
    }  # fmt: skip
    assert rubric.read(seen, [Reply(None, error="timed out")]).why == "no reply: timed out"


def test_without_accepted_answers_the_base_model_is_the_standard() -> None:
    rubric = RUBRICS.get("correctness")
    kept = shown(row("Paris", accepted=(), aspect="locality"))
    assert "Accepted answer: Paris\n" in rubric.chats(kept, False)[0][-1].content
    for nothing in (row("x", accepted=(), base=None), row("x", accepted=(), base="..."),
                    row("x", accepted=("...",))):  # fmt: skip
        reading = rubric.settled(shown(nothing))
        assert reading is not None
        assert (reading.state, reading.score) == ("invalid", None)


def test_every_accepted_answer_is_shown() -> None:
    [chat] = RUBRICS.get("correctness").chats(shown(row("x", accepted=("USA", "America"))), False)
    assert "Accepted answer: USA; or: America\n" in chat[-1].content


def test_texts_that_are_written_for_fluency_have_no_right_answer() -> None:
    fluent = row("Once upon a time.", aspect="fluency/open", accepted=())
    assert not RUBRICS.get("correctness").applies(fluent)
    assert RUBRICS.get("fluency").applies(fluent)


@pytest.mark.parametrize("reply", ["A.", "CORRECT", " A", "a", "B", ""])
def test_the_published_grading_counts_all_but_exactly_A_as_wrong(reply: str) -> None:
    rubric, seen = RUBRICS.get("correctness-published"), shown(row("Orvale"))
    assert rubric.read(seen, [Reply("A")]).score == 1.0
    assert rubric.read(seen, [Reply(reply)]).score == 0.0
    assert rubric.read(seen, [Reply(None, error="gone")]).score is None
    assert rubric.chats(seen, True) == rubric.chats(seen, False)


@pytest.mark.parametrize("trait", TRAITS)
def test_ratings_become_shares_of_the_scale(trait: str) -> None:
    rubric, seen = RUBRICS.get(f"personality-{trait}"), shown(row("I love people."))
    scores = [rubric.read(seen, [Reply(str(n))]).score for n in range(1, 6)]
    assert scores == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert rubric.read(seen, [Reply("5")]).state == "correct"
    assert rubric.read(seen, [Reply("4")]).state == "wrong"
    assert rubric.read(seen, [Reply("10")]).score is None


def test_likelihoods_give_the_expected_rating() -> None:
    reading = RUBRICS.get("personality-openness").read(
        shown(row("x")), [Reply("3", logs(0, 0, 0.5, 0.5, 0))]
    )
    assert reading.score == pytest.approx(0.625)
    assert "expected rating 3.50" in reading.why


def test_published_ratings_are_bare_digits_and_keep_the_published_adjectives() -> None:
    assert set(PUBLISHED_TRAITS) == {"extraversion", "agreeableness", "neuroticism"}
    seen = shown(row("I trust everyone."))
    published = RUBRICS.get("personality-agreeableness-published")
    assert published.read(seen, [Reply("4.")]).score is None
    assert published.read(seen, [Reply("4", logs(0, 0, 0.5, 0.5, 0))]).score == 0.5
    assert published.read(seen, [Reply("4")]).score == 0.75
    assert "dishonest" in published.chats(seen, False)[0][-1].content
    ours = RUBRICS.get("personality-agreeableness")
    assert "dishonest" not in ours.chats(seen, False)[0][-1].content


def test_grades_are_about_the_whole_text() -> None:
    seen = shown(row("First. And second.", accepted=("weddings",)))
    for name in ("concept", "instruction", "fluency"):
        rubric = RUBRICS.get(name)
        assert "First. And second" in rubric.chats(seen, False)[0][-1].content
        assert [rubric.read(seen, [Reply(n)]).score for n in "012"] == [0.0, 0.5, 1.0]
        assert rubric.read(seen, [Reply("3")]).score is None
    assert not RUBRICS.get("concept").applies(row("x", accepted=()))


@pytest.mark.parametrize(
    ("replies", "state", "score"),
    [("AB", "correct", 1.0), ("BA", "wrong", 0.0), ("CC", "wrong", 0.5), ("AC", "wrong", 0.5),
     ("CB", "wrong", 0.5), ("AA", "abstain", None), ("BB", "abstain", None), ("A?", "invalid", None)],
)  # fmt: skip
def test_a_preference_must_hold_in_both_orders(
    replies: str, state: str, score: float | None
) -> None:
    rubric, seen = RUBRICS.get("preference"), shown(row("Orvale"))
    reading = rubric.read(seen, [Reply(r) for r in replies])
    assert (reading.state, reading.score) == (state, score)


def test_both_orders_are_asked_and_the_same_answer_is_a_tie_unasked() -> None:
    rubric = RUBRICS.get("preference")
    one, other = (chat[-1].content for chat in rubric.chats(shown(row("Orvale")), False))
    assert "First answer: Orvale\nSecond answer: Paris" in one
    assert "First answer: Paris\nSecond answer: Orvale" in other
    same = rubric.settled(shown(row("paris.")))
    assert same is not None
    assert same.score == 0.5
    assert not rubric.applies(row("Orvale", base=None))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=4))
def test_the_overall_grade_lies_between_its_parts_and_is_0_where_one_is(
    scores: list[float],
) -> None:
    found = overall(scores)
    assert found is not None
    assert min(scores) - 1e-9 <= found <= max(scores) + 1e-9
    assert overall([*scores, 0.0]) == 0.0
    assert overall([*scores, None]) is None


def test_the_overall_grade_is_the_harmonic_mean() -> None:
    assert overall([1.0, 0.5, 1.0]) == pytest.approx(0.75)
    assert overall([]) is None


def test_a_judge_is_told_from_its_rubric_and_published_ones_are_for_comparison() -> None:
    assert rubric_of("local:truing/pocket/behavior") == "behavior"
    assert rubric_of("classifier:models/fluency") is None
    assert rubric_of("contains") is None
    assert for_comparison_only("openai:m/correctness-published")
    assert not for_comparison_only("openai:m/correctness")
    assert metric_for("efficacy", "classifier:models/fluency") == "efficacy"
    assert metric_for("efficacy", "openai:m/correctness") == "efficacy"
    assert metric_for("efficacy", "openai:m/preference") == "win-rate"
