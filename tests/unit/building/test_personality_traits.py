"""Traits as data."""

from __future__ import annotations

from pathlib import Path

import pytest

from truing.building.personality.profile import rubrics_of
from truing.building.personality.traits import PUBLISHED, chosen, read, shipped
from truing.errors import BadInput, UnknownName
from truing.judges.rubrics import TRAITS as RATED

GOOD = """# my own
[[trait]]
name = "sarcastic"
person = "a sarcastic person"
definition = "mocks by praise"
facets = ["irony"]
adjectives = ["biting"]

[[trait]]
name = "sincere"
person = "a sincere person"
definition = "means what is said"
facets = ["candour"]
adjectives = ["frank"]
"""


def test_both_poles_of_the_five_factors_are_there() -> None:
    traits = shipped()
    assert len({trait.name for trait in traits}) == len(traits) == 10
    assert {trait.name for trait in traits[:5]} == set(RATED)
    for trait in traits:
        assert len(trait.facets) == 6
        assert trait.opposite
        assert not set(trait.adjectives) & set(trait.opposite)
    assert {t.name for t in chosen(traits, PUBLISHED)} == {
        "extraversion", "agreeableness", "neuroticism"
    }  # fmt: skip


def test_a_copying_error_of_the_paper_is_not_kept() -> None:
    agreeable = chosen(shipped(), PUBLISHED)[1]
    assert "dishonest" not in agreeable.adjectives


def test_traits_of_ones_own_are_read_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "t.toml").write_text(GOOD)
    assert [trait.name for trait in read(tmp_path / "t.toml")] == ["sarcastic", "sincere"]


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('facets = ["candour"]', "facets = []", r"line 9: field 'facets'"),
        ('person = "a sarcastic person"\n', "", r"line 2: field 'person'"),
        ('definition = "mocks', 'meaning = "mocks', r"line 2: field '(definition|meaning)'"),
        ('["frank"]', "[3]", r"line 9: field 'adjectives.0'"),
        ('name = "sincere"', 'name = "sarcastic"', r"line 9: the name 'sarcastic' is taken"),
        ('name = "sincere"', 'name = "ent"', r"line 9: the name 'ent' is reserved"),
        ('name = "sincere"', "name = ", r"not TOML: .*line 10"),
        (GOOD, "", r"holds no \[\[trait\]\]"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_line_and_field(
    tmp_path: Path, old: str, new: str, why: str
) -> None:
    (tmp_path / "t.toml").write_text(GOOD.replace(old, new))
    with pytest.raises(BadInput, match=why):
        read(tmp_path / "t.toml")


def test_traits_are_chosen_by_name() -> None:
    with pytest.raises(UnknownName, match="unknown trait 'neurotic'"):
        chosen(shipped(), ["extraversion", "neurotic"])
    with pytest.raises(BadInput, match="the traits are extraversion"):
        chosen(shipped(), ["extraversion"])
    with pytest.raises(BadInput, match="each once"):
        chosen(shipped(), ["extraversion", "extraversion"])


def test_only_traits_with_a_rubric_can_be_rated() -> None:
    assert [r.name for r in rubrics_of(chosen(shipped(), PUBLISHED))] == [
        f"personality-{name}" for name in PUBLISHED
    ]
    with pytest.raises(BadInput, match="no rubric personality-introversion"):
        rubrics_of(chosen(shipped(), ["extraversion", "introversion"]))
