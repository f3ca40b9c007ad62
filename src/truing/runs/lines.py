"""Files of JSON lines that survive a writer's sudden death: append, flush, sync; read what is whole."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from truing.errors import StoreError

KEPT = "What was written before is intact; --resume goes on from there."
T = TypeVar("T")


def read(path: Path, adapter: TypeAdapter[T]) -> Iterator[T]:
    """Every whole line of ``path`` as ``T``. A torn last line (no line end) is left out.

    Raises ``StoreError`` naming file and line for a damaged line anywhere else.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    return
                try:
                    yield adapter.validate_json(line)
                except ValidationError as error:
                    first = error.errors()[0]
                    where = ".".join(str(part) for part in first["loc"])
                    raise StoreError(
                        f"{path}:{number} is not a valid line: {where} {first['msg']}".replace(
                            "\n", " "
                        ),
                        "The file was changed or damaged: restore it, or run again in another folder.",
                    ) from None
    except OSError as error:
        raise cannot("read", path, error) from None


class Appender:
    """Appends lines to one file. Opening drops a torn last line; a failed append leaves the file
    as it was before it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            self._size = _whole(self._fd)
            os.ftruncate(self._fd, self._size)
        except OSError as error:
            raise cannot("write", path, error) from None

    def append(self, lines: Iterable[str]) -> None:
        """Write all ``lines`` and wait until they are on disk. Raises ``StoreError``."""
        data = "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")
        if not data:
            return
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._fd, view) :]
            os.fsync(self._fd)
        except OSError as error:
            os.ftruncate(self._fd, self._size)
            raise cannot("write", self.path, error) from None
        self._size += len(data)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def write_atomically(path: Path, text: str) -> None:
    """Replace ``path`` by ``text``: a reader sees the old file or the new one, never a half."""
    try:
        fd, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(fd, "w", encoding="utf-8", errors="replace") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o644)
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise cannot("write", path, error) from None


def make_folder(path: Path) -> None:
    """Make the folder, and those that it lies in, where there is none. Raises ``StoreError``."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot("make", path, error) from None


def read_json(path: Path) -> Any:
    """The JSON value in ``path``. Raises ``StoreError``."""
    try:
        return json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise cannot("read", path, error) from None
    except ValueError as error:
        raise StoreError(f"{path} is not JSON: {error}", "Restore it, or run again.") from None


def cannot(verb: str, path: Path, error: OSError, *, kept: str = KEPT) -> StoreError:
    """The error for a failed ``verb`` (read, write, make) on ``path``, with what helps. ``kept`` says what
    is safe where a write stopped midway."""
    hints = {
        errno.ENOSPC: f"Free some space. {kept}",
        errno.EDQUOT: f"Your quota is used up: free some space. {kept}",
        errno.EACCES: f"Check who may {verb} there, or choose another place.",
        errno.EPERM: f"Check who may {verb} there, or choose another place.",
        errno.EROFS: "That file system is read-only: choose another place.",
        errno.ENOTDIR: "A part of that path is a file: choose another place.",
        errno.EEXIST: "There is a file of that name: choose another name.",
        errno.EISDIR: "That is a folder: give a file.",
        errno.ENOENT: "Make the folder first." if verb == "write" else "Check the path.",
    }
    hint = hints.get(error.errno or 0, kept).strip()
    return StoreError(f"cannot {verb} {path}: {error.strerror or error}", hint or None)


def _whole(fd: int) -> int:
    """The size of the file up to its last line end."""
    size = os.fstat(fd).st_size
    end, block = size, 1 << 16
    while end > 0:
        start = max(0, end - block)
        found = os.pread(fd, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
