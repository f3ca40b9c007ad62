"""The scripted model has the verbs of a real one."""

from __future__ import annotations

import pytest

from truing.errors import NotPossible
from truing.interventions.intervention import Intervention, PromptPrefix
from truing.models.asks import Decoding, GenerateAsk, ScoreAsk
from truing.models.scripted import LIKELY, UNLIKELY, Scripted
from truing.types import Message


def test_it_says_what_the_script_says() -> None:
    model = Scripted({"Capital of France?": "Paris. It is\nin France"})
    [a] = model.generate([GenerateAsk("Capital of France?", Decoding(stop=("\n",)))])
    assert (a.text, a.stop) == ("Paris. It is", "stop")
    [b] = model.generate([GenerateAsk("Capital of France?", Decoding(max_new_tokens=2))])
    assert (b.text, b.stop) == ("Paris. It", "length")
    [c] = model.generate([GenerateAsk("Unknown")])
    assert (c.text, c.stop, c.token_ids) == ("", "eos", ())


def test_likely_is_what_it_would_say() -> None:
    model = Scripted({"q": "the red house"})
    [s] = model.score([ScoreAsk("q", "the blue house burns")])
    assert s.logprobs == (LIKELY, UNLIKELY, LIKELY, UNLIKELY)
    assert s.matches == (True, False, True, False)


def test_changes_reach_the_script() -> None:
    iv = Intervention((PromptPrefix("Fact. "),))
    model = Scripted(lambda prompt, change: f"{prompt}|{'none' if change is None else 'edited'}")
    [plain, edited] = model.generate([GenerateAsk("q"), GenerateAsk("q", under=iv)])
    assert plain.text == "q|none"
    assert edited.text == "Fact. q|edited"
    with model.using(iv):
        assert model.generate([GenerateAsk("q")])[0].text == "Fact. q|edited"
    chat = (Message("system", "s"), Message("user", "q"))
    assert model.render(chat, iv) == "s\nFact. q"
    assert len(model.asked) == 3


def test_what_it_cannot_do_it_says() -> None:
    model = Scripted({}, max_words=3)
    assert model.fits(GenerateAsk("one two three four")) is not None
    assert model.fits(GenerateAsk("one two")) is None
    with pytest.raises(NotPossible):
        model.hidden(["q"], "resid_post", 0)
