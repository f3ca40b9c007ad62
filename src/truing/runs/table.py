"""A run as one flat table, for analysis elsewhere."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

from truing.errors import BadInput
from truing.runs.lines import cannot
from truing.runs.store import read_manifest, read_rows, read_verdicts
from truing.types import Response, Row, Verdict

FORMATS = {".parquet": "FORMAT parquet", ".csv": "FORMAT csv, HEADER", ".jsonl": "FORMAT json"}
COLUMNS = {
    "model": "VARCHAR", "method": "VARCHAR", "benchmark": "VARCHAR", "regime": "VARCHAR",
    "seed": "BIGINT", "cell": "VARCHAR", "key": "VARCHAR", "case": "VARCHAR", "probe": "VARCHAR",
    "aspect": "VARCHAR", "protocol": "VARCHAR", "moment": "VARCHAR", "step": "BIGINT",
    "prompt": "VARCHAR", "accepted": "VARCHAR[]", "group": "VARCHAR", "text": "VARCHAR",
    "token_ids": "BIGINT[]", "predicted": "BIGINT[]", "logprobs": "DOUBLE[]", "stop": "VARCHAR",
    "choices": "STRUCT(text VARCHAR, logprob DOUBLE, n_tokens BIGINT)[]", "base_text": "VARCHAR",
    "base_choices": "STRUCT(text VARCHAR, logprob DOUBLE, n_tokens BIGINT)[]",
    "base_token_ids": "BIGINT[]", "base_predicted": "BIGINT[]", "base_logprobs": "DOUBLE[]",
    "base_stop": "VARCHAR", "seconds": "DOUBLE", "error": "VARCHAR", "judge": "VARCHAR",
    "state": "VARCHAR", "score": "DOUBLE", "why": "VARCHAR",
}  # fmt: skip


OF_CELL = ("model", "method", "benchmark", "regime", "seed")
OF_ROW = (
    "cell", "key", "case", "probe", "aspect", "protocol", "moment", "step", "prompt", "accepted",
    "group", "seconds", "error",
)  # fmt: skip


def export_table(folder: Path, path: Path) -> int:
    """Write the run to ``path`` (.parquet, .csv or .jsonl): one line per row and verdict, rows
    without a verdict once, with the cell's description in columns. Returns the number of lines."""
    how = FORMATS.get(path.suffix)
    if how is None:
        raise BadInput(
            f"cannot export to '{path.name}'", f"Give a name that ends in {', '.join(FORMATS)}."
        )
    count = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as scratch:
            flat = Path(scratch) / "flat.jsonl"
            with flat.open("w", encoding="utf-8", errors="replace") as file:
                for record in _records(folder):
                    file.write(json.dumps(record) + "\n")
                    count += 1
            source = (
                f"read_json({_quoted(flat)}, format='newline_delimited', "
                f"maximum_object_size=1073741824, columns={COLUMNS!r})"
            )
            target = f"COPY (SELECT * FROM {source}) TO {_quoted(path)} ({how})"
            with duckdb.connect() as db:
                db.execute(target)
    except OSError as error:
        raise cannot("write", path, error) from None
    except duckdb.IOException as error:
        raise cannot("write", path, OSError(str(error).splitlines()[0])) from None
    return count


def _records(folder: Path) -> Iterator[dict[str, Any]]:
    cells = {cell["id"]: cell for cell in read_manifest(folder).get("cells", [])}
    verdicts: dict[str, list[Verdict]] = {}
    for verdict in read_verdicts(folder):
        verdicts.setdefault(verdict.row, []).append(verdict)
    for row in read_rows(folder):
        record = _record(row, cells.get(row.cell, {}))
        for verdict in verdicts.get(row.key, []):
            told = {"judge": verdict.judge, "state": verdict.state, "score": verdict.score}
            yield {**record, **told, "why": verdict.why}
        if row.key not in verdicts:
            yield record


def _record(row: Row, cell: dict[str, Any]) -> dict[str, Any]:
    given, base = row.response or Response(""), row.base or Response("")
    return {
        **{name: cell.get(name) for name in OF_CELL},
        **{name: getattr(row, name) for name in OF_ROW},
        "text": given.text if row.response else None,
        "token_ids": given.token_ids,
        "predicted": given.predicted,
        "logprobs": given.logprobs,
        "stop": given.stop or None,
        "choices": [
            {"text": c.text, "logprob": c.logprob, "n_tokens": c.n_tokens} for c in given.choices
        ],
        "base_text": base.text if row.base else None,
        "base_choices": [
            {"text": c.text, "logprob": c.logprob, "n_tokens": c.n_tokens} for c in base.choices
        ],
        "base_token_ids": base.token_ids,
        "base_predicted": base.predicted,
        "base_logprobs": base.logprobs,
        "base_stop": base.stop or None,
    }


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
