"""The toy methods are known in these tests, and only in these."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from toy_runs import registered


@pytest.fixture(scope="module", autouse=True)
def _toys() -> Iterator[None]:
    with registered():
        yield
