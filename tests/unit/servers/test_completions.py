"""The likelihood of labels, from the tokens and alternatives that a server shows."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truing.servers.completions import LEAST, SLACK, label_logprobs


def said(token: str, **options: float) -> dict[str, Any]:
    """A position where ``token`` came; ``options``: token -> probability (``_``: a blank)."""
    listed = [
        {"token": name.replace("_", " "), "logprob": math.log(p)} for name, p in options.items()
    ]
    own = next(entry for entry in listed if entry["token"] == token)
    return {**own, "top_logprobs": listed}


def shares(content: list[Any], *labels: str) -> list[float] | None:
    found = label_logprobs(content, labels)
    return None if found is None else [round(math.exp(x), 6) for x in found]


def test_labels_of_one_token_with_and_without_a_blank() -> None:
    position = said("A", A=0.6, _A=0.1, B=0.3)
    assert shares([position], "A", "B") == [0.7, 0.3]


def test_a_word_that_only_begins_like_a_label_is_another_word() -> None:
    assert shares([said("A", A=0.6, As=0.3, B=0.1)], "A", "B") == [0.6, 0.1]
    assert shares([said("B.", **{"A": 0.6, "B.": 0.4})], "A", "B") == [0.6, 0.4]


def test_a_label_of_several_tokens_is_followed_along_the_reply() -> None:
    content = [said("in", **{"in": 0.8, "correct": 0.2}), said("correct", correct=0.5, deed=0.5)]
    assert shares(content, "incorrect", "correct") == [0.4, 0.2]


def test_what_alternatives_hide_is_not_guessed() -> None:
    hides = said("correct", **{"correct": 0.6, "in": 0.4})
    assert shares([hides], "correct", "incorrect") is None
    little = said("correct", **{"correct": 0.995, "in": 0.005})
    assert shares([little], "correct", "incorrect") == [0.995, 0.005]


def test_what_is_not_listed_is_at_most_the_least_that_is() -> None:
    position = said("A", A=0.99, x=0.004)
    assert shares([position], "A", "B") == [0.99, 0.004]
    assert shares([said("A", A=0.9, x=0.05)], "A", "B") is None


def test_no_label_in_sight() -> None:
    assert shares([said("Well", Well=1.0)], "A", "B") is None
    assert shares([], "A", "B") is None


def test_a_reply_that_ends_within_a_label_leaves_it_open() -> None:
    assert shares([said("in", **{"in": 0.9, "A": 0.1})], "incorrect", "A") is None


@pytest.mark.parametrize(
    "position",
    [None, {}, {"token": "A"}, {"token": "A", "logprob": "x"}, {"token": 3, "logprob": -1.0},
     {"token": "A", "logprob": 5.0}, {"token": "A", "logprob": -1.0, "top_logprobs": [None]}],
)  # fmt: skip
def test_what_cannot_be_read_tells_nothing(position: Any) -> None:
    assert label_logprobs([position], ("A", "B")) is None


TOKENS = st.sampled_from(["A", "B", " A", "yes", "y", "es", " ", "As", "no", "\n", "I"])


@given(
    st.lists(
        st.tuples(TOKENS, st.dictionaries(TOKENS, st.floats(0.01, 1.0), max_size=5)), max_size=4
    )
)
def test_shares_of_labels_never_exceed_one(steps: list[tuple[str, dict[str, float]]]) -> None:
    content = []
    for token, weights in steps:
        weights = {**weights, token: 0.5}
        total = sum(weights.values())
        listed = [{"token": t, "logprob": math.log(w / total)} for t, w in weights.items()]
        own = next(entry for entry in listed if entry["token"] == token)
        content.append({**own, "top_logprobs": listed})
    found = label_logprobs(content, ("A", "B", "yes", "no"))
    if found is not None:
        assert all(math.log(LEAST) <= x <= 1e-9 for x in found)
        assert sum(map(math.exp, found)) <= 1 + 4 * SLACK
