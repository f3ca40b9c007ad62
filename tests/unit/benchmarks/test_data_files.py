"""Reading a file of records: every way it can be wrong ends in a sentence with the place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from truing.benchmarks.files import read
from truing.errors import BadInput


def write(tmp_path: Path, name: str, content: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def fields(path: Path) -> list[dict[str, Any]]:
    return [dict(record.fields) for record in read(path).records]


def refused(path: Path) -> str:
    with pytest.raises(BadInput) as caught:
        read(path)
    assert len(str(caught.value).splitlines()) == 2
    return str(caught.value)


def test_an_array_and_json_lines_and_csv_hold_the_same_records(tmp_path: Path) -> None:
    rows = [{"prompt": "p é", "target": "t"}, {"prompt": "q, r", "target": 'say "u"'}]
    array = write(tmp_path, "a.json", json.dumps(rows))
    lines = write(tmp_path, "a.jsonl", "".join(json.dumps(r) + "\n" for r in rows))
    csv = write(tmp_path, "a.csv", 'prompt,target\r\np é,t\r\n"q, r","say ""u"""\r\n')
    assert fields(array) == fields(lines) == fields(csv) == rows
    assert [read(p).source.format for p in (array, lines, csv)] == ["json", "json-lines", "csv"]


def test_the_name_does_not_decide_between_json_and_json_lines(tmp_path: Path) -> None:
    assert fields(write(tmp_path, "lines.json", '{"a": 1}\n{"a": 2}\n')) == [{"a": 1}, {"a": 2}]
    assert fields(write(tmp_path, "array.jsonl", '[{"a": 1},\n {"a": 2}]')) == [{"a": 1}, {"a": 2}]
    assert fields(write(tmp_path, "one.json", '{\n "a": 1\n}')) == [{"a": 1}]


def test_records_below_a_field_or_by_key_are_found_and_remarked(tmp_path: Path) -> None:
    below = read(write(tmp_path, "a.json", '{"data": [{"a": 1}]}'))
    assert dict(below.records[0].fields) == {"a": 1}
    assert "'data'" in below.remarks[0]
    keyed = read(write(tmp_path, "b.json", '{"x": {"a": 1}, "y": {"a": 2}}'))
    assert [record.fields["id"] for record in keyed.records] == ["x", "y"]
    assert keyed.remarks


