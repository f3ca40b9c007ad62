"""A fingerprint is the content: it moves with every edit and with nothing else."""

from __future__ import annotations

import torch

from tiny import TOKENIZERS, tiny_model, tiny_tokenizer
from truing.models.fingerprint import tokenizer_fingerprint, weight_fingerprint


def test_equal_weights_have_equal_fingerprints() -> None:
    assert weight_fingerprint(tiny_model(seed=1)) == weight_fingerprint(tiny_model(seed=1))
    assert weight_fingerprint(tiny_model(seed=1)) != weight_fingerprint(tiny_model(seed=2))
    low = tiny_model(dtype=torch.bfloat16, seed=1)
    assert weight_fingerprint(low) != weight_fingerprint(tiny_model(seed=1))


def test_edits_in_place_are_noticed_and_undoing_them_too() -> None:
    hf = tiny_model()
    before = weight_fingerprint(hf)
    weight = hf.get_submodule("model.layers.1.mlp.down_proj").weight
    old = weight[0, 0].item()
    with torch.no_grad():
        weight[0, 0] += 1
    during = weight_fingerprint(hf)
    weight.data[0, 0] = old + 2
    through_data = weight_fingerprint(hf)
    weight.data[0, 0] = old
    assert len({before, during, through_data}) == 3
    assert weight_fingerprint(hf) == before


def test_swapping_two_values_is_noticed_although_the_sum_stays() -> None:
    hf = tiny_model()
    before = weight_fingerprint(hf)
    weight = hf.get_submodule("model.layers.1.mlp.down_proj").weight
    with torch.no_grad():
        weight[0, 0], weight[0, 1] = weight[0, 1].clone(), weight[0, 0].clone()
    assert weight_fingerprint(hf) != before


def test_tokenizers_differ_by_vocabulary_and_by_template() -> None:
    found = {tokenizer_fingerprint(tiny_tokenizer(kind)) for kind in TOKENIZERS}
    assert len(found) == len(TOKENIZERS)
    plain = tiny_tokenizer("bytes", chat=False)
    assert tokenizer_fingerprint(plain) != tokenizer_fingerprint(tiny_tokenizer("bytes"))
    assert tokenizer_fingerprint(plain) == tokenizer_fingerprint(tiny_tokenizer("bytes", chat=False))
