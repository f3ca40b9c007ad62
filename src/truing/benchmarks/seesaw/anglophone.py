"""Which edited people of Seesaw-CF come from an English-speaking country: nobody asks whether texts about
them are Anglo-centric."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from truing.benchmarks.seesaw.tables import BIRTHPLACE, CITIZENSHIP, read_tables

COUNTRIES = frozenset({"Q145", "Q30", "Q174193", "Q21", "Q179876", "Q230791", "Q27"})
"""The published list: today's and former states of the British Isles, and the United States."""
PLACES = frozenset(
    {
        "United States",
        "United Kingdom",
        "England",
        "Scotland",
        "Wales",
        "Northern Ireland",
        "Ireland",
    }
)
"""The same as the table of places writes them."""


def anglophone(root: Path) -> Mapping[str, bool]:
    """By name, whether somebody is a citizen of such a country or was born in one. People of whom the
    tables tell neither, and everybody in a folder without tables, are left out. Raises ``BadInput`` where
    a table is not whole."""
    people = read_tables(root).people
    if not people:
        return {}
    with (root / "lookups" / "city_to_country.csv").open(encoding="utf-8-sig", newline="") as file:
        country_of = {row[0]: row[1] for row in csv.reader(file) if row}
    found = {}
    for name, properties in people.items():
        citizenships = properties.get(CITIZENSHIP, ())
        born = {
            country_of[place] for place in properties.get(BIRTHPLACE, ()) if place in country_of
        }
        if citizenships or born:
            found[name] = bool(COUNTRIES.intersection(citizenships) or PLACES & born)
    return found
