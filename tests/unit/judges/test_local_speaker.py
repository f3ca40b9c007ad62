"""A model on this machine as a judge."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from judged_rows import row
from tiny import tiny_model, tiny_tokenizer
from truing.judges.asked import LanguageJudge
from truing.judges.cache import Replies
from truing.judges.local import LocalSpeaker, transcript, without_system
from truing.judges.rubrics import RUBRICS
from truing.models.asks import ScoreAsk
from truing.models.handle import Model
from truing.servers.reply import Reply
from truing.types import Chat, Message, Verdict

LABELS = ("A", "B", "no way")
CHATS: list[Chat] = [
    (Message("system", "Reply with a letter."), Message("user", "Is Orvale in Marrow? " * n))
    for n in (1, 5, 2)
]


def model(
    cache: Path, *, chat: bool = True, template: str = "plain", tokenizer: str = "bytes-bos"
) -> Model:
    tok = tiny_tokenizer(tokenizer, chat=chat, template=template)
    return Model.of(tiny_model("llama"), tok, name="tiny", cache=cache)


def replies(of: Model, chats: list[Chat]) -> dict[int, Reply]:
    found = list(LocalSpeaker("tiny", lambda: of).replies(chats, LABELS))
    assert len(found) == len(chats)
    return dict(found)


def test_each_label_gets_the_log_probability_of_all_of_its_tokens(tmp_path: Path) -> None:
    judge = model(tmp_path)
    found = replies(judge, CHATS)
    assert sorted(found) == [0, 1, 2]
    for i, chat in enumerate(CHATS):
        scored = judge.score([ScoreAsk(chat, label) for label in LABELS])
        assert len(scored[2].token_ids) > 1
        logprobs = found[i].label_logprobs
        assert logprobs == pytest.approx([s.logprob for s in scored], abs=1e-3)
        assert all(x < 0 and math.isfinite(x) for x in logprobs or ())
        assert found[i].text is not None
        assert found[i].tokens_in == len(judge.speller.prompt_ids(chat))


def test_replies_do_not_depend_on_what_else_is_asked(tmp_path: Path) -> None:
    judge = model(tmp_path)
    together = replies(judge, CHATS)
    for i, chat in enumerate(CHATS):
        alone = replies(judge, [chat])[0]
        assert alone.text == together[i].text
        assert alone.label_logprobs == pytest.approx(together[i].label_logprobs, abs=1e-3)


@pytest.mark.parametrize("template", ["plain", "spaced", "lines", "inst"])
def test_every_template_can_be_asked_also_one_without_a_system_role(
    tmp_path: Path, template: str
) -> None:
    found = replies(model(tmp_path, template=template), CHATS)
    assert all(reply.error is None for reply in found.values())


def test_without_a_template_the_chat_is_a_transcript(tmp_path: Path) -> None:
    judge = model(tmp_path, chat=False)
    found = replies(judge, CHATS[:1])[0]
    assert transcript(CHATS[0]).endswith("\n\nReply:")
    scored = judge.score([ScoreAsk(transcript(CHATS[0]), label) for label in LABELS])
    assert found.label_logprobs == pytest.approx([s.logprob for s in scored], abs=1e-3)


def test_what_does_not_fit_is_an_error_and_stops_no_other(tmp_path: Path) -> None:
    long: Chat = (Message("user", "very long " * 2000),)
    found = replies(model(tmp_path), [long, CHATS[0]])
    assert found[0].text is None
    assert found[0].error
    assert found[1].text is not None


def test_the_model_is_loaded_when_it_is_first_asked_and_once(tmp_path: Path) -> None:
    loads: list[int] = []

    def load() -> Model:
        loads.append(1)
        return model(tmp_path)

    speaker = LocalSpeaker("tiny", load)
    judge = LanguageJudge(speaker, RUBRICS.get("correctness"), Replies(tmp_path / "r.sqlite3"))
    found: list[Verdict] = []
    judge.judge_all([row("..."), row(None)], found.append)
    assert (judge.name, loads) == ("local:tiny/correctness", [])
    judge.judge_all([row("Orvale")], found.append)
    judge.judge_all([row("Velt")], found.append)
    assert loads == [1]
    assert len(found) == 4


def test_another_template_or_other_weights_are_another_speaker(tmp_path: Path) -> None:
    plain = LocalSpeaker("x", lambda: model(tmp_path)).facts
    assert LocalSpeaker("x", lambda: model(tmp_path, template="lines")).facts != plain
    assert LocalSpeaker("x", lambda: model(tmp_path)).facts == plain


def test_the_system_text_can_stand_before_the_users() -> None:
    assert without_system(CHATS[0]) == (
        Message("user", "Reply with a letter.\n\nIs Orvale in Marrow? "),
    )
