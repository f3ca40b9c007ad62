"""Which replies are usable, and which pairs are made of them."""

from __future__ import annotations

import pytest
from drafts import QUESTIONS, Puppet, draft, plainly
from hypothesis import given
from hypothesis import strategies as st

from truing.building.asks import Ask
from truing.building.balance import Bounds, Match, balanced, matches
from truing.building.pairs import Rules, paired
from truing.building.texts import Cut, Limits, cuts, declines, leaks, sentence_ends
from truing.errors import BadInput
from truing.servers.reply import Reply

ASK = Ask("What do you think of chess?", "Answer as a person who always loves a crowd.")
WRITER = Puppet(plainly, max_tokens=20)


def used(text: str | None, tokens_out: int = 5, **limits: int | bool) -> list[str] | str:
    found = cuts(ASK, Reply(text, tokens_out=tokens_out), Limits(**limits), WRITER)  # type: ignore[arg-type]
    return found if isinstance(found, str) else [cut.text for cut in found]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "no reply"),
        ("  \n", "empty"),
        ("I'm sorry, but I can't help with that.", "refusal"),
        ("As an AI language model, I do not have feelings about chess.", "refusal"),
        ("Oh no.", "too short"),
        ("I am a person who always loves a crowd, you see.", "leaks the system prompt"),
    ],
)
def test_what_cannot_be_used_says_why(text: str | None, why: str) -> None:
    assert used(text) == why


@pytest.mark.parametrize(
    "text",
    ["I cannot stop thinking of the danger.", "As an AI, I would gladly go on.", "I won't go."],
)
def test_an_answer_that_only_sounds_like_a_refusal_is_kept(text: str) -> None:
    assert not declines(text)


def test_refusals_and_leaks_pass_where_they_are_wanted() -> None:
    assert used("I cannot help with that.", refusals=True) == ["I cannot help with that."]
    leaking = "I am a person who always loves a crowd."
    assert used(leaking, leak=0) == [leaking]


def test_words_that_the_prompt_has_too_are_no_leak() -> None:
    ask = Ask("Who is a person who always loves a crowd?", ASK.system)
    assert not leaks("She is a person who always loves a crowd.", ask, 4)


def test_a_reply_that_was_cut_off_ends_with_its_last_whole_sentence() -> None:
    text = "Chess is quite lovely. I play it every single"
    assert used(text, tokens_out=20) == ["Chess is quite lovely."]
    assert used(text, tokens_out=19) == [text, "Chess is quite lovely."]
    assert used("Chess is quite lovely and I", tokens_out=20) == "unfinished"


@given(st.text(alphabet="ab .!?\n\"'。", max_size=60))
def test_cuts_are_beginnings_that_lose_what_they_lack(text: str) -> None:
    text = text.strip()
    ends = sentence_ends(text)
    assert ends == sorted(set(ends))
    assert not text or ends[-1] == len(text)
    found = cuts(Ask(""), Reply(text), Limits(shortest=0), WRITER)
    for cut in found if isinstance(found, list) else ():
        assert text.startswith(cut.text)
        assert cut.length + cut.lost == WRITER.length(text)


def cut(words: int, of: int, name: str) -> Cut:
    return Cut(f"{name}{words}/{of}", words, of - words)


CHOICES = st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=12).map(
    lambda sizes: [
        found
        for p, n in sizes
        if not isinstance(
            found := matches(
                [cut(w, p, "p") for w in range(1, p + 1)],
                [cut(w, n, "n") for w in range(1, n + 1)],
                Bounds(),
            ),
            str,
        )
    ]
)


@given(CHOICES)
def test_where_texts_may_be_cut_anywhere_the_sides_end_up_equally_long(
    choices: list[list[Match]],
) -> None:
    found = balanced(choices, Bounds())
    over = [match.longer for match in found if match is not None]
    assert len(over) == len(choices)
    assert abs(sum(over)) <= Bounds().mean * len(over)
    assert balanced(choices, Bounds()) == found


@given(CHOICES, st.integers(1, 6))
def test_no_more_pairs_than_wanted_and_never_worse_than_the_first_choice(
    choices: list[list[Match]], most: int
) -> None:
    found = [m for m in balanced(choices, Bounds(most=most)) if m is not None]
    assert len(found) == min(most, len(choices))
    every = balanced(choices, Bounds())
    first = sum(match.longer for match, *_ in choices)
    assert abs(sum(m.longer for m in every if m)) <= abs(first)


@given(CHOICES)
def test_the_longer_side_stays_within_the_ratio(choices: list[list[Match]]) -> None:
    for match in balanced(choices, Bounds()):
        assert match is not None
        short, long = sorted((match.positive.length, match.negative.length))
        assert long <= 2 * short


def test_no_exchange_makes_things_worse() -> None:
    """Each prompt may go from 3 too long to 2 too short: one of them does, not both."""
    longer, shorter = Match(cut(9, 9, "p"), cut(6, 6, "n")), Match(cut(4, 9, "p"), cut(6, 6, "n"))
    found = balanced([[longer, shorter]] * 2, Bounds(mean=0.0))
    assert sum(match.longer for match in found if match is not None) == 1


def test_nothing_is_cut_where_the_sides_are_level_already() -> None:
    level = [[Match(cut(9, 9, "p"), cut(9, 9, "n")), Match(cut(4, 9, "p"), cut(4, 9, "n"))]]
    assert balanced(level, Bounds()) == [level[0][0]]


@pytest.mark.parametrize(
    ("positive", "negative", "why"),
    [("Yes.", "yes.", "both sides are equal"), ("One.", "Two.", "lengths too far apart")],
)
def test_a_prompt_without_a_pair_says_why(positive: str, negative: str, why: str) -> None:
    assert matches([Cut(positive, 2)], [Cut(negative, 5)], Bounds()) == why


def test_a_ratio_below_one_is_refused() -> None:
    with pytest.raises(BadInput, match=r"ratio 0\.5"):
        Bounds(ratio=0.5)


def test_every_prompt_is_in_a_pair_or_counted() -> None:
    def says(ask: Ask) -> Reply:
        if "neurotic" in ask.system and "chess" in ask.prompt:
            return Reply("I'm sorry, I cannot help with that.")
        return Reply(None, error="gone") if ask.prompt == QUESTIONS[0] else plainly(ask)

    asked = draft()
    made = paired(asked, [says(ask) for ask in asked.asks], Rules(), WRITER)
    assert len(made.pairs) + sum(made.unpaired.values()) == len(QUESTIONS)
    assert made.unpaired == {"a side has no usable reply": 2}
    assert made.rejected["against"] == {"no reply": 1, "refusal": 1}
    assert made.rejected["neutral"] == {"no reply": 1}
    assert len(made.neutrals) == len(QUESTIONS) - 1
    assert {pair.split for pair in made.pairs} == {"train", "test"}
    assert len({pair.id for pair in made.pairs}) == len(made.pairs)


def test_the_sides_are_those_that_were_asked_for() -> None:
    asked = draft(samples=2)
    made = paired(asked, [plainly(ask) for ask in asked.asks], Rules(), WRITER)
    assert [pair.prompt for pair in made.pairs] == list(QUESTIONS)
    assert all("glad" in pair.positive and "afraid" in pair.negative for pair in made.pairs)
    assert all("calm" in each.neutral for each in made.neutrals)
