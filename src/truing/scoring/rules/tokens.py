"""Judges that hold token against token: the answer has the gold answer's length."""

from __future__ import annotations

from dataclasses import dataclass

from truing.scoring.judge import no_response, verdict
from truing.types import Row, Verdict


@dataclass(frozen=True, slots=True)
class TokenMatch:
    """``response.predicted`` against the gold ids in ``response.token_ids``, position by position.

    Graded: the share that matches (the published "token match ratio"). Strict: 1.0 for all, else
    0.0. A gold position without a prediction (a free answer that stopped early) does not match.
    """

    name: str
    strict: bool

    def judge(self, row: Row) -> Verdict:
        response = row.response
        if response is None:
            return no_response(row, self.name)
        gold, said = response.token_ids, response.predicted
        if not gold:
            return verdict(row, self.name, "invalid", None, "no gold tokens")
        hits = sum(a == b for a, b in zip(gold, said, strict=False))
        why = f"{hits} of {len(gold)} gold tokens"
        if hits == len(gold):
            return verdict(row, self.name, "correct", 1.0, why)
        return verdict(row, self.name, "wrong", 0.0 if self.strict else hits / len(gold), why)


TOKEN_MATCH = TokenMatch("token-match", strict=False)
TOKEN_MATCH_STRICT = TokenMatch("token-match-strict", strict=True)
