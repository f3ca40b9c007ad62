"""What can be wrong with a model folder is said in two lines."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tiny import tiny
from truing.errors import BadInput, CannotLoad, TruingError, UnknownName
from truing.models.loading import load


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    hf, tok = tiny()
    hf.save_pretrained(tmp_path / "model")
    tok.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def refused(error: TruingError, *words: str) -> None:
    lines = str(error).splitlines()
    assert len(lines) == 2, lines
    for word in words:
        assert word in str(error)


def test_a_folder_loads_in_float32_on_cpu_without_gradients(folder: Path) -> None:
    hf, tok = load(str(folder), device="cpu")
    assert hf.dtype == torch.float32
    assert not any(p.requires_grad for p in hf.parameters())
    assert not hf.training
    assert tok("The Glass Spire")["input_ids"][0] == tok.bos_token_id


def test_the_dtype_can_be_chosen(folder: Path) -> None:
    assert load(str(folder), dtype="bfloat16", device="cpu")[0].dtype == torch.bfloat16
    with pytest.raises(UnknownName, match="float32"):
        load(str(folder), dtype="float23")
    with pytest.raises(BadInput, match="device"):
        load(str(folder), device="toaster")


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(CannotLoad) as caught:
        load(str(tmp_path / "gone"))
    refused(caught.value, "gone")


def test_a_hub_id_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CannotLoad) as caught:
        load("some-owner/some-model", revision="abc123")
    refused(caught.value, "some-owner/some-model", "abc123", "HF_TOKEN", "local folder")


def test_no_tokenizer(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(CannotLoad) as caught:
        load(str(folder))
    refused(caught.value, "tokenizer")


def test_no_config(folder: Path) -> None:
    (folder / "config.json").unlink()
    with pytest.raises(CannotLoad) as caught:
        load(str(folder))
    refused(caught.value, "config.json")


def test_a_broken_config(folder: Path) -> None:
    (folder / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(CannotLoad) as caught:
        load(str(folder))
    refused(caught.value, "config.json")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite(folder: Path, value: float) -> None:
    weights = load_file(folder / "model.safetensors")
    name = "model.layers.1.mlp.down_proj.weight"
    weights[name][3, 4] = value
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CannotLoad) as caught:
        load(str(folder), device="cpu")
    refused(caught.value, name)


def test_pickled_weights_are_not_opened(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(CannotLoad) as caught:
        load(str(folder))
    refused(caught.value, "pytorch_model.bin", "pickled")


def test_a_truncated_checkpoint(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CannotLoad) as caught:
        load(str(folder))
    refused(caught.value)


def test_a_misspelt_embedded_model() -> None:
    with pytest.raises(UnknownName, match="truing/pocket"):
        load("truing/pockets")
