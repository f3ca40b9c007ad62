"""What the judge of answers of all kinds says of an answer to a probe."""

from __future__ import annotations

from truing.protocols.protocol import parse
from truing.scoring.judge import JUDGES
from truing.types import Probe, Response, Row, State


def state_of(probe: Probe, answer: str) -> State:
    row = Row(
        key="k",
        cell="cell",
        case="case",
        probe=probe.id,
        aspect=probe.aspect,
        protocol=parse("wild,template=bare,scorer=as-asked").id,
        moment="immediate",
        step=1,
        prompt=str(probe.prompt),
        accepted=probe.accepted,
        response=Response(answer, stop="eos"),
        base=None,
        question=str(probe.prompt),
        choices=probe.choices,
    )
    return JUDGES.get("as-asked").judge(row).state
