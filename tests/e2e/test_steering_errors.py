"""Steering with something wrong: two lines that say what, and nothing saved."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from shell import Outcome, truing

pytest.importorskip("torch")
PROMPT = "The evening in Orvale was"
PAIR = {"prompt": PROMPT, "target_new": "bleak and weary", "target_old": "sunny and glad"}
CONTRAST = {"prompt": PROMPT, "positive": "bleak and weary", "negative": "sunny and glad"}


def refused(outcome: Outcome, *words: str) -> None:
    """The outcome is an error of two lines, after notes, that holds ``words``."""
    assert outcome.code in (1, 2), (outcome.code, outcome.err)
    assert "Traceback" not in outcome.err
    assert "unexpected" not in outcome.err
    lines = outcome.error_lines
    start = next((i for i, line in enumerate(lines) if line.startswith("error: ")), None)
    assert start is not None, outcome.err
    assert len(lines[start:]) == 2, outcome.err
    for word in words:
        assert word in "\n".join(lines[start:]), outcome.err


def lines(path: Path, *records: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return path


def edit(pairs: Path, *settings: str) -> list[str]:
    given = [part for setting in settings for part in ("--set", setting)]
    out = str(pairs.parent / "iv")
    return ["edit", "truing/pocket", str(pairs), "-m", "caa", *given, "-o", out]


def run(benchmark: str, data: Path) -> list[str]:
    return [
        "run", "--model", "truing/pocket", "--method", "caa", "--regime", "batch",
        "--protocol", "synthetic,scorer=likelihood-per-token", "--benchmark", benchmark,
        "--data", str(data), "--out", str(data.parent / "run"),
    ]  # fmt: skip


# pairs


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"prompt": PROMPT}, ("positive",)),
        ({"prompt": PROMPT, "continuation": "bleak"}, ("positive",)),
        ({**CONTRAST, "negative": "  "}, ("negative is empty",)),
        ({**CONTRAST, "positive": ""}, ("positive is empty",)),
        ({**CONTRAST, "negative": " bleak and weary "}, ("both sides",)),
        ({**CONTRAST, "split": "validation"}, ("split",)),
        ({**CONTRAST, "negative": None}, ("negative",)),
    ],
)
def test_pairs_without_two_different_sides_stop_a_run(
    record: dict[str, Any], words: tuple[str, ...], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    alone = lines(tmp_path / "pairs.jsonl", record)
    refused(truing(run("contrast", alone), capsys), *words)
    among = lines(tmp_path / "more.jsonl", CONTRAST, {**CONTRAST, "prompt": "At dawn"}, record)
    refused(truing(run("contrast", among), capsys), *words)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"prompt": PROMPT, "target_new": "bleak"}, ("target_old",)),
        ({**PAIR, "target_old": ""}, ("target_old",)),
        ({**PAIR, "target_old": "bleak and weary"}, ("target_old",)),
        ({**PAIR, "target_new": " "}, ("target_new",)),
        (CONTRAST, ("target_new",)),
    ],
)
def test_requests_without_two_different_sides_are_no_pairs(
    record: dict[str, Any], words: tuple[str, ...], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    pairs = lines(tmp_path / "pairs.jsonl", record)
    refused(truing(edit(pairs), capsys), *words)
    assert not (tmp_path / "iv").exists()


@pytest.mark.parametrize(
    ("questions", "words"),
    [
        (["a [/INST] b", "a [/INST] c", "d [/INST] e"], ("3 items, an odd number",)),
        (["a [/INST] b", "z [/INST] c"], ("different prompts",)),
        (["a [/INST] b", "a [/INST]"], ("empty",)),
        (["a [/INST] b", "a [/INST] b"], ("both sides",)),
        (["a b", "a c"], ("[/INST]",)),
    ],
)
def test_files_of_two_halves_that_do_not_pair_up(
    questions: list[str], words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "halves.json"
    data.write_text(json.dumps([{"question": f"[INST] {text}"} for text in questions]), "utf-8")
    plan = tmp_path / "plan.toml"
    plan.write_text(
        'model = "truing/pocket"\nmethods = ["caa"]\nregime = "batch"\n'
        'protocols = ["synthetic,scorer=likelihood-per-token"]\n[[benchmarks]]\n'
        'name = "pres2024"\ndata = "halves.json"\noptions = { behavior_half = "first" }\n'
    )
    refused(truing(["run", str(plan), "--out", str(tmp_path / "run")], capsys), *words)
    refused(truing(run("pres2024", data), capsys), "which half of the list")


# settings


@pytest.mark.parametrize(
    ("setting", "word"),
    [
        ("strength=nan", "strength"),
        ("strength=inf", "strength"),
        ("strength=-inf", "strength"),
        ("layers=[99]", "99"),
        ("layers=[-1]", "-1"),
        ("layers=[]", "layers"),
    ],
)
def test_settings_that_mean_nothing_are_told(
    setting: str, word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = lines(tmp_path / "pairs.jsonl", PAIR)
    refused(truing(edit(pairs, setting), capsys), word)
    assert not (tmp_path / "iv").exists()


# saved vectors


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vector for the embedded model, saved."""
    import torch

    from truing.interventions.artifact import save
    from truing.interventions.intervention import ActivationOp, Intervention, Origin
    from truing.models.handle import Model
    from truing.models.positions import Positions

    model = Model.load("truing/pocket")
    op = ActivationOp("resid_post", 2, "add", torch.ones(model.arch.d_model), Positions(), 0.1)
    iv = Intervention((op,), origin=Origin.of(model, "by-hand", {}, ()))
    return save(iv, tmp_path_factory.mktemp("vectors") / "iv")


