"""The registry of public data sets: what they are, where they are, in which version, under which terms.

The table is ``catalogue.toml``; this module reads it, downloads and checks files. A folder that
``get`` filled holds ``truing-data.json``, which says what every file is and its SHA-256.
"""

from __future__ import annotations

import json
import os
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from truing.benchmarks.download import Expected, Progress, copy, fetch, sha256_of
from truing.errors import BadInput, UnknownName

RECORD = "truing-data.json"
_ADDRESS = {
    "github": "https://raw.githubusercontent.com/{repository}/{revision}/{path}",
    "hub": "https://huggingface.co/datasets/{repository}/resolve/{revision}/{path}",
    "web": "https://{repository}/{path}",
}


def _below(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\\" in path or ":" in path:
        raise ValueError("a path below the data set's folder is needed")
    return path


class RemoteFile(BaseModel):
    """One file: where it goes below the data set's folder, and what is known of it.

    ``upstream`` is its path at the source where that differs. ``rows`` counts records.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Annotated[str, AfterValidator(_below)]
    upstream: str | None = None
    sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$")
    bytes: int | None = Field(None, gt=0)
    rows: int | None = Field(None, gt=0)


class Dataset(BaseModel):
    """A public data set. ``revision`` is a commit, ``None`` where the source has no versions.

    ``licence`` is that of the source repository, ``text_licence`` that of the texts; ``benchmark``
    names the benchmark that reads it, if one does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    summary: str
    host: Literal["github", "hub", "web"]
    repository: str
    revision: str | None = Field(None, pattern="^[0-9a-f]{40}$")
    licence: str
    text_licence: str
    citation: str
    benchmark: str | None = None
    remarks: str = ""
    files: tuple[RemoteFile, ...] = Field(min_length=1)

    @property
    def pinned(self) -> bool:
        """Whether what will be downloaded is decided: by a commit, or by checksums."""
        return self.revision is not None or all(file.sha256 for file in self.files)

    @property
    def rows(self) -> int | None:
        """Records in all files, ``None`` where a file's number is not known."""
        counts = [file.rows for file in self.files]
        return None if None in counts else sum(n for n in counts if n is not None)

    @property
    def bytes(self) -> int | None:
        """Size of all files, ``None`` where one is not known."""
        sizes = [file.bytes for file in self.files]
        return None if None in sizes else sum(n for n in sizes if n is not None)

    def url(self, file: RemoteFile) -> str:
        """The address of one of the files."""
        return _ADDRESS[self.host].format(
            repository=self.repository,
            revision=self.revision or "main",
            path=file.upstream or file.path,
        )


@dataclass(frozen=True, slots=True)
class Checked:
    """One file of a data set on disk.

    ``ok``: as recorded or as in the registry; ``changed``; ``missing``; ``unknown``: nothing is known
    of it.
    """

    path: Path
    state: Literal["ok", "changed", "missing", "unknown"]
    sha256: str | None
    dataset: str | None = None


@cache
def _table() -> dict[str, Dataset]:
    text = resources.files("truing.benchmarks").joinpath("catalogue.toml").read_text("utf-8")
    return {name: Dataset(name=name, **entry) for name, entry in tomllib.loads(text).items()}


def listing() -> tuple[Dataset, ...]:
    """All data sets of the registry, by name."""
    return tuple(dataset for _, dataset in sorted(_table().items()))


def info(name: str) -> Dataset:
    """One data set. Raises ``UnknownName`` with the near misses."""
    if name not in _table():
        raise UnknownName("data set", name, _table())
    return _table()[name]


def for_benchmark(benchmark: str) -> tuple[Dataset, ...]:
    """The data sets that a benchmark reads, in the order of the table."""
    return tuple(dataset for dataset in _table().values() if dataset.benchmark == benchmark)


def get(
    dataset: str | Dataset,
    dest: Path | str,
    *,
    progress: Progress | None = None,
    mirror: str | None = None,
) -> tuple[Path, ...]:
    """Download a data set into ``dest/NAME/`` and give back its files.

    Files that are there and match are not downloaded again; nothing is ever overwritten or deleted.
    Where the registry has no checksum, the one of the first download is recorded and holds from then
    on. ``mirror`` is a folder or an address that holds ``NAME/PATH`` for every file.
    ``progress(file, bytes so far, bytes in all or None)`` is called as bytes arrive.

    Raises ``UnknownName``, and ``CannotLoad`` when a file cannot be had or is not the expected one.
    """
    chosen = info(dataset) if isinstance(dataset, str) else dataset
    folder = Path(dest) / chosen.name
    record = _read_record(folder)
    paths = []
    for file in chosen.files:
        target = folder.joinpath(*PurePosixPath(file.path).parts)
        seen = record.get(file.path, {})
        expected = Expected(file.sha256 or seen.get("sha256"), file.bytes)
        was_here = target.exists()
        address, found = _bring(chosen, file, target, expected, progress, mirror)
        if seen.get("sha256") != found:
            record[file.path] = {
                "sha256": found,
                "bytes": target.stat().st_size,
                "from": "found here" if was_here else address,
                "at": datetime.now(UTC).isoformat(timespec="seconds"),
            }
            _write_record(folder, chosen, record)
        paths.append(target)
    return tuple(paths)


def _bring(
    dataset: Dataset,
    file: RemoteFile,
    target: Path,
    expected: Expected,
    progress: Progress | None,
    mirror: str | None,
) -> tuple[str, str]:
    if mirror is None:
        address = dataset.url(file)
    elif mirror.startswith(("https://", "http://")):
        address = f"{mirror.rstrip('/')}/{dataset.name}/{file.path}"
    else:
        source = Path(mirror) / dataset.name / file.path
        return str(source), copy(source, target, expected)
    return address, fetch(address, target, expected, progress=progress)


def verify(path: Path | str) -> tuple[Checked, ...]:
    """Compare files with what was recorded when they were downloaded, or with the registry.

    ``path`` is a file or a folder; folders of several data sets are searched.
    Raises ``BadInput`` when there is nothing at ``path``.
    """
    root = Path(path)
    if root.is_file():
        return (_check_one(root),)
    if not root.is_dir():
        raise BadInput(f"{root} does not exist", "Pass a file, or the folder that data was put in.")
    checked = []
    for record in sorted(root.rglob(RECORD)):
        for name, entry in sorted(_read_record(record.parent).items()):
            target = record.parent.joinpath(*PurePosixPath(name).parts)
            checked.append(_compare(target, entry.get("sha256"), record.parent.name))
    if not checked:
        checked = [_check_one(file) for file in sorted(root.rglob("*")) if file.is_file()]
    return tuple(checked)


def _check_one(path: Path) -> Checked:
    for folder in path.parents:
        entry = _read_record(folder).get(path.relative_to(folder).as_posix())
        if entry is not None:
            return _compare(path, entry.get("sha256"), folder.name)
    found = sha256_of(path)
    for dataset in listing():
        if any(file.sha256 == found for file in dataset.files):
            return Checked(path, "ok", found, dataset.name)
    return Checked(path, "unknown", found)


def _compare(path: Path, sha256: str | None, dataset: str) -> Checked:
    if not path.is_file():
        return Checked(path, "missing", None, dataset)
    found = sha256_of(path)
    return Checked(path, "ok" if found == sha256 else "changed", found, dataset)


def _read_record(folder: Path) -> dict[str, dict[str, Any]]:
    """What a folder's record says of its files; empty where there is none or it is unreadable."""
    try:
        files = json.loads((folder / RECORD).read_text(encoding="utf-8"))["files"]
        return {
            _below(str(name)): entry for name, entry in files.items() if isinstance(entry, dict)
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _write_record(folder: Path, dataset: Dataset, files: dict[str, dict[str, Any]]) -> None:
    content = {
        "dataset": dataset.name,
        "repository": dataset.repository,
        "revision": dataset.revision,
        "licence": dataset.licence,
        "text_licence": dataset.text_licence,
        "citation": dataset.citation,
        "files": files,
    }
    part = folder / (RECORD + ".part")
    part.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    os.replace(part, folder / RECORD)
