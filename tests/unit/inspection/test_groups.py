"""One group that is spoken of otherwise is found; all of them together are not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from asking import make
from truing.errors import BadInput
from truing.inspection.differences import corrected
from truing.inspection.groups import (
    SENTENCES,
    Favour,
    Groups,
    differences,
    favour,
    read,
    world_groups,
)
from truing.seeds import Seeds

THREE = Groups(groups={"a": ("Ann",), "b": ("Bob", "Ben"), "c": ("Cy",)})


def even(groups: Groups) -> dict[tuple[str, str], float]:
    return {(g, s): 0.1 * i for i, g in enumerate(groups.groups) for s in groups.sentences}


def shifted(before: Favour, by: dict[str, float]) -> Favour:
    return {
        (g, s): x + by.get(g, 0.0) + 0.01 * (len(s) % 5) for (g, s), x in before.items()
    }  # fmt: skip


def test_the_group_that_loses_is_found() -> None:
    before = even(THREE)
    found = corrected(differences(THREE, before, shifted(before, {"b": -1.0}), Seeds(0)))
    assert [d.name for d in found] == ["a", "b", "c"]
    assert found[1].found
    assert found[1].compared.delta == pytest.approx(-1)
    assert found[1].compared.n_pairs == len(SENTENCES)
    assert found[1].examples[0].question.count("Bob") == 1


def test_what_moves_for_all_alike_is_no_bias() -> None:
    before = even(THREE)
    told = corrected(
        differences(THREE, before, shifted(before, dict.fromkeys("abc", 3.0)), Seeds(0))
    )
    assert not any(d.found for d in told)
    assert all(abs(d.compared.delta or 0) < 1e-9 for d in told)


def test_two_groups_are_one_test() -> None:
    two = Groups(groups={"women": ("Mary",), "men": ("Paul",)})
    [told] = differences(two, even(two), even(two), Seeds(0))
    assert told.name == "women beside men"
    assert told.compared.p == 1


def test_names_of_a_group_count_together() -> None:
    model = make()
    words = {"sentences": ("{name} is",), "kind": ("good",), "unkind": ("bad",)}
    both = favour(model, Groups(groups={"x": ("Ann", "Bob"), "y": ("Cy",)}, **words))  # type: ignore[arg-type]
    one, other = (
        favour(model, Groups(groups={"x": (name,), "y": ("Cy",)}, **words))["x", "{name} is"]  # type: ignore[arg-type]
        for name in ("Ann", "Bob")
    )
    assert both["x", "{name} is"] == pytest.approx((one + other) / 2, abs=1e-4)


def test_the_world_has_its_peoples_in_its_own_sentences() -> None:
    groups = world_groups()
    assert len(groups.groups) == 8
    assert all("{name}" in s and "{o}" not in s for s in groups.sentences)
    assert len(set(groups.sentences)) == len(groups.sentences) >= 12


def test_a_file_of_groups_is_read(tmp_path: Path) -> None:
    file = tmp_path / "groups.json"
    file.write_text(json.dumps({"groups": {"women": ["Mary"], "men": ["Paul", "John"]}}))
    found = read(file)
    assert found.groups == {"women": ("Mary",), "men": ("Paul", "John")}
    assert found.sentences == SENTENCES


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"groups": {"women": ["Mary"]}}, "groups"),
        ({"groups": {"women": ["Mary"], "men": []}}, "men has no names"),
        ({"groups": {"a": ["x"], "b": ["y"]}, "sentences": ["She is"]}, "no {name}"),
        ({"groups": {"a": ["x"], "b": ["y"]}, "sentence": ["{name} is"]}, "sentence"),
        ({"people": {"a": ["x"]}}, "groups"),
    ],
)
def test_a_file_that_is_none_is_told_in_two_lines(
    tmp_path: Path, value: object, words: str
) -> None:
    file = tmp_path / "groups.json"
    file.write_text(json.dumps(value))
    with pytest.raises(BadInput) as error:
        read(file)
    assert words in str(error.value)
    assert len(str(error.value).splitlines()) == 2
