"""The command line as a person uses it, in this process."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from truing.cli.main import run


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def error_lines(self) -> list[str]:
        return [line for line in self.err.splitlines() if line.strip()]


def truing(args: Sequence[str], capsys: pytest.CaptureFixture[str]) -> Outcome:
    """Run ``truing ARGS`` and give back exit code, stdout and stderr."""
    before = sys.argv
    sys.argv = ["truing", *args]
    code = 0
    try:
        run()
    except SystemExit as leave:
        code = leave.code if isinstance(leave.code, int) else 1
    finally:
        sys.argv = before
    captured = capsys.readouterr()
    return Outcome(code, captured.out, captured.err)
