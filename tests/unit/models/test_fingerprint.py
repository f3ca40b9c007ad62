"""A fingerprint is the content: it moves with every edit and with nothing else."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from accelerate import cpu_offload, disk_offload
from torch import Tensor

from tiny import TOKENIZERS, tiny_model, tiny_tokenizer
from truing.models import fingerprint
from truing.models.fingerprint import tokenizer_fingerprint, weight_fingerprint


def down(hf: torch.nn.Module) -> Tensor:
    weight = hf.get_submodule("model.layers.1.mlp.down_proj").weight
    assert isinstance(weight, Tensor)
    return weight


@pytest.fixture(params=["small", "large"])
def hf(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> torch.nn.Module:
    """A tiny model, treated as small or as large."""
    if request.param == "large":
        monkeypatch.setattr(fingerprint, "SMALL", 0)
    model: torch.nn.Module = tiny_model()
    return model


def test_equal_weights_have_equal_fingerprints() -> None:
    assert weight_fingerprint(tiny_model(seed=1)) == weight_fingerprint(tiny_model(seed=1))
    assert weight_fingerprint(tiny_model(seed=1)) != weight_fingerprint(tiny_model(seed=2))


def test_names_and_dtypes_count() -> None:
    one = tiny_model(seed=1)
    assert weight_fingerprint(tiny_model(dtype=torch.bfloat16, seed=1)) != weight_fingerprint(one)
    before = weight_fingerprint(one)
    layers = one.model.layers
    layers[0].mlp.gate_proj, layers[0].mlp.up_proj = layers[0].mlp.up_proj, layers[0].mlp.gate_proj
    assert weight_fingerprint(one) != before


def test_it_does_not_depend_on_memory_or_what_was_asked_before(hf: torch.nn.Module) -> None:
    before = weight_fingerprint(hf)
    assert weight_fingerprint(hf) == before
    assert weight_fingerprint(copy.deepcopy(hf)) == before
    for parameter in hf.parameters():
        parameter.data = parameter.data.clone()
    assert weight_fingerprint(hf) == before


def test_edits_in_place_are_noticed_and_undoing_them_too(hf: torch.nn.Module) -> None:
    before, saved = weight_fingerprint(hf), down(hf).detach().clone()
    with torch.no_grad():
        down(hf)[0, 0] += 1
    assert weight_fingerprint(hf) != before
    with torch.no_grad():
        down(hf).copy_(saved)
    assert weight_fingerprint(hf) == before


def test_edits_of_a_whole_matrix_through_data_are_noticed(hf: torch.nn.Module) -> None:
    before = weight_fingerprint(hf)
    down(hf).data += 0.01
    assert weight_fingerprint(hf) != before


def test_single_elements_of_small_models_count_through_data_too() -> None:
    hf = tiny_model()
    before = weight_fingerprint(hf)
    old = down(hf)[0, 0].item()
    down(hf).data[0, 0] = old + 2
    assert weight_fingerprint(hf) != before
    down(hf).data[0, 0] = old
    assert weight_fingerprint(hf) == before


def test_swapping_two_values_is_noticed_although_the_sum_stays(hf: torch.nn.Module) -> None:
    before, weight = weight_fingerprint(hf), down(hf)
    with torch.no_grad():
        weight[0, 0], weight[0, 1] = weight[0, 1].clone(), weight[0, 0].clone()
    assert weight_fingerprint(hf) != before


def test_replacing_a_parameter_is_noticed(hf: torch.nn.Module) -> None:
    before = weight_fingerprint(hf)
    module = hf.get_submodule("model.layers.1.mlp.down_proj")
    module.weight = torch.nn.Parameter(down(hf) + 1)
    assert weight_fingerprint(hf) != before


def test_tied_weights_are_hashed_under_both_names() -> None:
    assert weight_fingerprint(tiny_model("llama-tied")) == weight_fingerprint(
        tiny_model("llama-tied")
    )


@pytest.mark.parametrize("where", ["memory", "disk"])
def test_offloaded_weights_count(where: str, tmp_path: Path) -> None:
    found = []
    for seed in (1, 1, 2):
        hf = tiny_model(seed=seed)
        plain = weight_fingerprint(hf)
        if where == "memory":
            cpu_offload(hf, execution_device="cpu")
        else:
            disk_offload(hf, str(tmp_path / f"{len(found)}"), execution_device="cpu")
        assert weight_fingerprint(hf) == plain
        found.append(plain)
    assert found[0] == found[1] != found[2]


def test_tokenizers_differ_by_vocabulary_and_by_template() -> None:
    found = {tokenizer_fingerprint(tiny_tokenizer(kind)) for kind in TOKENIZERS}
    assert len(found) == len(TOKENIZERS)
    plain = tiny_tokenizer("bytes", chat=False)
    assert tokenizer_fingerprint(plain) != tokenizer_fingerprint(tiny_tokenizer("bytes"))
    assert tokenizer_fingerprint(plain) == tokenizer_fingerprint(
        tiny_tokenizer("bytes", chat=False)
    )


def test_a_tokenizer_is_the_same_whatever_it_was_used_for() -> None:
    tok = tiny_tokenizer("bytes-bos")
    before = tokenizer_fingerprint(tok)
    tok(["a", "b c"], padding=True, truncation=True, max_length=4)
    tok.padding_side = "left"
    del tok.__dict__["_truing_digests"]
    assert tokenizer_fingerprint(tok) == before
    tok.add_tokens(["<new>"])
    assert tokenizer_fingerprint(tok) != before


def test_loading_does_not_change_it(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    hf, tok = tiny_model("llama-tied"), tiny_tokenizer("metaspace-bos")
    hf.save_pretrained(tmp_path)
    tok.save_pretrained(tmp_path)
    again = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert weight_fingerprint(again) == weight_fingerprint(hf)
    one, two = (AutoTokenizer.from_pretrained(tmp_path) for _ in range(2))
    assert tokenizer_fingerprint(one) == tokenizer_fingerprint(two)
