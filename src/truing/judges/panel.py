"""Several judges as one, and rules as judges that never need to be asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from truing.errors import BadInput
from truing.judges.base import AskedJudge
from truing.scoring.judge import JUDGES
from truing.types import Row, State, Verdict

PORTION = 64
"""Rows that all members judge before the next ones, so that verdicts come as they go."""


@dataclass(frozen=True, slots=True)
class RuleJudge:
    """A judge of the registry ``JUDGES``, by its name."""

    name: str

    def judge_all(self, rows: Sequence[Row], done: Callable[[Verdict], None]) -> None:
        rule = JUDGES.get(self.name)
        for row in rows:
            done(rule.judge(row))


@dataclass(frozen=True, slots=True)
class Panel:
    """More than half of the votes decide; where no state has so many, the panel abstains.

    A member that finds a row invalid, or has no question about it, does not vote. With fewer votes
    than ``quorum`` (``None``: more than half of the members) the verdict is invalid. The score is
    the median of all votes: where states are right and wrong alone it is the majority's own, and where
    states hold several grades it leans to no side, as the mean of a state's grades would.
    """

    members: tuple[AskedJudge, ...]
    quorum: int | None = None

    def __post_init__(self) -> None:
        if len({member.name for member in self.members}) < 2:
            raise BadInput("a panel takes two different judges or more", "Name another judge.")
        if self.quorum is not None and not 1 <= self.quorum <= len(self.members):
            raise BadInput(
                f"a quorum of {self.quorum} among {len(self.members)} members",
                "Give a number between 1 and that of the members.",
            )

    @property
    def name(self) -> str:
        return f"panel:{','.join(member.name for member in self.members)}"

    def judge_all(self, rows: Sequence[Row], done: Callable[[Verdict], None]) -> None:
        """As :class:`truing.judges.base.AskedJudge`."""
        for at in range(0, len(rows), PORTION):
            portion = rows[at : at + PORTION]
            said = self._heard(portion)
            for row in portion:
                if row.key in said:
                    done(self._decide(row.key, said[row.key]))

    def _heard(self, rows: Sequence[Row]) -> dict[str, list[Verdict]]:
        """What the members say, by row."""
        said: list[Verdict] = []
        for member in self.members:
            member.judge_all(rows, said.append)
        found: dict[str, list[Verdict]] = {}
        for verdict in said:
            found.setdefault(verdict.row, []).append(verdict)
        return found

    def _decide(self, row: str, said: Sequence[Verdict]) -> Verdict:
        told = "; ".join(f"{v.judge}: {v.state} ({v.why})" for v in said)
        votes = [v for v in said if v.state != "invalid"]
        needed = len(self.members) // 2 + 1 if self.quorum is None else self.quorum
        if len(votes) < needed:
            why = f"{len(votes)} of {len(self.members)} could judge, {needed} must: {told}"
            return Verdict(row, self.name, "invalid", None, why)
        counted: Counter[State] = Counter(v.state for v in votes)
        state, most = counted.most_common(1)[0]
        if 2 * most <= len(votes):
            return Verdict(row, self.name, "abstain", None, f"no majority: {told}")
        scores = [v.score for v in votes if v.score is not None]
        score = None if state == "abstain" or not scores else median(scores)
        how = "all agree" if most == len(said) else f"{most} of {len(said)} say {state}"
        return Verdict(row, self.name, state, score, f"{how}: {told}")
