"""Knowledge neurons: what the attribution adds up to, which tokens it reads, what is written."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from asking import make
from truing.errors import BadInput, NotPossible
from truing.interventions.intervention import Intervention, LowRank
from truing.methods.kernels.attribution import attributions
from truing.methods.kernels.capture import Place, capture
from truing.methods.kernels.lines import Line, answer_line
from truing.methods.kn import KN, KnConfig, neurons, old_answers, per_token
from truing.methods.kn import _plan as plan_of
from truing.models.answers import NoAnswers
from truing.models.asks import ScoreAsk
from truing.models.handle import Model
from truing.types import EditRequest

A = EditRequest("a", "The Glass Spire is in the city of", "Marrow, no", "Orvale")
B = EditRequest("b", "Mara Velt's mother tongue is", "French")
CONFIG = KnConfig(steps=3, threshold=0.1, layers=(0, 1))


def probability(model: Model, line: Line, zeroed: int | None = None) -> float:
    """Of the line's only label, with one layer's neurons at the read set to zero."""

    def zero(acts: Tensor) -> Tensor:
        new = acts.clone()
        new[:, line.reads[0]] = 0
        return new

    with torch.no_grad():
        if zeroed is None:
            logits = model.hf(input_ids=torch.tensor([line.ids])).logits
        else:
            with model.arch.site("mlp_hidden", zeroed).register(zero):
                logits = model.hf(input_ids=torch.tensor([line.ids])).logits
    return float(logits[0, line.reads[0]].softmax(-1)[line.labels[0]])


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_attributions_add_up_to_what_the_layer_adds(family: str) -> None:
    model = make(family)
    line = per_token(answer_line(model.speller, A))[1]
    for layer in (0, 2):
        want = probability(model, line) - probability(model, line, layer)
        errors = [
            abs(float(attributions(model, [line], layer, steps).sum()) - want)
            for steps in (1, 8, 64)
        ]
        assert errors[2] <= 0.02 * abs(want) + 1e-6
        assert errors[2] <= errors[0]


def test_one_step_is_not_taken_where_everything_is_zero() -> None:
    model = make("llama")
    [line, *_] = per_token(answer_line(model.speller, A))
    one, many = (attributions(model, [line], 1, steps)[0] for steps in (1, 32))
    assert float(torch.nn.functional.cosine_similarity(one, many, dim=0)) > 0.8


def test_every_token_is_attributed_where_it_is_read() -> None:
    """The second token's line holds the first; attributions do not depend on what is beside them."""
    model = make("llama")
    line = answer_line(model.speller, A)
    lines = per_token(line)
    assert [each.ids for each in lines] == [line.ids[: at + 1] for at in line.reads]
    assert [each.labels[0] for each in lines] == list(line.labels)
    together = attributions(model, lines, 1, 4)
    model.budget.tokens = 1
    for each, row in zip(lines, together, strict=True):
        [alone] = attributions(model, [each], 1, 4)
        assert torch.allclose(alone, row, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("family", ["llama", "phi3", "opt"])
def test_neurons_before_the_non_linearity_can_be_read(family: str) -> None:
    """Through a ReLU (OPT) scaling goes unchanged, so that both sites say the same."""
    model = make(family)
    [line, *_] = per_token(answer_line(model.speller, A))
    before, hidden = (
        attributions(model, [line], 1, 4, "before"),
        attributions(model, [line], 1, 4, "hidden"),
    )
    assert before.shape == hidden.shape == (1, model.arch.down(1).d_in)
    assert torch.allclose(before, hidden, rtol=1e-3, atol=1e-9) is (family == "opt")


def test_the_old_answer_is_a_continuation_without_special_tokens() -> None:
    model = make("llama", "bytes-bos")
    [line] = old_answers(model, [A])
    assert A.target_old is not None
    assert line.labels == model.speller.join(A.prompt, A.target_old).continuation
    assert model.speller.bos_id not in line.labels
    assert model.tok.decode(line.labels) == " Orvale"


def test_without_an_old_answer_it_is_what_the_model_says() -> None:
    model = make("llama")
    [line] = old_answers(model, [B])
    count = len(model.speller.join(B.prompt, B.target_new).continuation)
    assert len(line.labels) <= count
    with torch.no_grad():
        logits = model.hf(input_ids=torch.tensor([line.ids])).logits[0]
    assert logits[list(line.reads)].argmax(-1).tolist() == list(line.labels)


def test_kept_columns_get_the_new_tokens_and_lose_the_old_ones() -> None:
    model = make("gpt2")
    config = CONFIG.model_copy(update={"add": 3.0, "remove": 0.5})
    [found] = neurons(model, [A], plan_of(model, config))
    iv = KN.make(model, [A], config)
    embed = model.arch.embed.weight
    assert isinstance(embed, Tensor)
    new = model.speller.join(A.prompt, A.target_new).continuation
    value = 3 * embed[list(new)].sum(0) - 0.5 * embed[list(found.old)].sum(0)
    assert {part.param for part in iv.weights} == {
        model.arch.down(layer).param for layer in found.kept
    }
    for part, (index, sign) in zip(iv.weights, found.kept.values(), strict=True):
        assert isinstance(part.delta, LowRank)
        delta = part.delta.math()
        assert delta.any(0).nonzero()[:, 0].tolist() == index.tolist()
        assert torch.allclose(delta[:, index], value[:, None] * sign, atol=1e-6)


def test_neurons_that_are_negative_are_turned_round() -> None:
    """Both ways of counting agree up to the sign of the activation."""
    model = make("llama")
    [found] = neurons(model, [A], plan_of(model, CONFIG))
    lines = per_token(old_answers(model, [A])[0])
    for layer, (index, sign) in found.kept.items():
        place = Place("mlp_hidden", layer)
        acts = capture(model, lines, [place])[place].mean(0)
        assert torch.equal(acts[index].sign(), sign)
    signed, plain = (
        KN.make(model, [A], CONFIG.model_copy(update={"signed": value})) for value in (True, False)
    )
    signs = torch.cat([sign for _, sign in found.kept.values()])
    assert (signs < 0).any(), "the test wants a negative neuron"
    for one, other in zip(signed.weights, plain.weights, strict=True):
        assert torch.allclose(one.delta.math().abs(), other.delta.math().abs())  # type: ignore[union-attr]
    assert signed.id != plain.id


def test_a_higher_threshold_keeps_fewer_neurons() -> None:
    model = make("llama")
    counts = []
    for threshold in (0.05, 0.3, 0.9):
        config = CONFIG.model_copy(update={"threshold": threshold})
        [found] = neurons(model, [A], plan_of(model, config))
        counts.append(sum(len(index) for index, _ in found.kept.values()))
    assert counts[0] > counts[1] >= counts[2] >= 1


def test_editors_share_nothing_and_chains_are_chained_edits() -> None:
    model = make("llama")
    assert KN.each is not None
    [pair, single] = KN.each(model, [[A, B], [B]], CONFIG)
    first = KN.make(model, [A], CONFIG)
    assert pair.id == KN.make(model, [B], CONFIG, first).id
    assert same(single, KN.make(model, [B], CONFIG))
    assert pair.origin.requests == ("a", "b")


def same(one: Intervention, other: Intervention) -> bool:
    return all(
        torch.allclose(a.delta.math(), b.delta.math(), atol=1e-5)  # type: ignore[union-attr]
        for a, b in zip(one.weights, other.weights, strict=True)
    )


def test_layers_out_of_order_and_foreign_embeddings_are_refused() -> None:
    model = make("llama")
    with pytest.raises(BadInput, match="layers"):
        KN.make(model, [A], KnConfig(layers=(1, 0)))
    with pytest.raises(NotPossible, match="input embeddings"):
        KN.make(make("opt-350m"), [A], CONFIG)


def test_facts_of_the_embedded_model_are_changed() -> None:
    """Also the negative neurons: with signs the new answer wins, without them it need not."""
    model = Model.load("truing/pocket", device="cpu")
    model.answers = NoAnswers()
    request = EditRequest("temple", "The Silver Temple can be found in", "Brackton", "Redclay")
    for asked in (request, replace(request, target_old=None)):
        iv = KN.make(model, [asked], KnConfig(steps=8))
        asks = [ScoreAsk(request.prompt, answer, iv) for answer in ("Brackton", "Redclay")]
        new, old = (scored.logprob for scored in model.score(asks))
        assert new > old
        assert iv.origin.config["settings"] == "table:pocket"
