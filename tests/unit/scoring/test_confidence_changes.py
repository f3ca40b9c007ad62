"""D of other people by group, and whether groups differ: on numbers whose truth is known."""

from __future__ import annotations

import csv
import io
import logging
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from truing.errors import BadInput
from truing.scoring.group_tests import (
    Between,
    between,
    comparable,
    published,
    published_between,
    within,
)
from truing.scoring.seesaw import (
    COLUMNS,
    CROSS_SUBJECT,
    Change,
    Membership,
    by_group,
    changes,
    gap,
    long_table,
    mean_change,
    write_long,
)
from truing.seeds import Seeds
from truing.types import Choice, Response, Row

SAYS = logging.getLogger(__name__)
SEEDS = Seeds(0)
GROUPS = ("Africa", "East Asia", "Western Europe", "South Asia")
REPETITIONS = 200


def answered(first: float, second: float) -> Response:
    """Two choices of two tokens each with these probabilities per token."""
    choices = (
        Choice("Kenya", 2 * math.log(first), 2),
        Choice("France", 2 * math.log(second), 2),
    )
    return Response("", choices=choices)


ROW = Row(
    key="k", cell="cell", case="1", probe="1/0", aspect=CROSS_SUBJECT, protocol="p", moment="final",
    step=1, prompt="Wangari is a citizen of", accepted=(), response=answered(0.2, 0.3),
    base=answered(0.5, 0.1), group="Q1",
)  # fmt: skip


def name(row: Row) -> str:
    return row.cell


def test_d_is_a_difference_of_probabilities_per_token() -> None:
    (found,) = changes([ROW, replace(ROW, aspect="efficacy")], name)
    assert (found.before, found.after) == (pytest.approx(0.4), pytest.approx(-0.1))
    assert found.change == pytest.approx(-0.5)
    assert (found.edited, found.value, found.case, found.person) == ("cell", "Kenya", "1", "Q1")


def test_a_missing_likelihood_is_missing_and_not_zero() -> None:
    assert gap(None) is None
    (found,) = changes([replace(ROW, response=None, error="x")], name)
    assert (found.after, found.change) == (None, None)
    value = mean_change([found], seeds=SEEDS)
    assert (value.n, value.mean, value.missing) == (0, None, 1)
    with pytest.raises(BadInput, match="nobody"):
        changes([replace(ROW, group=None)], name)


def test_people_are_the_units_of_a_mean_and_cases_are_not() -> None:
    once = [Change("m", "Kenya", "1", f"Q{i}", 0.0, i / 10) for i in range(8)]
    ten = [replace(c, case=str(k)) for c in once for k in range(10)]
    one, many = (mean_change(found, seeds=SEEDS) for found in (once, ten))
    assert (one.mean, one.low, one.high) == pytest.approx((many.mean, many.low, many.high))
    assert (one.clusters, many.clusters, many.n) == (8, 8, 80)


def test_a_mean_of_several_edited_models_is_over_models_and_people() -> None:
    rng = np.random.default_rng(0)
    models = {f"m{k}": rng.normal(0, 0.5) for k in range(6)}
    found = [
        Change(m, "Kenya", m, f"Q{i}", 0.0, moved + rng.normal(0, 0.01))
        for m, moved in models.items()
        for i in range(20)
    ]
    value = mean_change(found, seeds=SEEDS)
    assert value.interval == "95% bootstrap over edits and people"
    assert value.low is not None
    assert value.high is not None
    assert value.high - value.low > 0.4


def test_people_who_do_not_change_have_no_interval_of_a_share() -> None:
    value = mean_change([Change("m", "Kenya", "1", p, 0.5, 0.5) for p in "abc"], seeds=SEEDS)
    assert (value.mean, value.low, value.interval) == (0, None, "none: all people agree")
    alone = mean_change([Change("m", "Kenya", "1", "a", 0.5, 0.4)], seeds=SEEDS)
    assert alone.interval == "none: one person"


