from __future__ import annotations

from pathlib import Path

import pytest

import fake_run
from truing.report.load import Run, read_run


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with two regimes, small."""
    return fake_run.make(tmp_path_factory.mktemp("run"), cases=12, every=4)


@pytest.fixture(scope="session")
def run(folder: Path) -> Run:
    return read_run(folder)


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose every text tries to break out of the page."""
    path = tmp_path_factory.mktemp("hostile")
    return fake_run.make(path, cases=3, regimes=("single",), methods=("none", "rome"), hostile=True)
