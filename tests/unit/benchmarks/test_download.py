"""Downloads over a line that breaks, from servers that change their mind."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from file_server import Server, serve

from truing.benchmarks.download import Expected, copy, fetch, sha256_of
from truing.errors import CannotLoad

CONTENT = bytes(range(256)) * 40
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serve() as running:
        running.files["/a.json"] = CONTENT
        yield running


def get(server: Server, target: Path, sha256: str | None = DIGEST, **more: object) -> list[float]:
    """Fetch ``a.json``; gives back the waits between attempts."""
    waits: list[float] = []
    found = fetch(server.address + "/a.json", target, Expected(sha256), wait=waits.append, **more)  # type: ignore[arg-type]
    assert found == sha256_of(target)
    return waits


def only(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_arrives_whole_and_nothing_else_is_left(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    assert get(server, tmp_path / "sub" / "a.json", progress=lambda *args: seen.append(args)) == []
    assert (tmp_path / "sub" / "a.json").read_bytes() == CONTENT
    assert only(tmp_path / "sub") == ["a.json"]
    assert seen[-1] == ("a.json", len(CONTENT), len(CONTENT))


def test_an_interrupted_download_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.cuts = [1000, 2000]
    get(server, tmp_path / "a.json")
    assert (tmp_path / "a.json").read_bytes() == CONTENT
    assert [wanted for _, wanted in server.asked] == [None, "bytes=1000-", "bytes=3000-"]


def test_a_later_call_goes_on_too(server: Server, tmp_path: Path) -> None:
    server.cuts = [500, 0]
    with pytest.raises(CannotLoad, match="500 of 10240 bytes"):
        get(server, tmp_path / "a.json", attempts=1)
    assert not (tmp_path / "a.json").exists()
    assert (tmp_path / "a.json.part").stat().st_size == 500
    server.cuts = []
    get(server, tmp_path / "a.json")
    assert server.asked[-1] == ("/a.json", "bytes=500-")
    assert only(tmp_path) == ["a.json"]


def test_progress_renews_patience_and_none_exhausts_it(server: Server, tmp_path: Path) -> None:
    server.cuts = [1000] * 8
    get(server, tmp_path / "a.json", attempts=2)
    (tmp_path / "a.json").unlink()
    server.cuts = [0] * 20
    waits: list[float] = []
    with pytest.raises(CannotLoad, match="4 attempts"):
        fetch(server.address + "/a.json", tmp_path / "a.json", wait=waits.append)
    assert waits == [1.0, 2.0, 4.0]


def test_a_file_that_changed_meanwhile_starts_anew(server: Server, tmp_path: Path) -> None:
    server.cuts = [500]
    with pytest.raises(CannotLoad):
        get(server, tmp_path / "a.json", attempts=1)
    server.files["/a.json"] = b"another version" * 100
    get(server, tmp_path / "a.json", sha256=None)
    assert (tmp_path / "a.json").read_bytes() == b"another version" * 100


def test_a_server_without_ranges_starts_anew(server: Server, tmp_path: Path) -> None:
    server.cuts, server.ranges = [500], False
    get(server, tmp_path / "a.json")
    assert (tmp_path / "a.json").read_bytes() == CONTENT


def test_a_whole_part_is_taken_and_a_longer_one_is_not(server: Server, tmp_path: Path) -> None:
    server.cuts = [500]
    with pytest.raises(CannotLoad):
        get(server, tmp_path / "a.json", attempts=1)
    (tmp_path / "a.json.part").write_bytes(CONTENT)
    get(server, tmp_path / "a.json")
    (tmp_path / "a.json").unlink()
    server.cuts = [500]
    with pytest.raises(CannotLoad):
        get(server, tmp_path / "a.json", attempts=1)
    (tmp_path / "a.json.part").write_bytes(CONTENT + b"more")
    get(server, tmp_path / "a.json")
    assert (tmp_path / "a.json").read_bytes() == CONTENT


def test_other_bytes_than_expected_are_kept_aside_and_said(server: Server, tmp_path: Path) -> None:
    with pytest.raises(CannotLoad, match="SHA-256"):
        get(server, tmp_path / "a.json", sha256="0" * 64)
    assert only(tmp_path) == ["a.json.part.json", "a.json.rejected"]
    get(server, tmp_path / "a.json")


def test_a_file_that_is_there_is_never_replaced(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    target.write_bytes(b"mine")
    with pytest.raises(CannotLoad, match="there already"):
        get(server, target)
    assert target.read_bytes() == b"mine"
    get(server, target, sha256=None)
    assert target.read_bytes() == b"mine"
    target.write_bytes(CONTENT)
    get(server, target)
    assert server.asked == []


@pytest.mark.parametrize(
    ("status", "words"),
    [(404, "not there"), (410, "not there"), (401, "refused"), (403, "gated"), (400, "400")],
)
def test_a_final_answer_is_not_asked_again(
    server: Server, tmp_path: Path, status: int, words: str
) -> None:
    server.statuses = [status]
    with pytest.raises(CannotLoad, match=words) as caught:
        get(server, tmp_path / "a.json")
    assert caught.value.next
    assert len(server.asked) == 1
    assert only(tmp_path) == []


def test_a_busy_server_is_asked_again_when_it_says(server: Server, tmp_path: Path) -> None:
    server.statuses = [503, 429]
    assert get(server, tmp_path / "a.json") == [3.0, 3.0]


def test_without_a_network_the_error_says_what_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(CannotLoad, match=r"offline: no-such-host\.invalid") as caught:
        fetch("https://no-such-host.invalid/a.json", tmp_path / "a.json", wait=lambda _: None)
    assert "--data PATH" in str(caught.value.next)


def test_a_closed_port_is_tried_again_and_then_said(server: Server, tmp_path: Path) -> None:
    waits: list[float] = []
    with pytest.raises(CannotLoad, match="did not arrive"):
        fetch("http://127.0.0.1:9/a.json", tmp_path / "a.json", wait=waits.append)
    assert waits == [1.0, 2.0, 4.0]


def test_a_folder_that_cannot_be_made_is_said(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotLoad, match="cannot be written"):
        get(server, tmp_path / "file" / "a.json")


def test_a_redirect_is_followed(server: Server, tmp_path: Path) -> None:
    server.redirects["/a.json"] = "/moved.json"
    server.files["/moved.json"] = CONTENT
    get(server, tmp_path / "a.json")
    assert (tmp_path / "a.json").read_bytes() == CONTENT


def test_a_copy_is_checked_like_a_download(tmp_path: Path) -> None:
    source = tmp_path / "source.json"
    source.write_bytes(CONTENT)
    assert copy(source, tmp_path / "x" / "a.json", Expected(DIGEST)) == DIGEST
    assert copy(source, tmp_path / "x" / "a.json", Expected(DIGEST)) == DIGEST
    with pytest.raises(CannotLoad, match="SHA-256"):
        copy(source, tmp_path / "b.json", Expected("0" * 64))
    with pytest.raises(CannotLoad, match="does not exist"):
        copy(tmp_path / "gone", tmp_path / "c.json")
    assert only(tmp_path) == ["source.json", "x"]
