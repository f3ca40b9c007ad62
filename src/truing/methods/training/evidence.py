"""What a case shows of an edit: answers that it should give, and texts that it should leave alone.

Of a fact that is another phrasing with the same target, and other facts. Of an opinion (PersonalityEdit,
arXiv 2310.02168, 2.2) it is the topic's other opinions of the wanted trait, and opinions on other topics.
"""

from __future__ import annotations

from collections.abc import Iterator

from truing.types import Case, EditRequest, Probe

ASKED, PHRASED, PREFERRED = "efficacy", "generalization", "preference"
KEPT = ("locality", "drawdown")


def wanted(case: Case) -> Iterator[EditRequest]:
    """Questions with the answers that its first request should bring about, besides the request.

    ``generalization`` asks for the request's target, ``preference`` for each answer that it accepts,
    ``efficacy`` in other words than the request for its reference.
    """
    request = case.requests[0]
    for probe in case.probes:
        if isinstance(probe.prompt, str) and probe.follows is None:
            for answer in _answers(request, probe):
                yield EditRequest(probe.id, probe.prompt, answer)


def _answers(request: EditRequest, probe: Probe) -> tuple[str, ...]:
    head = probe.aspect.partition("/")[0]
    if head == PHRASED:
        return (request.target_new,)
    if head == PREFERRED:
        return probe.accepted
    other = head == ASKED and probe.prompt != request.prompt
    return (probe.reference,) if other and probe.reference else ()


def staying(case: Case) -> Iterator[EditRequest]:
    """Questions outside the edit with their answers; an empty one where only the question is known."""
    for probe in case.probes:
        if (
            isinstance(probe.prompt, str)
            and probe.follows is None
            and probe.aspect.partition("/")[0] in KEPT
        ):
            answer = probe.reference or next(iter(probe.accepted), "")
            yield EditRequest(probe.id, probe.prompt, answer)
