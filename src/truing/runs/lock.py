"""One writer per run folder.

The kernel's file lock decides; it is gone when its owner dies, however it dies. The file says who
the owner is. Where the file system has no such locks, a live process id on this host decides.
"""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from typing import Any

from truing.errors import Locked
from truing.runs.lines import cannot

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    fcntl = None  # type: ignore[assignment]


class Lock:
    """Held from construction to :meth:`release`. Raises ``Locked`` naming the owner, after having
    tried for ``patience`` seconds."""

    def __init__(self, path: Path, patience: float = 0.0) -> None:
        self.path = path
        self._fd = -1
        until = time.monotonic() + patience
        while self._fd < 0:
            try:
                self._fd = self._try()
            except Locked:
                if time.monotonic() >= until:
                    raise
                time.sleep(0.05)

    def release(self) -> None:
        if self._fd >= 0:
            self.path.unlink(missing_ok=True)
            os.close(self._fd)
            self._fd = -1

    def _try(self) -> int:
        """The descriptor of the locked file, or -1 if the file was replaced meanwhile."""
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise cannot("write", self.path, error) from None
        try:
            kernel = _lock(fd)
            owner = _owner(fd)
            if kernel is False or self._alive(owner, kernel):
                raise self._locked(owner)
            if not self._same_file(fd):
                os.close(fd)
                return -1
            os.ftruncate(fd, 0)
            os.pwrite(
                fd, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode(), 0
            )
            return fd
        except BaseException:
            os.close(fd)
            raise

    def _alive(self, owner: dict[str, Any], kernel: bool | None) -> bool:
        """Whether somebody who left no kernel lock may still be writing."""
        if not owner:
            return False
        if owner.get("host") != socket.gethostname():
            return True  # the kernel lock may not reach across hosts
        return kernel is None and owner.get("pid") != os.getpid() and _runs(owner.get("pid"))

    def _locked(self, owner: dict[str, Any]) -> Locked:
        who = f"process {owner.get('pid', '?')} on {owner.get('host', 'an unknown host')}"
        return Locked(
            f"{self.path.parent} is being written by {who}",
            f"Wait for it or choose another folder. If it is surely gone, delete {self.path}.",
        )

    def _same_file(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.fstat(fd), os.stat(self.path))
        except FileNotFoundError:
            return False


def _lock(fd: int) -> bool | None:
    """``True``: locked. ``False``: somebody else has it. ``None``: no locks here."""
    if fcntl is None:  # pragma: no cover - Windows
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _owner(fd: int) -> dict[str, Any]:
    try:
        found = json.loads(os.pread(fd, 4096, 0))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _runs(pid: Any) -> bool:
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
