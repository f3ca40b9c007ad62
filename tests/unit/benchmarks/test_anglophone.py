"""Who of Seesaw-CF comes from an English-speaking country."""

from __future__ import annotations

from pathlib import Path

import pytest

from truing.benchmarks.seesaw.anglophone import anglophone


def test_citizenship_or_place_of_birth_tells(tmp_path: Path) -> None:
    texts = {
        "lookups/fow.csv": "Code,String,Category\n",
        "lookups/city_to_country.csv": "Q1,England,Q1,Leeds\nQ2,France,Q2,Paris\n",
        "lookups/P27_cats.csv": "Q142,France,Europe\n",
        "subject_info/seedling_min.csv": 'Name,P27,P19\nAda,"Q142, Q30",Q2\nBea,Q142,Q1\nCem,Q142,Q2\nDov,N/A,Q9\n',
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert anglophone(tmp_path) == {"Ada": True, "Bea": True, "Cem": False}


def test_the_published_tables_tell_of_nearly_everybody(data_dir: Path) -> None:
    folder = data_dir / "seesaw"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent; set TRUING_DATA")
    found = anglophone(folder)
    assert len(found) > 280
    assert found["Lee Alvin DuBridge"]
    assert 0 < sum(found.values()) < len(found)
