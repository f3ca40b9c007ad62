"""The blind sheet, what annotators say on it, and how far they agree."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import pytest
from opinions import TRAITS, drawn

from truing.building.personality.filters import Draft
from truing.building.personality.sheets import Votes, agreements, read_sheets, write_sheet
from truing.errors import BadInput

DRAFTS = [
    drawn(f"{word} {topic}, as I always say.", trait, topic)
    for topic in ("chess", "boats", "snow", "cats")
    for word, trait in zip(("Adore", "Thank", "Dread"), TRAITS, strict=True)
]


def filled(path: Path, answers: Mapping[str, Mapping[str, str]]) -> Path:
    """The sheet with answers by text id."""
    write_sheet(path, DRAFTS, None, 0)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(row | dict(answers.get(row["id"], {})) for row in rows)
    return path


def right(draft: Draft, **more: str) -> dict[str, str]:
    return {"trait": draft.wish.trait.name, **more}


def test_the_sheet_is_blind(tmp_path: Path) -> None:
    assert write_sheet(tmp_path / "s.csv", DRAFTS, None, 0) == len(DRAFTS)
    text = (tmp_path / "s.csv").read_text("utf-8")
    assert not any(trait.name in text for trait in TRAITS)
    assert not any(draft.wish.facet in text for draft in DRAFTS)
    order = [line.split(",")[0] for line in text.splitlines()[1:]]
    assert sorted(order) == sorted(draft.id for draft in DRAFTS)
    assert order != [draft.id for draft in DRAFTS]


def test_a_sample_takes_as_many_of_each_trait(tmp_path: Path) -> None:
    assert write_sheet(tmp_path / "s.csv", DRAFTS, 2, 0) == 6
    ids = [line.split(",")[0] for line in (tmp_path / "s.csv").read_text("utf-8").splitlines()[1:]]
    of = {draft.id: draft.wish.trait.name for draft in DRAFTS}
    assert all([of[id] for id in ids].count(trait.name) == 2 for trait in TRAITS)


def test_answers_are_not_overwritten(tmp_path: Path) -> None:
    path = filled(tmp_path / "s.csv", {DRAFTS[0].id: right(DRAFTS[0])})
    with pytest.raises(BadInput, match="holds decisions"):
        write_sheet(path, DRAFTS, None, 0)


def test_most_voices_decide_and_a_draw_rejects(tmp_path: Path) -> None:
    one, two, three, four, five, six, *_ = DRAFTS
    ada = {
        one.id: right(one), two.id: right(two), three.id: right(three, ambiguous="yes"),
        four.id: {"trait": "none"}, five.id: right(five),
    }  # fmt: skip
    bo = {
        one.id: right(one), two.id: {"trait": "neuroticism"}, three.id: right(three, offensive="y"),
        five.id: right(five, offensive="no"),
    }  # fmt: skip
    cy = {five.id: {"trait": "none"}}
    paths = [filled(tmp_path / f"{n}.csv", a) for n, a in (("ada", ada), ("bo", bo), ("cy", cy))]
    votes = read_sheets(paths, DRAFTS, TRAITS)
    outcomes = [votes.outcome(draft.id) for draft in (one, two, three, four, five, six)]
    assert outcomes == [
        "accepted", "rejected", "rejected", "rejected", "accepted", "unreviewed"
    ]  # fmt: skip
    assert votes.annotators == ("ada", "bo", "cy")


def test_a_facet_is_right_wrong_or_not_said(tmp_path: Path) -> None:
    one, two, three, *_ = DRAFTS
    answers = {
        one.id: right(one, facet=one.wish.facet.upper()), two.id: right(two, facet="haste"),
        three.id: right(three, annotator="Dee", note="why not"),
    }  # fmt: skip
    votes = read_sheets([filled(tmp_path / "s.csv", answers)], DRAFTS, TRAITS)
    (a,), (b,), (c,) = (votes.by_id[draft.id] for draft in (one, two, three))
    assert (a.facet_ok, b.facet_ok, c.facet_ok) == (True, False, None)
    assert (a.annotator, c.annotator, c.note) == ("s", "Dee", "why not")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"trait": "zeal"}, "'zeal' is no trait"),
        ({"trait": "none", "ambiguous": "maybe"}, "'maybe' in ambiguous is no answer"),
        ({"trait": "none", "id": "abc"}, "is about 'abc', which is not here"),
    ],
)
def test_answers_that_are_none_are_told_with_their_line(
    tmp_path: Path, answer: dict[str, str], why: str
) -> None:
    path = filled(tmp_path / "s.csv", {DRAFTS[0].id: answer})
    with pytest.raises(BadInput, match=rf"line \d+.*{why}"):
        read_sheets([path], DRAFTS, TRAITS)


def test_nobody_answers_twice(tmp_path: Path) -> None:
    path = filled(tmp_path / "s.csv", {DRAFTS[0].id: right(DRAFTS[0])})
    with pytest.raises(BadInput, match=r"s answers on .* again"):
        read_sheets([path, path], DRAFTS, TRAITS)


def test_agreement_of_two_is_what_a_hand_computes(tmp_path: Path) -> None:
    """Twelve texts; the other names the trait right but for three of four neurotic ones, called
    ``none``. Per cent: 9 of 12. Kappa of the traits: chance 1/3 (1/3 + 1/3 + 1/12) = 1/4."""
    ada = {draft.id: right(draft) for draft in DRAFTS}
    bo = dict(ada)
    for draft in DRAFTS[2:9:3]:
        bo[draft.id] = {"trait": "none"}
    votes = read_sheets(
        [filled(tmp_path / "ada.csv", ada), filled(tmp_path / "bo.csv", bo)], DRAFTS, TRAITS
    )
    found = agreements(votes, DRAFTS, 0)
    percent, kappa, alpha = found["trait"]
    assert percent.value == pytest.approx(9 / 12)
    assert kappa.value == pytest.approx((0.75 - 0.25) / 0.75)
    assert percent.low is not None
    assert percent.low <= 0.75 <= (percent.high or 0)
    assert alpha.units == 12
    assert found["ambiguous"][1].value is None  # nobody ever said yes: chance is certain
    assert "facet_ok" not in found


def test_one_annotator_agrees_with_nobody(tmp_path: Path) -> None:
    path = filled(tmp_path / "s.csv", {DRAFTS[0].id: right(DRAFTS[0])})
    assert agreements(read_sheets([path], DRAFTS, TRAITS), DRAFTS, 0) == {}
    assert agreements(Votes(), DRAFTS, 0) == {}
