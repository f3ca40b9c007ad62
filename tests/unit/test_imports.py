"""The rooms of the house may only look where the architecture lets them."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parents[2] / "src" / "truing"
COMMON = {"types", "errors", "registry", "seeds", "headers", "__version__"}
ALLOWED: dict[str, set[str]] = {
    "servers": set(),
    "models": {"pocket", "servers"},
    "interventions": {"models"},
    "methods": {"models", "interventions", "benchmarks"},
    "benchmarks": set(),
    "protocols": set(),
    "scoring": {"protocols"},
    "judges": {"models", "protocols", "scoring", "servers"},
    "capability": {"models", "interventions", "benchmarks", "scoring"},
    "inspection": {
        "models",
        "interventions",
        "methods",
        "benchmarks",
        "scoring",
        "protocols",
    },
    "building": {"models", "benchmarks", "protocols", "scoring", "judges", "runs", "servers"},
    "runs": {
        "models",
        "interventions",
        "methods",
        "benchmarks",
        "protocols",
        "scoring",
        "judges",
        "servers",
    },
    "report": {"runs", "scoring", "protocols"},
    "pocket": {"benchmarks"},
}
REPORT_SEES_OF = {
    "runs": {"store", "summary"},
    "scoring": {"metrics"},
    "protocols": {"protocol"},
}


def room_of(path: Path) -> str:
    parts = path.relative_to(SRC).parts
    return parts[0] if len(parts) > 1 else parts[0].removesuffix(".py")


def imports_of(path: Path) -> set[tuple[str, ...]]:
    found: set[tuple[str, ...]] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [node.module]
            if node.module == "truing":
                names = [f"truing.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        found |= {tuple(n.split(".")[1:]) for n in names if n.split(".")[0] == "truing"}
    return {f for f in found if f}


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_a_room_imports_only_what_it_may(room: str) -> None:
    wrong = []
    for path in sorted((SRC / room).rglob("*.py")):
        for target in imports_of(path):
            if target[0] in COMMON | {room} | ALLOWED[room]:
                continue
            wrong.append(f"{path.relative_to(SRC)} imports truing.{'.'.join(target)}")
    assert not wrong, "\n".join(wrong)


def test_the_report_sees_only_the_store_and_the_glossary() -> None:
    wrong = []
    for path in sorted((SRC / "report").rglob("*.py")):
        for target in imports_of(path):
            seen = REPORT_SEES_OF.get(target[0])
            if seen is not None and (len(target) < 2 or target[1] not in seen):
                wrong.append(f"{path.relative_to(SRC)} imports truing.{'.'.join(target)}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "module",
    [
        "truing",
        "truing.types",
        "truing.report.page",
        "truing.cli.main",
        "truing.runs.store",
        "truing.benchmarks.benchmark",
        "truing.protocols.protocol",
        "truing.scoring.judge",
    ],
)
def test_importing_it_does_not_import_torch(module: str) -> None:
    code = (
        f"import sys, {module}; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
