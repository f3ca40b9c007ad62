"""The judge of answers that no rule can tell: it leaves them to a judge that is asked."""

from __future__ import annotations

from dataclasses import dataclass

from truing.scoring.judge import no_response, verdict
from truing.types import Row, Verdict


@dataclass(frozen=True, slots=True)
class LeftToOthers:
    """Gives no score, whatever was said. The plan's ``judges`` name who decides."""

    name: str

    def judge(self, row: Row) -> Verdict:
        if row.response is None:
            return no_response(row, self.name)
        return verdict(row, self.name, "invalid", None, "a judge that is asked decides")


ASKED = LeftToOthers("asked")
