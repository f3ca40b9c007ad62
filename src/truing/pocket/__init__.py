"""The embedded model: a small chat-capable Llama that knows the world of this package.

:func:`pocket_path` is its folder, in the format of the transformers library. The recipe is
:mod:`truing.pocket.build`; the card's numbers come from :mod:`truing.pocket.evaluate`.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

__all__ = ["pocket_path"]


def pocket_path() -> Path:
    """The folder with the embedded model's weights, tokenizer and card."""
    return Path(str(files("truing.pocket"))) / "assets"
