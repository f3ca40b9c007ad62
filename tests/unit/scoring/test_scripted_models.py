"""Five scripted models under the protocols: what each protocol sees and what it does not.

Words are tokens. A model is what it writes freely and what it puts first when the gold is forced.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from truing.protocols.protocol import parse
from truing.protocols.questions import Question, ask_for
from truing.scoring.judge import JUDGES, judge_row
from truing.types import Probe, Response, Row

GOLD = "Kohn Pedersen Fox"
T = 3
PROBE = Probe("p", "efficacy", "The tower was designed by", accepted=(GOLD,))
VOCABULARY: dict[str, int] = {}


def ids(words: list[str]) -> tuple[int, ...]:
    return tuple(VOCABULARY.setdefault(w, len(VOCABULARY)) for w in words)


@dataclass(frozen=True)
class Scripted:
    """``writes`` gives the endless or ended free answer; ``forced`` the argmax after gold prefixes."""

    writes: str
    forced: Callable[[list[str]], list[str]] = lambda gold: gold

    def answer(self, q: Question) -> Response:
        if q.kind == "score":
            assert q.continuation is not None
            gold = q.continuation.split()
            said = self.forced(gold)
            return Response(" ".join(said), ids(gold), ids(said), stop="forced")
        if q.gold is not None:
            said = self.writes.split()[: len(q.gold.split())]
            return Response(" ".join(said), ids(q.gold.split()), ids(said), stop="length")
        assert q.max_new_tokens is not None
        text = "".join(self.writes.splitlines(keepends=True))
        out, stop = _generate(text, q)
        return Response(out, ids(out.split()), stop=stop)


def _generate(text: str, q: Question) -> tuple[str, str]:
    for end in range(len(text) + 1):
        out = text[:end]
        if len(out.split()) > (q.max_new_tokens or 0):
            return out.rsplit(" ", 1)[0], "length"
        for stop in q.stop:
            if out.endswith(stop) and not (q.arm and not out.removesuffix(stop).strip()):
                return out.removesuffix(stop), "stop"
    return text, "eos"


A = Scripted(GOLD)
B = Scripted(" ".join([GOLD] * 40))
C = Scripted(f"{GOLD} and then some more words.")
D = Scripted(f"\n{GOLD}")
E = Scripted("Foster and Partners", lambda gold: ["Foster", *gold[1:]])


def score(model: Scripted, protocol: str, judge: str | None = None) -> float | None:
    p = parse(protocol)
    asked = ask_for(p, PROBE)
    row = Row(
        "k",
        "cell",
        "c",
        "p",
        "efficacy",
        p.id,
        "immediate",
        1,
        str(asked.prompt),
        PROBE.accepted,
        model.answer(asked),
        None,
    )
    return (judge_row(row, p)[0] if judge is None else JUDGES.get(judge).judge(row)).score


@pytest.mark.parametrize(
    ("model", "synthetic", "exact", "contains", "contains_any", "published"),
    [
        pytest.param(A, 1, 1, 1, 1, 1, id="A says the gold answer"),
        pytest.param(B, 1, 0, 0, 1, 0, id="B says it for ever"),
        pytest.param(C, 1, 0, 1, 1, 0, id="C goes on after it"),
        pytest.param(D, 1, 1, 1, 1, 0, id="D begins with a newline"),
        pytest.param(E, (T - 1) / T, 0, 0, 0, 0, id="E gets the first token wrong"),
    ],
)
def test_scripted_models(
    model: Scripted,
    synthetic: float,
    exact: float,
    contains: float,
    contains_any: float,
    published: float,
) -> None:
    assert score(model, "synthetic") == pytest.approx(synthetic)
    assert score(model, "wild", "exact-match") == exact
    assert score(model, "wild") == contains
    assert score(model, "wild", "contains-any") == contains_any
    assert score(model, "wild-published") == published


def test_free_decoding_to_the_gold_length_sees_that_the_first_token_is_wrong() -> None:
    assert score(E, "synthetic,decoding=greedy") == 0
    assert score(B, "synthetic,decoding=greedy") == 1


def test_the_published_stop_tears_an_answer_with_an_inner_full_stop() -> None:
    probe = Probe("p", "efficacy", "Who?", accepted=("Robert C. Newton",))
    model = Scripted("Robert C. Newton")
    scores = {}
    for name in ("wild", "wild-published"):
        p = parse(name)
        q = ask_for(p, probe)
        row = Row(
            "k",
            "c",
            "c",
            "p",
            "efficacy",
            p.id,
            "base",
            0,
            "",
            probe.accepted,
            model.answer(q),
            None,
        )
        scores[name] = JUDGES.get("exact-match").judge(row).score
    assert scores == {"wild": 1.0, "wild-published": 0.0}