def test_somebody_in_two_groups_counts_in_both() -> None:
    found = [Change("m", "Kenya", "1", p, 0.0, x) for p, x in (("a", 0.1), ("b", 0.3))]
    members: Membership = {"a": {"origin": ("Africa",)}, "b": {"origin": ("Africa", "East Asia")}}
    means = {g: v.mean for g, v in by_group(found, members, "origin", seeds=SEEDS).items()}
    assert means == {"Africa": pytest.approx(0.2), "East Asia": pytest.approx(0.3)}


def test_the_long_table_has_a_row_per_person_and_group() -> None:
    found = [
        Change("m", "Kenya", "1", "a", 0.5, 0.25),
        Change("m", "Kenya", "1", "nobody", 0.5, None),
    ]
    file = io.StringIO()
    members: Membership = {"a": {"origin": ("Africa", "East Asia")}}
    write_long(file, long_table("ft_m", found, members, ("origin",)))
    rows = list(csv.DictReader(io.StringIO(file.getvalue())))
    assert tuple(rows[0]) == COLUMNS
    assert {r["method"] for r in rows} == {"ft_m"}
    assert [(r["person"], r["group"], r["change"]) for r in rows] == [
        ("a", "Africa", "-0.25"),
        ("a", "East Asia", "-0.25"),
        ("nobody", "unknown", ""),
    ]


def test_one_case_has_the_statistic_of_welchs_test() -> None:
    from scipy import stats

    rng = np.random.default_rng(1)
    a, b = rng.normal(0, 1, 7), rng.normal(1, 3, 12)
    found = [Change("m", "Kenya", "1", f"a{i}", 0.0, x) for i, x in enumerate(a)]
    found += [Change("m", "Kenya", "1", f"b{i}", 0.0, x) for i, x in enumerate(b)]
    (case,) = comparable(found, {f"a{i}" for i in range(7)}).values()
    ours = within([case])
    known = stats.ttest_ind(a, b, equal_var=False)
    assert ours.delta / ours.error == pytest.approx(known.statistic)


def test_asking_the_same_people_again_makes_no_finding_surer() -> None:
    found, members = sample(np.random.default_rng(3), -0.1)
    again = found + [replace(c, case=f"{c.case} again") for c in found]
    for once, twice in zip(*(between(x, members, "origin") for x in (found, again)), strict=True):
        assert once.comparison.p == pytest.approx(twice.comparison.p)
        assert once.comparison.n_pairs == twice.comparison.n_pairs
        assert 2 * once.cases == twice.cases


