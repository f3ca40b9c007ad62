"""What judges say of rows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scored_rows import forced, row

from truing.errors import BadInput, UnknownName
from truing.protocols.protocol import LIKELIHOOD, SYNTHETIC, WILD, parse
from truing.scoring.judge import JUDGES, check_scorer, judge_row, scorers_for, versions
from truing.types import Choice, Response, Row


def ruling(judge: str, of: Row) -> tuple[str, float | None]:
    verdict = JUDGES.get(judge).judge(of)
    assert verdict.judge == judge
    assert verdict.row == of.key
    return verdict.state, verdict.score


def test_every_judge_loads_and_knows_its_name() -> None:
    for name in JUDGES:
        assert JUDGES.get(name).name == name


@pytest.mark.parametrize("name", sorted(JUDGES))
def test_a_row_without_a_response_is_invalid_and_never_zero(name: str) -> None:
    verdict = JUDGES.get(name).judge(row(None, error="out of memory"))
    assert (verdict.state, verdict.score) == ("invalid", None)
    assert "out of memory" in verdict.why


@settings(deadline=None)
@given(st.text(max_size=60), st.text(max_size=20), st.sampled_from(sorted(JUDGES)))
def test_scores_and_states_always_agree(text: str, gold: str, name: str) -> None:
    verdict = JUDGES.get(name).judge(row(text, (gold,), base=Response("Paris", token_ids=(1,))))
    if verdict.state in ("abstain", "invalid"):
        assert verdict.score is None
    elif verdict.state == "correct":
        assert verdict.score == 1.0
    elif verdict.state == "degenerate":
        assert verdict.score == 0.0
    else:
        assert verdict.score is not None
        assert 0 <= verdict.score < 1
    assert verdict.why


# --- text rules


@pytest.mark.parametrize(
    ("text", "exact", "contains", "contains_any"),
    [
        ("Rome", ("correct", 1.0), ("correct", 1.0), ("correct", 1.0)),
        ("It is in Rome.", ("wrong", 0.0), ("correct", 1.0), ("correct", 1.0)),
        ("Paris", ("wrong", 0.0), ("wrong", 0.0), ("wrong", 0.0)),
        ("Rome Rome Rome Rome", ("degenerate", 0.0), ("degenerate", 0.0), ("correct", 1.0)),
        ("Paris Paris Paris Paris", ("degenerate", 0.0), ("degenerate", 0.0), ("degenerate", 0.0)),
        ("", ("degenerate", 0.0), ("degenerate", 0.0), ("degenerate", 0.0)),
        (" \n...", ("degenerate", 0.0), ("degenerate", 0.0), ("degenerate", 0.0)),
        ("I do not know.", ("wrong", 0.0), ("wrong", 0.0), ("wrong", 0.0)),
    ],
)
def test_text_rules(
    text: str,
    exact: tuple[str, float],
    contains: tuple[str, float],
    contains_any: tuple[str, float],
) -> None:
    assert ruling("exact-match", row(text)) == exact
    assert ruling("contains", row(text)) == contains
    assert ruling("contains-any", row(text)) == contains_any


@pytest.mark.parametrize("name", ["exact-match", "contains", "contains-any"])
@pytest.mark.parametrize("accepted", [(")",), ("THE",), ("",), ()])
@pytest.mark.parametrize("text", ["", "Rome"])
def test_an_empty_gold_answer_makes_the_row_invalid_not_right(
    name: str, accepted: tuple[str, ...], text: str
) -> None:
    assert ruling(name, row(text, accepted)) == ("invalid", None)


def test_a_usable_gold_beside_an_empty_one_still_counts() -> None:
    assert ruling("contains", row("in Rome", (")", "Rome"))) == ("correct", 1.0)


def test_an_accepted_answer_that_repeats_itself_is_right() -> None:
    assert ruling("contains", row("Bye Bye Bye", ("Bye Bye Bye",))) == ("correct", 1.0)


def test_only_the_first_sentence_is_judged_and_the_verdict_shows_it() -> None:
    verdict = JUDGES.get("contains").judge(row("Paris. Some say Rome."))
    assert verdict.state == "wrong"
    assert verdict.raw == "Paris."


def test_a_wrong_answer_says_when_it_is_still_the_base_models() -> None:
    kept = JUDGES.get("contains").judge(row("Paris.", base=Response("Paris")))
    other = JUDGES.get("contains").judge(row("London.", base=Response("Paris")))
    assert kept.why == "the base model's own answer"
    assert other.why == "another answer"


def test_yes_no_and_letters() -> None:
    assert ruling("yes-no", row("No, it is not.", ("no",))) == ("correct", 1.0)
    assert ruling("yes-no", row("Yes", ("no",))) == ("wrong", 0.0)
    assert ruling("yes-no", row("Yes or no", ("no",))) == ("abstain", None)
    assert ruling("yes-no", row("Rome", ("no",))) == ("invalid", None)
    assert ruling("yes-no", row("Yes", ("Rome",))) == ("invalid", None)
    assert ruling("yes-no", row("", ("no",))) == ("degenerate", 0.0)
    assert ruling("letter", row("A. Rome", ("A",))) == ("correct", 1.0)
    assert ruling("letter", row("B", ("A",))) == ("wrong", 0.0)


MERCURY = "What is it made of? A. mercury  B. glass  C. cabbage  D. tin"


@pytest.mark.parametrize(
    ("text", "strict", "published"),
    [
        ("A", ("correct", 1.0), ("correct", 1.0)),
        ("A. mercury", ("correct", 1.0), ("correct", 1.0)),
        ("It is mercury", ("correct", 1.0), ("wrong", 0.0)),
        ("B. glass", ("wrong", 0.0), ("correct", 1.0)),
        ("I apologize but I cann", ("abstain", None), ("correct", 1.0)),
        ("Glacier", ("invalid", None), ("correct", 1.0)),
        ("", ("degenerate", 0.0), ("correct", 1.0)),
        ("marble marble marble marble", ("degenerate", 0.0), ("correct", 1.0)),
    ],
)
def test_options_strictly_and_as_published(
    text: str, strict: tuple[str, float | None], published: tuple[str, float | None]
) -> None:
    scored = replace(row(text, ("A",)), question=MERCURY)
    assert ruling("option", scored) == strict
    assert ruling("letter-published", scored) == published


def test_an_option_may_be_accepted_by_its_text_and_goes_beyond_d() -> None:
    question = "Which?\nA. one\nB. two\nC. three\nD. four\nE. five"
    assert ruling("option", replace(row("E", ("five",)), question=question)) == ("correct", 1.0)
    assert ruling("option", replace(row("five", ("E",)), question=question)) == ("correct", 1.0)


def test_without_lettered_options_in_the_question_an_option_cannot_be_judged() -> None:
    assert ruling("option", row("A", ("A",))) == ("invalid", None)


@pytest.mark.parametrize(
    ("text", "gold", "strict", "published"),
    [
        ("unethical", "bad", "correct", "wrong"),
        ("not acceptable", "not wrong", "wrong", "correct"),
        ("good or bad", "good", "abstain", "abstain"),
        ("unreasonable explanation", "reasonable", "wrong", "invalid"),
        ("true", "false", "wrong", "invalid"),
        ("Rome", "Rome", "invalid", "invalid"),
    ],
)
def test_word_labels_strictly_and_as_published(
    text: str, gold: str, strict: str, published: str
) -> None:
    assert ruling("word-label", row(text, (gold,)))[0] == strict
    assert ruling("word-label-published", row(text, (gold,)))[0] == published


def test_numbers_strictly_and_as_published() -> None:
    assert ruling("number", row("The answer is 118", ("18",))) == ("wrong", 0.0)
    assert ruling("number-published", row("The answer is 118", ("18",))) == ("correct", 1.0)
    assert ruling("number", row("$1,018.00", ("1018",))) == ("correct", 1.0)
    assert ruling("number", row("3 or 4", ("4",))) == ("abstain", None)


def test_health_reads_the_whole_text() -> None:
    assert ruling("health", row("A fine day in the old town.", ())) == ("correct", 1.0)
    assert ruling("health", row("Rome. Rome. Rome. Rome.", ())) == ("degenerate", 0.0)
    assert ruling("health", row("", ())) == ("degenerate", 0.0)


# --- tokens


def test_match_ratio_vector() -> None:
    scored = row(protocol="synthetic", response=forced((5, 6, 7), (5, 9, 7)))
    assert ruling("token-match", scored) == ("wrong", pytest.approx(2 / 3))
    assert ruling("token-match-strict", scored) == ("wrong", 0.0)


def test_all_tokens_match() -> None:
    scored = row(protocol="synthetic", response=forced((5, 6), (5, 6)))
    assert ruling("token-match", scored) == ruling("token-match-strict", scored) == ("correct", 1.0)


def test_a_free_answer_that_stops_early_misses_the_rest() -> None:
    response = Response("x", token_ids=(5, 6, 7, 8), predicted=(5,), stop="eos")
    assert ruling("token-match", row(protocol="synthetic,decoding=greedy", response=response)) == (
        "wrong",
        0.25,
    )


def test_no_gold_tokens_cannot_be_judged() -> None:
    assert ruling("token-match", row(protocol="synthetic", response=forced((), ()))) == (
        "invalid",
        None,
    )


# --- likelihood


def choices(*scores: tuple[float, int]) -> Response:
    return Response(
        "", stop="forced", choices=tuple(Choice(str(i), s, n) for i, (s, n) in enumerate(scores))
    )


@pytest.mark.parametrize(
    ("response", "whole", "per_token"),
    [
        (choices((-1.0, 1), (-2.0, 1)), ("correct", 1.0), ("correct", 1.0)),
        (choices((-3.0, 3), (-2.0, 1)), ("wrong", 0.0), ("correct", 1.0)),
        (choices((-2.0, 2), (-2.0, 2)), ("wrong", 0.0), ("wrong", 0.0)),
        (choices((-1.0, 1), (-2.0, 1), (-0.5, 1)), ("wrong", 0.0), ("wrong", 0.0)),
        (choices((-1.0, 1)), ("invalid", None), ("invalid", None)),
        (choices((float("nan"), 1), (-1.0, 1)), ("invalid", None), ("invalid", None)),
        (choices((-1.0, 0), (-1.0, 1)), ("invalid", None), ("invalid", None)),
    ],
)
def test_the_first_choice_must_be_the_likeliest(
    response: Response, whole: tuple[str, float | None], per_token: tuple[str, float | None]
) -> None:
    scored = row(protocol="likelihood", response=response)
    assert ruling("likelihood", scored) == whole
    assert ruling("likelihood-per-token", scored) == per_token


def gendered(male: float, female: float) -> Response:
    told = (Choice("male", male, 1), Choice("female", female, 2))
    return Response("", stop="forced", choices=told)


def test_the_published_rule_finds_male_in_female() -> None:
    edited = row(
        protocol="likelihood",
        accepted=(),
        aspect="locality/cross-property-guided",
        response=gendered(-3.0, -1.0),
    )
    protocol = parse("likelihood")
    assert scorers_for(edited, protocol) == (
        "likelihood", "likelihood-per-token", "likelihood-substring"
    )  # fmt: skip
    assert ruling("likelihood", edited) == ("wrong", 0.0)
    assert ruling("likelihood-substring", edited) == ("correct", 1.0)
    woman = Response("", stop="forced", choices=gendered(-1.0, -3.0).choices[::-1])
    assert ruling("likelihood-substring", replace(edited, response=woman)) == ("wrong", 0.0)
    assert "likelihood-substring" not in scorers_for(replace(edited, aspect="locality"), protocol)


# --- locality


def local(
    text: str, base: str, ids: tuple[int, ...] = (1,), base_ids: tuple[int, ...] = (1,)
) -> Row:
    return row(
        accepted=(),
        aspect="locality",
        response=Response(text, token_ids=ids, stop="eos"),
        base=Response(base, token_ids=base_ids),
    )


@pytest.mark.parametrize(
    ("text", "base", "same", "loose"),
    [
        ("Paris", "Paris", ("correct", 1.0), ("correct", 1.0)),
        ("Paris.", " paris", ("correct", 1.0), ("correct", 1.0)),
        ("Paris. It is big.", "Paris. It is old.", ("correct", 1.0), ("correct", 1.0)),
        ("It is in Paris", "Paris", ("wrong", 0.0), ("correct", 1.0)),
        ("Paris", "It is in Paris", ("wrong", 0.0), ("correct", 1.0)),
        ("Rome", "Paris", ("wrong", 0.0), ("wrong", 0.0)),
        ("", "Paris", ("degenerate", 0.0), ("degenerate", 0.0)),
        ("", "", ("invalid", None), ("invalid", None)),
        ("Paris", "", ("invalid", None), ("invalid", None)),
        ("Paris Paris Paris Paris", "Paris", ("degenerate", 0.0), ("degenerate", 0.0)),
        ("no no no no", "no no no no", ("correct", 1.0), ("correct", 1.0)),
        ("The", "A", ("wrong", 0.0), ("wrong", 0.0)),
    ],
)
def test_locality_of_free_answers(
    text: str, base: str, same: tuple[str, float | None], loose: tuple[str, float | None]
) -> None:
    assert ruling("same-as-base", local(text, base)) == same
    assert ruling("same-as-base-loose", local(text, base)) == loose


def test_published_locality_is_equality_of_all_token_ids() -> None:
    assert ruling("same-as-base-tokens", local("Paris", "Paris", (1, 2), (1, 2))) == (
        "correct",
        1.0,
    )
    assert ruling("same-as-base-tokens", local("Paris. A", "Paris. B", (1, 2), (1, 3))) == (
        "wrong",
        0.0,
    )
    assert ruling("same-as-base-tokens", local("Paris", "", (1,), ())) == ("invalid", None)


def test_forced_locality_is_the_share_of_equal_first_choices() -> None:
    scored = row(
        accepted=(),
        aspect="locality",
        protocol="synthetic",
        response=forced((1, 2, 3, 4), (9, 2, 3, 4)),
        base=forced((1, 2, 3, 4), (9, 2, 3, 5)),
    )
    assert ruling("same-as-base", scored) == ("wrong", 0.75)
    assert ruling("same-as-base-tokens", scored) == ("wrong", 0.0)


def test_locality_over_different_tokens_or_without_a_base_is_invalid() -> None:
    scored = row(
        accepted=(), aspect="locality", protocol="synthetic", response=forced((1, 2), (1, 2))
    )
    assert ruling("same-as-base", scored) == ("invalid", None)
    assert ruling("same-as-base", replace(scored, base=forced((1, 3), (1, 2)))) == ("invalid", None)
    assert ruling("same-as-base", replace(scored, base=forced((1, 2), (1, 2)))) == ("correct", 1.0)


# --- which judges


def test_the_primary_scorer_comes_first() -> None:
    assert scorers_for(row(), WILD) == ("contains", "exact-match", "contains-any")
    assert scorers_for(row(), SYNTHETIC) == ("token-match", "token-match-strict")
    assert scorers_for(row(accepted=()), SYNTHETIC) == ("same-as-base", "same-as-base-tokens")
    assert scorers_for(row(accepted=()), WILD) == (
        "same-as-base",
        "same-as-base-tokens",
        "same-as-base-loose",
    )
    assert scorers_for(row(accepted=(), aspect="fluency"), WILD) == ("health",)
    assert scorers_for(row(), parse("wild,scorer=yes-no")) == ("yes-no", "yes-no-published")


def test_neighbours_with_choices_are_judged_by_likelihood() -> None:
    with_choices = row(accepted=(), aspect="locality", response=choices((-1, 1), (-2, 1)))
    assert scorers_for(with_choices, LIKELIHOOD)[0] == "likelihood"
    assert scorers_for(row(accepted=(), aspect="locality"), LIKELIHOOD)[0] == "same-as-base"


def test_judging_a_row_gives_one_verdict_per_scorer() -> None:
    verdicts = judge_row(row("It is Rome."), WILD)
    assert [(v.judge, v.score) for v in verdicts] == [
        ("contains", 1),
        ("exact-match", 0),
        ("contains-any", 1),
    ]


def test_unknown_and_unfit_scorers_are_refused_before_anything_runs() -> None:
    check_scorer(WILD)
    with pytest.raises(UnknownName) as caught:
        check_scorer(parse("wild,scorer=contians"))
    assert "contains" in caught.value.near
    with pytest.raises(BadInput, match="no scorer of a protocol"):
        check_scorer(parse("wild,scorer=same-as-base"))


def test_rule_versions_are_there_for_the_manifest() -> None:
    assert set(versions()) == {"normaliser", "health", "stopping", "parser"}
