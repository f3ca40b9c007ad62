"""A long text is judged whole, whatever its protocol cuts answers at."""

from __future__ import annotations

from judged_rows import row
from truing.judges.asked import unasked
from truing.judges.base import Shown
from truing.judges.rubrics import RUBRICS
from truing.protocols.protocol import WILD


def test_a_long_text_is_shown_and_compared_whole() -> None:
    text, base = "One. Two.\nThree.", "Four. Five."
    seen = Shown.of(row(text, base=base, aspect="fluency/free", protocol=WILD.id))
    assert seen is not None
    assert (seen.answer, seen.base) == (text, base)
    short = Shown.of(row(text, base=base, protocol=WILD.id))
    assert short is not None
    assert (short.answer, short.base) == ("One.", "Four.")


def test_what_cannot_be_judged_is_invalid_before_it_is_degenerate() -> None:
    seen = Shown.of(row("no " * 40, base="A text.", aspect="fluency/free"))
    assert seen is not None
    flaw, graded = (unasked(RUBRICS.get(name), seen) for name in ("flaw-racism", "fluency"))
    assert flaw is not None
    assert graded is not None
    assert (flaw.state, flaw.score) == ("invalid", None)
    assert (graded.state, graded.score) == ("degenerate", 0.0)
