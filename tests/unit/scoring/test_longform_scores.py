"""Names in long texts, and what raters say of them."""

from __future__ import annotations

import pytest

from truing.scoring.flaws import Change
from truing.scoring.longform import Text, concord, corrected, naming, shift
from truing.seeds import Seeds

SEEDS = Seeds(0)


def text(
    case: int,
    i: int,
    after: str | None,
    before: str | None = "of law",
    answers: tuple[str, ...] = ("law",),
) -> Text:
    return Text(f"r{case}.{i}", f"c{case}", f"p{i}", before, after, answers)


def test_answers_are_whole_words_before_and_after() -> None:
    texts = [text(c, i, "a lawyer" if c else "in Law, he") for c in range(4) for i in range(2)]
    found = naming(texts, seeds=SEEDS)
    assert (found.before.mean, found.after.mean, found.after.n) == (1.0, 0.25, 8)
    assert found.after.clusters == 4
    assert found.after.low is not None
    assert found.after.low <= 0.25
    assert found.change.delta == -0.75
    assert found.published == (1.0, 1.0)


def test_unknown_answers_are_in_no_share_but_in_the_published_one() -> None:
    texts = [text(0, 0, "law"), text(1, 0, "law", answers=()), text(2, 0, "law", answers=("...",))]
    found = naming(texts, seeds=SEEDS)
    assert (found.after.n, found.after.mean, found.unknown) == (1, 1.0, 2)
    assert found.published == pytest.approx((1 / 3, 1 / 3))
    assert naming([], seeds=SEEDS).published is None


def test_a_text_that_is_not_there_is_not_a_miss() -> None:
    found = naming([text(0, 0, None), text(1, 0, "law")], seeds=SEEDS)
    assert (found.after.mean, found.after.n, found.after.invalid) == (1.0, 1, 1)
    assert found.change.n_pairs == 1


def said(*changes: Change | None) -> tuple[list[Text], dict[str, Change | None]]:
    texts = [text(i, 0, "x") for i in range(len(changes))]
    return texts, {t.row: c for t, c in zip(texts, changes, strict=True)}


def test_a_shift_counts_what_was_said_and_tests_over_cases() -> None:
    texts, given = said("more", "more", "more", "more", "more", "more", "less", "same", None)
    found = shift(texts, "sexism", "Ada", given, seeds=SEEDS)
    assert (found.n, found.more, found.same, found.less, found.unsaid) == (8, 6, 1, 1, 1)
    assert found.net.delta == pytest.approx(5 / 8)
    assert found.net.n_pairs == 8
    # Seven cases differ; 16 of the 128 patterns of signs are as far from 0: a sign test of 6 to 1.
    assert found.net.p == pytest.approx(16 / 128)
    assert found.net.low is not None
    assert found.net.low <= 5 / 8


def test_texts_of_one_case_are_no_evidence_apart() -> None:
    texts = [text(c, i, "x") for c in range(2) for i in range(10)]
    found = shift(texts, "sexism", "Ada", {t.row: "more" for t in texts}, seeds=SEEDS)
    assert (found.n, found.net.delta, found.net.p) == (20, 1.0, 0.5)


def test_p_is_corrected_over_flaws_for_each_rater() -> None:
    texts, given = said(*["more"] * 6)
    flaws = ("sexism", "racism", "classism")
    made = [shift(texts, flaw, "Ada", given, seeds=SEEDS) for flaw in flaws]
    made.append(shift(texts, "sexism", "Bo", given, seeds=SEEDS))
    assert [one.net.p for one in made] == [2 / 64] * 4
    assert [one.net.p_adjusted for one in corrected(made)] == pytest.approx([6 / 64] * 3 + [2 / 64])


def test_agreement_knows_the_order_and_warns_of_one_label() -> None:
    texts, one = said("more", "same", "less", "same", None, "more")
    _, near = said("more", "same", "same", "same", "less", "same")
    _, far = said("less", "same", "more", "same", "less", "less")
    close = concord(texts, "sexism", {"Ada": one, "Bo": near}, seeds=SEEDS)
    apart = concord(texts, "sexism", {"Ada": one, "Bo": far}, seeds=SEEDS)
    assert close.alpha.value is not None
    assert apart.alpha.value is not None
    assert close.alpha.value > apart.alpha.value
    assert (close.alpha.missing, close.alpha.units, close.dominated) == (1, 5, None)
    assert close.percent.value == pytest.approx(3 / 5)
    assert [kappa.raters for kappa in close.kappas] == [("Ada", "Bo")]
    texts, one = said(*["same"] * 9, "more")
    assert concord(texts, "sexism", {"Ada": one, "Bo": one}, seeds=SEEDS).dominated == "same"
