"""What the released metric code gathers is not how likely an answer is."""

from __future__ import annotations

import pytest
import torch

from asking import make
from truing.models.asks import ScoreAsk
from truing.models.unshifted import unshifted, unshifted_means


def test_it_scores_repeating_not_answering() -> None:
    """A model that knows bigrams alone: after a comes b, after b comes a, never the same again."""
    follows = torch.log(torch.tensor([[0.1, 0.9], [0.8, 0.2]]))
    ids = torch.tensor([[0, 1, 0, 1], [0, 0, 0, 0]])
    logits = follows[ids]
    found = unshifted(logits, ids, kept=3).exp()
    assert found[0] == pytest.approx((0.2 * 0.1 * 0.2) ** (1 / 3))
    assert found[1] == pytest.approx(0.1)
    true = logits[0, :-1].log_softmax(-1).gather(-1, ids[0, 1:, None]).mean().exp()
    assert true == pytest.approx((0.9 * 0.8 * 0.9) ** (1 / 3))


def test_of_every_row_as_many_last_tokens_count_as_the_shortest_has() -> None:
    logits, ids = torch.randn(2, 6, 5), torch.randint(5, (2, 6))
    changed = logits.clone()
    changed[:, :4] += torch.randn(2, 4, 5)
    assert torch.equal(unshifted(logits, ids, 2), unshifted(changed, ids, 2))
    assert not torch.equal(unshifted(logits, ids, 3), unshifted(changed, ids, 3))


ANSWERS = ("Paris is lovely.", "I worry about the crowds there.", "No.", "Rome and Paris, twice.")


def test_of_a_model_it_is_not_the_likelihood() -> None:
    """Acceptance: the released number differs from the true one on the same logits."""
    model = make("llama")
    told = unshifted_means(model, "What do you think of Paris?", ANSWERS)
    asks = [ScoreAsk("What do you think of Paris?", answer) for answer in ANSWERS]
    true = [scored.logprob / len(scored.token_ids) for scored in model.score(asks)]
    assert all(abs(a - b) > 1e-2 for a, b in zip(told, true, strict=True))


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_it_is_what_one_row_at_a_time_gives(name: str) -> None:
    model = make(name)
    prompt = "What do you think of Paris?"
    spans = [model.speller.join(prompt, answer) for answer in ANSWERS]
    kept = min(len(span.continuation) for span in spans)
    alone = []
    for span in spans:
        ids = torch.tensor([span.ids])
        alone += unshifted(model.hf(input_ids=ids).logits, ids, kept).tolist()
    assert unshifted_means(model, prompt, ANSWERS) == pytest.approx(alone, abs=1e-5)
    turned = unshifted_means(model, prompt, ANSWERS[::-1])
    assert turned[::-1] == pytest.approx(alone, abs=1e-5)
