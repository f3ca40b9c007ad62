"""A requirement is met by the mean, and only by something that was measured."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from truing.errors import BadInput, UnknownName
from truing.inspection.answers import Answered
from truing.inspection.gates import Gate, Requirement, gate, parse, questions
from truing.inspection.questions import Compared, Questions
from truing.seeds import Seeds
from truing.types import Case, EditRequest, Probe

EASY = Questions("capability", "micro", (Probe("c", "capability/micro", "Say yes.", ("yes",)),))
CASE = Case(
    "one",
    (EditRequest("one", "Spire is in", "Orvale"),),
    (
        Probe("one/efficacy", "efficacy", "Spire is in", ("Orvale",)),
        Probe("one/locality/0", "locality/near", "Gate is in", reference="Marrow"),
    ),
)


def measured(name: str, bound: float, pairs: list[tuple[bool | None, bool | None]]) -> Gate:
    each = tuple(
        Answered(str(i), f"q{i}", ("x",), str(a), str(b), a is not b, a, b)
        for i, (a, b) in enumerate(pairs)
    )
    probes = tuple(Probe(a.id, name, a.question, a.accepted) for a in each)
    return gate(Requirement(name, bound), Compared(Questions("gate", name, probes), each), Seeds(0))


def test_requirements_are_read_by_name() -> None:
    assert parse("success=.9, capability_drop=0.01") == (
        Requirement("success", 0.9),
        Requirement("capability_drop", 0.01),
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("success", "not name=share"),
        ("success=2", "no share"),
        ("success=nan", "no share"),
        ("success=much", "no share"),
        ("success=.9,success=.8", "twice"),
    ],
)
def test_what_is_no_requirement_is_told_in_two_lines(text: str, words: str) -> None:
    with pytest.raises(BadInput, match=words) as error:
        parse(text)
    assert len(str(error.value).splitlines()) == 2
    with pytest.raises(UnknownName, match="locality"):
        parse("localty=1")


def test_each_requirement_has_its_questions_or_is_refused() -> None:
    asked = questions(parse("success=1,locality=1,capability_drop=0"), [CASE], EASY)
    assert [p.prompt for p in asked["success"].probes] == ["Spire is in"]
    assert [p.prompt for p in asked["locality"].probes] == ["Gate is in"]
    assert asked["capability_drop"] is EASY
    with pytest.raises(BadInput, match="generalization is required"):
        questions(parse("generalization=.5"), [CASE], EASY)


def test_the_mean_decides_and_the_interval_is_told() -> None:
    nine = [(False, True)] * 9 + [(False, False)]
    met = measured("success", 0.9, nine)
    assert met.met
    assert met.value.low is not None
    assert met.value.low < 0.9
    assert not measured("success", 0.91, nine).met
    assert [e.question for e in met.failing] == ["q9"]
    assert "[" in str(met)


def test_locality_is_the_base_model_s_answer_right_or_wrong() -> None:
    told = measured("locality", 0.6, [(False, False), (True, True), (True, False)])
    assert told.value.mean == pytest.approx(2 / 3)
    assert told.met


def test_a_gain_is_no_drop() -> None:
    assert measured("capability_drop", 0, [(False, True), (True, True)]).met
    lost = measured("capability_drop", 0.2, [(True, False), *[(True, True)] * 3])
    assert not lost.met
    assert lost.value.mean == pytest.approx(0.25)
    assert measured("capability_drop", 0.25, [(True, False), *[(True, True)] * 3]).met


@pytest.mark.parametrize("name", ["success", "locality", "capability_drop"])
def test_nothing_measured_is_not_met(name: str) -> None:
    nothing = measured(name, 1 if name == "capability_drop" else 0, [])
    assert nothing.value.mean is None
    assert not nothing.met


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=20), st.floats(0, 1)
)  # fmt: skip
def test_what_meets_a_bound_meets_every_weaker_one(
    pairs: list[tuple[bool, bool]], bound: float
) -> None:
    if measured("success", bound, list(pairs)).met:
        assert measured("success", bound / 2, list(pairs)).met
