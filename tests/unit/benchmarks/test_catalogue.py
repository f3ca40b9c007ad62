"""The registry of public data sets."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from file_server import Server, serve
from pydantic import ValidationError

from truing.benchmarks.benchmark import BENCHMARKS
from truing.benchmarks.catalogue import (
    Dataset,
    RemoteFile,
    for_benchmark,
    get,
    info,
    listing,
    verify,
)
from truing.errors import BadInput, CannotLoad, UnknownName

ROOT = Path(__file__).resolve().parents[3]
DATA = Path(os.environ.get("TRUING_DATA", ROOT.parent / "shared" / "data"))
ONE, TWO = b'[{"prompt": "p", "target": "t"}]', b"other"


def dataset(sha256: str | None = None) -> Dataset:
    return Dataset(
        name="tiny", summary="two files", host="web", repository="127.0.0.1", licence="MIT", text_licence="MIT",
        citation="none", files=(RemoteFile(path="one.json", sha256=sha256), RemoteFile(path="sub/two.txt")),
    )  # fmt: skip


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serve() as running:
        running.files = {"/tiny/one.json": ONE, "/tiny/sub/two.txt": TWO}
        yield running


def test_every_entry_is_complete() -> None:
    names = [entry.name for entry in listing()]
    assert names == sorted(set(names))
    for entry in listing():
        assert entry.summary
        assert entry.citation
        assert entry.licence
        assert entry.text_licence
        assert len({file.path for file in entry.files}) == len(entry.files)
        assert entry.benchmark is None or entry.benchmark in BENCHMARKS
        assert entry.pinned or entry.remarks
        for file in entry.files:
            parts = urlsplit(entry.url(file))
            assert parts.scheme == "https"
            assert parts.hostname
            assert "{" not in parts.path


def test_every_benchmark_of_files_has_a_data_set() -> None:
    for name in (
        "counterfact",
        "zsre",
        "qaedit",
        "caa",
        "pres2024",
        "axbench",
        "ethics",
        "social_chemistry",
        "jiminy",
        "trustllm",
        "moralchoice",
    ):
        assert for_benchmark(name)
    assert (
        info("qaedit-1k").files[0].sha256
        == "640e1d279759263fdaae543a385680d21a55aa3597ca8b597ffd7937fef07c42"
    )
    assert info("qaedit-1k").rows == 1000
    with pytest.raises(UnknownName, match="qaedit"):
        info("qaedt")


@pytest.mark.parametrize(
    ("name", "path", "here"),
    [
        ("qaedit-1k", "QAEdit_inter_1k.json", "wild/QAEdit_inter_1k.json"),
        ("personalityedit", "test.json", "personality/test.json"),
        ("caa", "test_ab/refusal.json", "steering/caa/test_ab/refusal.json"),
        ("behaviorbench", "jiminy_sub_100.json", "behaviorbench/jiminy_sub_100.json"),
    ],
)
def test_checksums_are_those_of_the_copies_at_hand(name: str, path: str, here: str) -> None:
    copy = DATA / here
    if not copy.is_file():
        pytest.skip(f"{copy} is absent; set TRUING_DATA")
    file = next(file for file in info(name).files if file.path == path)
    assert file.sha256 == hashlib.sha256(copy.read_bytes()).hexdigest()
    assert file.bytes == copy.stat().st_size
    (checked,) = verify(copy)
    assert (checked.state, checked.dataset) == ("ok", name)


def test_a_data_set_is_downloaded_once_and_recorded(server: Server, tmp_path: Path) -> None:
    paths = get(dataset(), tmp_path, mirror=server.address)
    assert [p.read_bytes() for p in paths] == [ONE, TWO]
    record = json.loads((tmp_path / "tiny" / "truing-data.json").read_text())
    assert record["files"]["sub/two.txt"]["sha256"] == hashlib.sha256(TWO).hexdigest()
    assert record["licence"] == "MIT"
    assert len(server.asked) == 2
    assert get(dataset(), tmp_path, mirror=server.address) == paths
    assert len(server.asked) == 2
    assert {checked.state for checked in verify(tmp_path)} == {"ok"}


def test_the_first_checksum_holds_from_then_on(server: Server, tmp_path: Path) -> None:
    one, two = get(dataset(), tmp_path, mirror=server.address)
    one.unlink()
    server.files["/tiny/one.json"] = b"changed upstream"
    with pytest.raises(CannotLoad, match="SHA-256"):
        get(dataset(), tmp_path, mirror=server.address)
    assert two.read_bytes() == TWO
    assert not one.exists()


def test_changed_and_missing_files_are_found_and_kept(server: Server, tmp_path: Path) -> None:
    one, two = get(dataset(), tmp_path, mirror=server.address)
    one.write_bytes(b"edited by hand")
    two.unlink()
    states = {checked.path.name: checked.state for checked in verify(tmp_path)}
    assert states == {"one.json": "changed", "two.txt": "missing"}
    assert verify(one)[0].state == "changed"
    with pytest.raises(CannotLoad, match="there already"):
        get(dataset(), tmp_path, mirror=server.address)
    assert one.read_bytes() == b"edited by hand"


def test_a_wrong_checksum_of_the_registry_stops_the_download(
    server: Server, tmp_path: Path
) -> None:
    with pytest.raises(CannotLoad, match="expected 000000000000"):
        get(dataset("0" * 64), tmp_path, mirror=server.address)
    assert not (tmp_path / "tiny" / "one.json").exists()


def test_a_broken_download_is_taken_up_again(server: Server, tmp_path: Path) -> None:
    server.statuses = [404]
    with pytest.raises(CannotLoad, match="not there"):
        get(dataset(), tmp_path, mirror=server.address)
    assert [p.read_bytes() for p in get(dataset(), tmp_path, mirror=server.address)] == [ONE, TWO]


def test_a_folder_serves_as_a_mirror(tmp_path: Path) -> None:
    (tmp_path / "mirror" / "tiny" / "sub").mkdir(parents=True)
    (tmp_path / "mirror" / "tiny" / "one.json").write_bytes(ONE)
    with pytest.raises(CannotLoad, match=r"two.txt does not exist"):
        get(dataset(), tmp_path / "data", mirror=str(tmp_path / "mirror"))
    (tmp_path / "mirror" / "tiny" / "sub" / "two.txt").write_bytes(TWO)
    paths = get(dataset(), tmp_path / "data", mirror=str(tmp_path / "mirror"))
    assert [p.read_bytes() for p in paths] == [ONE, TWO]


def test_files_that_nobody_recorded_are_unknown(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("[]")
    assert [checked.state for checked in verify(tmp_path)] == ["unknown"]
    (tmp_path / "truing-data.json").write_text(
        '{"files": {"../../etc/passwd": {"sha256": "0"}, "x.json": 3}}'
    )
    assert "passwd" not in str(verify(tmp_path))
    with pytest.raises(BadInput, match="does not exist"):
        verify(tmp_path / "gone")


@pytest.mark.parametrize("path", ["../up.json", "/etc/passwd", "a/../../b", "", "c:\\x"])
def test_files_stay_below_their_folder(path: str) -> None:
    with pytest.raises(ValidationError):
        RemoteFile(path=path)
