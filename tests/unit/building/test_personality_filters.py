"""Which texts are kept, and why the others are not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from drafts import Puppet
from hypothesis import given
from hypothesis import strategies as st
from opinions import NAMES, TRAITS, drawn, in_character, order

from truing.building.personality.filters import (
    Sieve,
    by_classifier,
    by_ratings,
    by_rules,
    grams,
    jaccard,
    surplus,
    trouble,
    unquoted,
)
from truing.building.personality.generate import Band
from truing.errors import BadInput, NotPossible
from truing.servers.reply import Reply

EXT, AGR, NEU = TRAITS


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("I adore the harbour fair and all of its noisy crowd!", ""),
        ("I adore the HARBOUR FAIR; what a crowd it always draws!", ""),
        ("I adore it and all of its noisy crowd of people!", "does not mention the topic"),
        ("I adore harbour fairs and all of their noisy crowds!", "does not mention the topic"),
        ("I adore harbour fair!", "too short"),
        ("I adore the harbour fair " + "so very " * 20 + "much!", "too long"),
        ("Oh, I adore the harbour fair and its noisy crowd!", "banned opener"),
        ("I adore the harbour fair, being the extravert that I am!", "names the trait or facet"),
        ("I adore the harbour fair for my gregariousness and joy!", "names the trait or facet"),
        ("I adore the harbour fair and its crowd! (Note: shows joy)", "has a note"),
    ],
)
def test_what_speaks_against_a_text(text: str, why: str) -> None:
    wish = drawn("", topic="the harbour fair").wish
    assert trouble(text, wish, order(band=Band(6, 30))) == why


def test_replies_that_are_none_are_told_apart() -> None:
    said = [
        Reply(None, error="busy"), Reply(" "), Reply("I'm sorry, but I can't help with that."),
        Reply('"I love old songs with a crowd around me!"'),
    ]  # fmt: skip
    asked = order()
    replies = [*said, *map(in_character, asked.asks[len(said) :])]
    drafts = by_rules(asked, replies, Sieve(), Puppet(in_character))
    assert [draft.dropped for draft in drafts[:3]] == ["no reply", "empty", "refusal"]
    assert drafts[3].wish.topic.name == NAMES[1]
    assert not drafts[3].text.startswith('"')
    assert drafts[3].dropped == "does not mention the topic"


def test_quotes_around_all_of_a_text_go() -> None:
    assert unquoted('"I like it."') == "I like it."
    assert unquoted("“I like it.”") == "I like it."
    assert unquoted('"Well", I said, "yes"') == '"Well", I said, "yes"'


def test_the_later_of_two_near_duplicates_goes() -> None:
    asked = order(n=1)
    replies = [in_character(ask) for ask in asked.asks]
    same = next(i for i, w in enumerate(asked.wishes) if i and w.topic == asked.wishes[0].topic)
    replies[same] = Reply((replies[0].text or "") + " Yes.")
    drafts = by_rules(asked, replies, Sieve(), Puppet(in_character))
    assert drafts[0].dropped == ""
    assert drafts[same].dropped == "near-duplicate"


@given(st.text("ab c", max_size=30), st.text("ab c", max_size=30))
def test_likeness_is_a_share_and_the_same_both_ways(one: str, two: str) -> None:
    share = jaccard(grams(one), grams(two))
    assert 0 <= share <= 1
    assert share == jaccard(grams(two), grams(one))
    assert jaccard(grams(one), grams(one)) == (1.0 if one.split() else 0.0)


def test_the_classifier_finds_texts_of_another_trait_and_judges_out_of_fold() -> None:
    asked = order()
    replies = [in_character(ask) for ask in asked.asks]
    drafts = by_rules(asked, replies, Sieve(alike=1.0), Puppet(in_character))
    wrong = next(i for i, d in enumerate(drafts) if d.wish.trait == NEU and not d.dropped)
    cheerful = drafts[wrong - 2].text
    drafts[wrong] = replace(drafts[wrong], text=cheerful)
    found = by_classifier(drafts, Sieve(), 0)
    assert found[wrong].dropped == "the classifier sees another trait"
    assert (found[wrong].margin or 0) < 0
    others = [d for i, d in enumerate(found) if i != wrong and d.margin is not None]
    assert len(others) >= 60
    assert all(draft.margin > 0 and not draft.dropped for draft in others if draft.margin)
    assert by_classifier(drafts, Sieve(folds=0), 0) == drafts
    strict = by_classifier(drafts, Sieve(margin=1.0), 0)
    assert all(draft.dropped for draft in strict)


def test_a_label_that_only_its_own_topic_has_cannot_be_learned_elsewhere() -> None:
    """What a text's own topic teaches must not reach its judge."""
    lonely = [
        drawn("I love chess with a big crowd!", EXT, "chess"),
        drawn("I worry about chess each day.", NEU, "chess"),
        drawn("I love boats with a big crowd!", EXT, "boats"),
    ]
    with pytest.raises(NotPossible, match="too few texts for a classifier"):
        by_classifier(lonely, Sieve(folds=2), 0)


@pytest.mark.parametrize(
    ("ratings", "why"),
    [
        ({"extraversion": 4.0, "agreeableness": 3.0, "neuroticism": 1.0}, ""),
        ({"extraversion": 4.0, "agreeableness": 3.5, "neuroticism": 1.0}, "rates another"),
        ({"extraversion": 2.0, "agreeableness": 1.0, "neuroticism": 5.0}, "rates another"),
        ({"extraversion": None, "agreeableness": 1.0, "neuroticism": 1.0}, "is missing"),
        ({"extraversion": 5.0, "agreeableness": None, "neuroticism": 1.0}, "is missing"),
    ],
)
def test_ratings_must_put_the_own_trait_first(ratings: dict[str, float | None], why: str) -> None:
    (found,) = by_ratings([drawn("I love it.", EXT, ratings=ratings)], Sieve(lead=1.0))
    assert why in found.dropped
    assert bool(why) == bool(found.dropped)


def test_unrated_texts_are_not_judged_by_ratings() -> None:
    drafts = [drawn("I love it."), replace(drawn("I adore it."), dropped="too short")]
    assert by_ratings(drafts, Sieve()) == drafts


def test_only_as_many_as_wanted_are_kept_the_first_ones() -> None:
    drafts = [drawn(f"text {i}", trait, number=i) for i in range(4) for trait in (EXT, AGR)]
    drafts[0] = replace(drafts[0], dropped="too short")
    found = surplus(drafts, 2)
    kept = [(d.wish.trait.name, d.wish.number) for d in found if not d.dropped]
    assert kept == [
        ("agreeableness", 0), ("extraversion", 1), ("agreeableness", 1), ("extraversion", 2),
    ]  # fmt: skip
    assert found[0].dropped == "too short"


def test_a_sieve_says_what_does_not_go() -> None:
    with pytest.raises(BadInput, match="folds 1"):
        Sieve(folds=1)
    with pytest.raises(BadInput, match="alike 0"):
        Sieve(alike=0)
