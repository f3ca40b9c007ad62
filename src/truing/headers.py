"""JSON headers of folders that are trained: one format and version each, and every way to be broken."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from truing.errors import CannotLoad

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class HeaderFile(Generic[T]):
    """The header ``file`` of a folder. ``what`` names what the folder holds (``MEND editor``), ``made``
    the command that writes one, with its arguments after the verb in ``arguments``."""

    file: str
    format: str
    version: int
    what: str
    made: str
    arguments: str
    adapter: TypeAdapter[T]

    def read(self, folder: Path) -> T:
        """The header. Raises ``CannotLoad`` for one that is missing, damaged, foreign or newer."""
        path = folder / self.file
        try:
            raw = json.loads(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            raise CannotLoad(
                f"'{folder}' holds no {self.what} ({self.file} is missing)",
                f"Train one: {self.made} {self.arguments}.",
            ) from None
        except OSError as error:
            raise CannotLoad(f"cannot read '{path}': {error.strerror}") from None
        except ValueError:
            raise self.damaged(folder, f"{self.file} is not complete JSON") from None
        if not isinstance(raw, dict) or raw.get("format") != self.format:
            raise CannotLoad(
                f"'{path}' is no {self.what} (no format '{self.format}')",
                f"Give the folder that `{self.made}` wrote.",
            )
        version = raw.get("version")
        if isinstance(version, int) and version > self.version:
            raise CannotLoad(
                f"the {self.what} '{folder}' has format version {version}; this Truing reads up to "
                f"{self.version}",
                "Install a newer Truing.",
            )
        try:
            return self.adapter.validate_python(raw)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(step) for step in first["loc"])
            raise self.damaged(folder, f"{self.file}: {where}: {first['msg']}") from None

    def damaged(self, folder: Path, why: str) -> CannotLoad:
        """The error for a folder whose files are not those that were saved."""
        return CannotLoad(
            f"the {self.what} '{folder}' is damaged: {why}",
            "Copy its files again, or train it again.",
        )
