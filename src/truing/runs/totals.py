"""The state of a chain of edits on disk: the newest total, so that a chain goes on where it was."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from truing.errors import BadInput, StoreError, TruingError
from truing.interventions.artifact import load, save
from truing.interventions.intervention import Intervention

if TYPE_CHECKING:
    from truing.models.subject import Subject

_NAME = re.compile(r"after-(\d+)")


@dataclass(frozen=True)
class Totals:
    """The totals of one cell, in ``folder``. The newest is kept, as ``after-<chunks made>``."""

    folder: Path
    model: Subject

    def newest(self, up_to: int) -> tuple[int, Intervention | None]:
        """(chunks made, total) to go on from, at most ``up_to`` chunks; ``(0, None)``: the start.

        A total that cannot be read is passed over: the chain is made again.
        """
        for made in sorted(self._made(), reverse=True):
            if made <= up_to:
                try:
                    return made, load(self._path(made), self.model)
                except TruingError:
                    continue
        return 0, None

    def keep(self, made: int, total: Intervention) -> Path:
        """Save ``total`` after ``made`` chunks and drop older ones. Memo and parts are exact."""
        target = self._path(made)
        draft = self.folder / f".{target.name}"
        shutil.rmtree(draft, ignore_errors=True)
        try:
            save(total, draft)
            shutil.rmtree(target, ignore_errors=True)
            draft.rename(target)
        except (OSError, BadInput) as error:
            shutil.rmtree(draft, ignore_errors=True)
            what = (
                error.what
                if isinstance(error, BadInput)
                else f"cannot write {target}: {error.strerror}"
            )
            raise StoreError(what, "Rows are intact. Mend that and go on with --resume.") from None
        for older in self._made():
            if older < made:
                shutil.rmtree(self._path(older), ignore_errors=True)
        return target

    def _path(self, made: int) -> Path:
        return self.folder / f"after-{made}"

    def _made(self) -> list[int]:
        if not self.folder.is_dir():
            return []
        found = (_NAME.fullmatch(path.name) for path in self.folder.iterdir())
        return [int(match[1]) for match in found if match]
