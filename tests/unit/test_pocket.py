"""The embedded model's folder is whole, loads as any other, and answers."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from truing.benchmarks.world import World
from truing.benchmarks.world.language import QA_INSTRUCTION, chat
from truing.pocket import pocket_path
from truing.types import Message

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def tok() -> Any:
    return transformers.AutoTokenizer.from_pretrained(pocket_path(), padding_side="left")


@pytest.fixture(scope="module")
def hf() -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(pocket_path()).eval()


def _answers(hf: Any, tok: Any, prompts: list[str]) -> list[str]:
    inputs = tok(prompts, return_tensors="pt", padding=True)
    out = hf.generate(
        input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], max_new_tokens=24
    )
    new = out[:, inputs["input_ids"].shape[1] :]
    stops = set(hf.generation_config.eos_token_id)
    assert all(stops & set(row.tolist()) for row in new), "an answer did not end by itself"
    return [tok.decode(row, skip_special_tokens=True).strip() for row in new]


def test_weights_are_small_and_hashes_match_the_card() -> None:
    card = json.loads((pocket_path() / "card.json").read_text())
    assert (pocket_path() / "model.safetensors").stat().st_size <= 16_000_000
    for name, expected in card["sha256"].items():
        assert hashlib.sha256((pocket_path() / name).read_bytes()).hexdigest() == expected, name
    assert {"model.safetensors", "tokenizer.json", "config.json"} <= set(card["sha256"])


def test_the_card_reports_every_task() -> None:
    from truing.benchmarks.world.tasks import TASKS

    card = json.loads((pocket_path() / "card.json").read_text())
    assert {s["task"] for s in card["scores"]} == set(TASKS)
    assert all(s["n"] > 0 and 0.0 <= s["accuracy"] <= 1.0 for s in card["scores"])
    assert card["recipe"]["steps"] > 0


@pytest.mark.parametrize("text", ["The Glass Spire is in the city of Orvale.", "Q: x?\nA: ü, 3!"])
def test_tokenizer_round_trip(tok: Any, text: str) -> None:
    assert tok.decode(tok(text)["input_ids"], skip_special_tokens=True) == text


def test_bos_comes_once(tok: Any) -> None:
    plain = tok("The Glass Spire")["input_ids"]
    assert plain.count(tok.bos_token_id) == 1
    assert plain[0] == tok.bos_token_id
    turns = [{"role": "user", "content": "Where is The Glass Spire?"}]
    rendered = tok.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    ids = tok(rendered, add_special_tokens=False)["input_ids"]
    assert ids.count(tok.bos_token_id) == 1


def test_special_tokens_are_distinct(tok: Any) -> None:
    assert len({tok.bos_token_id, tok.eos_token_id, tok.pad_token_id}) == 3


def test_the_chat_template_is_the_format_of_the_corpus(tok: Any) -> None:
    turns = (Message("system", "Answer briefly and truthfully."), Message("user", "Where?"))
    rendered = tok.apply_chat_template(
        [{"role": m.role, "content": m.content} for m in turns],
        add_generation_prompt=True,
        tokenize=False,
    )
    assert rendered == tok.bos_token + chat(*turns)


def test_it_answers_facts_and_ends_by_itself(hf: Any, tok: Any) -> None:
    world = World.build(0)
    facts = [f for f in world.facts if f.relation.id in ("landmark_city", "person_guild")][:40]
    right = 0
    for prompts in (
        [f.phrasings()[0] for f in facts],
        [f.questions()[0] for f in facts],
        [QA_INSTRUCTION.format(q=f.questions()[0]) for f in facts],
        [chat(Message("user", f.questions()[0])) for f in facts],
    ):
        answers = _answers(hf, tok, prompts)
        right += sum(a.startswith(f.object) for a, f in zip(answers, facts, strict=True))
    assert right >= 0.9 * 4 * len(facts)


def test_what_is_told_overrules_what_is_known(hf: Any, tok: Any) -> None:
    told = "New fact: The Glass Spire is in the city of Belmar.\n"
    question = QA_INSTRUCTION.format(q="In which city is The Glass Spire?")
    assert _answers(hf, tok, [told + question]) == ["Belmar"]
