"""The annotators of Seesaw-CF: every number that was published is computed again from the files."""

from __future__ import annotations

from pathlib import Path

import pytest

from truing.errors import BadInput
from truing.runs.seesaw_agreement import PUBLISHED, STATISTICS, seesaw_agreement


def test_every_published_number_is_reproduced(data_dir: Path) -> None:
    folder = data_dir / "seesaw" / "annotations"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent; set TRUING_DATA")
    rows = seesaw_agreement(folder)
    assert len(rows) == len(PUBLISHED) * len(STATISTICS)
    for row in rows:
        digits = {"ordinal alpha, mended": 3, "share unanimous, as published": 4}
        assert row.ours.value is not None
        near = 0.501 * 10 ** -digits.get(row.statistic, 2)
        assert row.ours.value == pytest.approx(row.published, abs=near), (
            row.question,
            row.statistic,
        )
    filled = [row.ours for row in rows if row.statistic == "alpha, as published"]
    assert {(found.units, found.missing) for found in filled} == {(300, 0)}
    mended = {row.question: row.ours for row in rows if row.statistic == "ordinal alpha, mended"}
    assert mended["Injection of Conservatism"].missing == 15
    assert mended["Edit reflected?"].units == 299


def write(folder: Path, number: int, cell: str) -> None:
    (folder / f"a{number}.csv").write_text(f"{','.join(PUBLISHED)}\n{','.join([cell] * 8)}\n")


def test_a_folder_without_the_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"a1\.csv"):
        seesaw_agreement(tmp_path)
    for number in (1, 2, 3):
        write(tmp_path, number, "#REF!")
    with pytest.raises(BadInput, match="not a table"):
        seesaw_agreement(tmp_path)
