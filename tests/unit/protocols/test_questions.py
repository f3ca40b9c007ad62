"""What is asked for a probe under a protocol."""

from __future__ import annotations

import itertools

import pytest

from truing.errors import BadInput
from truing.protocols.protocol import DRAWDOWN, LIKELIHOOD, PROTOCOLS, SYNTHETIC, WILD, parse
from truing.protocols.questions import applies, ask_for, base_ask_for, needs_base_text
from truing.types import Message, Probe

FACT = Probe(
    "p", "efficacy", "The tower is in", accepted=("Rome", "Roma"), choices=("Rome", "Paris")
)
NEIGHBOUR = Probe("n", "locality", "The gate is in")
OPINION = Probe("d", "drawdown", "What of Rome?", reference="I like Rome.")
FLUENCY = Probe("f", "fluency", "Write about the tower.")


def test_synthetic_forces_the_first_accepted_answer() -> None:
    q = ask_for(SYNTHETIC, FACT)
    assert (q.kind, q.prompt, q.continuation) == ("score", "The tower is in", "Rome")
    assert q.choices == ()


def test_a_reference_goes_before_accepted_answers() -> None:
    probe = Probe("p", "efficacy", "The tower is in", accepted=("Rome",), reference="Rome, Italy")
    assert ask_for(SYNTHETIC, probe).continuation == "Rome, Italy"


def test_wild_asks_freely_and_arms_its_stop() -> None:
    q = ask_for(WILD, FACT)
    assert q.kind == "generate"
    assert q.prompt == "Please answer the question:\n\nQ: The tower is in\nA:"
    assert (q.max_new_tokens, q.stop, q.arm, q.gold, q.top_k) == (50, ("\n",), True, None, 0)


def test_the_published_rule_is_unarmed_and_stops_at_full_stops() -> None:
    q = ask_for(parse("wild-published"), FACT)
    assert (q.max_new_tokens, q.stop, q.arm) == (50, (".", "\n"), False)


def test_the_chat_template_makes_one_user_turn() -> None:
    assert ask_for(parse("wild-chat"), FACT).prompt == (Message("user", "The tower is in"),)


def test_a_free_answer_of_the_golds_length_carries_the_gold_to_count() -> None:
    q = ask_for(parse("synthetic,decoding=greedy"), FACT)
    assert (q.kind, q.gold, q.max_new_tokens, q.stop) == ("generate", "Rome", None, ())


def test_choices_are_scored_only_for_the_likelihood_scorers() -> None:
    assert ask_for(LIKELIHOOD, FACT).choices == ("Rome", "Paris")
    assert ask_for(parse("likelihood,scorer=likelihood-per-token"), FACT).choices == (
        "Rome",
        "Paris",
    )
    assert ask_for(LIKELIHOOD, FACT).continuation == "Rome"


def test_a_neighbour_with_choices_is_read_by_likelihood_without_the_base_text() -> None:
    probe = Probe("n", "locality", "The gate is in", choices=("Paris", "Rome"))
    assert not needs_base_text(LIKELIHOOD, probe)
    assert ask_for(LIKELIHOOD, probe).continuation == "Paris"


def test_locality_is_forced_over_the_base_models_first_sentence() -> None:
    assert needs_base_text(SYNTHETIC, NEIGHBOUR)
    q = ask_for(SYNTHETIC, NEIGHBOUR, " Paris. It is big.")
    assert q.continuation == "Paris."
    assert base_ask_for(SYNTHETIC, NEIGHBOUR).kind == "generate"
    assert base_ask_for(SYNTHETIC, NEIGHBOUR).prompt == NEIGHBOUR.prompt
    assert base_ask_for(LIKELIHOOD, NEIGHBOUR).kind == "generate"


def test_locality_with_a_reference_needs_nothing_of_the_base_model() -> None:
    probe = Probe("n", "locality", "The gate is in", reference="Paris")
    assert not needs_base_text(SYNTHETIC, probe)
    assert ask_for(SYNTHETIC, probe).continuation == "Paris"


def test_free_locality_needs_no_text_beforehand() -> None:
    assert not needs_base_text(WILD, NEIGHBOUR)
    assert ask_for(WILD, NEIGHBOUR).kind == "generate"


@pytest.mark.parametrize(
    ("text", "what"), [(None, "nothing is accepted"), (" \n", "answer is empty")]
)
def test_no_gold_is_an_error_that_says_whose(text: str | None, what: str) -> None:
    with pytest.raises(BadInput, match=what):
        ask_for(SYNTHETIC, NEIGHBOUR, text)


def test_fluency_is_sampled_the_same_way_in_every_free_protocol() -> None:
    q = ask_for(WILD, FLUENCY)
    assert (q.kind, q.max_new_tokens, q.top_k, q.stop) == ("generate", 100, 5, ())
    assert not applies(SYNTHETIC, FLUENCY)
    with pytest.raises(BadInput, match="cannot be asked"):
        ask_for(SYNTHETIC, FLUENCY)


def test_likelihood_needs_choices_where_something_is_accepted() -> None:
    assert not applies(LIKELIHOOD, Probe("p", "efficacy", "x", accepted=("y",)))
    assert applies(LIKELIHOOD, NEIGHBOUR)
    assert applies(LIKELIHOOD, FACT)


def test_drawdown_is_for_its_own_protocol_which_is_for_nothing_else() -> None:
    for name, probe in itertools.product(PROTOCOLS, (FACT, NEIGHBOUR, FLUENCY, OPINION)):
        assert (name == "drawdown" and probe is OPINION) or not (
            (name == "drawdown" or probe is OPINION) and applies(PROTOCOLS.get(name), probe)
        )
    assert ask_for(DRAWDOWN, OPINION).continuation == "I like Rome."
    assert ask_for(DRAWDOWN, OPINION).kind == "compare"


def test_drawdown_without_a_text_is_read_over_the_base_models_own() -> None:
    probe = Probe("d", "drawdown", "What of Rome?")
    assert needs_base_text(DRAWDOWN, probe)
    assert base_ask_for(DRAWDOWN, probe).kind == "generate"
    assert ask_for(DRAWDOWN, probe, " It is big. It is old.").continuation == "It is big."


def test_whatever_applies_can_be_asked() -> None:
    for name, probe in itertools.product(PROTOCOLS, (FACT, NEIGHBOUR, FLUENCY, OPINION)):
        protocol = PROTOCOLS.get(name)
        if applies(protocol, probe):
            base = "Paris" if needs_base_text(protocol, probe) else None
            q = ask_for(protocol, probe, base)
            assert (q.continuation is not None) == (q.kind in ("score", "compare"))
            if q.kind == "generate":
                assert (q.max_new_tokens is None) == (q.gold is not None)
