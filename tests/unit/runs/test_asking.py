from __future__ import annotations

from pathlib import Path

import pytest
import torch

from asking import low_rank, under
from toy_runs import toy_model
from truing.errors import NoMemory
from truing.interventions.intervention import Intervention, PromptPrefix
from truing.models.handle import Model
from truing.protocols.protocol import parse
from truing.protocols.questions import Question
from truing.runs.asking import (
    NO_MEMORY,
    Asked,
    Unanswered,
    answers,
    questions,
)
from truing.types import Probe, Response

FORCED = Question(
    "The Glass Spire is in the city of", "score", continuation="Orvale", choices=("Paris", "Marrow")
)
FREE = Question("The Tin Gate is in the city of", "generate", max_new_tokens=5, stop=("\n",))
GOLD = Question("The Tin Gate is in the city of", "generate", gold="St. Louis")


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return toy_model(cache=tmp_path)


def answered(model: Model, *asked: Asked) -> list[Response]:
    found = answers(model, asked)
    assert all(isinstance(one, Response) for one in found)
    return [one for one in found if isinstance(one, Response)]


def test_each_kind_of_question_gets_its_response(model: Model) -> None:
    forced, free, gold = answered(model, Asked(FORCED), Asked(FREE), Asked(GOLD))
    assert (forced.stop, len(forced.logprobs)) == ("forced", len(forced.token_ids))
    assert [c.text for c in forced.choices] == ["Paris", "Marrow"]
    assert all(c.logprob < 0 and c.n_tokens > 0 for c in forced.choices)
    assert forced.text == model.speller.decode(forced.predicted)
    assert free.predicted == ()
    assert 0 < len(free.token_ids) <= 5
    assert gold.token_ids == tuple(
        model.speller.join("The Tin Gate is in the city of", "St. Louis").ids[
            -len(gold.token_ids) :
        ]
    )
    assert 0 < len(gold.predicted) <= len(gold.token_ids)


def test_every_question_carries_its_own_change(model: Model) -> None:
    change = under(low_rank(model.arch.down(1), 3))
    prefix = Intervention((PromptPrefix("New fact: the eagle flies. "),))
    mixed = answered(
        model, Asked(FORCED), Asked(FORCED, change), Asked(FORCED, prefix), Asked(FREE, change)
    )
    alone = [
        answered(model, a)[0] for a in (Asked(FORCED), Asked(FORCED, change), Asked(FORCED, prefix))
    ]
    for a, b in zip(mixed, alone, strict=False):
        assert a.logprobs == pytest.approx(b.logprobs, abs=1e-4)
    assert len({r.logprobs for r in mixed[:3]}) == 3


def test_a_question_that_cannot_be_asked_says_why_and_spares_the_others(model: Model) -> None:
    long = Question("very " * 5000, "generate", max_new_tokens=5)
    first, second = answers(model, [Asked(long), Asked(FREE)])
    assert isinstance(first, Unanswered)
    assert "tokens" in first.reason
    assert isinstance(second, Response)


def test_numbers_that_are_none_are_no_answer(model: Model) -> None:
    part = low_rank(model.arch.down(1), 3)
    part.delta.left[0, 0] = float("nan")  # type: ignore[union-attr]
    [found] = answers(model, [Asked(FORCED, under(part))])
    assert isinstance(found, Unanswered)
    assert "not finite" in found.reason


@pytest.mark.parametrize(
    "trouble", [torch.OutOfMemoryError("CUDA out of memory"), NoMemory("too long", "Shorten it.")]
)
def test_without_memory_for_one_question_the_others_are_answered(
    model: Model, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    score = type(model).score

    def scarce(self: Model, asks: object, **_: object) -> object:
        if any("Glass" in str(ask.prompt) for ask in asks):  # type: ignore[attr-defined]
            raise trouble
        return score(self, asks)  # type: ignore[arg-type]

    monkeypatch.setattr(type(model), "score", scarce)
    other = Question("The Tin Gate is in", "score", continuation="Paris")
    assert answers(model, [Asked(FORCED), Asked(FREE), Asked(other)])[0] == Unanswered(NO_MEMORY)
    assert all(
        isinstance(a, Response)
        for a in answers(model, [Asked(FORCED), Asked(FREE), Asked(other)])[1:]
    )


def test_the_base_models_own_answer_becomes_the_gold(model: Model) -> None:
    probe = Probe("near", "locality", "The Tin Gate is in the city of")
    own, wild = questions(model, [(parse("synthetic"), probe), (parse("wild"), probe)], [0, 0])
    if isinstance(own, Question):
        assert own.continuation
    else:
        assert "base model" in own.reason
    assert isinstance(wild, Question)


def test_what_a_protocol_cannot_ask_is_told(model: Model) -> None:
    chat = Probe("p", "efficacy", (), accepted=("x",))
    [found] = questions(model, [(parse("wild-published-chat"), chat)], [0])
    assert isinstance(found, Unanswered)


def test_base_answers_reach_the_cache_all_at_once(model: Model) -> None:
    def known() -> int:
        path = model.cache / "answers.sqlite3"
        return path.stat().st_size if path.exists() else 0

    def stopped() -> None:
        with model.remembering_at_once():
            answers(model, [Asked(FREE)])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert known() == 0
    with model.remembering_at_once():
        first = answers(model, [Asked(FREE)])
        assert known() == 0
        assert answers(model, [Asked(FREE)]) == first
    assert known() > 0
    assert answers(model, [Asked(FREE)]) == first
