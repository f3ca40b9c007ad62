"""What an edit changed in the answers to fixed questions, and whether what is claimed of it is there.

:func:`ask` needs one model; what it said is compared by :func:`compare` and :func:`claimed` alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from truing.errors import BadInput
from truing.models.asks import Decoding, GenerateAsk
from truing.models.handle import Model
from truing.protocols.protocol import Protocol
from truing.protocols.questions import applies, ask_for, is_fluency, shown
from truing.scoring.judge import JUDGES, SAME_AS_BASE, judge_row
from truing.scoring.observations import Observation
from truing.scoring.stats import value_of
from truing.seeds import Seeds
from truing.types import Case, Probe, Response, Row, Value, Verdict


@dataclass(frozen=True, slots=True)
class Answered:
    """One question and both answers. ``before`` and ``now``: whether the answer is an accepted one,
    ``None`` where nothing is accepted or it cannot be judged."""

    id: str
    question: str
    accepted: tuple[str, ...]
    base: str
    edited: str
    changed: bool
    before: bool | None
    now: bool | None


@dataclass(frozen=True, slots=True)
class Answers:
    """``changed``: share of questions whose answer is no longer the base model's own; ``before`` and
    ``now``: share answered as accepted. ``listed``: the questions whose answers changed. ``unasked``:
    how many could not be asked."""

    protocol: str
    changed: Value
    before: Value
    now: Value
    listed: tuple[Answered, ...]
    unasked: int = 0

    def __str__(self) -> str:
        return f"answers changed: {said(self.changed)}; right before: {said(self.before)}, now: {said(self.now)}"


@dataclass(frozen=True, slots=True)
class Claims:
    """Claimed edits against what is observed. ``held``: share of claims that the edited model answers as
    claimed; ``known``: share that the base model answers so already."""

    protocol: str
    held: Value
    known: Value
    each: tuple[Answered, ...]

    def __str__(self) -> str:
        return f"claims that hold: {said(self.held)}; of the base model already: {said(self.known)}"


def probes_of(cases: Iterable[Case], protocol: Protocol, limit: int) -> tuple[Probe, ...]:
    """The first ``limit`` questions of ``cases`` that can be asked by themselves, under names of their own.

    Raises ``BadInput`` where there is none.
    """
    found = [
        Probe(f"{case.id}/{probe.id}", probe.aspect, probe.prompt, probe.accepted,
              choices=probe.choices, group=probe.group or case.id)
        for case in cases
        for probe in case.probes
        if applies(protocol, probe) and probe.follows is None and not is_fluency(probe.aspect)
    ]  # fmt: skip
    if not found:
        raise BadInput("there is no question to ask", "Give other probes with --probes.")
    return tuple(found[:limit])


def claims_of(cases: Iterable[Case]) -> tuple[Probe, ...]:
    """What the requests of ``cases`` ask for, as questions. Raises ``BadInput`` where there is none."""
    found = tuple(
        Probe(request.id, "efficacy", request.prompt, (request.target_new,))
        for case in cases
        for request in case.requests
    )
    if not found:
        raise BadInput("the file claims nothing", "A claim has a prompt and a target_new.")
    return found


def asks_of(model: Model, probes: Sequence[Probe], protocol: Protocol) -> dict[str, GenerateAsk]:
    """What is sent to ``model`` for each probe that fits into it, with what is in force.

    Raises ``BadInput`` for a protocol under which a model does not answer freely.
    """
    if protocol.truncation == "gold-length":
        raise BadInput(
            f"under {protocol.id} the model does not answer freely",
            "Inspect with a free protocol such as wild.",
        )
    asks = {}
    for probe in probes:
        question = ask_for(protocol, probe)
        assert question.max_new_tokens is not None
        how = Decoding(question.max_new_tokens, question.stop, question.arm)
        made = GenerateAsk(question.prompt, how)
        if model.fits(made) is None:
            asks[probe.id] = made
    return asks


def ask(model: Model, asks: Mapping[str, GenerateAsk]) -> dict[str, Response]:
    """What ``model`` answers, with what is in force, by probe."""
    told = model.generate(list(asks.values()))
    return {
        id: Response(said.text, said.token_ids, (), said.logprobs, said.stop)
        for id, said in zip(asks, told, strict=True)
    }


def compare(
    probes: Sequence[Probe],
    base: Mapping[str, Response],
    edited: Mapping[str, Response],
    protocol: Protocol,
    *,
    seeds: Seeds,
) -> Answers:
    """Both models' answers to the same questions."""
    each = _answered(probes, base, edited, protocol)
    groups = {probe.id: probe.group or probe.id for probe in probes}
    return Answers(
        protocol.id,
        _share([(groups[a.id], a.changed) for a in each], seeds.child("changed")),
        _share([(groups[a.id], a.before) for a in each], seeds.child("before")),
        _share([(groups[a.id], a.now) for a in each], seeds.child("now")),
        tuple(a for a in each if a.changed),
        len(probes) - len(each),
    )


