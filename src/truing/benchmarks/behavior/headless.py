"""CSV files without a header."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

from truing.benchmarks.files import Contents, Record, Source
from truing.errors import BadInput


def read(path: Path, names: Sequence[str]) -> Contents:
    """One record per row, its columns called ``names``; rows without any text are skipped.

    Raises ``BadInput`` for a file that cannot be read, is not UTF-8 CSV, or holds no rows.
    """
    try:
        raw = path.read_bytes()
        rows = list(csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline=""), strict=True))
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}", "Check the path.") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{path} is not CSV in UTF-8: {error}", "Download it again.") from None
    kept = [row for row in rows if any(cell.strip() for cell in row)]
    if not kept:
        raise BadInput(f"{path} holds no rows", "Download it again.")
    records = tuple(_record(i, row, names) for i, row in enumerate(kept))
    source = Source(str(path), hashlib.sha256(raw).hexdigest(), len(raw), "csv", len(records))
    return Contents(source, records, ())


def _record(index: int, row: list[str], names: Sequence[str]) -> Record:
    where = f"row {index + 1}"
    if len(row) != len(names):
        return Record(index, where, {}, f"the row has {len(row)} columns, not {len(names)}")
    return Record(index, where, dict(zip(names, row, strict=True)))
