"""Shared by all tests: one thread, a private cache, and the folders of outside data."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]
for folder in (ROOT / "tests", ROOT / "tests" / "e2e"):
    sys.path.insert(0, str(folder))

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["HF_HUB_OFFLINE"] = "1"
# Machines are busy: a property fails for what it says, not for how long it took.
settings.register_profile("truing", deadline=None)
settings.load_profile("truing")


@pytest.fixture(scope="session")
def _caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for each test. Made here: ``mktemp`` looks through all earlier ones each time."""
    whole = tmp_path_factory.mktemp("caches")
    return (whole / str(number) for number in count())


@pytest.fixture(autouse=True)
def _private_cache(_caches: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers and statistics of one test never serve another."""
    folder = next(_caches)
    folder.mkdir()
    monkeypatch.setenv("TRUING_CACHE", str(folder))


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _no_wait_for_the_disk() -> Iterator[None]:
    """Tests kill processes and do not cut the power, so nothing waits until the disk has it all.
    A file that is not open is refused as before."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", os.fstat)
        yield


def _folder(variable: str, default: str) -> Path:
    path = Path(os.environ.get(variable, ROOT.parent / "shared" / default))
    if not path.is_dir():
        pytest.skip(f"{variable} names no folder ({path} is absent)")
    return path


@pytest.fixture
def data_dir() -> Path:
    """The public datasets (``TRUING_DATA``)."""
    return _folder("TRUING_DATA", "data")


@pytest.fixture
def goldens_dir() -> Path:
    """Reference numerics (``TRUING_GOLDENS``)."""
    return _folder("TRUING_GOLDENS", "goldens")
