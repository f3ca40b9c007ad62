from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from truing.runs.toml import dumps

TEXTS = st.text(st.characters(blacklist_categories=("Cs",)), max_size=12)
PLAIN = st.one_of(
    TEXTS,
    st.booleans(),
    st.integers(-(2**60), 2**60),
    st.floats(allow_nan=False),
    st.lists(TEXTS, max_size=3),
)
TABLES = st.recursive(
    st.dictionaries(TEXTS, PLAIN, max_size=3),
    lambda inner: st.dictionaries(
        TEXTS, st.one_of(PLAIN, inner, st.lists(inner, min_size=1, max_size=2)), max_size=3
    ),
    max_leaves=6,
)


@given(TABLES)
def test_what_is_written_reads_back_equal(table: dict[str, Any]) -> None:
    assert tomllib.loads(dumps(table)) == table


def test_lists_of_tables_are_sections() -> None:
    text = dumps(
        {"name": "x", "methods": [{"name": "rome", "config": {"layer": 3}}], "limit": None}
    )
    assert text == 'name = "x"\n\n[[methods]]\nname = "rome"\n\n[methods.config]\nlayer = 3\n'