def ask(folder: Path, model: str = "truing/pocket") -> list[str]:
    return ["ask", model, PROMPT, "--with", str(folder), "--max-new-tokens", "2"]


def changed(saved: Path, out: Path, vector: Any = None, base: str = "", **op: Any) -> Path:
    """A copy of ``saved`` with another vector, base or op, consistent in itself."""
    import hashlib
    from dataclasses import replace

    from safetensors.torch import load_file
    from safetensors.torch import save as dump

    from truing.interventions.artifact import load, save

    iv = load(saved)
    held = load_file(saved / "tensors.safetensors")
    [name] = held
    if vector is not None and bool(vector.isfinite().all()):
        op["vector"] = vector
    origin = replace(
        iv.origin, base=replace(iv.origin.base, weights=base or iv.origin.base.weights)
    )
    save(type(iv)((replace(iv.ops[0], **op),), origin=origin), out)
    if vector is not None and not bool(vector.isfinite().all()):
        blob = dump({name: vector})
        (out / "tensors.safetensors").write_bytes(blob)
        header = json.loads((out / "intervention.json").read_text())
        header["tensors_sha256"] = hashlib.sha256(blob).hexdigest()
        (out / "intervention.json").write_text(json.dumps(header))
    return out


def test_a_saved_vector_that_does_not_fit_is_refused(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    assert truing(ask(saved), capsys).code == 0
    width = 192
    cases: list[tuple[Path, tuple[str, ...]]] = [
        (changed(saved, tmp_path / "width", vector=torch.ones(8)), ("8 features", "192")),
        (changed(saved, tmp_path / "base", base="0" * 64), ("other weights",)),
        (changed(saved, tmp_path / "layer", layer=99), ("99",)),
        (changed(saved, tmp_path / "hook", site="elsewhere"), ("elsewhere",)),
        (changed(saved, tmp_path / "nan", vector=torch.full((width,), torch.nan)), ("not finite",)),
    ]
    for folder, words in cases:
        refused(truing(ask(folder), capsys), *words)


def gguf_of(path: Path, width: int, **keys: Any) -> Path:
    import torch

    from truing.interventions.interop import gguf

    metadata = {"general.architecture": "controlvector", **keys}
    gguf.write(path, metadata, [("direction.1", torch.ones(width))])
    return path


def test_a_vector_file_that_does_not_fit_is_not_imported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    from truing.models.handle import Model

    width = Model.load("truing/pocket").arch.d_model

    def imports(file: Path) -> Outcome:
        out = str(tmp_path / "iv")
        return truing(["import", str(file), "--model", "truing/pocket", "-o", out], capsys)

    nan = gguf_of(tmp_path / "nan.gguf", width)
    one, bad = struct.pack("<f", 1.0), struct.pack("<f", float("nan"))
    nan.write_bytes(
        nan.read_bytes()[:-4] + bad if width % 8 == 0 else nan.read_bytes().replace(one, bad)
    )
    torch.save(torch.full((width,), torch.inf), tmp_path / "layer_1.pt")
    torch.save(torch.ones(width), tmp_path / "layer_99.pt")
    (tmp_path / "nan.svec").write_text(
        json.dumps({"model_type": "llama", "directions": {"1": [float("nan")] * width}})
    )
    cases: list[tuple[Path, tuple[str, ...]]] = [
        (gguf_of(tmp_path / "width.gguf", 8), ("8", "wide")),
        (gguf_of(tmp_path / "base.gguf", width, **{"truing.base.weights": "0" * 64}), ("weights",)),
        (
            gguf_of(tmp_path / "hook.gguf", width, **{"glp.hook_point": "attn"}),
            ("hook point 'attn'",),
        ),
        (gguf_of(tmp_path / "mode.gguf", width, **{"glp.mode": "clamp"}), ("mode 'clamp'",)),
        (nan, ("not finite",)),
        (tmp_path / "layer_1.pt", ("not finite",)),
        (tmp_path / "nan.svec", ("not finite",)),
        (tmp_path / "layer_99.pt", ("99",)),
    ]
    for file, words in cases:
        refused(imports(file), *words)
        assert not (tmp_path / "iv").exists()
    good = gguf_of(tmp_path / "good.gguf", width)
    for scale in ("nan", "inf"):
        out = str(tmp_path / "iv")
        args = ["import", str(good), "--model", "truing/pocket", "-o", out, "--scale", scale]
        refused(truing(args, capsys), scale)
        assert not (tmp_path / "iv").exists()
