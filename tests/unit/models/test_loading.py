"""What can be wrong with a model is said in two lines, before anything is computed with it."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from huggingface_hub import errors as hub
from safetensors.torch import load_file, save_file
from transformers.utils import logging

from tiny import tiny, tiny_tokenizer
from truing.errors import BadInput, CannotLoad, TruingError, UnknownName
from truing.models import sources
from truing.models.arch import describe
from truing.models.fingerprint import weight_fingerprint
from truing.models.loading import load

DOWN = "model.layers.1.mlp.down_proj.weight"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A saved model in perfect health."""
    hf, tok = tiny()
    hf.save_pretrained(tmp_path / "model")
    tok.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def weights(folder: Path, **changes: torch.Tensor | None) -> None:
    """Rewrite the checkpoint with some tensors changed or (None) left out."""
    path = folder / "model.safetensors"
    tensors = {**load_file(path), **changes}
    save_file({n: t for n, t in tensors.items() if t is not None}, path, metadata={"format": "pt"})


def refused(name: str | Path, *words: str, **settings: Any) -> TruingError:
    """Loading fails with two lines that hold ``words`` and no traceback of another library."""
    with pytest.raises(TruingError) as caught:
        load(str(name), **{"device": "cpu", **settings})
    error = caught.value
    assert len(str(error).splitlines()) == 2
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None
    for word in words:
        assert word in str(error)
    return error


# --- what loads


def test_a_folder_loads_in_float32_on_cpu_without_gradients(folder: Path) -> None:
    hf, tok = load(str(folder), device="cpu")
    assert hf.dtype == torch.float32
    assert not any(p.requires_grad for p in hf.parameters())
    assert not hf.training
    assert tok("The Glass Spire")["input_ids"][0] == tok.bos_token_id
    assert weight_fingerprint(hf) == weight_fingerprint(tiny()[0])


def test_on_cpu_a_bfloat16_checkpoint_is_computed_in_float32(tmp_path: Path) -> None:
    hf, tok = tiny(dtype=torch.bfloat16)
    hf.save_pretrained(tmp_path)
    tok.save_pretrained(tmp_path)
    assert load(str(tmp_path), device="cpu")[0].dtype == torch.float32
    assert load(str(tmp_path), device="cpu", dtype="bfloat16")[0].dtype == torch.bfloat16


@pytest.mark.parametrize("placement", ["auto", {"": "cpu"}, {"model": "cpu", "lm_head": "cpu"}])
def test_a_model_may_be_placed_by_a_device_map(folder: Path, placement: Any) -> None:
    placed, _ = load(str(folder), device_map=placement)
    plain, _ = load(str(folder), device="cpu")
    ids = torch.tensor([[3, 4, 5]])
    assert describe(placed).verified
    torch.testing.assert_close(
        placed(ids.to(placed.device)).logits.cpu().float(), plain(ids).logits
    )


def test_an_offloaded_model_has_sites_too(folder: Path, tmp_path: Path) -> None:
    from accelerate import disk_offload

    hf, _ = load(str(folder), device="cpu")
    disk_offload(hf, str(tmp_path / "offload"), execution_device="cpu")
    assert describe(hf).verified


def test_the_embedded_model_loads_and_checks_out() -> None:
    from truing.pocket import pocket_path

    if not (pocket_path() / "model.safetensors").is_file():
        pytest.skip("the embedded model has not been built")
    hf, tok = load("truing/pocket", device="cpu")
    assert describe(hf).verified
    assert tok.chat_template


@pytest.mark.parametrize("name", ["tiny-gpt2", "tiny-llama"])
def test_the_golden_models_check_out(name: str, goldens_dir: Path) -> None:
    hf, _ = load(str(goldens_dir / "models" / name), device="cpu")
    assert describe(hf).verified


def test_loading_is_silent_and_leaves_the_other_library_as_it_was(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    logging.set_verbosity_warning()
    logging.enable_progress_bar()
    load(str(folder), device="cpu")
    assert logging.get_verbosity() == logging.WARNING
    assert logging.is_progress_bar_enabled()
    assert capfd.readouterr() == ("", "")


# --- settings


def test_settings_that_make_no_sense(folder: Path) -> None:
    refused(folder, "float32", dtype="float23")
    refused(folder, "toaster", device="toaster")
    refused(folder, "meta", device="meta")
    refused(folder, "both given", device="cpu", device_map="auto")
    if not torch.cuda.is_available():
        assert isinstance(refused(folder, "cuda", device="cuda"), BadInput)


# --- folders


def test_a_missing_folder(tmp_path: Path) -> None:
    refused(tmp_path / "gone", "gone")
    refused("./gone", "./gone")
    refused("~/gone/for/good", "gone/for/good")


def test_a_file_instead_of_a_folder(folder: Path) -> None:
    refused(folder / "config.json", "is a file")


def test_no_config(folder: Path) -> None:
    (folder / "config.json").unlink()
    refused(folder, "config.json")


def test_a_broken_config(folder: Path) -> None:
    (folder / "config.json").write_text("{", encoding="utf-8")
    refused(folder, "config.json", "cannot be read")


def test_an_architecture_that_nobody_knows(folder: Path) -> None:
    facts = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**facts, "model_type": "nobody"}))
    refused(folder, "nobody")


