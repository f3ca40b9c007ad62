"""Records of a Parquet file, by the reader that DuckDB brings. Nothing in the file is executed."""

from __future__ import annotations

import glob
from pathlib import Path

import duckdb

from truing.benchmarks.files import Record
from truing.errors import BadInput


def read(path: Path) -> tuple[Record, ...]:
    """All rows of ``path`` in their order. Raises ``BadInput`` for what is no whole Parquet file."""
    if not path.is_file():
        raise BadInput(f"{path} is no file", "Check the path.")
    try:
        with duckdb.connect() as db:
            db.execute("SELECT * FROM read_parquet(?)", [glob.escape(str(path))])
            names = [column[0] for column in db.description or ()]
            rows = db.fetchall()
    except duckdb.Error as error:
        raise BadInput(
            f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}",
            "Download or write it again.",
        ) from None
    return tuple(
        Record(i, f"row {i}", dict(zip(names, row, strict=True))) for i, row in enumerate(rows)
    )
