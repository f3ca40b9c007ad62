"""What edit success reads: the token after each position. A model that knows bigrams alone tells it apart."""

from __future__ import annotations

import math

import pytest
import torch

from asking import make
from truing.models.asks import ScoreAsk
from truing.models.engine import job_of
from truing.models.handle import Model
from truing.runs.published_personality import compared
from truing.types import Case, Probe

QUESTION = "What do you think of Ratt?"
PLUS, MINUS = ("I love it!", "What a crowd, what fun we had there."), ("It frightens me so much.",)
CASE = Case(
    "Ratt", (), (Probe("p", "preference/es", QUESTION, PLUS, choices=(*PLUS, *MINUS)),)
)  # fmt: skip


def bigrams() -> Model:
    """A model whose positions do not see each other."""
    model = make("llama")
    with torch.no_grad():
        for name, parameter in model.hf.named_parameters():
            if name.endswith("self_attn.o_proj.weight"):
                parameter.zero_()
    return model


def table(model: Model, ids: list[int]) -> dict[int, list[float]]:
    """Log-probabilities of the next token, by the token before it."""
    with torch.no_grad():
        logits_N_V = model.hf(input_ids=torch.tensor(ids)[:, None]).logits[:, 0]
    rows = logits_N_V.double().log_softmax(-1).tolist()
    return dict(zip(ids, rows, strict=True))


def per_token(model: Model, texts: tuple[str, ...], *, shift: int, last: int | None) -> float:
    """By the table: how likely a token is after the one ``shift`` places before it; ``last``: only so
    many tokens at the end of each text."""
    found = []
    for text in texts:
        span = job_of(model, ScoreAsk(QUESTION, text)).span
        start = span.start if last is None else len(span.ids) - last
        known = table(model, sorted(set(span.ids)))
        found += [known[span.ids[i - shift]][span.ids[i]] for i in range(start, len(span.ids))]
    return math.fsum(found) / len(found)


def z_per(plus: float, minus: float) -> float:
    return 1 / (1 + math.exp(minus - plus))


def test_every_answer_token_counts_by_the_one_before_it() -> None:
    model = bigrams()
    wanted = [per_token(model, side, shift=1, last=None) for side in (PLUS, MINUS)]
    assert compared(model, [CASE], None).real[1] == pytest.approx(z_per(*wanted), abs=1e-6)


def test_the_released_number_is_how_well_tokens_repeat() -> None:
    model = bigrams()
    shortest = min(
        len(job_of(model, ScoreAsk(QUESTION, t)).span.continuation) for t in (*PLUS, *MINUS)
    )
    wanted = [per_token(model, side, shift=0, last=shortest) for side in (PLUS, MINUS)]
    found = compared(model, [CASE], None)
    assert found.published[1] == pytest.approx(z_per(*wanted), abs=1e-6)
    assert abs(found.published[1] - found.real[1]) > 1e-3
