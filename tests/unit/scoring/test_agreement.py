"""Agreement of raters: published examples, invariances, and what is not defined."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from truing.errors import BadInput, UnknownName
from truing.scoring.agreement import (
    LEVELS,
    WEIGHTS,
    Agreement,
    Label,
    Level,
    Ratings,
    cohen_kappa,
    fleiss_kappa,
    krippendorff_alpha,
    percent_of_pairs,
    percent_unanimous,
)
from truing.seeds import Seeds

SEEDS = Seeds(0)
FEW = 2
STATISTICS: dict[str, Callable[[Ratings], Agreement]] = {
    "percent/pairs": lambda r: percent_of_pairs(r, seeds=SEEDS, resamples=FEW),
    "percent/unanimous": lambda r: percent_unanimous(r, seeds=SEEDS, resamples=FEW),
    "fleiss": lambda r: fleiss_kappa(r, seeds=SEEDS, resamples=FEW),
    **{
        f"krippendorff/{level}": lambda r, level=level: krippendorff_alpha(
            r, level, seeds=SEEDS, resamples=FEW
        )
        for level in LEVELS
    },
}
COHEN: dict[str, Callable[[Ratings], Agreement]] = {
    weights: lambda r, weights=weights: cohen_kappa(r, weights, seeds=SEEDS, resamples=FEW)
    for weights in WEIGHTS
}
COEFFICIENTS = [name for name in STATISTICS if not name.startswith("percent")]

# Krippendorff 2011, example C: four observers, twelve units, ratings missing.
OBSERVERS = (
    (1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None),
    (1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3),
    (None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None),
    (1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None),
)
# Fourteen raters, ten subjects, five categories: the worked example for Fleiss 1971.
COUNTS = (
    (0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1),
    (7, 7, 0, 0, 0), (3, 2, 6, 3, 0), (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7),
)  # fmt: skip


def from_table(table: Sequence[Sequence[int]]) -> Ratings:
    """Two raters from their contingency table."""
    places = range(len(table))
    units = [(i, j) for i in places for j in places for _ in range(table[i][j])]
    return Ratings.of(units, list(places))


# --- published examples


@pytest.mark.parametrize(
    ("level", "wanted"),
    [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849), ("ratio", 0.797)],
)
def test_alpha_of_krippendorff_2011(level: Level, wanted: float) -> None:
    ratings = Ratings.of(list(zip(*OBSERVERS, strict=True)), (1, 2, 3, 4, 5))
    found = krippendorff_alpha(ratings, level, seeds=SEEDS)
    assert found.value == pytest.approx(wanted, abs=5e-4)
    assert (found.units, found.ratings, found.missing) == (11, 41, 7)
    assert found.low is not None
    assert found.high is not None
    assert found.low < wanted < found.high <= 1
    assert found.interval == "95% bootstrap over units"


def test_alpha_of_two_observers_and_binary_data() -> None:
    """Krippendorff 2011, example A: alpha = .095."""
    one = (0, 1, 0, 0, 0, 0, 0, 0, 1, 0)
    two = (1, 1, 1, 0, 0, 1, 0, 0, 0, 0)
    found = krippendorff_alpha(Ratings.of(list(zip(one, two, strict=True)), (0, 1)), seeds=SEEDS)
    assert found.value == pytest.approx(0.095, abs=5e-4)


def test_kappa_of_fleiss_1971() -> None:
    units = [[k for k, n in enumerate(row) for _ in range(n)] for row in COUNTS]
    found = fleiss_kappa(Ratings.of(units, range(5)), seeds=SEEDS)
    assert found.value == pytest.approx(0.210, abs=5e-4)
    pairs = percent_of_pairs(Ratings.of(units, range(5)), seeds=SEEDS)
    assert pairs.value == pytest.approx(0.378, abs=5e-4)


@pytest.mark.parametrize(
    ("table", "wanted"),
    [
        (((20, 5), (10, 15)), 0.4),
        (((45, 15), (25, 15)), 0.1304),
        (((25, 35), (5, 35)), 0.2593),
    ],
)
def test_kappa_of_known_two_by_two_tables(table: Sequence[Sequence[int]], wanted: float) -> None:
    for weights in WEIGHTS:
        found = cohen_kappa(from_table(table), weights, seeds=SEEDS, resamples=50)
        assert found.value == pytest.approx(wanted, abs=5e-5)


def test_weighted_kappa_by_hand() -> None:
    """Disagreement by distance, observed (5 + 2*2 + 5) / 40 and (5 + 2*4 + 5) / 40; expected from
    the margins (16, 14, 10) and (15, 15, 10)."""
    ratings = from_table(((11, 3, 2), (4, 9, 1), (0, 3, 7)))
    rows, columns, n = (16, 14, 10), (15, 15, 10), 40
    for weights, power in (("unweighted", 0), ("linear", 1), ("quadratic", 2)):
        chance = sum(
            abs(i - j) ** power * rows[i] * columns[j] / n
            for i, j in itertools.permutations(range(3), 2)
        )
        seen = 3 + 2 * 2**power + 4 + 1 + 3
        found = COHEN[weights](ratings)
        assert found.value == pytest.approx(1 - seen / chance)


def test_percent_by_hand() -> None:
    """Pairs: 3 of 3, 1 of 3, 0 of 1; unanimous: one unit of three; the last unit has no pair."""
    ratings = Ratings.of(
        [("a", "a", "a"), ("a", "a", "b"), ("a", None, "b"), (None, None, "a")], ("a", "b")
    )
    pairs = percent_of_pairs(ratings, seeds=SEEDS)
    unanimous = percent_unanimous(ratings, seeds=SEEDS)
    assert (pairs.value, pairs.units, pairs.missing) == (4 / 7, 3, 3)
    assert unanimous.value == pytest.approx(1 / 3)
    assert pairs.commonest == pytest.approx(7 / 9)


def test_alpha_and_kappa_use_what_there_is() -> None:
    """Fleiss needs every rater; alpha takes units with two ratings or more."""
    ratings = Ratings.of([(0, 0, 1), (1, 1, None), (1, 1, 1), (0, 0, 0), (1, None, None)], (0, 1))
    assert fleiss_kappa(ratings, seeds=SEEDS).units == 3
    assert krippendorff_alpha(ratings, seeds=SEEDS).units == 4
    assert cohen_kappa(ratings.only("1", "2"), seeds=SEEDS).units == 4


# --- invariances

TABLES = st.integers(2, 4).flatmap(
    lambda raters: st.lists(
        st.lists(st.sampled_from((1, 2, 3, 4, None)), min_size=raters, max_size=raters),
        min_size=2,
        max_size=12,
    )
)


def values(table: Sequence[Sequence[Label | None]], labels: Sequence[Label]) -> dict[str, float]:
    ratings = Ratings.of(table, labels)
    found = {name: statistic(ratings).value for name, statistic in STATISTICS.items()}
    return {name: value for name, value in found.items() if value is not None}


@settings(max_examples=60)
@given(TABLES, st.data())
def test_orders_of_units_and_raters_decide_nothing(
    table: list[list[int | None]], data: st.DataObject
) -> None:
    units = data.draw(st.permutations(table))
    columns = data.draw(st.permutations(range(len(table[0]))))
    turned = [[unit[i] for i in columns] for unit in units]
    assert values(turned, (1, 2, 3, 4)) == pytest.approx(values(table, (1, 2, 3, 4)))


@settings(max_examples=40)
@given(TABLES, st.permutations((1, 2, 3, 4)))
def test_names_of_nominal_labels_decide_nothing(
    table: list[list[int | None]], names: list[int]
) -> None:
    renamed = [[None if x is None else names[x - 1] for x in unit] for unit in table]
    before, after = values(table, (1, 2, 3, 4)), values(renamed, (1, 2, 3, 4))
    for name in ("percent/pairs", "percent/unanimous", "fleiss", "krippendorff/nominal"):
        assert after.get(name) == pytest.approx(before.get(name))


@settings(max_examples=40)
@given(TABLES)
def test_order_shift_and_scale_change_only_the_levels_that_know_them(
    table: list[list[int | None]],
) -> None:
    """Ordinal alpha takes any rising labels and the reverse order, interval alpha a shift and
    scale, ratio alpha a scale."""
    before = values(table, (1, 2, 3, 4))

    def moved(change: Callable[[int], float]) -> dict[str, float]:
        changed = [[None if x is None else change(x) for x in unit] for unit in table]
        return values(changed, sorted({change(x) for x in (1, 2, 3, 4)}))

    assert moved(lambda x: x**3).get("krippendorff/ordinal") == pytest.approx(
        before.get("krippendorff/ordinal")
    )
    reverse = moved(lambda x: 5 - x)
    shifted = moved(lambda x: 1e-6 * x + 7)
    scaled = moved(lambda x: 2.5 * x)
    for name in ("krippendorff/ordinal", "krippendorff/interval"):
        assert reverse.get(name) == pytest.approx(before.get(name))
    assert shifted.get("krippendorff/interval") == pytest.approx(
        before.get("krippendorff/interval"), abs=1e-8
    )
    assert scaled.get("krippendorff/ratio") == pytest.approx(before.get("krippendorff/ratio"))


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=2, max_size=30))
def test_two_labels_have_no_order(units: list[tuple[int, int]]) -> None:
    ratings = Ratings.of(units, (0, 1))
    alphas = {STATISTICS[f"krippendorff/{level}"](ratings).value for level in LEVELS}
    kappas = {weighted(ratings).value for weighted in COHEN.values()}
    assert len({None if x is None else round(x, 9) for x in alphas}) == 1
    assert len({None if x is None else round(x, 9) for x in kappas}) == 1


@settings(max_examples=40)
@given(TABLES)
def test_bounds_and_the_small_sample_link(table: list[list[int | None]]) -> None:
    """Nothing exceeds 1; without missing ratings nominal alpha is Fleiss' kappa moved by 1 / n:
    ``1 - alpha = (1 - kappa) (n - 1) / n`` (Krippendorff 2011)."""
    found = values(table, (1, 2, 3, 4))
    assert all(value <= 1 + 1e-12 for value in found.values())
    full = [unit for unit in table if None not in unit]
    assume(len(full) > 1)
    both = values(full, (1, 2, 3, 4))
    assume("fleiss" in both)
    n = len(full) * len(full[0])
    assert 1 - both["krippendorff/nominal"] == pytest.approx((1 - both["fleiss"]) * (n - 1) / n)


def test_one_agrees_fully_and_chance_is_near_zero() -> None:
    rng = np.random.default_rng(5)
    alike = [(x, x, x) for x in rng.integers(1, 5, 40).tolist()]
    for name, value in values(alike, (1, 2, 3, 4)).items():
        assert value == pytest.approx(1), name
    random = rng.integers(1, 5, (2000, 3)).tolist()
    for name in COEFFICIENTS:
        assert values(random, (1, 2, 3, 4))[name] == pytest.approx(0, abs=0.04), name


# --- intervals


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    """Two raters who copy the truth with chance 0.7 and else guess: kappa is 0.49."""
    rng = np.random.default_rng(11)
    covered = 0
    for _ in range(60):
        truth = rng.integers(0, 2, 80)
        sides = [np.where(rng.random(80) < 0.7, truth, rng.integers(0, 2, 80)) for _ in "ab"]
        ratings = Ratings.of(np.column_stack(sides).tolist(), (0, 1))
        found = cohen_kappa(ratings, seeds=SEEDS, resamples=150)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0.49 <= found.high
    assert 51 <= covered <= 60


def test_clusters_widen_what_copies_narrow() -> None:
    table = [(0, 0), (0, 1), (1, 1), (1, 1), (0, 0), (1, 0), (0, 0), (1, 1)]
    plain = krippendorff_alpha(Ratings.of(table, (0, 1)), seeds=SEEDS)
    copied = krippendorff_alpha(Ratings.of(table * 5, (0, 1)), seeds=SEEDS)
    clusters = [str(i) for i in range(8)] * 5
    joined = krippendorff_alpha(Ratings.of(table * 5, (0, 1), clusters=clusters), seeds=SEEDS)
    assert joined.interval == "95% bootstrap over clusters"

    def width(a: Agreement) -> float:
        assert a.low is not None
        assert a.high is not None
        return a.high - a.low

    assert width(copied) < 0.6 * width(plain)
    assert width(joined) == pytest.approx(width(plain), rel=0.1)


def test_a_seed_decides_the_interval_and_the_order_of_units_does_not() -> None:
    table = [(0, 0), (0, 1), (1, 1), (1, 1), (0, 0), (1, 0)]
    one = fleiss_kappa(Ratings.of(table, (0, 1)), seeds=SEEDS)
    assert fleiss_kappa(Ratings.of(table[::-1], (0, 1)), seeds=SEEDS) == one
    other = fleiss_kappa(Ratings.of(table * 4, (0, 1)), seeds=Seeds(1))
    assert other != fleiss_kappa(Ratings.of(table * 4, (0, 1)), seeds=SEEDS)


# --- what is not defined is None, with the reason


@pytest.mark.parametrize("name", COEFFICIENTS)
def test_one_label_only_is_no_agreement_beyond_chance(name: str) -> None:
    found = STATISTICS[name](Ratings.of([(1, 1, 1)] * 6, (1, 2)))
    assert (found.value, found.low, found.high) == (None, None, None)
    assert "the same label" in found.why
    assert found.commonest == 1


@pytest.mark.parametrize("weights", WEIGHTS)
def test_cohen_with_one_label_only_is_none(weights: str) -> None:
    assert COHEN[weights](Ratings.of([(1, 1)] * 6, (1, 2))).value is None


@pytest.mark.parametrize("name", COEFFICIENTS)
def test_one_unit_is_too_few(name: str) -> None:
    found = STATISTICS[name](Ratings.of([(1, 2, 1)], (1, 2)))
    assert (found.value, found.units) == (None, 1)
    assert "only one unit" in found.why


@pytest.mark.parametrize("name", STATISTICS)
@pytest.mark.parametrize("table", [[], [(1, None), (None, 2)], [(None, None)]])
def test_nothing_to_pair_is_none(name: str, table: list[tuple[int | None, int | None]]) -> None:
    found = STATISTICS[name](Ratings.of(table, (1, 2), raters=("a", "b")))
    assert (found.value, found.low, found.units) == (None, None, 0)
    assert "no unit" in found.why


def test_percent_of_one_unit_has_no_interval() -> None:
    found = percent_of_pairs(Ratings.of([(1, 1)], (1, 2)), seeds=SEEDS)
    assert (found.value, found.low, found.interval) == (1.0, None, "none: one independent unit")


def test_a_rare_label_gives_a_value_without_interval() -> None:
    """A third of the resamples hold no unit with the rare label: no interval can be had."""
    found = cohen_kappa(Ratings.of([(1, 1)] * 30 + [(2, 2)], (1, 2)), seeds=SEEDS)
    assert found.value == 1
    assert found.low is None
    assert "one label only" in found.interval


# --- what is refused


def test_bad_ratings_are_refused() -> None:
    with pytest.raises(UnknownName, match="label 'c'"):
        Ratings.of([("a", "c")], ("a", "b"))
    with pytest.raises(BadInput, match="unit 1 has 3 ratings"):
        Ratings.of([("a", "b"), ("a", "b", "a")], ("a", "b"))
    with pytest.raises(BadInput, match="two raters"):
        Ratings.of([("a",)], ("a", "b"))
    with pytest.raises(BadInput, match="declared twice"):
        Ratings.of([("a", "b")], ("a", "b", "a"))
    three = Ratings.of([(1, 2, 1)] * 3, (1, 2))
    with pytest.raises(BadInput, match="two raters, not 3"):
        cohen_kappa(three, seeds=SEEDS)
    with pytest.raises(UnknownName):
        three.only("1", "9")


def test_levels_and_weights_are_checked() -> None:
    words = Ratings.of([("a", "b")] * 3, ("a", "b"))
    with pytest.raises(BadInput, match="numbers"):
        krippendorff_alpha(words, "interval", seeds=SEEDS)
    with pytest.raises(BadInput, match="negative"):
        krippendorff_alpha(Ratings.of([(-1, 1)] * 3, (-1, 1)), "ratio", seeds=SEEDS)
    with pytest.raises(UnknownName):
        krippendorff_alpha(words, "ordinl", seeds=SEEDS)  # type: ignore[arg-type]
    with pytest.raises(UnknownName):
        cohen_kappa(words, "squared", seeds=SEEDS)  # type: ignore[arg-type]
