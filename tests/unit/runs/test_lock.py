from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from truing.errors import Locked
from truing.runs import lock as locks
from truing.runs.lock import Lock


def write_owner(path: Path, pid: int, host: str) -> None:
    path.write_text(json.dumps({"pid": pid, "host": host}))


def dead_pid() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_a_second_writer_is_told_who_the_first_is(tmp_path: Path) -> None:
    first = Lock(tmp_path / "lock")
    with pytest.raises(Locked, match=f"process {os.getpid()} on {socket.gethostname()}"):
        Lock(tmp_path / "lock")
    first.release()
    assert not (tmp_path / "lock").exists()
    Lock(tmp_path / "lock").release()


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    write_owner(tmp_path / "lock", dead_pid(), socket.gethostname())
    lock = Lock(tmp_path / "lock")
    assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()
    lock.release()


def test_a_process_that_was_killed_holds_nothing(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from truing.runs.lock import Lock\n"
        "lock = Lock(pathlib.Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "lock")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    with pytest.raises(Locked, match=f"process {child.pid}"):
        Lock(tmp_path / "lock")
    child.kill()
    child.wait()
    Lock(tmp_path / "lock").release()


def test_an_owner_on_another_host_is_believed(tmp_path: Path) -> None:
    write_owner(tmp_path / "lock", 1, "elsewhere")
    with pytest.raises(Locked, match="on elsewhere") as caught:
        Lock(tmp_path / "lock")
    assert "delete" in str(caught.value)


def test_without_kernel_locks_a_live_process_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "_lock", lambda fd: None)
    write_owner(tmp_path / "lock", os.getppid(), socket.gethostname())
    with pytest.raises(Locked):
        Lock(tmp_path / "lock")
    write_owner(tmp_path / "lock", dead_pid(), socket.gethostname())
    Lock(tmp_path / "lock").release()


def test_a_lock_file_that_is_nonsense_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("[oh")
    Lock(tmp_path / "lock").release()
