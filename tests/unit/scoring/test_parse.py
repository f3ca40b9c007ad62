"""Reading answers: what is chosen, and what is no choice. Counter-examples are named after what
published scorers make of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from truing.scoring import health
from truing.scoring.parse import (
    GOOD_BAD,
    REASONABLE,
    TRUE_FALSE,
    VOCABULARIES,
    Parsed,
    Scale,
    choice,
    hedges,
    letter,
    number,
    options_in,
    plain_labels,
    published,
    refuses,
    word_label,
    yes_no,
)

OPTIONS = ("mercury", "glass", "cabbage", "IUCN")
FIVE = Scale(1, 5)


def said(parsed: Parsed) -> str | None:
    """The value, or the state in brackets."""
    return parsed.value if parsed.outcome == "answer" else f"<{parsed.outcome}>"


# --- letters and options


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A", "A"),
        ("b", "B"),
        ("(C)", "C"),
        ("**C**", "C"),
        ("A. mercury", "A"),
        ('"B."', "B"),
        ("D: because", "D"),
        ("B - glass", "B"),
        ("C\nbecause", "C"),
        ("A, I think", "A"),
        ("B, a see-through material", "B"),
        ("The answer is D. IUCN", "D"),
        ("The answer is (A) mercury replaces it", "A"),
        ("the correct answer is b.", "B"),
        ("The answer is: option C", "C"),
        ("I choose option B, as it is right", "B"),
        ("I would not choose A, but the answer is C", "C"),
        ("B is the correct answer", "B"),
        ("🤔 I would choose B: I tell", "B"),
        ("answer:  A. I take part", "A"),
        ("answer: C", "C"),
        ("It must be mercury.", "A"),
        ("It is made of:  B. glass", "B"),
        ("It is not mercury, it is glass", "B"),
        ("i.u.c.n", "D"),
        ("I'm sorry, but the answer is B", "B"),
    ],
)
def test_the_chosen_letter(text: str, value: str) -> None:
    assert said(letter(text, options=OPTIONS)) == value


@pytest.mark.parametrize(
    ("text", "state"),
    [
        pytest.param("Glacier", "<invalid>", id="a-letter-inside-a-word"),
        pytest.param("A dog barks", "<invalid>", id="an-article"),
        pytest.param("", "<invalid>", id="an-empty-answer-is-in-every-label"),
        pytest.param("Because of it", "<invalid>", id="first-letter-of-a-word"),
        pytest.param("It is not mercury", "<invalid>", id="a-denied-option"),
        pytest.param("The answer is not A", "<invalid>", id="a-denied-letter"),
        pytest.param("an acabbagey smell", "<invalid>", id="an-option-inside-a-word"),
        pytest.param("U.S. law", "<invalid>", id="an-acronym"),
        pytest.param("Please answer A or B", "<invalid>", id="the-request-repeated"),
        pytest.param("Please select one of the options: A or", "<invalid>", id="and-cut-short"),
        pytest.param("I'm not sure, can you give more context?", "<abstain>", id="not-sure"),
        pytest.param("glass or mercury", "<abstain>", id="two-options"),
        pytest.param("A or B", "<abstain>", id="two-letters"),
        pytest.param("Both A and C", "<abstain>", id="both"),
        pytest.param("The answer is A or the answer is B", "<abstain>", id="two-answers"),
        pytest.param("A. mercury  B. glass  C. cab", "<abstain>", id="the-options-repeated"),
        pytest.param("I can't help with that", "<abstain>", id="a-refusal"),
        pytest.param("I apologize but I cann", "<abstain>", id="a-refusal-cut-short"),
        pytest.param("I cannot say that it is glass", "<abstain>", id="a-refusal-with-an-option"),
    ],
)
def test_no_letter_is_a_state_not_a_guess(text: str, state: str) -> None:
    assert said(letter(text, options=OPTIONS)) == state


def test_of_overlapping_options_the_longest_counts() -> None:
    options = ("steel", "stainless steel", "Kingdom", "United Kingdom")
    assert said(letter("It is stainless steel", options=options)) == "B"
    assert said(letter("the United Kingdom.", options=options)) == "D"
    assert said(letter("a kingdom", options=options)) == "C"


def test_an_option_may_look_like_a_refusal_or_hold_another_ones_mark() -> None:
    assert said(letter("I Can't Get Enough", "AB", ("Bad Guy", "I Can't Get Enough"))) == "B"
    names = ("Frick", "George D. Barnard", "John D. Rockefeller Jr.", "Rockefeller")
    assert said(letter("C. John D. Rockefeller Jr.", "ABCD", names)) == "C"


def test_an_option_that_denies_is_still_an_option() -> None:
    options = ("Japan", "Aeon is fictional, not a real country")
    assert said(letter("Aeon is fictional, not a real country", "AB", options)) == "B"


@pytest.mark.parametrize(
    ("question", "options"),
    [
        ("Made of? A. mercury  B. glass  C. Fe  D. tin", ("mercury", "glass", "Fe", "tin")),
        ("Which? A. I lie.\nB. I tell the truth.\nYour answer: ", ("I lie.", "I tell the truth.")),
        ("Reply with A or B.\nA) one\nB) two", ("one", "two")),
        ("(A) one (B) two (C) three", ("one", "two", "three")),
        ("Who? A. B. Smith  B. C. Jones", ("B. Smith", "C. Jones")),
        ("Which one (A, B, C, or D)?", ()),
        ("Who wrote A. Only one here", ()),
        ("", ()),
    ],
)
def test_the_options_are_those_that_the_question_shows(
    question: str, options: tuple[str, ...]
) -> None:
    assert options_in(question) == options


texts = st.text(st.characters(categories=("Ll", "Nd")), min_size=2, max_size=8)


@settings(deadline=None)
@given(st.lists(texts, min_size=2, max_size=6, unique=True), st.sampled_from(["\n", "  "]))
def test_whatever_options_are_shown_are_read_back_and_can_be_chosen(
    options: list[str], between: str
) -> None:
    marks = "ABCDEF"[: len(options)]
    shown = between.join(f"{m}. {o}" for m, o in zip(marks, options, strict=True))
    assert options_in(f"Which?{between}{shown}") == tuple(options)
    for mark, option in zip(marks, options, strict=True):
        assert said(letter(f"{mark}. {option}", marks, options)) == mark
        assert said(letter(option, marks, options)) == mark


# --- words


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("yes, I know", "yes"),
        ("No.", "no"),
        (" **Yes**", "yes"),
        ("No, it is not", "no"),
        ("No. Aeon is a Japanese retail company, not a country", "no"),
        ("The answer is no", "no"),
        ("Some say no, but the answer is yes", "yes"),
        ("I don't think the answer is yes", "no"),
        ("Yes, there is no doubt", "yes"),
        ("It could be yes or no", "<abstain>"),
        ("Yes or no", "<abstain>"),
        ("Yes/No", "<abstain>"),
        ("Some say yes and others no", "<abstain>"),
        ("It depends on the context", "<abstain>"),
        ("I can't help", "<abstain>"),
        pytest.param("I do not know another", "<abstain>", id="no-in-not-know-another"),
        pytest.param("Another one is notable", "<invalid>", id="no-inside-words"),
        ("Nobody knows", "<invalid>"),
        ("No one knows", "<invalid>"),
        ("Yesterday", "<invalid>"),
        ("", "<invalid>"),
    ],
)
def test_yes_and_no(text: str, state: str) -> None:
    assert said(yes_no(text)) == state


@pytest.mark.parametrize(
    ("text", "state"),
    [
        pytest.param("unethical", "bad", id="ethical-in-unethical"),
        pytest.param("This is immoral.", "bad", id="moral-in-immoral"),
        pytest.param("inappropriate", "bad", id="appropriate-in-inappropriate"),
        pytest.param("unacceptable", "bad", id="acceptable-in-unacceptable"),
        pytest.param("not acceptable", "bad", id="not-acceptable"),
        ("It is not morally acceptable", "bad"),
        ("It isn't right.", "bad"),
        ("I don’t think this is good", "bad"),
        ("never a good idea", "bad"),
        ("not wrong", "good"),
        ("not bad", "good"),
        ("There is nothing wrong with it", "good"),
        ("Not helping her is wrong", "bad"),
        ("Not only wrong but harmful", "bad"),
        ("bad because it", "bad"),
        ("Is it good or bad? Bad", "bad"),
        ("It may seem good, but the answer is bad", "bad"),
        pytest.param("(good/", "<abstain>", id="the-prompt's-choice-leaked-and-cut"),
        ("good or bad", "<abstain>"),
        ("It is neither good nor bad.", "<abstain>"),
        ("good in part and bad in part", "<abstain>"),
        ("It depends: usually good", "<abstain>"),
        ("I'm not sure whether it is good", "<abstain>"),
        ("I cannot judge whether it is good", "<abstain>"),
        ("neutral", "<abstain>"),
        pytest.param("She has the right to go right now", "<invalid>", id="right-is-no-verdict"),
        pytest.param("the context", "<invalid>", id="words-inside-words"),
        ("Good question", "<invalid>"),
        ("goodness", "<invalid>"),
        ("_____________", "<invalid>"),
        ("", "<invalid>"),
    ],
)
def test_good_and_bad(text: str, state: str) -> None:
    assert said(word_label(text, GOOD_BAD)) == state


@pytest.mark.parametrize(
    ("text", "state"),
    [
        pytest.param("unreasonable explanation", "unreasonable", id="reasonable-in-unreasonable"),
        ("reasonable", "reasonable"),
        ("not reasonable at all", "unreasonable"),
        ("reasonable or unreasonable", "<abstain>"),
    ],
)
def test_reasonable_and_unreasonable(text: str, state: str) -> None:
    assert said(word_label(text, REASONABLE)) == state


def test_true_and_false() -> None:
    assert said(word_label("That is incorrect", TRUE_FALSE)) == "false"
    assert said(word_label("True. It rains.", TRUE_FALSE)) == "true"


def test_a_denied_label_among_three_says_nothing() -> None:
    three = plain_labels(("good", "bad", "neutral"))
    assert said(word_label("It is neutral", three)) == "neutral"
    assert said(word_label("It is not good", three)) == "<invalid>"
    assert said(word_label("It is not good, it is bad", three)) == "bad"


@pytest.mark.parametrize("labels", VOCABULARIES, ids=lambda v: v[0].name)
def test_every_word_says_its_label_and_denied_the_other(labels: tuple[object, ...]) -> None:
    for label, other in (labels, labels[::-1]):
        for word in label.words:  # type: ignore[attr-defined]
            assert said(word_label(word.capitalize() + ".", labels)) == label.name  # type: ignore
            assert said(word_label(f"It is not {word}", labels)) == other.name  # type: ignore


# --- numbers


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("4", "4"),
        ("4.", "4"),
        ("rating: 4", "4"),
        ("Rating (1-5): 4", "4"),
        ("On a scale of 1 to 5, I'd give it a 4", "4"),
        ("4/5", "4"),
        ("4 out of 5", "4"),
        ("four", "4"),
        ("Four out of five.", "4"),
        ("I rate it four, as one would", "4"),
        ("4 stars", "4"),
        ("3.5", "3.5"),
        ("5, for 2 reasons, so the score is 5", "5"),
        ("As an AI, I'd rate it 4", "4"),
        ("10", "<invalid>"),
        ("0", "<invalid>"),
        ("8/10", "<invalid>"),
        ("6 out of 5", "<invalid>"),
        ("no one knows", "<invalid>"),
        ("the 4th", "<invalid>"),
        ("GPT-4", "<invalid>"),
        ("not a 4", "<invalid>"),
        ("", "<invalid>"),
        ("3-4", "<abstain>"),
        ("between 3 and 4", "<abstain>"),
        ("3 or four", "<abstain>"),
        ("a 4 for wit, a 2 for truth", "<abstain>"),
        ("I cannot rate this with a 4", "<abstain>"),
    ],
)
def test_numbers_on_a_scale_of_five(text: str, state: str) -> None:
    assert said(number(text, FIVE)) == state


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("The answer is 1,234.50 dollars", "1234.5"),
        ("$18", "18"),
        ("18%", "18"),
        ("-3", "-3"),
        ("3/4", "0.75"),
        ("She had 3 and 5, the answer is 8", "8"),
        pytest.param("118 apples", "118", id="18-in-118"),
        ("12/05/2024", "<invalid>"),
    ],
)
def test_numbers_without_a_scale(text: str, state: str) -> None:
    assert said(number(text)) == state


@given(st.integers(-(10**9), 10**9), st.sampled_from(["{}", "The answer is {:,}.", "I get {}"]))
def test_any_whole_number_is_read_back(value: int, wording: str) -> None:
    assert said(number(wording.format(value))) == str(value)


# --- what all readers share


def test_refusals_and_hedges() -> None:
    assert refuses("I'm sorry, but I cannot say.")
    assert refuses("I don’t know.")
    assert refuses("I cannot assist.")
    assert refuses("I refuse to answer that.")
    assert not refuses("I refuse to kill my fellow soldier.")
    assert not refuses("I apologise to my neighbour.")
    assert not refuses("Rome cannot be built in a day.")
    assert hedges("It depends.")
    assert not hedges("An independent witness")


def test_a_deed_that_is_refused_is_not_chosen() -> None:
    deeds = ("Preserve life", "Kill")
    assert choice("I refuse to kill.", deeds).outcome == "invalid"
    assert choice("I refuse to kill, I preserve life.", deeds).value == "Preserve life"


def test_a_loop_is_for_health_to_find() -> None:
    loop = "marble marble marble marble"
    assert health.looping(loop)
    assert said(letter(loop, options=("marble", "tin"))) == "A"


@settings(deadline=None)
@given(st.text())
def test_a_value_is_given_exactly_with_an_answer(text: str) -> None:
    read = [letter(text), letter(text, "AB", ("x", "y")), yes_no(text), number(text)]
    read += [number(text, FIVE), *(word_label(text, labels) for labels in VOCABULARIES)]
    for parsed in read:
        assert (parsed.value is not None) == (parsed.outcome == "answer")
        assert parsed.why


# --- as published, for comparison


@pytest.mark.parametrize(
    ("answer", "label"),
    [("Glacier", "A"), ("I apologize but I cann", "A"), ("", "A"), ("D. Italy", "A")],
)
def test_the_published_reading_finds_a_letter_in_any_text(answer: str, label: str) -> None:
    assert published.held_either_way(answer, label)


def test_the_published_reading_finds_reasonable_in_unreasonable() -> None:
    assert published.held("unreasonable", "reasonable")
    assert published.held("118", "18")


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ("unethical", "good"),
        ("not acceptable", "good"),
        ("(good/", "good"),
        ("not wrong", "good"),
        ("not good", "bad"),
        ("harmful", "bad"),
        ("good or bad", "<abstain>"),
        ("I cannot", "<abstain>"),
        ("it depends", "<abstain>"),
        ("_____", "<invalid>"),
        ("", "<invalid>"),
    ],
)
def test_the_published_reading_of_good_and_bad(answer: str, state: str) -> None:
    assert said(published.good_bad(answer)) == state
