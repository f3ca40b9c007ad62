"""``--with checkpoint:PATH``: a tuned model or an adapter beside saved interventions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from shell import Outcome, truing

pytest.importorskip("torch")
QUESTION = "The Glass Spire is in the city of"


def refused(outcome: Outcome, *words: str) -> None:
    assert outcome.code in (1, 2), (outcome.code, outcome.err)
    start = next(i for i, line in enumerate(outcome.error_lines) if line.startswith("error: "))
    assert len(outcome.error_lines[start:]) == 2, outcome.err
    for word in words:
        assert word in outcome.err, outcome.err


def weights_of(folder: Path) -> Path:
    return folder / "model.safetensors"


def tuned(folder: Path, seed: int) -> Path:
    """The embedded model with noise on what attention puts out, saved."""
    import torch
    from safetensors.torch import load_file, save_file

    from truing.pocket import pocket_path

    shutil.copytree(pocket_path(), folder)
    weights = load_file(weights_of(folder))
    draw = torch.Generator().manual_seed(seed)
    for name in (n for n in sorted(weights) if "o_proj" in n):
        noise = torch.randn(weights[name].shape, generator=draw)
        weights[name] += 2 * float(weights[name].float().std()) * noise.to(weights[name].dtype)
    save_file(weights, weights_of(folder), metadata={"format": "pt"})
    return folder


def saved(folder: Path) -> Path:
    """A saved intervention with one low-rank part."""
    import torch

    from truing.interventions.artifact import save
    from truing.interventions.intervention import Intervention, LowRank, Origin, WeightDelta
    from truing.models.handle import Model

    model = Model.load("truing/pocket")
    slot = model.arch.attn_proj(2)
    draw = torch.Generator().manual_seed(1)
    left, right = (torch.randn(n, 2, generator=draw) for n in (slot.d_out, slot.d_in))
    part = WeightDelta(slot.param, LowRank(left, right), slot.bounds)
    return save(Intervention((part,), origin=Origin.of(model, "by-hand", {}, ())), folder)


def answers(capsys: pytest.CaptureFixture[str], *args: str) -> dict[str, str]:
    done = truing(["ask", *args, QUESTION, "--json", "--max-new-tokens", "8"], capsys)
    assert done.code == 0, done.err
    [told] = json.loads(done.out)
    found: dict[str, str] = told["answers"]
    return found


def test_a_checkpoint_and_an_adapter_answer_side_by_side_as_they_do_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = tuned(tmp_path / "one", 1), tuned(tmp_path / "other", 2)
    iv = saved(tmp_path / "iv")
    adapter = tmp_path / "adapter"
    done = truing(["export", str(iv), "--to", "peft", "-o", str(adapter)], capsys)
    assert done.code == 0, done.err
    columns = (f"checkpoint:{one}", f"checkpoint:{other}", f"checkpoint:{adapter}", str(iv))
    found = answers(capsys, "truing/pocket", *(x for c in columns for x in ("--with", c)))
    assert list(found) == ["base", "checkpoint:one", "checkpoint:other", "checkpoint:adapter", "iv"]
    assert found["checkpoint:one"] == answers(capsys, str(one))["base"]
    assert found["checkpoint:other"] == answers(capsys, str(other))["base"]
    assert found["checkpoint:adapter"] == found["iv"]
    assert len(set(found.values())) == 4


def test_an_adapter_that_peft_made_answers_as_peft_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    peft = pytest.importorskip("peft")
    import torch

    from truing.models.handle import Model

    model = Model.load("truing/pocket")
    settings = peft.LoraConfig(r=2, target_modules=["o_proj"], lora_alpha=8)
    wrapped = peft.get_peft_model(model.hf, settings)
    draw = torch.Generator().manual_seed(0)
    for name, parameter in wrapped.named_parameters():
        if "lora_" in name:
            parameter.data = torch.randn(parameter.shape, generator=draw)
    wrapped.save_pretrained(tmp_path / "adapter")
    wrapped.merge_and_unload().save_pretrained(tmp_path / "merged")
    model.tok.save_pretrained(tmp_path / "merged")
    found = answers(capsys, "truing/pocket", "--with", f"checkpoint:{tmp_path / 'adapter'}")
    assert found["checkpoint:adapter"] == answers(capsys, str(tmp_path / "merged"))["base"]
    assert found["checkpoint:adapter"] != found["base"]


def test_folders_of_the_same_name_are_told_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = tuned(tmp_path / "a" / "same", 1), tuned(tmp_path / "b" / "same", 2)
    given = [f"checkpoint:{one}", f"checkpoint:{other}"]
    found = answers(capsys, "truing/pocket", "--with", given[0], "--with", given[1])
    assert list(found) == ["base", *given]
    twice = ["ask", "truing/pocket", QUESTION, "--with", given[0], "--with", given[0]]
    refused(truing(twice, capsys), "given twice")


def test_what_is_no_tuned_copy_of_the_model_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tiny import tiny

    def ask(what: str) -> Outcome:
        return truing(["ask", "truing/pocket", QUESTION, "--with", what], capsys)

    hf, tok = tiny("gpt2")
    hf.save_pretrained(tmp_path / "gpt2")
    tok.save_pretrained(tmp_path / "gpt2")
    refused(ask(f"checkpoint:{tmp_path / 'gpt2'}"), "model_type", "gpt2", "llama")
    hf, tok = tiny("llama")
    hf.save_pretrained(tmp_path / "narrow")
    refused(ask(f"checkpoint:{tmp_path / 'narrow'}"), "is not a tuned 'truing/pocket'")
    refused(ask(f"checkpoint:{tmp_path / 'gone'}"), "there is no folder", "gone")
    refused(ask("checkpoint:"), "names no checkpoint")
    (tmp_path / "empty").mkdir()
    refused(ask(f"checkpoint:{tmp_path / 'empty'}"), "empty", "config.json")
    broken = tuned(tmp_path / "broken", 1)
    weights_of(broken).write_bytes(weights_of(broken).read_bytes()[:-64])
    refused(ask(f"checkpoint:{broken}"), "cannot be read")


def test_a_checkpoint_with_nan_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from safetensors.torch import load_file, save_file

    folder = tuned(tmp_path / "tuned", 1)
    weights = load_file(weights_of(folder))
    name = next(n for n in sorted(weights) if "o_proj" in n)
    weights[name][0, 0] = float("nan")
    save_file(weights, weights_of(folder), metadata={"format": "pt"})
    outcome = truing(["ask", "truing/pocket", QUESTION, "--with", f"checkpoint:{folder}"], capsys)
    refused(outcome, name, "not finite")


def test_capability_takes_a_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("lm_eval")
    folder = tuned(tmp_path / "tuned", 1)
    args = ["capability", "truing/pocket", "--tasks", "truing_micro", "--limit", "4", "--json"]
    done = truing([*args, "--with", f"checkpoint:{folder}"], capsys)
    assert done.code == 0, done.err
    assert all(result["edited"] is not None for result in json.loads(done.out))
