from __future__ import annotations

import sys

import pytest

from truing.errors import BadInput, UnknownName
from truing.registry import Entry, Registry


def make() -> Registry[object]:
    return Registry("thing", {"fractions": Entry("fractions:Fraction", "exact numbers")})


def test_listing_and_summaries_import_nothing() -> None:
    registry: Registry[object] = Registry(
        "thing", {"gone": Entry("no_such_module:x", "never loaded")}
    )
    assert list(registry) == ["gone"]
    assert registry.summary("gone") == "never loaded"
    assert "no_such_module" not in sys.modules


def test_get_imports_on_first_use() -> None:
    from fractions import Fraction

    assert make().get("fractions") is Fraction


def test_a_typo_is_answered_with_the_near_miss() -> None:
    with pytest.raises(UnknownName) as caught:
        make().get("fraction")
    assert str(caught.value) == "unknown thing 'fraction'\nDid you mean fractions?"


def test_a_stranger_is_answered_with_the_list() -> None:
    with pytest.raises(UnknownName, match="Known: fractions"):
        make().get("zzz")


def test_a_name_is_given_once() -> None:
    registry = make()
    registry.add("mine", 1, "one")
    assert registry.get("mine") == 1
    with pytest.raises(BadInput, match="already registered"):
        registry.add("mine", 2, "two")
    with pytest.raises(BadInput, match="already registered"):
        registry.add("fractions", 2, "two")
