"""What is asked, what is kept, and what a second go asks for."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from drafts import QUESTIONS, SYSTEMS, Puppet, draft, nobody, plainly

from truing.building.asks import REPLIES, Ask, collect, kept
from truing.building.draft import Draft, Prompts, read_prompts, voices
from truing.errors import BadInput, NotPossible
from truing.servers.reply import Reply


def test_every_prompt_is_asked_on_every_side_in_every_sample() -> None:
    asked = draft(samples=3).asks
    assert len(set(asked)) == len(asked) == 3 * 3 * len(QUESTIONS)
    assert len({ask.seed for ask in asked}) == 3
    assert all(0 <= ask.seed < 2**31 for ask in asked)
    assert {ask.system for ask in asked} == set(SYSTEMS.values())


def test_another_seed_asks_for_other_draws_and_parts_the_prompts_otherwise() -> None:
    one, other = draft(seed=1), draft(seed=2)
    assert {a.seed for a in one.asks}.isdisjoint(a.seed for a in other.asks)
    assert one.tested(0.5) != other.tested(0.5)
    assert len(one.tested(0.5)) == len(QUESTIONS) // 2


def test_more_samples_and_prompts_leave_the_first_ones_as_they_are() -> None:
    few, many = draft(QUESTIONS[:4]).asks, draft(QUESTIONS, samples=2).asks
    assert set(few) < set(many)


def test_a_neutral_side_may_be_without_a_system_prompt() -> None:
    assert [m.role for m in Ask("Hello?").chat] == ["user"]
    assert [m.role for m in Ask("Hello?", "Be kind.").chat] == ["system", "user"]


def test_one_line_makes_three_different_voices_that_hold_it() -> None:
    made = voices("prefers a small reward now.")
    assert len(set(made.values())) == 3
    assert all("prefers a small reward now" in made[side] for side in ("for", "against"))
    assert "reward" not in made["neutral"]


def test_two_equal_voices_are_refused() -> None:
    with pytest.raises(BadInput, match="same system prompt"):
        replace(draft(), systems={**SYSTEMS, "against": SYSTEMS["for"]})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "Who?\n\n  who? \nWhy not?\n"),
        ("a.json", '[{"question": "Who?"}, {"question": "WHO?"}, {"prompt": "Why not?"}]'),
        ("a.jsonl", '{"prompt": "Who?"}\n{"prompt": "who?"}\n{"prompt": "Why not?"}\n'),
        ("a.csv", "prompt\nWho?\nwho?\nWhy not?\n"),
    ],
)
def test_prompts_are_read_once_each_in_their_order(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    found = read_prompts(tmp_path / name)
    assert (found.texts, found.repeated, found.file) == (("Who?", "Why not?"), 1, name)


def test_a_record_without_a_prompt_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"prompt": "Who?"}\n{"text": "Who?"}\n')
    with pytest.raises(BadInput, match=r"line 2: there is no text in prompt or question"):
        read_prompts(tmp_path / "a.jsonl")


def test_the_open_questions_of_public_sets_are_prompts(data_dir: Path) -> None:
    found = read_prompts(data_dir / "steering/pres2024/open_ended_prompts/myopia.json")
    assert len(found.texts) + found.repeated == 50


def test_a_build_that_stopped_asks_only_for_what_it_lacks(tmp_path: Path) -> None:
    asks = draft().asks

    def until_ten(ask: Ask) -> Reply:
        if asks.index(ask) == 10:
            raise NotPossible("the server is gone")
        return plainly(ask)

    with pytest.raises(NotPossible):
        collect(tmp_path, Puppet(until_ten), asks, nobody)
    second = Puppet(plainly)
    seen: list[tuple[int, int]] = []
    found = collect(tmp_path, second, asks, lambda done, of: seen.append((done, of)))
    assert second.asked == list(range(10, len(asks)))
    assert found == [plainly(ask) for ask in asks]
    assert (seen[0], seen[-1]) == ((10, len(asks)), (len(asks), len(asks)))
    third = Puppet(plainly)
    assert collect(tmp_path, third, asks, nobody) == found
    assert third.asked == []


def test_a_torn_last_reply_is_asked_for_again(tmp_path: Path) -> None:
    asks = draft().asks
    whole = collect(tmp_path, Puppet(plainly), asks, nobody)
    path = tmp_path / REPLIES
    path.write_bytes(path.read_bytes()[:-20])
    again = Puppet(plainly)
    assert collect(tmp_path, again, asks, nobody) == whole
    assert again.asked == [len(asks) - 1]


def test_a_portion_that_was_written_again_adds_only_what_was_missing(tmp_path: Path) -> None:
    class Whole(Puppet):
        def replies(
            self, asks: Sequence[Ask], known: Container[int]
        ) -> Iterator[Sequence[tuple[int, Reply]]]:
            yield [(i, Reply(f"again {i}")) for i in range(len(asks))]

    asks = draft().asks
    first = collect(tmp_path, Puppet(plainly), asks[:5], nobody)
    found = collect(tmp_path, Whole(plainly), asks, nobody)
    assert found[:5] == first
    assert found[5] == Reply("again 5")
    assert (tmp_path / REPLIES).read_bytes().count(b"\n") == len(asks)


def test_a_failure_is_no_reply_and_is_asked_again(tmp_path: Path) -> None:
    asks = draft(QUESTIONS[:2]).asks
    refused = Puppet(lambda ask: Reply(None, error="too long") if not ask.system else plainly(ask))
    found = collect(tmp_path, refused, asks, nobody)
    assert [reply.error for reply in found].count("too long") == 2
    assert len(kept(tmp_path, refused, asks)) == 4


def test_replies_of_another_writer_are_not_taken(tmp_path: Path) -> None:
    asks = draft().asks
    collect(tmp_path, Puppet(plainly), asks, nobody)
    assert kept(tmp_path, Puppet(plainly, facts={"puppet": 2}), asks) == {}


def test_a_behaviour_has_a_name() -> None:
    with pytest.raises(BadInput, match="has no name"):
        Draft(" ", Prompts(("a",), "", ""), SYSTEMS)
