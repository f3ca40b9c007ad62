"""Judges of capability: an answer that cannot be read is wrong, not left out.

Whoever measures what an edit cost must count a model that no longer answers in the form asked for as
having lost something. Leaving such answers out would compare only the items that still work.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from truing.scoring import health
from truing.scoring.judge import Judge, verdict
from truing.scoring.rules.choices import AS_ASKED, NOTHING_TO_FIND, WORD_LABEL
from truing.scoring.rules.texts import Ruling, TextRule
from truing.types import Row, Verdict

_NUMBER = r"(?<![\w.])(-?)[$€£]?((?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)"
_ENDINGS = (
    re.compile(rf"####\s*{_NUMBER}"),
    re.compile(rf"\banswer(?:\s+is|\s*:)[\s:*$€£\"'(]*?{_NUMBER}", re.IGNORECASE),
    re.compile(_NUMBER),
)


@dataclass(frozen=True, slots=True)
class Strict:
    """Another judge, with answers that it cannot read (abstain, invalid) as wrong."""

    name: str
    inner: Judge

    def judge(self, row: Row) -> Verdict:
        found = self.inner.judge(row)
        state, score, why = found.state, found.score, found.why
        if row.response is not None and score is None and why != NOTHING_TO_FIND[2]:
            state, score, why = "wrong", 0.0, f"{state}: {why}"
        return verdict(row, self.name, state, score, why)


def final_number(text: str) -> Decimal | None:
    """The number that a worked answer ends with: after the last ``####``, else after the last
    ``answer is``, else the last one at all. Currency signs and commas between thousands do not count."""
    for ending in _ENDINGS:
        found = ending.findall(text)
        if found:
            sign, digits = found[-1]
            return Decimal(sign + digits.replace(",", ""))
    return None


def _ends_with(answer: str, row: Row) -> Ruling:
    wanted = {n for n in map(final_number, row.accepted) if n is not None}
    if not wanted:
        return NOTHING_TO_FIND
    if health.is_empty(answer):
        return "degenerate", 0.0, "empty answer"
    said = final_number(answer)
    if said in wanted:
        return "correct", 1.0, f"ends with {said}"
    if health.looping(answer):
        return "degenerate", 0.0, "the answer repeats itself"
    return "wrong", 0.0, "no number in it" if said is None else f"ends with {said}"


AS_ASKED_STRICT = Strict("as-asked-strict", AS_ASKED)
WORD_LABEL_STRICT = Strict("word-label-strict", WORD_LABEL)
FINAL_NUMBER = TextRule("final-number", _ends_with)
