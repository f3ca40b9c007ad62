"""Edit success and its parts, read off rows that were written by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scored_rows import row

from truing.errors import BadInput
from truing.protocols.protocol import LIKELIHOOD, WILD, parse
from truing.scoring.judge import check_scorer, judge_row
from truing.scoring.metrics import GLOSSARY, metric_for
from truing.scoring.personality import edit_success, ranked, sigmoid
from truing.scoring.readings import OPINIONS, READINGS, readings_for
from truing.types import Choice, Response, Row

Sides = list[tuple[float, int]]
numbers = st.lists(st.tuples(st.floats(-50, -0.01), st.integers(1, 9)), min_size=1, max_size=4)


def scored(plus: Sides, minus: Sides) -> Response:
    named = [(f"+{i}", s) for i, s in enumerate(plus)] + [(f"-{i}", s) for i, s in enumerate(minus)]
    return Response("", stop="forced", choices=tuple(Choice(t, lp, n) for t, (lp, n) in named))


def opinions(now: Response | None, base: Response | None, plus: int = 1) -> Row:
    accepted = tuple(f"+{i}" for i in range(plus))
    return row(
        None, accepted, response=now, base=base, aspect="preference/es", protocol="likelihood"
    )


def test_by_hand_on_two_tokens() -> None:
    """p+ = 1/2, 1/8 now and 1/4, 1/4 before; p- = 1/4, 1/4 now and before."""
    ln2 = math.log(2)
    now, base = scored([(-4 * ln2, 2)], [(-4 * ln2, 2)]), scored([(-3 * ln2, 2)], [(-4 * ln2, 2)])
    found = edit_success(opinions(now, base))
    assert found is not None
    assert (found.plus, found.minus, found.plus_base) == pytest.approx(
        (-2 * ln2, -2 * ln2, -1.5 * ln2)
    )
    assert found.z_per == 0.5
    assert found.z_per_base == pytest.approx(1 / (1 + math.exp(-ln2 / 2)))
    assert found.z_topic == found.z_topic_raw == pytest.approx(2**-0.5)
    assert found.es == pytest.approx(0.5 * 2**-0.5)
    better = edit_success(opinions(base, now))
    assert better is not None
    assert better.z_topic_raw == pytest.approx(2**0.5)
    assert better.z_topic == 1.0
    assert better.es == better.z_per


@given(numbers, numbers)
def test_an_unedited_model_has_no_success_of_its_own(plus: Sides, minus: Sides) -> None:
    same = scored(plus, minus)
    asked = opinions(same, same, len(plus))
    for found in (edit_success(asked), edit_success(asked, "token")):
        assert found is not None
        assert found.z_topic == 1.0
        assert found.z_per_shift == 0.0
        assert found.es == found.z_per == found.z_per_base


@given(numbers, numbers)
def test_the_order_of_opinions_does_not_matter(plus: Sides, minus: Sides) -> None:
    now, base = scored(plus, minus), scored(plus[::-1], minus)
    turned = Response("", stop="forced", choices=now.choices[::-1])
    one, other = opinions(now, base, len(plus)), opinions(turned, base, len(plus))
    assert edit_success(one) == edit_success(other)
    assert ranked(one, per_token=True) == ranked(other, per_token=True)


def test_every_opinion_or_every_token_weighs_the_same() -> None:
    sides = scored([(-1.0, 1), (-9.0, 3)], [(-2.0, 1)])
    by_text = edit_success(opinions(sides, sides, 2))
    by_token = edit_success(opinions(sides, sides, 2), "token")
    assert by_text is not None
    assert by_token is not None
    assert (by_text.plus, by_token.plus) == (-2.0, -2.5)


def test_pairs_ranked_right() -> None:
    sides = scored([(-1.0, 1), (-9.0, 3)], [(-2.0, 1), (-3.0, 1), (-8.0, 2)])
    asked = opinions(sides, sides, 2)
    assert ranked(asked, per_token=True) == (3 + 0.5 + 1) / 6
    assert ranked(asked, per_token=False) == 3 / 6


def test_what_cannot_be_read_is_no_number() -> None:
    good = scored([(-1.0, 1)], [(-2.0, 1)])
    for bad in (
        None,
        scored([(-1.0, 1)], []),
        scored([], [(-1.0, 1)]),
        scored([(-1.0, 0)], [(-1.0, 1)]),
        scored([(-math.inf, 1)], [(-1.0, 1)]),
    ):
        assert edit_success(opinions(bad, good)) is None
        assert edit_success(opinions(good, bad)) is None
        assert ranked(opinions(bad, good), per_token=True) is None


def test_the_readings_stand_under_likelihood_and_only_there() -> None:
    sides = scored([(-1.0, 1)], [(-2.0, 1), (-3.0, 1)])
    asked = opinions(sides, sides)
    names = [reading.metric for reading in readings_for(LIKELIHOOD, asked)]
    assert set(OPINIONS) < set(names)
    assert not set(OPINIONS) & {r.metric for r in readings_for(WILD, asked)}
    other = row(aspect="preference", base=sides, response=sides, protocol="likelihood")
    assert not set(OPINIONS) & {r.metric for r in readings_for(LIKELIHOOD, other)}
    values = {name: READINGS[name].of(asked) for name in OPINIONS}
    assert values["es"] == values["z-per"] == pytest.approx(sigmoid(1.5))
    assert (values["l-plus"], values["l-minus"], values["z-per-shift"]) == (-1.0, -2.5, 0.0)
    assert values["pairs-ranked"] == 1.0


def test_leakage_is_better_when_it_is_lower() -> None:
    assert metric_for("leakage", "classifier:x") == "leakage"
    assert GLOSSARY["leakage"].better == "lower"


def test_asked_leaves_the_verdict_to_others() -> None:
    protocol = parse("wild,scorer=asked")
    check_scorer(protocol)
    (verdict,) = judge_row(row("I love it!", ("extraversion",)), protocol)
    assert (verdict.judge, verdict.state, verdict.score) == ("asked", "invalid", None)
    assert verdict.why == "a judge that is asked decides"
    (kept,) = [v for v in judge_row(row("a", ()), protocol) if v.judge == "same-as-base"]
    assert kept.judge == "same-as-base"
    with pytest.raises(BadInput, match="nothing is said"):
        check_scorer(parse("synthetic,scorer=asked"))
