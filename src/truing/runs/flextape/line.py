"""One published number beside ours, and the files that such numbers are computed from."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from truing.errors import BadInput

PAPER = (
    "Halevy et al. 2024, Flex Tape Can't Fix That: Bias and Misinformation in Edited Language Models "
    "(arXiv 2403.00180)"
)
SOURCE = "https://github.com/ENSCMA2/flextape"
Shape = TypeVar("Shape", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Line:
    """One number three times.

    ``published`` as it was told, ``None`` where it was not; ``repeated`` by the published rule from the
    stored results, over ``n`` observations; ``corrected`` by a rule that holds, over ``n_corrected``,
    with its 95 % interval where there is one. ``corrected`` is ``None`` where nothing that is stored
    could give it. ``reason`` says why the two differ, or why there is no corrected number.
    """

    item: str
    statistic: str
    published: float | None
    repeated: float | None
    n: int
    corrected: float | None
    n_corrected: int
    reason: str
    low: float | None = None
    high: float | None = None


def folder_in(data: Path, *names: str) -> Path:
    """The first of the folders ``names`` that ``data`` holds. Raises ``BadInput`` without any."""
    for name in names:
        if (data / name).is_dir():
            return data / name
    raise BadInput(
        f"{data} holds no folder {' or '.join(names)}", f"Give the folder of results from {SOURCE}."
    )


def read_json(shape: type[Shape], path: Path) -> Shape:
    """The file as ``shape``. Raises ``BadInput`` where it is absent or something else."""
    try:
        return shape.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BadInput(
            f"cannot read {path}: {error.strerror}", f"It is part of {SOURCE}."
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BadInput(f"{path}: {where}: {first['msg']}", "Pass the file as it is.") from None


def read_table(path: Path, *columns: str) -> list[dict[str, str]]:
    """The rows of a CSV file that has these columns. Raises ``BadInput``."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except OSError as error:
        raise BadInput(
            f"cannot read {path}: {error.strerror}", f"It is part of {SOURCE}."
        ) from None
    missing = [column for column in columns if column not in (reader.fieldnames or ())]
    if missing:
        raise BadInput(f"{path} has no column {missing[0]}", "Pass the file as it is.")
    return rows
