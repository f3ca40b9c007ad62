"""Read JSON, JSON lines and CSV files of records without trusting them.

Nothing is executed or unpickled. What is wrong with a whole file raises ``BadInput`` with the place;
what is wrong with one record is kept as that record's ``trouble``, so that the others still load.
"""

from __future__ import annotations

import csv
import difflib
import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from truing.errors import BadInput

Format = Literal["json", "json-lines", "csv", "embedded"]

_MAGIC = (
    (b"\x1f\x8b", "gzip-compressed", "Unpack it first: gunzip FILE."),
    (b"PK\x03\x04", "a zip archive", "Unpack it and pass the JSON, JSON-lines or CSV file inside."),
    (b"PAR1", "Parquet", "Write it as JSON lines first."),
    (
        b"\x80\x04\x95",
        "a Python pickle",
        "Pickles can run code and are never opened; use JSON lines.",
    ),
    (
        b"\x80\x05\x95",
        "a Python pickle",
        "Pickles can run code and are never opened; use JSON lines.",
    ),
)


@dataclass(frozen=True, slots=True)
class Source:
    """Where records came from. ``rows`` counts all records, readable or not."""

    path: str
    sha256: str
    bytes: int
    format: Format
    rows: int


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a file. ``fields`` is empty and ``trouble`` set when it could not be read."""

    index: int
    where: str
    fields: Mapping[str, Any]
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Contents:
    """A file that was read. ``remarks`` say what was unusual about the file as a whole."""

    source: Source
    records: tuple[Record, ...]
    remarks: tuple[str, ...]


def read(path: Path) -> Contents:
    """All records of a ``.json``, ``.jsonl`` or ``.csv``/``.tsv`` file (told apart by content).

    Raises ``BadInput`` when the file is missing, a folder, empty, compressed, not UTF-8 or not in
    one of these formats; a JSON error names line and column.
    """
    raw = _bytes(path)
    text, remarks = _decode(path, raw)
    if not text.strip():
        raise BadInput(f"{path} is empty", "Pass a file with at least one record.")
    format, records, more = _parse(path, text)
    if not records:
        raise BadInput(f"{path} holds no records", "Pass a file with at least one record.")
    digest = hashlib.sha256(raw).hexdigest()
    source = Source(str(path), digest, len(raw), format, len(records))
    return Contents(source, tuple(records), (*remarks, *more))


def _bytes(path: Path) -> bytes:
    try:
        if path.is_dir():
            inside = sorted(p.name for p in path.iterdir() if p.is_file())[:5]
            listed = f"It holds {', '.join(inside)}." if inside else "It holds no files."
            raise BadInput(f"{path} is a folder, not a file of records", f"Pass one file. {listed}")
        return path.read_bytes()
    except FileNotFoundError:
        raise BadInput(f"{path} does not exist", _near(path)) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BadInput(
            f"{path} cannot be read: {reason}", "Check the path and its rights."
        ) from None


def _near(path: Path) -> str:
    if not path.parent.is_dir():
        return f"The folder {path.parent} does not exist either."
    names = sorted(p.name for p in path.parent.iterdir())
    near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.5)
    return f"Did you mean {' or '.join(near)}?" if near else "Check the path."


def _decode(path: Path, raw: bytes) -> tuple[str, tuple[str, ...]]:
    for magic, what, what_next in _MAGIC:
        if raw.startswith(magic):
            raise BadInput(f"{path} is {what}, not text", what_next)
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return raw.decode("utf-16"), ("the file is UTF-16, read by its byte-order mark",)
        except UnicodeDecodeError:
            raise BadInput(f"{path} is broken UTF-16", "Save it as UTF-8.") from None
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise BadInput(
            f"{path} is not UTF-8: byte 0x{raw[error.start]:02x} in line {line}",
            "Save it as UTF-8, for example: iconv -f LATIN1 -t UTF-8 FILE > NEW.",
        ) from None
    if text.startswith("\ufeff"):
        return text[1:], ("a byte-order mark at the start was skipped",)
    return text, ()


def _parse(path: Path, text: str) -> tuple[Format, list[Record], tuple[str, ...]]:
    if path.suffix.lower() in (".csv", ".tsv"):
        return "csv", _csv(path, text), ()
    start = text.lstrip()[0]
    if start not in "[{":
        hint = "Known: a JSON array, JSON lines (one object per line), CSV with a header and the name *.csv."
        raise BadInput(f"{path} is not JSON: it begins with {text.lstrip()[:20]!r}", hint)
    try:
        whole = _loads(text)
    except json.JSONDecodeError as error:
        if start == "{":
            lines = _json_lines(text)
            if any(not record.trouble for record in lines):
                return "json-lines", lines, ()
        raise BadInput(_where_broken(path, text, error), "Mend it there and try again.") from None
    except (ValueError, RecursionError) as error:
        what = (
            "nested too deeply" if isinstance(error, RecursionError) else str(error).split(";")[0]
        )
        raise BadInput(f"{path} is not usable JSON: {what}", "Mend it and try again.") from None
    values, remarks = _rows(whole)
    records = [_record(i, f"record {i}", value) for i, value in enumerate(values)]
    return "json", records, remarks


def _loads(text: str) -> Any:
    return json.loads(text, parse_constant=lambda _: None)


def _where_broken(path: Path, text: str, error: json.JSONDecodeError) -> str:
    place = f"line {error.lineno} column {error.colno}"
    if error.pos >= len(text.rstrip()):
        return f"{path} is not whole JSON: it ends in the middle, at {place}"
    return f"{path} is not JSON: {error.msg} at {place}"


def _rows(whole: Any) -> tuple[list[Any], tuple[str, ...]]:
    """The records in a JSON document: an array, one object, or an object that holds them."""
    if isinstance(whole, list):
        return whole, ()
    lists = [key for key, value in whole.items() if isinstance(value, list)]
    if len(whole) == 1 and lists:
        return list(whole[lists[0]]), (f"records were taken from the field '{lists[0]}'",)
    if whole and all(isinstance(value, dict) for value in whole.values()) and len(whole) > 1:
        rows = [{"id": key, **value} for key, value in whole.items()]
        return rows, ("the file is one object; its keys were taken as record ids",)
    return [whole], ()


def _record(index: int, where: str, value: Any) -> Record:
    if isinstance(value, dict):
        return Record(index, where, value)
    kind = {list: "a list", str: "text", type(None): "null"}.get(type(value), type(value).__name__)
    return Record(index, where, {}, f"the record is {kind}, not an object with fields")


def _json_lines(text: str) -> list[Record]:
    """One object per line. Blank lines are skipped; line ends are ``\\n`` or ``\\r\\n`` only."""
    records: list[Record] = []
    lines = text.split("\n")
    last = max(i for i, line in enumerate(lines) if line.strip())
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"line {number}"
        if line[0].isspace():
            records.append(
                Record(len(records), where, {}, "the line does not begin with an object")
            )
            continue
        try:
            records.append(_record(len(records), where, _loads(line)))
        except (ValueError, RecursionError) as error:
            column = f" at column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
            torn = number - 1 == last and isinstance(error, json.JSONDecodeError)
            what = "the line is torn: it is not whole JSON" if torn else "the line is not JSON"
            records.append(Record(len(records), where, {}, what + column))
    return records


def _csv(path: Path, text: str) -> list[Record]:
    """Rows under a header. Empty cells are missing fields; quoted cells may hold newlines, but for
    TSV files, which have no quotes."""
    head = text.lstrip("\r\n").split("\n", 1)[0]
    tabs = path.suffix.lower() == ".tsv"
    delimiter = "\t" if tabs else max(",;\t", key=head.count)
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        quoting=csv.QUOTE_NONE if tabs else csv.QUOTE_MINIMAL,
        strict=True,
    )
    header: list[str] = []
    records: list[Record] = []
    while True:
        start = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            if not header:
                raise BadInput(
                    f"{path} is not CSV: {error} in line {start}", "Mend the header."
                ) from None
            records.append(
                Record(len(records), f"line {start}", {}, f"the row is not CSV: {error}")
            )
            continue
        if row is None:
            break
        if not header:
            header = _header(path, row)
        elif any(cell.strip() for cell in row):
            records.append(_csv_row(len(records), start, header, row))
    return records


def _header(path: Path, row: list[str]) -> list[str]:
    names = [cell.strip() for cell in row]
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise BadInput(f"{path}: column '{twice[0]}' is in the header twice", "Rename one of them.")
    return names


def _csv_row(index: int, line: int, header: list[str], row: list[str]) -> Record:
    if len(row) != len(header):
        trouble = f"the row has {len(row)} columns, the header {len(header)} (a missing quote?)"
        return Record(index, f"line {line}", {}, trouble)
    cells = {name: cell for name, cell in zip(header, row, strict=True) if name and cell != ""}
    return Record(index, f"line {line}", cells)
