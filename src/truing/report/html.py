"""What every page shares: templates, files that go into it, and a policy that lets nothing else in."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup


def environment() -> Environment:
    """Templates of this package. Text is escaped; an unknown name is an error."""
    return Environment(
        loader=PackageLoader("truing.report"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def script_json(value: Any) -> Markup:
    """JSON that may stand inside a script element: no ``<``, ``>``, ``&`` or line separators."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def policy(scripts: Sequence[str]) -> str:
    """A content security policy: nothing from anywhere, and no script but the ones of this page."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'"
        for s in scripts
    )
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; script-src {hashes}"
    )


def static(name: str) -> str:
    """The text of a file in ``static``."""
    return (resources.files("truing.report") / "static" / name).read_text(encoding="utf-8")
