"""Plugins: installed ones by entry point, files by an explicit flag. Both run their code."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from truing.errors import BadInput
from truing.registry import load_plugins


def use(files: Sequence[Path] | None) -> None:
    """Load the installed plugins and then ``files``, in order."""
    load_plugins()
    for file in files or ():
        if not file.is_file():
            raise BadInput(f"no such plugin file: {file}", "Give the path of a Python file.")
        spec = importlib.util.spec_from_file_location(f"truing_plugin_{file.stem}", file)
        if spec is None or spec.loader is None:
            raise BadInput(f"{file} is not a Python file", "Plugins are .py files.")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
