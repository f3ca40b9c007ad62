"""Text made comparable."""

from __future__ import annotations

import re
import string
import unicodedata

VERSION = "squad-1"

_DELETE = str.maketrans("", "", string.punctuation)
_TO_SPACE = str.maketrans(dict.fromkeys(string.punctuation, " "))
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_TYPOGRAPHY = str.maketrans(
    {
        **dict.fromkeys("‘’‚′", "'"),
        **dict.fromkeys("“”„«»″", '"'),
        **dict.fromkeys("‐‑", "-"),
        **dict.fromkeys("–—―", " "),
    }
)


def normalise(text: str) -> str:
    """Lower case, without ASCII punctuation, without whole-word articles, single spaces.

    In this order, as SQuAD's evaluation does (Rajpurkar et al. 2016). Punctuation is deleted, not
    replaced: ``U.S.`` becomes ``us``. Curly quotes are not ASCII and stay. A text of articles and
    punctuation becomes empty, so a caller must treat an empty gold answer as unusable.
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_DELETE)).split())


def equal(answer: str, gold: str) -> bool:
    """Whether two texts are the same after :func:`normalise`. Empty equals empty here."""
    return normalise(answer) == normalise(gold)


def contains(answer: str, gold: str) -> bool:
    """Whether ``gold`` stands in ``answer`` as whole words, after normalising both.

    Three readings are tried: as :func:`normalise` has it; with typographic quotes and dashes and
    compatibility forms (NFKC) folded first; and with punctuation as a space (``Paris/Rome`` holds
    ``Rome``). An empty gold is in nothing.
    """
    return any(
        bool(g) and f" {g} " in f" {a} " for a, g in zip(_views(answer), _views(gold), strict=True)
    )


def _views(text: str) -> tuple[str, str, str]:
    folded = unicodedata.normalize("NFKC", text).translate(_TYPOGRAPHY)
    return normalise(text), normalise(folded), normalise(folded.translate(_TO_SPACE))