def test_a_model_that_is_no_language_model(folder: Path) -> None:
    facts = {"model_type": "vit", "architectures": ["ViTModel"]}
    (folder / "config.json").write_text(json.dumps(facts), encoding="utf-8")
    refused(folder)


def test_no_tokenizer(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()
    refused(folder, "has no tokenizer", "save_pretrained")


def test_a_broken_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    refused(folder, "tokenizer")


def test_the_tokenizer_of_a_larger_model(folder: Path) -> None:
    tok = tiny_tokenizer()
    tok.add_tokens([f"<{n}>" for n in range(200)])
    tok.save_pretrained(folder)
    refused(folder, "embeddings for 640")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_values_that_are_not_finite(folder: Path, value: float) -> None:
    tensor = load_file(folder / "model.safetensors")[DOWN]
    tensor[3, 4] = value
    weights(folder, **{DOWN: tensor})
    refused(folder, DOWN, "not finite")


def test_values_whose_sum_overflows_are_finite(folder: Path) -> None:
    tensor = load_file(folder / "model.safetensors")[DOWN]
    weights(folder, **{DOWN: torch.full_like(tensor, 60000.0)})
    load(str(folder), device="cpu", dtype="float16")


def test_weights_that_are_not_there_are_never_made_up(folder: Path) -> None:
    weights(folder, **{DOWN: None})
    refused(folder, DOWN, "lacks")


def test_weights_of_another_shape(folder: Path) -> None:
    weights(folder, **{DOWN: torch.zeros(32, 40)})
    refused(folder)


def test_pickled_weights_are_not_opened(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    refused(folder, "pytorch_model.bin", "pickled", "save_pretrained")


def test_no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    refused(folder, "no *.safetensors")


def test_a_truncated_checkpoint(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    refused(folder)


def test_a_shard_that_is_not_there(tmp_path: Path) -> None:
    hf, tok = tiny()
    hf.save_pretrained(tmp_path, max_shard_size="40KB")
    tok.save_pretrained(tmp_path)
    sorted(tmp_path.glob("model-*.safetensors"))[1].unlink()
    refused(tmp_path)


def test_code_that_a_folder_brings_is_not_run(folder: Path) -> None:
    facts = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    facts |= {
        "model_type": "mine",
        "auto_map": {"AutoConfig": "mine.C", "AutoModelForCausalLM": "mine.M"},
    }
    (folder / "config.json").write_text(json.dumps(facts), encoding="utf-8")
    trap = folder / "ran"
    (folder / "mine.py").write_text(f"open({str(trap)!r}, 'w')\nclass C: ...\nclass M: ...\n")
    refused(folder, "trust_remote_code=True")
    assert not trap.exists()


# --- the hub


def answer(kind: type[Exception]) -> Exception:
    """An error as the hub's client raises it, without the response that it would hold."""
    error = kind.__new__(kind, "no")
    Exception.__init__(error, "no")
    return error


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (hub.GatedRepoError, ["gated", "HF_TOKEN", "local folder"]),
        (hub.RepositoryNotFoundError, ["private", "HF_TOKEN", "local folder"]),
        (hub.RevisionNotFoundError, ["no revision 'abc123'"]),
        (hub.EntryNotFoundError, ["no config.json"]),
        (hub.LocalEntryNotFoundError, ["cannot be asked", "HF_TOKEN", "local folder"]),
        (hub.HfHubHTTPError, ["Try again later", "HF_TOKEN"]),
        (hub.HFValidationError, ["neither a folder nor a hub id"]),
        (ConnectionError, ["Try again later"]),
    ],
)
def test_what_the_hub_refuses(
    kind: type[Exception], words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(*args: Any, **kwargs: Any) -> None:
        raise answer(kind)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    refused("some-owner/some-model", "some-owner/some-model", *words, revision="abc123")


def test_a_hub_id_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["some-owner/some-model", "abc123", "HF_TOKEN", "local folder"]
    refused("some-owner/some-model", "offline mode is on", *words, revision="abc123")

    def unreachable(*args: Any) -> None:
        raise OSError("no route")

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket, "create_connection", unreachable)
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    refused("some-owner/some-model", "no connection", *words, revision="abc123")


def test_a_model_in_the_hub_cache_loads_offline(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    snapshot = tmp_path / "hub" / "models--some--one" / "snapshots" / ("0" * 40)
    refs = snapshot.parents[1] / "refs"
    refs.mkdir(parents=True)
    (refs / "main").write_text("0" * 40)
    snapshot.parent.mkdir()
    folder.rename(snapshot)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    hf, _ = load("some/one", device="cpu")
    assert weight_fingerprint(hf) == weight_fingerprint(tiny()[0])
    (snapshot / "model.safetensors").unlink()
    refused("some/one", "some/one")


def test_proxies_are_asked_and_not_second_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:1")
    assert sources._out_of_reach() is None


@pytest.mark.parametrize("name", ["bad name/x y", "a" * 120])
def test_a_name_that_cannot_be_a_hub_id(name: str) -> None:
    refused(name, "neither a folder nor a hub id")


def test_a_misspelt_embedded_model() -> None:
    assert isinstance(refused("truing/pockets", "truing/pocket"), UnknownName)


def test_every_failure_is_a_kind_that_the_command_line_shows() -> None:
    assert isinstance(refused("./gone"), CannotLoad)
