"""Writing TOML: the small part that plans need. Reading is the standard library's."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def dumps(table: Mapping[str, Any]) -> str:
    """``table`` as TOML text that ``tomllib`` reads back equal. ``None`` values are left out.

    Lists of tables become ``[[arrays]]`` and tables ``[tables]``, after the plain keys.
    """
    return "\n".join(_lines(table, ())).strip() + "\n"


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    plain = [
        f"{_key(k)} = {_value(v)}" for k, v in table.items() if v is not None and not _is_section(v)
    ]
    for key, value in table.items():
        where = ".".join(_key(part) for part in (*path, key))
        if isinstance(value, Mapping):
            plain += ["", f"[{where}]", *_lines(value, (*path, key))]
        elif _is_section(value):
            for entry in value:
                plain += ["", f"[[{where}]]", *_lines(entry, (*path, key))]
    return plain


def _is_section(value: Any) -> bool:
    if isinstance(value, Mapping):
        return True
    listed = isinstance(value, (list, tuple)) and len(value) > 0
    return listed and all(isinstance(entry, Mapping) for entry in value)


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _string(key)


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if math.isfinite(value):
            text = repr(value)
            return text if "." in text or "e" in text else f"{text}.0"
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items() if v is not None)
        return "{ " + inner + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(v) for v in value if v is not None) + "]"
    raise TypeError(f"TOML has no {type(value).__name__}")