def claimed(
    claims: Sequence[Probe],
    base: Mapping[str, Response],
    edited: Mapping[str, Response],
    protocol: Protocol,
    *,
    seeds: Seeds,
) -> Claims:
    """Both models' answers to what is claimed."""
    each = _answered(claims, base, edited, protocol)
    return Claims(
        protocol.id,
        _share([(a.id, a.now) for a in each], seeds.child("held")),
        _share([(a.id, a.before) for a in each], seeds.child("known")),
        tuple(each),
    )


def said(value: Value) -> str:
    """A share in words: ``12.5 % [8.1, 18.8] of 160``."""
    if value.mean is None:
        return "–"
    bounds = (
        ""
        if value.low is None or value.high is None
        else f" [{100 * value.low:.1f}, {100 * value.high:.1f}]"
    )
    return f"{100 * value.mean:.1f} %{bounds} of {value.n}"


def _answered(
    probes: Sequence[Probe],
    base: Mapping[str, Response],
    edited: Mapping[str, Response],
    protocol: Protocol,
) -> list[Answered]:
    found = []
    for probe in probes:
        if probe.id not in base or probe.id not in edited:
            continue
        before, now = base[probe.id], edited[probe.id]
        first, then = (_row(probe, protocol, answer, before) for answer in (before, now))
        found.append(
            Answered(
                probe.id,
                shown(probe.prompt),
                probe.accepted,
                before.text.strip(),
                now.text.strip(),
                _changed(then),
                _right(first, protocol),
                _right(then, protocol),
            )
        )
    return found


def _row(probe: Probe, protocol: Protocol, response: Response, base: Response) -> Row:
    return Row(
        key=probe.id, cell="", case=probe.id, probe=probe.id, aspect=probe.aspect,
        protocol=protocol.id, moment="final", step=0, prompt="", accepted=probe.accepted,
        response=response, base=base, group=probe.group, question=shown(probe.prompt),
        choices=probe.choices,
    )  # fmt: skip


def _changed(row: Row) -> bool:
    """Whether the answer is another than the base model's, beyond its wording after the first sentence.
    Two answers that are both empty are the same."""
    assert row.response is not None
    assert row.base is not None
    same = row.response.text.strip() == row.base.text.strip()
    return not same and JUDGES.get(SAME_AS_BASE).judge(row).state != "correct"


def _right(row: Row, protocol: Protocol) -> bool | None:
    if not row.accepted:
        return None
    verdict: Verdict = judge_row(row, protocol)[0]
    return None if verdict.score is None else verdict.score == 1


def _share(scored: Sequence[tuple[str, bool | None]], seeds: Seeds) -> Value:
    observed = [
        Observation((str(n), ""), cluster, None if x is None else float(x),
                    "invalid" if x is None else "correct" if x else "wrong")
        for n, (cluster, x) in enumerate(scored)
    ]  # fmt: skip
    return value_of(observed, seeds=seeds)