def test_quoted_newlines_in_csv_and_where_rows_are(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", 'p,t\n"two\nlines",x\n\nnext,y\n')
    assert fields(path) == [{"p": "two\nlines", "t": "x"}, {"p": "next", "t": "y"}]
    assert [record.where for record in read(path).records] == ["line 2", "line 5"]


def test_semicolons_and_tabs_separate_too(tmp_path: Path) -> None:
    assert fields(write(tmp_path, "a.csv", "p;t\nx, y;z\n")) == [{"p": "x, y", "t": "z"}]
    assert fields(write(tmp_path, "a.tsv", "p\tt\nx, y\tz\n")) == [{"p": "x, y", "t": "z"}]


def test_a_row_with_other_columns_and_an_open_quote_are_single_bad_records(tmp_path: Path) -> None:
    records = read(write(tmp_path, "a.csv", "p,t\na,b,c\nd,e\nf\n")).records
    assert ["3 columns" in r.trouble for r in records] == [True, False, False]
    assert "1 columns" in records[2].trouble
    last = read(write(tmp_path, "b.csv", 'p,t\na,b\n"open,c\n')).records[-1]
    assert "not CSV" in last.trouble


def test_a_header_that_names_a_column_twice_is_refused(tmp_path: Path) -> None:
    assert "'p'" in refused(write(tmp_path, "a.csv", "p,p\n1,2\n"))


def test_a_torn_last_line_and_a_broken_line_are_single_bad_records(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", '{"a": 1}\nnonsense\n\n{"a": 2}\n{"a": ')
    records = read(path).records
    assert [bool(r.trouble) for r in records] == [False, True, False, True]
    assert (records[1].where, records[3].where) == ("line 2", "line 5")
    assert "torn" in records[3].trouble
    assert "torn" not in records[1].trouble


def test_line_separators_inside_strings_do_not_split_lines(tmp_path: Path) -> None:
    text = '{"a": "x\u2028y\x85z"}\r\n{"a": "w"}\r\n'
    assert [f["a"] for f in fields(write(tmp_path, "a.jsonl", text))] == ["x\u2028y\x85z", "w"]


def test_records_that_are_no_objects_are_single_bad_records(tmp_path: Path) -> None:
    records = read(write(tmp_path, "a.json", '[{"a": 1}, [1], "x", null, 3]')).records
    assert [bool(r.trouble) for r in records] == [False, True, True, True, True]
    assert "a list" in records[1].trouble


def test_broken_json_names_line_and_column(tmp_path: Path) -> None:
    assert "line 1 column 3" in refused(write(tmp_path, "a.json", "{ this is not json"))
    assert "line 3 column 1" in refused(write(tmp_path, "b.json", '[{"a": 1}\n,\n]'))
    assert "ends in the middle" in refused(write(tmp_path, "c.json", '[\n{"a": 1},\n{"a": 1}\n'))


def test_missing_files_folders_and_empty_files(tmp_path: Path) -> None:
    kept = write(tmp_path, "facts.jsonl", "{}")
    assert "facts.jsonl" in refused(tmp_path / "fatcs.jsonl").splitlines()[1]
    assert "does not exist either" in refused(tmp_path / "no" / "facts.jsonl")
    assert kept.name in refused(tmp_path).splitlines()[1]
    for name, content in (
        ("a.json", ""),
        ("b.json", " \n\t"),
        ("c.json", "[]"),
        ("d.csv", "p,t\n"),
        ("e.csv", "\ufeff"),
    ):
        assert name in refused(write(tmp_path, name, content))
    assert "cannot be read" in refused(Path(str(tmp_path / "nul\0byte")))


def test_other_encodings(tmp_path: Path) -> None:
    row = '[{"a": "é"}]'
    marked = read(write(tmp_path, "bom.json", b"\xef\xbb\xbf" + row.encode()))
    assert dict(marked.records[0].fields) == {"a": "é"}
    assert "byte-order mark" in marked.remarks[0]
    assert fields(write(tmp_path, "wide.json", row.encode("utf-16"))) == [{"a": "é"}]
    text = refused(write(tmp_path, "latin.json", b'[\n{"a": "\xe9"}]'))
    assert "0xe9 in line 2" in text


def test_compressed_files_and_pickles_are_named_and_not_opened(tmp_path: Path) -> None:
    assert "gzip" in refused(write(tmp_path, "a.json", b"\x1f\x8b\x08\x00rest"))
    assert "Parquet" in refused(write(tmp_path, "a.parquet", b"PAR1rest"))
    assert "pickle" in refused(write(tmp_path, "a.pkl", b"\x80\x04\x95rest"))


def test_hostile_json_is_refused_in_words(tmp_path: Path) -> None:
    assert "deeply" in refused(write(tmp_path, "deep.json", "[" * 200_000))
    assert "not usable" in refused(write(tmp_path, "big.json", "[" + "9" * 5000 + "]"))
    bad = read(write(tmp_path, "deep.jsonl", '{"a": 1}\n{"a": ' + "[" * 200_000 + "\n")).records[1]
    assert bad.trouble


def test_nan_is_a_missing_value(tmp_path: Path) -> None:
    assert fields(write(tmp_path, "a.json", '[{"a": NaN, "b": -Infinity}]')) == [
        {"a": None, "b": None}
    ]


@settings(max_examples=60, deadline=None)
@given(
    content=st.binary(max_size=60)
    | st.text(alphabet='{}[]":,ab\n1\\ ', max_size=60).map(str.encode)
)
def test_any_bytes_are_read_or_refused(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any")
    for name in ("a.json", "a.csv"):
        path = folder / name
        path.write_bytes(content)
        try:
            contents = read(path)
        except BadInput:
            continue
        assert contents.source.rows == len(contents.records) > 0
        assert [record.index for record in contents.records] == list(range(len(contents.records)))
