"""A sweep shares passes between settings and gives what each setting gives by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asking import make
from tiny import CONFIGS, MOE, TOKENIZERS, VARIANTS
from truing.errors import BadInput, NotPossible
from truing.interventions.intervention import Intervention
from truing.methods.method import METHODS
from truing.methods.steering.cast import CastConfig
from truing.methods.steering.effect import on_neutral
from truing.methods.steering.sweep import Grid, Pair, Sweep, grid, read_pairs, sweep, together
from truing.methods.steering.vectors import ANSWER, CAA, VectorConfig
from truing.models.asks import ScoreAsk
from truing.models.handle import Model
from truing.models.positions import Positions
from truing.types import EditRequest, Message

EVERYWHERE = Positions("all", skip_first=True)
REQUESTS = (
    EditRequest("a", "The Glass Spire is in the city of", "Marrow Fell", "Orvale"),
    EditRequest("b", "Who built the Tin Gate?", "I do not know", "Mara Velt, I believe"),
)
PAIRS = (
    Pair("short", "The Tin Gate is in", "Orvale", "the city of Marrow", "1"),
    Pair("same prompt", "The Tin Gate is in", "the city of St. Louis", "Paris", "1"),
    Pair("ends in a space", "What is the capital of France? A: ", "Paris", "Danielle", "2"),
    Pair("long", "Please answer the question: who is Mara Velt's mother", "Yes", "No. No.", "3"),
    Pair("newline", "Q: What?\nA:", "hello there", "thank you!", "4"),
)


def alone(model: Model, chosen: Grid, pairs: tuple[Pair, ...] = PAIRS) -> Any:
    """Every setting by itself, in the engine's ordinary batches: ``(L, S, N, 2)``."""
    found = [
        [
            [
                scored.logprob / len(scored.token_ids)
                for scored in model.score(
                    [
                        ScoreAsk(pair.prompt, side, Intervention((op,)))
                        for pair in pairs
                        for side in (pair.wanted, pair.unwanted)
                    ]
                )
            ]
            for op in ops
        ]
        for ops in chosen.ops
    ]
    return np.array(found).reshape(len(chosen.layers), len(chosen.columns), len(pairs), 2)


def agrees(model: Model, chosen: Grid) -> Sweep:
    found = sweep(model, chosen, PAIRS)
    assert np.abs(found.now_L_S_N_2 - alone(model, chosen)).max() < 1e-4
    base = [model.score([ScoreAsk(p.prompt, x) for x in (p.wanted, p.unwanted)]) for p in PAIRS]
    want = np.array([[s.logprob / len(s.token_ids) for s in sides] for sides in base])
    assert np.abs(found.base_N_2 - want).max() < 1e-4
    nats = [[on_neutral(model, Intervention((op,))).nats for op in ops] for ops in chosen.ops]
    assert found.nats_L_S == pytest.approx(np.array(nats), rel=1e-3, abs=1e-5)
    assert np.abs(found.now_L_S_N_2 - found.base_N_2).max() > 1e-2
    return found


@pytest.mark.parametrize("where", [ANSWER, EVERYWHERE], ids=["answer", "everywhere"])
@pytest.mark.parametrize("family", [*CONFIGS, *MOE, *VARIANTS])
def test_every_family_gives_the_numbers_of_single_settings(family: str, where: Positions) -> None:
    model = make(family)
    agrees(
        model,
        grid(model, CAA, REQUESTS, config=VectorConfig(positions=where), strengths=(-0.5, 1.0)),
    )


@pytest.mark.parametrize("where", [ANSWER, Positions()], ids=["answer", "everywhere"])
@pytest.mark.parametrize("kind", TOKENIZERS)
def test_every_tokenizer(kind: str, where: Positions) -> None:
    model = make("llama", kind)
    agrees(model, grid(model, CAA, REQUESTS, config=VectorConfig(positions=where), strengths=(1,)))


@pytest.mark.parametrize(
    "where",
    [
        Positions("prompt"),
        Positions("last_prompt"),
        Positions("generation", start=1),
        Positions("generation", start=-3, stop=2),
        Positions("window", start=2, stop=9),
        Positions("window", start=-4),
    ],
    ids=str,
)
def test_every_kind_of_positions(where: Positions) -> None:
    model = make("gpt2")
    agrees(model, grid(model, CAA, REQUESTS, config=VectorConfig(positions=where), strengths=(2,)))


