"""A vector that became a bias steers as the vector did, or the model is refused with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from asking import dense, low_rank, make, op, under
from truing.errors import NotPossible
from truing.interventions.interop import bake, merged
from truing.interventions.intervention import Intervention, PromptPrefix
from truing.models.handle import Model
from truing.models.positions import Positions

PROMPTS = ["The Glass Spire is in the city of", "Who built the Tin Gate?", "Yes"]
WITH_BIAS = ("gpt2", "gpt2-square", "gptj", "gpt_neo", "gpt_neox", "gpt_neox-serial", "phi", "opt")
SWITCHED = ("llama", "llama-tied", "falcon", "falcon-serial")


def steering(model: Model) -> Intervention:
    return under(
        op(model, "resid_post", 0, "add", 1, scale=0.8),
        op(model, "resid_post", 2, "add", 2, scale=-1.5),
        op(model, "resid_post", 2, "add", 3),
        op(model, "resid_pre", 2, "add", 4),
    )


def logits(model: Model, iv: Intervention) -> list[torch.Tensor]:
    with torch.no_grad(), model.using(iv):
        return [
            model.hf(input_ids=torch.tensor([model.speller.prompt_ids(p)])).logits[0]
            for p in PROMPTS
        ]


@pytest.mark.parametrize("name", [*WITH_BIAS, "llama-biased", *SWITCHED])
def test_a_bias_gives_the_logits_that_the_vector_gave(name: str) -> None:
    model = make(name)
    iv = steering(model)
    host = bake.with_biases(model)
    assert (host is model) == (name not in SWITCHED)
    found = bake.baked(iv, host)
    assert not found.ops
    for a, b, base in zip(
        logits(host, found), logits(model, iv), logits(model, Intervention()), strict=True
    ):
        assert (a - b).abs().max() < 1e-4
        assert (a - base).abs().max() > 1e-1


@pytest.mark.parametrize("name", SWITCHED)
def test_biases_that_are_zero_change_no_answer(name: str) -> None:
    model = make(name)
    host = bake.with_biases(model)
    for a, b in zip(logits(host, Intervention()), logits(model, Intervention()), strict=True):
        assert (a - b).abs().max() < 1e-5
    assert all(model.arch.down(layer).bias is None for layer in range(3))


@pytest.mark.parametrize("name", ["gpt2", "llama", "falcon", "opt"])
def test_the_checkpoint_steers_itself(tmp_path: Path, name: str) -> None:
    model = make(name)
    iv = steering(model)
    folder, switch = bake.export(iv, model, tmp_path / "baked")
    assert switch == bake.SWITCHES.get(name)
    assert merged.check(iv, model, folder, PROMPTS) < 1e-4
    assert merged.check(Intervention(), model, folder, PROMPTS) > 1e-2
    assert '"baked"' in (folder / "truing_origin.json").read_text()


def test_weight_deltas_are_merged_beside_the_vectors(tmp_path: Path) -> None:
    model = make("llama")
    iv = steering(model) + under(low_rank(model.arch.down(1), 1, size=0.5))
    iv += under(dense(model.arch.attn_proj(0), 2, size=0.5))
    folder, _ = bake.export(iv, model, tmp_path / "baked")
    assert merged.check(iv, model, folder, PROMPTS) < 1e-4


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("mistral", "configuration knows none"),
        ("qwen2", "configuration knows none"),
        ("opt-350m", "stands between"),
        ("mixtral", "mixture of experts"),
    ],
)
def test_models_that_cannot_hold_the_vector_are_refused(
    tmp_path: Path, name: str, why: str
) -> None:
    model = make(name)
    with pytest.raises(NotPossible, match=why) as caught:
        bake.export(steering(model), model, tmp_path / "baked")
    assert str(caught.value).count("\n") == 1
    assert not (tmp_path / "baked").exists()


@pytest.mark.parametrize("name", ["gemma2", "olmo2"])
def test_a_norm_behind_the_mlp_is_found_by_trying(name: str) -> None:
    model = make(name)
    vector = op(model, "resid_post", 1, "add", 1).vector
    assert bake._bent(model, 1, vector)
    assert not bake._bent(make("llama"), 1, vector)


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"kind": "ablate"}, "can only add"),
        ({"kind": "add", "positions": Positions("window", start=-1)}, "every token"),
        ({"kind": "add", "site": "attn_out"}, "attn_out"),
    ],
)
def test_ops_that_are_no_bias_are_refused(tmp_path: Path, facts: dict[str, Any], why: str) -> None:
    model = make("gpt2")
    part = op(model, facts.pop("site", "resid_post"), 1, facts.pop("kind"), 1, **facts)
    with pytest.raises(NotPossible, match=why):
        bake.export(under(part), model, tmp_path / "baked")
    with pytest.raises(NotPossible, match="prompt prefixes"):
        bake.export(steering(model) + under(PromptPrefix("x ")), model, tmp_path / "baked")
    assert not (tmp_path / "baked").exists()
