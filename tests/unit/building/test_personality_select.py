"""Which traits a judge can tell apart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from truing.building.personality.select import profile_of
from truing.errors import BadInput, NotPossible

RATED = [
    ("bold", {"bold": 5.0, "warm": 1.0, "neat": 2.0}),
    ("bold", {"bold": 4.0, "warm": 2.0, "neat": None}),
    ("warm", {"bold": 2.0, "warm": 4.0, "neat": 4.5}),
    ("neat", {"bold": 1.0, "warm": 5.0, "neat": 5.0}),
]


def pilot(folder: Path, rated: list[tuple[str, dict[str, float | None]]]) -> Path:
    lines = [json.dumps({"trait": t, "ratings": r, "text": "..."}) + "\n" for t, r in rated]
    (folder / "drafts.jsonl").write_text("".join(lines))
    return folder


def test_means_and_correlations_are_those_of_the_ratings(tmp_path: Path) -> None:
    unrated: list[tuple[str, dict[str, float | None]]] = [("bold", {})]
    found = profile_of(pilot(tmp_path, [*unrated, *RATED]))
    assert found.traits == ("bold", "warm", "neat")
    assert found.texts == (2, 1, 1)
    assert found.means[0] == (4.5, 1.5, 2.0)
    assert found.together[1][1] == pytest.approx(1.0)
    assert found.together[0][1] == pytest.approx(-1.0)  # (5,1) (4,2) (2,4) (1,5)
    assert found.together[1][2] == pytest.approx(found.together[2][1])


def test_traits_that_cannot_be_told_apart_are_warned_of(tmp_path: Path) -> None:
    warnings = profile_of(pilot(tmp_path, RATED)).warnings
    assert any("texts of warm are rated higher for neat (4.50)" in w for w in warnings)
    assert any("ratings for warm and neat go together" in w for w in warnings)
    assert not any("bold" in w for w in warnings)


def test_ratings_that_do_not_vary_have_no_correlation(tmp_path: Path) -> None:
    flat: list[tuple[str, dict[str, float | None]]] = [
        ("bold", {"bold": 3.0, "warm": 1.0}), ("warm", {"bold": 3.0, "warm": None}),
    ]  # fmt: skip
    found = profile_of(pilot(tmp_path, flat))
    assert found.means == ((3.0, 1.0), (3.0, None))
    assert found.together[0] == (None, None)


def test_no_pilot_no_traits(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"holds no drafts\.jsonl"):
        profile_of(tmp_path)
    with pytest.raises(NotPossible, match="was rated"):
        profile_of(pilot(tmp_path, [("bold", {})]))