@pytest.mark.parametrize("name", ["pca", "probe", "trained_vector"])
def test_every_method_that_makes_vectors(name: str) -> None:
    model = make("llama")
    method = METHODS.get(name)
    chosen = grid(model, method, REQUESTS, config=method.config(op="add-keep-norm"), layers=(2, 0))
    assert chosen.layers == (2, 0)
    agrees(model, chosen)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(budget=st.integers(1, 400), where=st.sampled_from([ANSWER, Positions()]))
def test_how_rows_are_packed_decides_nothing(budget: int, where: Positions) -> None:
    model = make("llama")
    chosen = grid(model, CAA, REQUESTS, config=VectorConfig(positions=where), strengths=(-1, 1))
    want = sweep(model, chosen, PAIRS)
    model.budget.tokens = budget
    found = sweep(model, chosen, PAIRS)
    assert np.allclose(found.now_L_S_N_2, want.now_L_S_N_2, atol=1e-5)
    assert np.allclose(found.nats_L_S, want.nats_L_S, rtol=1e-3, atol=1e-6)


def test_numbers_of_a_sweep_are_differences_from_the_base() -> None:
    model = make("llama")
    chosen = grid(model, CAA, REQUESTS, config=VectorConfig(), strengths=(0.0, 1.0))
    found = sweep(model, chosen, PAIRS)
    assert np.allclose(found.promotion_L_S_N[:, 0], 0, atol=1e-5)
    assert np.allclose(found.nats_L_S[:, 0], 0, atol=1e-6)
    base_N = found.base_N_2[:, 0] - found.base_N_2[:, 1]
    moved = found.promotion_L_S_N + found.suppression_L_S_N
    assert np.allclose(found.margin_L_S_N - base_N, moved)


def test_reads_come_in_any_order_and_chats_may_be_asked() -> None:
    model = make("llama")
    chosen = grid(model, CAA, REQUESTS, config=VectorConfig(), strengths=(1.0,))
    chat = Pair("chat", (Message("user", "hello there"),), "Yes.", "No, thank you", "5")
    pairs = (*PAIRS, chat)
    reads = list(read_pairs(model, chosen, pairs))
    found = together(chosen, pairs, iter(reversed(reads)), np.zeros((3, 1)))
    assert np.abs(found.now_L_S_N_2 - alone(model, chosen, pairs)).max() < 1e-4


def test_the_model_is_left_as_it_was() -> None:
    model = make("llama")
    before = [parameter.clone() for parameter in model.hf.parameters()]
    sweep(model, grid(model, CAA, REQUESTS, config=VectorConfig()), PAIRS)
    assert not any("forward" in vars(module) for module in model.hf.modules())
    assert not model.hooked
    after = model.hf.parameters()
    assert all(bool((a == b).all()) for a, b in zip(before, after, strict=True))


def test_what_cannot_be_swept_is_told() -> None:
    model = make("llama")
    with pytest.raises(BadInput, match="no strengths"):
        grid(model, CAA, REQUESTS, config=VectorConfig(), strengths=())
    with pytest.raises(NotPossible, match="sets a value"):
        grid(model, CAA, REQUESTS, config=VectorConfig(op="replace-along"))
    with pytest.raises(NotPossible, match="one vector per layer"):
        grid(model, METHODS.get("cast"), REQUESTS, config=CastConfig())
    chosen = grid(model, CAA, REQUESTS, config=VectorConfig(), strengths=(1.0,))
    with model.using(Intervention(chosen.ops[0])), pytest.raises(NotPossible, match="in force"):
        sweep(model, chosen, PAIRS)
    handle = model.arch.block(0).register_forward_hook(lambda module, args, out: out)
    with pytest.raises(NotPossible, match="hooks are in force"):
        sweep(model, chosen, PAIRS)
    handle.remove()


def test_a_model_that_does_not_agree_with_itself_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = make("llama")
    chosen = grid(model, CAA, REQUESTS, config=VectorConfig(), strengths=(1.0,))
    ordinary = model.score

    def other(asks: Any, **rest: Any) -> Any:
        model.arch.final_norm.weight.data.mul_(1.1)  # type: ignore[union-attr, operator]
        return ordinary(asks, **rest)

    monkeypatch.setattr(model, "score", other)
    with pytest.raises(NotPossible, match="cannot share passes"):
        sweep(model, chosen, PAIRS)
