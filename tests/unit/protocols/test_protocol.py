"""A protocol is four axes with one readable id."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from truing.errors import BadInput, UnknownName
from truing.protocols.protocol import (
    AXES,
    DECODINGS,
    PROTOCOLS,
    SYNTHETIC,
    WILD,
    WILD_CHAT,
    Protocol,
    differences,
    ladder,
    parse,
)
from truing.protocols.stopping import TRUNCATIONS
from truing.protocols.templates import TEMPLATES

SCORERS = (
    "token-match",
    "token-match-strict",
    "contains",
    "exact-match",
    "likelihood",
    "kl",
    "local:org/model",
)


def valid() -> list[Protocol]:
    found = []
    for template, decoding, truncation, scorer in itertools.product(
        TEMPLATES, DECODINGS, TRUNCATIONS, SCORERS
    ):
        try:
            found.append(Protocol(template, decoding, truncation, scorer))  # type: ignore[arg-type]
        except BadInput:
            continue
    return found


protocols = st.sampled_from(valid())


@pytest.mark.parametrize(
    ("name", "id"),
    [
        ("synthetic", "bare/teacher-forced/gold-length/token-match"),
        ("likelihood", "bare/teacher-forced/gold-length/likelihood"),
        ("drawdown", "bare/teacher-forced/gold-length/kl"),
        ("wild", "qa-instruction/greedy/natural/contains"),
        ("wild-question", "bare/greedy/natural/contains"),
        ("wild-chat", "chat/greedy/natural/contains"),
        ("wild-published", "qa-instruction/greedy/published/exact-match"),
        ("wild-published-question", "bare/greedy/published/exact-match"),
        ("wild-published-chat", "llama2/greedy/published/exact-match"),
    ],
)
def test_presets_have_the_ids_that_results_carry(name: str, id: str) -> None:
    preset = PROTOCOLS.get(name)
    assert preset.id == id
    assert preset.name == name
    assert parse(name) == parse(id) == preset
    assert id in PROTOCOLS.summary(name)


def test_every_preset_is_tested_above() -> None:
    assert len(list(PROTOCOLS)) == 9


@settings(deadline=None)
@given(protocols)
def test_an_id_reads_back_as_the_protocol(protocol: Protocol) -> None:
    assert parse(protocol.id) == protocol
    assert parse(protocol.name) == protocol


@settings(deadline=None)
@given(protocols, protocols)
def test_ids_are_equal_exactly_when_no_axis_differs(a: Protocol, b: Protocol) -> None:
    assert (a.id == b.id) == (differences(a, b) == ())


def test_a_judge_with_slashes_in_its_name_survives_the_id() -> None:
    assert parse("wild,scorer=local:org/model/v2").scorer == "local:org/model/v2"
    assert parse(parse("wild,scorer=local:org/model/v2").id).scorer == "local:org/model/v2"


def test_swaps_change_the_axes_they_name() -> None:
    assert parse("wild, template = chat") == WILD_CHAT
    assert WILD.swap("template", "chat") == WILD_CHAT
    swapped = parse("synthetic,decoding=greedy,truncation=natural,scorer=contains")
    assert swapped == PROTOCOLS.get("wild-question")


def test_question_is_another_name_of_the_bare_prompt() -> None:
    assert parse("wild,template=question") == parse("wild-question")
    assert "question" not in parse("wild,template=question").id


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("synthetic,truncation=natural", "feeds the gold answer"),
        ("synthetic,truncation=published", "feeds the gold answer"),
        ("wild,decoding=teacher-forced", "feeds the gold answer"),
        ("wild,scorer=token-match", "free answer has no token"),
        ("wild,scorer=token-match-strict", "free answer has no token"),
        ("wild,scorer=likelihood", "nothing is written"),
        ("synthetic,decoding=greedy,scorer=likelihood", "nothing is written"),
        ("wild,scorer=kl", "nothing is written"),
        ("synthetic,decoding=greedy,scorer=kl", "nothing is written"),
        ("wild,template", "not axis=value"),
        ("wild,template=", "not axis=value"),
        ("wild,template=bare,template=chat", "twice"),
        ("wild,scorer=", "not axis=value"),
        ("a/b/c", "not a protocol id"),
    ],
)
def test_combinations_that_mean_nothing_say_why_and_what_to_do(text: str, what: str) -> None:
    with pytest.raises(BadInput, match=what) as caught:
        parse(text)
    assert caught.value.next
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("wlid", "wild"),
        ("wild,templat=bare", "template"),
        ("wild,template=qa-instructon", "qa-instruction"),
        ("wild,truncation=naturel", "natural"),
        ("wild,decoding=gredy", "greedy"),
        ("bare/greedyy/natural/contains", "greedy"),
    ],
)
def test_misspelt_names_get_the_near_ones(text: str, near: str) -> None:
    with pytest.raises(UnknownName) as caught:
        parse(text)
    assert near in caught.value.near


def test_greedy_to_the_gold_length_keeps_token_matching() -> None:
    assert parse("synthetic,decoding=greedy").id == "bare/greedy/gold-length/token-match"


def test_the_ladder_goes_from_synthetic_to_wild_in_the_axes_order() -> None:
    assert [p.id for p in ladder(WILD)] == [
        "bare/teacher-forced/gold-length/token-match",
        "bare/greedy/gold-length/token-match",
        "bare/greedy/gold-length/contains",
        "bare/greedy/natural/contains",
        "qa-instruction/greedy/natural/contains",
    ]


@settings(deadline=None)
@given(protocols)
def test_each_rung_of_a_ladder_changes_one_axis(protocol: Protocol) -> None:
    rungs = ladder(protocol)
    assert rungs[0] == SYNTHETIC
    assert rungs[-1] == protocol
    assert all(len(differences(a, b)) == 1 for a, b in itertools.pairwise(rungs))
    assert len(rungs) <= 1 + len(AXES)
