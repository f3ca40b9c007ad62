"""Rows and observations as short as tests need them."""

from __future__ import annotations

from truing.protocols.protocol import parse
from truing.scoring.observations import Observation
from truing.types import Response, Row, State


def row(
    text: str | None = "Rome",
    accepted: tuple[str, ...] = ("Rome",),
    *,
    protocol: str = "wild",
    aspect: str = "efficacy",
    base: Response | None = None,
    response: Response | None = None,
    case: str = "c",
    probe: str = "p",
    group: str | None = None,
    error: str | None = None,
) -> Row:
    if response is None and text is not None:
        response = Response(text, token_ids=tuple(range(len(text.split()))), stop="eos")
    return Row(
        key=f"{case}/{probe}",
        cell="cell",
        case=case,
        probe=probe,
        aspect=aspect,
        protocol=parse(protocol).id,
        moment="immediate",
        step=1,
        prompt="?",
        accepted=accepted,
        response=response,
        base=base,
        group=group,
        error=error,
    )


def forced(gold: tuple[int, ...], predicted: tuple[int, ...], text: str = "") -> Response:
    return Response(text, token_ids=gold, predicted=predicted, stop="forced")


def seen(
    case: str,
    score: float | None,
    probe: str = "p",
    state: State | None = "correct",
    cluster: str = "",
) -> Observation:
    return Observation((case, probe), cluster or case, score, state)