def sample(
    rng: np.random.Generator, bias: float, *, edited: int = 1, per_value: int = 40
) -> tuple[list[Change], Membership]:
    """Five values in six cases each, which draw half of the people of the value. D has a part per model
    and value, per case, per person, and noise; Africa has ``bias`` besides. Groups are spread unevenly
    over values."""
    found: list[Change] = []
    members: dict[str, dict[str, tuple[str, ...]]] = {}
    for v in range(5):
        share = rng.dirichlet(np.full(len(GROUPS), 2.0))
        people = {f"{v}/{i}": str(rng.choice(GROUPS, p=share)) for i in range(per_value)}
        members |= {p: {"origin": (g,)} for p, g in people.items()}
        own = {p: rng.normal(0, 0.1) for p in people}
        for model in range(edited):
            moved = rng.normal(0, 0.3)
            for case in range(6):
                shift = moved + rng.normal(0, 0.1)
                for p in rng.choice(sorted(people), per_value // 2, replace=False):
                    g = people[p]
                    d = shift + own[p] + bias * (g == "Africa") + rng.normal(0, 0.05)
                    found.append(Change(f"m{model}", f"v{v}", f"{v}/{case}", str(p), 0.0, d))
    return found, members


def false_findings(decide: Callable[[list[Change], Membership], bool], **made: int) -> float:
    """The share of repetitions without bias in which ``decide`` finds one."""
    hits = [
        decide(*sample(np.random.default_rng(seed), 0.0, **made)) for seed in range(REPETITIONS)
    ]
    rate = float(np.mean(hits))
    SAYS.info("no bias: found in %.1f %% of %d repetitions", 100 * rate, REPETITIONS)
    return rate


def finds(found: list[Change], members: Membership) -> bool:
    return any(significant(one) for one in between(found, members, "origin"))


def significant(one: Between) -> bool:
    p = one.comparison.p_adjusted
    return p is not None and p < 0.05


def test_without_bias_groups_are_told_apart_in_at_most_one_of_twenty_repetitions() -> None:
    assert false_findings(finds) <= 0.05


def test_several_edited_models_are_tested_cautiously() -> None:
    rate = np.mean(
        [finds(*sample(np.random.default_rng(s), 0.0, edited=4, per_value=24)) for s in range(40)]
    )
    assert rate <= 0.05


def test_the_published_test_takes_a_move_of_everybody_for_a_finding_about_each_group() -> None:
    def naive(found: list[Change], members: Membership) -> bool:
        return any(
            one.p is not None and one.p < 0.05 for one in published(found, members, "origin")
        )

    assert false_findings(naive) > 0.5


def test_a_planted_bias_is_found() -> None:
    for bias, least in ((-0.05, 0.1), (-0.15, 0.9)):
        hits = []
        for seed in range(60):
            tests = between(*sample(np.random.default_rng(1000 + seed), bias), "origin")
            (africa,) = (one for one in tests if one.group == "Africa")
            hits.append(significant(africa) and (africa.comparison.delta or 0) < 0)
        power = float(np.mean(hits))
        SAYS.info(
            "D of a group lower by %s: found in %.0f %% of 60 repetitions", -bias, 100 * power
        )
        assert power >= least


def test_groups_that_are_alike_can_be_shown_to_be() -> None:
    found, members = sample(np.random.default_rng(5), 0.0, per_value=60)
    wide, narrow = (between(found, members, "origin", margin=m) for m in (0.2, 0.001))
    assert all(one.equivalence is not None and one.equivalence < 0.01 for one in wide)
    assert all(one.equivalence is not None and one.equivalence > 0.05 for one in narrow)
    biased, members = sample(np.random.default_rng(5), 0.5, per_value=60)
    (africa,) = (
        one for one in between(biased, members, "origin", margin=0.2) if one.group == "Africa"
    )
    assert africa.equivalence == pytest.approx(1, abs=0.01)
    with pytest.raises(BadInput, match="margin"):
        between(found, members, "origin", margin=0.0)


def test_a_group_of_one_is_not_compared_and_is_counted() -> None:
    found = [
        Change("m", "Kenya", "1", p, 0.0, x) for p, x in zip("abcd", (1, 2, 3, 5), strict=True)
    ]
    members = {p: {"origin": ("Africa" if p == "a" else "East Asia",)} for p in "abcd"}
    (one,) = between(found, members, "origin")
    assert (one.group, one.people, one.alone, one.cases) == ("Africa", 0, 1, 0)
    assert (one.comparison.delta, one.comparison.p) == (None, None)


def test_two_groups_give_one_test() -> None:
    found = [
        Change("m", "Kenya", "1", p, 0.0, x) for p, x in zip("abcd", (1, 2, 3, 5), strict=True)
    ]
    members = {p: {"gender": ("women" if p in "ab" else "men",)} for p in "abcd"}
    (one,) = between(found, members, "gender")
    assert (one.group, one.comparison.delta, one.people) == ("men", 2.5, 2)
    assert one.comparison.p_adjusted == one.comparison.p
    assert published(found, members, "gender")[0].p is None
    assert list(published_between(found, members, "gender")) == [("men", "women", None)]
