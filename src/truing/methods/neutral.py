"""Text that no edit is about and no steering aims at."""

from __future__ import annotations

NEUTRAL = (
    "The weather was mild that spring, and most people walked to work along the river.",
    "To make bread you need flour, water, salt and some patience.",
    "She closed the book, put it back on the shelf and went out into the garden.",
    "The meeting was moved to Thursday because two of the members were ill.",
    "Many birds fly south before the winter and come back when it is warm again.",
)
"""Built-in sentences, where a configuration or a caller gives none."""
