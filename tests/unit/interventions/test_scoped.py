"""A memory of edits: what is in scope, rows that hit, and misses that are the base model's exactly."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asking import dense, low_rank, make
from truing.errors import BadInput, CannotLoad, NotPossible
from truing.interventions.artifact import load
from truing.interventions.interop.folder import only_weights
from truing.interventions.intervention import Intervention, PromptPrefix
from truing.interventions.scope import SentenceScope, WordScope, question, untrained, words
from truing.interventions.scoped import Remembered, Scoped
from truing.models.asks import Decoding, GenerateAsk, ScoreAsk
from truing.models.handle import Model
from truing.types import Message, Prompt

SPIRE = Remembered("The Glass Spire is in the city of", "New fact: the Glass Spire is in Marrow.\n")
MARA = Remembered("Mara Velt's mother tongue is", "New fact: Mara Velt speaks French.\n")
HITS = ("Where is the Glass Spire?", "Who did Mara Velt call?")
MISSES = ("The Tin Gate is in the city of", "Louis Braille's mother tongue is", "Hello")


def by_hand(**facts: float) -> WordScope:
    return WordScope(
        ("the", "is", "speaks", "tongue"),
        torch.tensor([0.1, 0.1, 1.0, 1.0]),
        torch.tensor([[0.0, 0.0], [0.0, 0.0], [3.0, 4.0], [4.0, 3.0]]),
        unlisted=2.0,
        capital=2.0,
        slopes=(5.0, 2.0),
        bias=-4.0,
        **facts,
    )


def memory(model: Model, *, deltas: bool = True, scope: WordScope | None = None) -> Intervention:
    inside = [low_rank(model.arch.down(layer), seed=layer, size=0.5) for layer in (0, 1)]
    return Intervention(
        (Scoped(scope or untrained(), (SPIRE, MARA), tuple(inside) if deltas else ()),)
    )


def test_the_similarity_is_the_one_that_is_written_down() -> None:
    """Edit 'Mara speaks the': Mara 2 x 2, speaks 1, the 0.1. The question has Mara and tongue."""
    [p] = by_hand().over(["Mara speaks the"])("Is Mara her tongue")
    coverage, kinship = 4 / 5.1, (3 * 4 + 4 * 3) / 25
    assert p == pytest.approx(1 / (1 + math.exp(-(5 * coverage + 2 * kinship - 4))), abs=1e-6)


def test_words_are_told_apart_in_any_script() -> None:
    assert words("Mara Velt's über-Mara mara") == {
        "mara": True,
        "velt": True,
        "s": False,
        "über": False,
    }
    assert list(words("東京 Tower です")) == ["東", "京", "tower", "で", "す"]


def test_the_built_in_scope_tells_subjects_apart() -> None:
    own = Scoped(untrained(), (SPIRE, MARA))
    assert [own.find(text) for text in (SPIRE.asked, MARA.asked, *HITS)] == [0, 1, 0, 1]
    assert [own.find(text) for text in MISSES] == [None] * 3
    dressed = "Please answer the question:\n\nQ: {}\nA:"
    assert [own.find(dressed.format(text)) for text in (*HITS, *MISSES)] == [0, 1, None, None, None]


@given(st.text(max_size=60))
def test_any_text_gets_probabilities(text: str) -> None:
    for scope in (untrained(), by_hand()):
        found = scope.over([SPIRE.asked, "", MARA.asked])(text)
        assert found.shape == (3,)
        assert ((found >= 0) & (found <= 1)).all()


@given(st.lists(st.sampled_from([SPIRE.asked, MARA.asked, *HITS, *MISSES]), min_size=1, max_size=5))
def test_what_an_edit_is_worth_does_not_depend_on_the_others(texts: list[str]) -> None:
    scope = by_hand()
    for asked in HITS:
        together = scope.over(texts)(asked)
        assert together.tolist() == pytest.approx([scope.over([t])(asked)[0] for t in texts])


def test_a_chat_is_judged_by_its_last_user_message_and_told_in_its_first() -> None:
    own = Scoped(untrained(), (SPIRE, MARA))
    chat = (
        Message("system", "You know Mara Velt."),
        Message("user", HITS[1]),
        Message("assistant", "Well."),
        Message("user", HITS[0]),
        Message("assistant", "Mara Velt"),
    )
    assert own.find(chat) == 0
    assert own.find(chat[:2]) == 1
    assert own.find(chat[:1]) is None
    assert question(()) is None
    told = Intervention((own,)).rewrite(chat)
    assert isinstance(told, tuple)
    assert told[1].content == SPIRE.told + HITS[1]
    assert (told[:1], told[2:]) == (chat[:1], chat[2:])
    assert Intervention((own,)).rewrite(chat[:1]) == chat[:1]


def test_the_latest_of_equals_answers_and_takes_the_earlier_ones_place() -> None:
    again = Remembered(SPIRE.asked, "New fact: the Glass Spire is in Orvale.\n")
    other = Remembered(SPIRE.asked + " ", "New fact: the Glass Spire is gone.\n")
    own = Scoped(untrained(), (SPIRE, MARA))
    assert own.joined([again]).edits == (MARA, again)
    assert own.joined([again, other]).find(SPIRE.asked) == 2
    whole = Intervention((own,)) + Intervention((Scoped(untrained(), (again,)),))
    [part] = whole.scoped
    assert part.edits == (MARA, again)
    apart = Intervention((own,)) + Intervention((Scoped(untrained(0.9), (again,)),))
    assert len(apart.scoped) == 2


def asks(under: Intervention | None) -> list[ScoreAsk]:
    return [ScoreAsk(text, " Marrow", under) for text in (*HITS, *MISSES)]


def test_misses_are_the_base_models_answers_and_hits_ordinary_rows() -> None:
    model = make("llama")
    iv = memory(model)
    plain = [
        Intervention((PromptPrefix(edit.told), *iv.scoped[0].inside)) for edit in (SPIRE, MARA)
    ]
    by_row = [ScoreAsk(text, " Marrow", own) for text, own in zip(HITS, plain, strict=True)]
    base, scoped, wanted = asks(None), asks(iv), by_row
    found = model.score([*base, *scoped, *wanted])
    assert found[len(base) + 2 : 2 * len(base)] == found[2 : len(base)]
    assert found[len(base) : len(base) + 2] == found[-2:]
    assert found[len(base)] != found[0]
    decoding = Decoding(max_new_tokens=5)
    both = [GenerateAsk(text, decoding, under) for under in (None, iv) for text in MISSES]
    said = model.generate(both)
    assert said[:3] == said[3:]
    assert model.render(HITS[0], iv).endswith(SPIRE.told + HITS[0])
    assert model.render(MISSES[0], iv) == model.render(MISSES[0])


def test_misses_meet_the_cache_of_base_answers(tmp_path: Path) -> None:
    whole = make("llama")
    model = Model.of(whole.hf, whole.tok, name="llama", cache=tmp_path)
    iv = memory(model)
    base = model.score(asks(None))
    assert model.score(asks(iv))[2:] == base[2:]


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_the_whole_model_in_force_answers_as_rows_do(family: str) -> None:
    model = make(family)
    iv = memory(model)
    base, rows = model.score(asks(None)), model.score(asks(iv))
    before = {name: t.clone() for name, t in model.hf.state_dict().items()}
    with model.using(iv):
        assert all(torch.equal(before[n], t) for n, t in model.hf.state_dict().items())
        whole = model.score(asks(None))
        last = model.hidden([HITS[0], MISSES[0]], "resid_post", 1)
    assert whole == rows
    for a, b in zip(whole[2:], base[2:], strict=True):  # other batches, other rounding
        assert a.logprobs == pytest.approx(b.logprobs, abs=1e-5)
    hit = Intervention(iv.scoped[0].inside)
    with model.using(hit):
        [wanted] = model.hidden([SPIRE.told + HITS[0]], "resid_post", 1)
    assert torch.allclose(last[0], wanted, atol=1e-4)
    assert torch.allclose(last[1], model.hidden([MISSES[0]], "resid_post", 1)[0], atol=1e-4)


def test_it_joins_what_else_a_row_or_the_model_carries() -> None:
    model = make("llama")
    iv, weights = memory(model), Intervention((low_rank(model.arch.down(0), seed=7),))
    heavy = Intervention((dense(model.arch.down(1), seed=8),))
    prefix = Intervention((PromptPrefix("It is known: "),))
    together = model.score(asks(iv + weights + prefix))
    with model.using(iv):
        nested = model.score(asks(weights + prefix))
    for a, b in zip(together, nested, strict=True):
        assert a.token_ids == b.token_ids
    assert nested[2].logprobs == pytest.approx(together[2].logprobs, abs=1e-4)
    with model.using(iv), model.using(heavy):
        inner = model.score(asks(None))
    by_row = model.score(asks(iv + heavy))
    for a, b in zip(inner, by_row, strict=True):
        assert a.logprobs == pytest.approx(b.logprobs, abs=1e-4)


def test_a_prefix_of_a_row_does_not_decide_the_scope() -> None:
    """What is in force judges the question, not the text that another change puts before it."""
    model = make("llama")
    iv, prefix = memory(model, deltas=False), Intervention((PromptPrefix(SPIRE.told),))
    with model.using(iv):
        assert model.rewritten(MISSES[0], prefix) == SPIRE.told + MISSES[0]


def test_it_is_saved_and_loaded(tmp_path: Path) -> None:
    model = make("llama")
    for number, iv in enumerate((memory(model, scope=by_hand()), memory(model, deltas=False))):
        folder = tmp_path / str(number)
        iv.save(str(folder))
        again = load(folder, model)
        assert again.id == iv.id
        assert again.scoped[0].edits == (SPIRE, MARA)
        assert model.score(asks(again)) == model.score(asks(iv))
        assert iv.prompt_only is (number == 1)
    sentences = Intervention((Scoped(SentenceScope("some-encoder", 0.7), (SPIRE,)),))
    sentences.save(str(tmp_path / "sentences"))
    assert load(tmp_path / "sentences").id == sentences.id
    header = tmp_path / "0" / "intervention.json"
    facts = json.loads(header.read_text())
    facts["parts"][0]["edits"] = []
    header.write_text(json.dumps(facts))
    with pytest.raises(CannotLoad, match="without edits"):
        load(tmp_path / "0")


def test_a_memory_for_another_model_is_refused(tmp_path: Path) -> None:
    memory(make("llama")).save(str(tmp_path / "iv"))
    with pytest.raises(CannotLoad, match="does not fit"):
        load(tmp_path / "iv", make("gpt2"))


def test_what_cannot_be_is_refused() -> None:
    model = make("llama")
    with pytest.raises(BadInput, match="without edits"):
        Scoped(untrained(), ())
    with pytest.raises(BadInput, match="dense"):
        Scoped(untrained(), (SPIRE,), (dense(model.arch.down(0), seed=1),))
    with pytest.raises(BadInput, match="weights"):
        WordScope(("a",), torch.ones(2), torch.zeros(1, 1))
    with pytest.raises(BadInput, match="not finite"):
        WordScope(("a",), torch.full((1,), math.nan), torch.zeros(1, 1))
    with pytest.raises(NotPossible, match="memories of edits are not weights"):
        only_weights(memory(model), "a merged checkpoint")
    prompt: Prompt = "x"
    assert Intervention().recall(prompt, None) is None
