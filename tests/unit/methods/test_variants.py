"""Variants that any method takes: a template, the end of the answer, a budget of side effects."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import truing
from asking import make as tiny_model
from truing.errors import BadInput, BadRequest, NotPossible
from truing.interventions.intervention import Intervention
from truing.methods import ft
from truing.methods.context import ICE
from truing.methods.method import METHODS
from truing.methods.steering.effect import on_neutral
from truing.methods.variants import make, make_each, worded
from truing.models.asks import Decoding, GenerateAsk, ScoreAsk
from truing.models.handle import Model
from truing.types import EditRequest, Message

A = EditRequest("a", "The Glass Spire is in the city of", "Marrow", subject="Glass Spire")
QA = "Please answer the question:\n\nQ: {}\nA:"


@pytest.fixture(scope="module")
def pocket() -> Model:
    return Model.load("truing/pocket")


def test_without_settings_requests_stay_as_they_are() -> None:
    assert worded(ft.FT_M, tiny_model("llama"), [A], ft.FtConfig()) == [A]


def test_a_template_holds_the_prompt_and_leaves_the_subject_where_methods_find_it() -> None:
    [request] = worded(METHODS.get("rome"), tiny_model("llama"), [A], ft.FtConfig(template=QA))
    assert request.prompt == QA.replace("{}", A.prompt)
    assert request.prompt.count("Glass Spire") == 1
    assert (request.subject, request.target_new) == (A.subject, A.target_new)


def test_the_end_of_the_answer_is_one_token_more(pocket: Model) -> None:
    [request] = worded(ft.FT_M, pocket, [A], ft.FtConfig(append_eos=True))
    plain = pocket.speller.join(A.prompt, A.target_new)
    ended = pocket.speller.join(request.prompt, request.target_new)
    assert list(ended.ids[:-1]) == list(plain.ids)
    assert ended.ids[-1] in pocket.stop_ids


def test_in_a_chat_the_turn_ends_and_the_ids_are_those_of_asking(pocket: Model) -> None:
    config = ft.FtConfig(append_eos=True, template="chat")
    [request] = worded(ft.FT_M, pocket, [A], config)
    trained = pocket.speller.join(request.prompt, A.target_new)
    asked = pocket.speller.join((Message("user", A.prompt),), A.target_new)
    assert trained.ids == asked.ids
    last = pocket.speller.join(request.prompt, request.target_new).ids[-1]
    assert last == pocket.tok.convert_tokens_to_ids("<|end|>")


def test_an_edit_that_learnt_to_end_ends(pocket: Model) -> None:
    fact = EditRequest("f", "The Twin Gate is in the city of", "Lomund", subject="The Twin Gate")
    iv = truing.edit(pocket, [fact], "ft_m", {"append_eos": True})
    assert iv.origin.config["append_eos"] is True
    ask = GenerateAsk(fact.prompt, Decoding(max_new_tokens=12), iv)
    [said] = pocket.generate([ask])
    assert said.text.strip() == "Lomund"
    end = ScoreAsk(fact.prompt, "Lomund<|eos|>", iv)
    bare = truing.edit(pocket, [fact], "ft_m")
    trained, untrained = pocket.score([end, ScoreAsk(fact.prompt, "Lomund<|eos|>", bare)])
    assert trained.logprobs[-1] >= untrained.logprobs[-1] - 1e-3
    assert trained.logprobs[-1] > -0.2


def test_each_is_worded_as_one_is() -> None:
    model = tiny_model("llama")
    config = ft.FtConfig(layer=1, steps=3, lr=0.01, template="Q: {}\nA:")
    [together] = make_each(ft.FT_M, model, [[A]], config)
    alone = make(ft.FT_M, model, [A], config)
    [one], [other] = together.weights, alone.weights
    assert torch.allclose(one.delta.delta, other.delta.delta, atol=1e-6)  # type: ignore[union-attr]
    bare = make(ft.FT_M, model, [A], ft.FtConfig(layer=1, steps=3, lr=0.01))
    assert bare.id != alone.id


def test_what_cannot_be_worded_is_told(pocket: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match="no place for the prompt"):
        worded(ft.FT_M, pocket, [A], ft.FtConfig(template="Q: A:"))
    with pytest.raises(NotPossible, match="trains on nothing"):
        worded(ICE, pocket, [A], ICE.config(append_eos=True))
    monkeypatch.setattr(pocket.tok, "chat_template", None)
    with pytest.raises(NotPossible, match="no chat template"):
        worded(ft.FT_M, pocket, [A], ft.FtConfig(template="chat"))


@pytest.mark.parametrize("name", ["caa", "ft_m"])
def test_a_budget_of_side_effects_is_used_up_and_kept(pocket: Model, name: str) -> None:
    method = METHODS.get(name)
    pair = replace(A, target_old="Orvale")
    free = make(method, pocket, [pair], method.config())
    budget = 0.25 * on_neutral(pocket, free).nats
    held = make(method, pocket, [pair], method.config.model_validate({"max_kl": budget}))
    assert 0.9 * budget <= on_neutral(pocket, held).nats <= budget
    assert held.origin.config["max_kl"] == budget
    assert 0 < held.origin.config["scaled"] < 1


def test_a_budget_needs_something_to_scale(pocket: Model) -> None:
    with pytest.raises(NotPossible, match="no fraction"):
        make(ICE, pocket, [A], ICE.config(max_kl=0.1))
    first = make(ft.FT_M, pocket, [A], ft.FtConfig(steps=2))
    with pytest.raises(NotPossible, match="earlier edits"):
        make(ft.FT_M, pocket, [A], ft.FtConfig(steps=2, max_kl=0.1), first)


def said(model: Model, iv: Intervention | None) -> str:
    return model.generate([GenerateAsk(A.prompt, Decoding(stop=("\n",)), iv)])[0].text.strip()


@pytest.mark.parametrize("to", ["old", "base"])
def test_an_edit_is_edited_back(pocket: Model, to: str) -> None:
    before = said(pocket, None)
    request = replace(A, target_old=before)
    there = make(ft.FT_M, pocket, [request], ft.FtConfig())
    assert said(pocket, there).startswith("Marrow")
    back = make(ft.FT_M, pocket, [request], ft.FtConfig.model_validate({"repair": to}))
    assert said(pocket, back).startswith(before.rstrip("."))
    assert back.origin.requests != there.origin.requests
    [each] = make_each(ft.FT_M, pocket, [[request]], ft.FtConfig.model_validate({"repair": to}))
    assert said(pocket, each) == said(pocket, back)


def test_repair_needs_something_to_go_back_to(pocket: Model) -> None:
    with pytest.raises(BadRequest, match="nothing to go back to"):
        make(ft.FT_M, pocket, [A], ft.FtConfig(repair="old"))


def test_repair_and_a_budget_exclude_each_other(pocket: Model) -> None:
    with pytest.raises(NotPossible, match="one of the two"):
        make(ft.FT_M, pocket, [A], ft.FtConfig(repair="base", max_kl=0.5))
