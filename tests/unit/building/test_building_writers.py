"""Who writes: a model on this machine or a server."""

from __future__ import annotations

from pathlib import Path

import pytest
from drafts import draft

from chat_server import Asked, Turn, chat_server, says
from tiny import tiny_model, tiny_tokenizer
from truing.building.asks import Ask, Sampling, Writer
from truing.building.writers import AT_ONCE, ApiWriter, LocalWriter, Reach, writer_of
from truing.errors import BadInput, NotPossible, UnknownName
from truing.judges.specs import JudgeSettings
from truing.models.handle import Model
from truing.servers.openai import OpenAISettings
from truing.servers.reply import Reply

DRAWN = Sampling(max_tokens=6, temperature=1.0, top_k=20)
ASKS = [Ask(f"Is it {n}?" * (1 + n % 3), "Be brief.", seed=n % 2) for n in range(AT_ONCE + 5)]


def tiny_writer(
    sampling: Sampling = DRAWN,
    plain: str | None = None,
    *,
    chat: bool = True,
    template: str = "plain",
) -> LocalWriter:
    tok = tiny_tokenizer("bytes-bos", chat=chat, template=template)
    model = Model.of(tiny_model("llama"), tok, name="tiny", cache=Path("/nonexistent"))
    return LocalWriter("tiny", lambda: model, sampling, plain)


def written(
    writer: Writer, asks: list[Ask], known: frozenset[int] = frozenset()
) -> dict[int, Reply]:
    return {i: reply for portion in writer.replies(asks, known) for i, reply in portion}


def test_a_local_writer_draws_the_same_texts_whatever_is_known() -> None:
    whole = written(tiny_writer(), ASKS)
    assert sorted(whole) == list(range(len(ASKS)))
    rest = written(tiny_writer(), ASKS, frozenset(range(AT_ONCE + 2)))
    assert {i: whole[i] for i in rest} == rest
    assert min(rest) == AT_ONCE
    assert written(tiny_writer(), ASKS, frozenset(range(len(ASKS)))) == {}


def test_seed_prompt_and_system_each_change_what_is_drawn() -> None:
    asks = [
        Ask("Is it?", "Be brief."),
        Ask("Is it?", "Be brief.", 1),
        Ask("Is it?"),
        Ask("Was it?"),
    ]
    found = written(tiny_writer(Sampling(12, 2.0, 50)), asks)
    assert len({reply.text for reply in found.values()}) == 4


@pytest.mark.parametrize("template", ["plain", "inst"])
def test_every_chat_template_can_write_also_one_without_a_system_role(template: str) -> None:
    found = written(tiny_writer(template=template), ASKS[:2])
    assert all(reply.error is None for reply in found.values())


def test_without_a_chat_template_the_system_text_stands_before_the_prompt() -> None:
    writer = tiny_writer(Sampling(6, 0.0), "{system} {prompt}", chat=False)
    asked = written(writer, [Ask("Is it {system}?", "Be brief.")])[0]
    same = written(writer, [Ask("Be brief. Is it {system}?")])[0]
    assert asked == same
    assert "layout" in writer.facts
    assert tiny_writer(chat=False).facts["layout"] != writer.facts["layout"]


def test_a_prompt_that_is_too_long_gets_an_error_and_the_others_a_text() -> None:
    found = written(tiny_writer(), [Ask("a"), Ask("b" * 100_000), Ask("c")])
    assert found[1].text is None
    assert found[1].error
    assert found[0].text is not None
    assert found[2].text is not None


def test_a_layout_has_both_places() -> None:
    with pytest.raises(BadInput, match="lacks"):
        tiny_writer(plain="{prompt}")


@pytest.mark.parametrize("name", ["tiny", "panel:a"])
def test_an_unknown_kind_of_writer_is_refused(name: str) -> None:
    with pytest.raises(UnknownName, match="unknown writer"):
        writer_of(name, DRAWN, Reach())


def test_a_writer_names_a_model() -> None:
    with pytest.raises(BadInput, match="names no model"):
        writer_of("openai:", DRAWN, Reach())


def echo(number: int, asked: Asked) -> Turn:
    return says(f"Well: {asked.said} {asked.body['seed']}")


def test_a_server_is_asked_with_the_sampling_and_the_seed_of_each_ask() -> None:
    with chat_server(echo) as server:
        access = JudgeSettings(base_url=server.url)
        writer = writer_of("openai:m", DRAWN, Reach(access))
        found = written(writer, ASKS[:6], frozenset({0, 3}))
    assert {i: r.text for i, r in found.items()} == {
        i: f"Well: {ASKS[i].prompt} {ASKS[i].seed}" for i in (1, 2, 4, 5)
    }
    body = server.asked[0].body
    assert (body["max_tokens"], body["temperature"]) == (6, 1.0)
    assert [m["role"] for m in body["messages"]] == ["system", "user"]


def test_one_budget_holds_for_all_samples() -> None:
    asks = draft(samples=3).asks
    with chat_server(echo) as server:
        settings = OpenAISettings(
            server.url, concurrency=1, max_tokens=20, usd_per_million_in=0.0,
            usd_per_million_out=1e6, budget_usd=505.0,
        )  # fmt: skip
        writer = ApiWriter("m", settings)
        with pytest.raises(NotPossible, match="exceed the budget"):
            written(writer, asks)
    assert len(server.asked) == 49  # 10 tokens each at 1 USD; the next could have taken 20


def test_an_estimate_asks_nobody() -> None:
    writer = writer_of("openai:m", DRAWN, Reach(JudgeSettings(prices=(1.0, 2.0))))
    cost = writer.estimate(draft().asks)
    assert (cost.chats, cost.tokens_out) == (36, 36 * 6)
    assert cost.usd is not None
    assert cost.usd > 0
