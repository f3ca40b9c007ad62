"""A model behind a server of this machine: what it is sent, and what its replies mean."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asking import low_rank
from chat_server import Asked, ChatServer, Script, Turn, chat_server, refuses, says
from toy_runs import toy_model, write_facts
from truing.errors import NotPossible, ServerStopped, WrongBase
from truing.interventions.artifact import load
from truing.interventions.intervention import Intervention, PromptPrefix
from truing.models.asks import Decoding, GenerateAsk, ScoreAsk
from truing.models.served import ServedModel, generated
from truing.servers.openai import OpenAISettings
from truing.servers.reply import Reply
from truing.types import EditRequest, Message, Prompt
from truing.verbs import edit

KEY = "sk-of-a-model-0123456789abcdef"
REQUEST = EditRequest("r", "The Glass Spire is in", "Orvale", subject="The Glass Spire")
QUICK: dict[str, Any] = {"first_wait_s": 0.01, "attempts": 2, "seed": None}


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def model_at(server: ChatServer, cache: Path, **more: Any) -> ServedModel:
    settings = OpenAISettings(base_url=server.url, dispensable=("temperature",), **QUICK)
    return ServedModel("m", settings, cache=cache, **more)


def asks(*prompts: Prompt, tokens: int = 50) -> list[GenerateAsk]:
    return [GenerateAsk(prompt, Decoding(max_new_tokens=tokens)) for prompt in prompts]


def sent(script: Script, tmp_path: Path, *wanted: GenerateAsk, **more: Any) -> list[Asked]:
    with chat_server(script) as server:
        model_at(server, tmp_path, **more).generate(wanted)
    return server.asked


def echo(number: int, asked: Asked) -> Turn:
    return says(f"to {asked.said}", finish_reason="stop")


def test_answers_come_in_order_and_equal_questions_are_asked_once(tmp_path: Path) -> None:
    prompts = [f"question {i % 7}" for i in range(30)]
    with chat_server(echo) as server:
        told = model_at(server, tmp_path).generate(asks(*prompts))
        again = model_at(server, tmp_path).generate(asks(*prompts))
    assert [answer.text for answer in told] == [f"to {prompt}" for prompt in prompts]
    assert again == told
    assert len(server.asked) == 7


def test_many_are_asked_at_once(tmp_path: Path) -> None:
    with chat_server(lambda n, a: Turn(**{**vars(says("x")), "hang_s": 0.05})) as server:
        model_at(server, tmp_path).generate(asks(*(f"q{i}" for i in range(24))))
    assert 3 <= server.most_at_once <= 8


def test_the_system_message_opens_and_a_prompts_own_one_stays(tmp_path: Path) -> None:
    """Published code put it behind the question for some servers."""
    own = (Message("system", "Mine."), Message("user", "b"))
    got = sent(echo, tmp_path, *asks("a", own), system="Be brief.")
    by_text = {asked.said: asked.body["messages"] for asked in got}
    assert [(m["role"], m["content"]) for m in by_text["a"]] == [
        ("system", "Be brief."),
        ("user", "a"),
    ]
    assert [m["content"] for m in by_text["b"]] == ["Mine.", "b"]


@pytest.mark.parametrize(("given", "expected"), [(None, 50), (4000, 4000)])
def test_the_cap_is_the_protocols_or_the_callers(
    given: int | None, expected: int, tmp_path: Path
) -> None:
    [asked] = sent(echo, tmp_path, *asks("a"), max_tokens=given)
    assert asked.body["max_tokens"] == expected
    assert asked.body["temperature"] == 0.0
    assert "seed" not in asked.body


def test_what_decides_an_answer_keeps_answers_apart(tmp_path: Path) -> None:
    with chat_server(echo) as server:
        for more in ({}, {"system": "a"}, {"max_tokens": 9}):
            model_at(server, tmp_path, **more).generate(asks("q"))
        other = ServedModel("n", model_at(server, tmp_path).settings, cache=tmp_path)
        other.generate(asks("q"))
        assert len({m.fingerprint for m in (other, model_at(server, tmp_path))}) == 2
    assert len(server.asked) == 4


def test_a_server_without_temperature_is_asked_without_and_it_is_noted(tmp_path: Path) -> None:
    def script(number: int, asked: Asked) -> Turn:
        if "temperature" in asked.body:
            return refuses(400, "Unsupported value: 'temperature' does not support 0.0 here.")
        return says("x")

    with chat_server(script) as server:
        model = model_at(server, tmp_path)
        model.generate(asks("a", "b"))
        model.generate(asks("c"))
        heard = model_at(server, tmp_path)
        heard.generate(asks("a"))
    assert sum("temperature" in asked.body for asked in server.asked) <= 2
    assert model.heard["(it does not say)"]["not_sent"] == ["temperature"]
    assert heard.heard["(it does not say)"]["not_sent"] == ["temperature"]


@pytest.mark.parametrize(
    ("text", "decoding", "expected"),
    [
        ("Paris.\nMore", Decoding(stop=("\n",)), ("Paris.", "stop")),
        ("\nParis.\nMore", Decoding(stop=("\n",)), ("\nParis.", "stop")),
        ("\nParis.", Decoding(stop=("\n",), arm=False), ("", "stop")),
        ("Paris", Decoding(stop=("\n",)), ("Paris", "eos")),
        ("<think>Rome?\nNo.</think>\n\nParis", Decoding(stop=("\n",)), ("Paris", "eos")),
        ("I <think> so", Decoding(), ("I <think> so", "eos")),
    ],
)
def test_an_answer_ends_where_a_local_one_would(
    text: str, decoding: Decoding, expected: tuple[str, str]
) -> None:
    said = generated(Reply(text, ended="stop"), decoding)
    assert (said.text, said.stop) == expected
    assert said.error is None


def test_an_answer_that_was_cut_short_says_so() -> None:
    assert generated(Reply("The city of", ended="length"), Decoding()).stop == "length"
    thinking = generated(Reply("<think>Let me see", ended="length"), Decoding())
    assert "had not begun" in (thinking.error or "")
    assert thinking.text == ""


def test_a_chat_without_a_reply_is_no_answer_and_is_asked_again_next_time(tmp_path: Path) -> None:
    def script(number: int, asked: Asked) -> Turn:
        return says(None, finish_reason="content_filter") if number == 0 else says("x")

    with chat_server(script) as server:
        [first] = model_at(server, tmp_path).generate(asks("a"))
        [second] = model_at(server, tmp_path).generate(asks("a"))
    assert "content filter" in (first.error or "")
    assert (second.text, second.error) == ("x", None)


def test_what_was_answered_before_a_server_stops_is_kept(tmp_path: Path) -> None:
    prompts = [f"q{i}" for i in range(6)]
    with chat_server(lambda n, a: says("x") if n < 4 else refuses(401, KEY)) as server:
        model = ServedModel(
            "m", OpenAISettings(base_url=server.url, concurrency=1, **QUICK), cache=tmp_path
        )
        with pytest.raises(ServerStopped, match="refused the key") as stopped:
            model.generate(asks(*prompts))
    assert KEY not in str(stopped.value)
    with chat_server(echo) as other:
        settings = OpenAISettings(base_url=other.url, **QUICK)
        ServedModel("m", settings, cache=tmp_path).generate(asks(*prompts))
    assert len(other.asked) == 6  # another server is another model
    assert len(server.asked) == 5


@pytest.mark.parametrize(
    "act",
    [
        lambda m: m.score([ScoreAsk("a", "b")]),
        lambda m: m.generate([GenerateAsk("a", Decoding(top_k=5))]),
        lambda m: m.speller,
        lambda m: m.arch,
        lambda m: m.hf,
        lambda m: m.using(Intervention((low_rank(toy_model().arch.down(1), 0),))).__enter__(),
        lambda m: edit(m, [REQUEST], "rome"),
        lambda m: edit(m, [REQUEST], "ike", {"k": 0, "max_tokens": 9}),
    ],
)
def test_what_needs_weights_is_refused_and_the_way_out_is_named(
    act: Callable[[Any], object], tmp_path: Path
) -> None:
    with chat_server(echo) as server, pytest.raises(NotPossible) as refused:
        act(model_at(server, tmp_path))
    assert not server.asked
    assert len(str(refused.value).splitlines()) == 2


def test_asks_that_cannot_be_answered_are_told_before(tmp_path: Path) -> None:
    with chat_server(echo) as server:
        model = model_at(server, tmp_path)
    heavy = Intervention((low_rank(toy_model().arch.down(1), 0),))
    assert "how likely" in (model.fits(ScoreAsk("a", "b")) or "")
    assert "weights" in (model.fits(GenerateAsk("a", under=heavy)) or "")
    assert model.fits(GenerateAsk(" ")) == "the prompt is empty"
    assert model.fits(GenerateAsk("a")) is None


@pytest.mark.parametrize(
    ("method", "config", "first"),
    [
        ("ice", {}, "New fact: The Glass Spire is in Orvale.\nWhere is The Glass Spire?"),
        ("instruct", {"text": "Be wrong. "}, "Be wrong. Where is The Glass Spire?"),
        ("prompt", {}, "Please acknowledge"),
        ("ike", {"k": 0}, "New Fact: The Glass Spire is in Orvale\nPrompt: Where"),
        ("serac_in_context", {}, "New fact: The Glass Spire is in Orvale.\nWhere"),
    ],
)
def test_methods_of_words_work_and_their_edits_are_saved_and_read(
    method: str, config: dict[str, Any], first: str, tmp_path: Path
) -> None:
    question = "Where is The Glass Spire?"
    with chat_server(echo) as server:
        model = model_at(server, tmp_path)
        made = edit(model, [REQUEST], method, config)
        made.save(str(tmp_path / "iv"))
        [said] = model.generate([GenerateAsk(question, under=load(tmp_path / "iv", model))])
        with model.using(made):
            assert model.generate([GenerateAsk(question)]) == [said]
        assert model.render(question, made).startswith(first)
    assert said.text.startswith(f"to {first}")
    assert len(server.asked) == 1


def test_ike_shows_demonstrations_of_a_file(tmp_path: Path) -> None:
    with chat_server(echo) as server:
        model = model_at(server, tmp_path)
        file = write_facts(tmp_path / "facts.jsonl", 4)
        made = edit(model, [REQUEST], "ike", {"k": 2, "demonstrations": str(file)})
    assert sum(part.text.endswith("\n\n") for part in made.prefixes) == 2
    assert made.origin.config["tokens"] is None


@pytest.mark.parametrize(("method", "wording"), [("ice", {}), ("instruct", {"text": "Do so. "})])
def test_an_edit_may_bring_a_system_message_in_place_of_the_usual_one(
    method: str, wording: dict[str, str], tmp_path: Path
) -> None:
    """As published for servers: one system message before the edit, another after it."""
    with chat_server(echo) as server:
        model = model_at(server, tmp_path, system="Be brief.")
        made = edit(model, [REQUEST], method, {**wording, "system": "Repeat what you are told."})
        made = edit(
            model, [REQUEST], method, {**wording, "system": "Repeat what you are told."}, made
        )
        made.save(str(tmp_path / "iv"))
        under = load(tmp_path / "iv", model)
        model.generate([GenerateAsk("a"), GenerateAsk("a", under=under)])
    openings = [asked.body["messages"][0] for asked in server.asked]
    assert sorted(m["content"] for m in openings) == ["Be brief.", "Repeat what you are told."]
    assert {m["role"] for m in openings} == {"system"}
    assert under.id == made.id
    assert (
        under.rewrite("a")
        == f"Repeat what you are told.\n\n{''.join(p.text for p in under.prefixes)}a"
    )
    assert toy_model(cache=tmp_path).render("a", under).endswith(str(under.rewrite("a")))


def test_a_part_without_a_system_message_has_the_id_that_it_always_had() -> None:
    plain = Intervention((PromptPrefix("a"),))
    assert plain.id == Intervention((PromptPrefix("a", "user"),)).id
    assert plain.id != Intervention((PromptPrefix("a", "system"),)).id


def test_an_edit_of_weights_is_not_for_a_server(tmp_path: Path) -> None:
    local = toy_model(cache=tmp_path)
    edit(local, [REQUEST], "ft_l", {"layer": 1, "steps": 1}).save(str(tmp_path / "iv"))
    with chat_server(echo) as server, pytest.raises((WrongBase, NotPossible)):
        load(tmp_path / "iv", model_at(server, tmp_path))


def test_a_prefix_made_elsewhere_works_here(tmp_path: Path) -> None:
    with chat_server(echo) as server:
        iv = Intervention((PromptPrefix("Note: "),))
        [said] = model_at(server, tmp_path).generate([GenerateAsk("a", under=iv)])
    assert said.text == "to Note: a"


def test_nothing_on_disk_holds_the_key(tmp_path: Path) -> None:
    with chat_server(lambda n, a: says(f"your key is {KEY}")) as server:
        [said] = model_at(server, tmp_path).generate(asks("a"))
    assert said.text == "your key is [key]"
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if KEY.encode() in path.read_bytes()]
