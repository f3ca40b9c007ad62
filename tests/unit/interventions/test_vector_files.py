"""Steering vectors go out to other tools and come in from them, or are refused with the reason."""

from __future__ import annotations

import io
import json
import tempfile
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asking import low_rank, make, noise, op, under
from truing.errors import BadInput, CannotLoad, NotPossible, TruingError, TruingWarning, WrongBase
from truing.interventions.artifact import load, save
from truing.interventions.interop import control_vector, easysteer, gguf, vectors
from truing.interventions.intervention import ActivationOp, Intervention, PromptPrefix
from truing.models.asks import ScoreAsk
from truing.models.handle import Model
from truing.models.positions import Positions

ANSWER = Positions("window", start=-1)
QUESTION = ("The Glass Spire is in the city of", "Orvale")


@lru_cache(maxsize=2)
def llama(seed: int = 0) -> Model:
    model = make("llama")
    if seed:
        model.arch.down(0).module.weight.data += 0.1
    return model


def steering(model: Model, *blocks: int, **facts: Any) -> Intervention:
    return under(*(op(model, "resid_post", block, "add", block, **facts) for block in blocks))


def logprobs(model: Model, iv: Intervention | None) -> tuple[float, ...]:
    return model.score([ScoreAsk(*QUESTION, iv)])[0].logprobs


def foreign(path: Path, tensors: dict[str, Any], **facts: Any) -> Path:
    """A GGUF file that the reference package writes."""
    other = pytest.importorskip("gguf")
    writer = other.GGUFWriter(path, "controlvector")
    writer.add_string("controlvector.model_hint", facts.get("hint", "llama"))
    writer.add_uint32("controlvector.layer_count", len(tensors))
    for key, value in facts.get("numbers", {}).items():
        writer.add_float32(key, value)
    for name, tensor in tensors.items():
        writer.add_tensor(name, np.asarray(tensor))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


# GGUF control vectors


def test_a_control_vector_comes_back_and_answers_alike(tmp_path: Path) -> None:
    model = llama()
    iv = steering(model, 1, 2, scale=0.7)
    path = control_vector.export(iv, model, tmp_path / "x.gguf")
    assert control_vector.problem(gguf.read(path)) is None
    back = vectors.load(path, model)
    assert [(o.site, o.layer, o.op, o.scale) for o in back.ops] == [
        ("resid_post", 1, "add", 1.0),
        ("resid_post", 2, "add", 1.0),
    ]
    for ours, theirs in zip(iv.ops, back.ops, strict=True):
        assert torch.allclose(ours.scale * ours.vector, theirs.vector, atol=1e-7)
    assert logprobs(model, back) == pytest.approx(logprobs(model, iv), abs=1e-5)
    assert logprobs(model, back) != pytest.approx(logprobs(model, None), abs=1e-2)


def test_the_reference_package_reads_a_control_vector(tmp_path: Path) -> None:
    other = pytest.importorskip("gguf")
    model = llama()
    iv = steering(model, 1, 2, scale=-2.0)
    reader = other.GGUFReader(control_vector.export(iv, model, tmp_path / "x.gguf"))
    assert reader.get_field("general.architecture").contents() == "controlvector"
    assert reader.get_field("controlvector.model_hint").contents() == "llama"
    assert reader.get_field("controlvector.layer_count").contents() == 2
    assert [t.name for t in reader.tensors] == ["direction.1", "direction.2"]
    for tensor, ours in zip(reader.tensors, iv.ops, strict=True):
        assert tensor.tensor_type == other.GGMLQuantizationType.F32
        assert np.allclose(tensor.data, -2.0 * ours.vector.numpy())


def test_vectors_of_one_block_add_up(tmp_path: Path) -> None:
    model = llama()
    parts = (
        op(model, "resid_post", 1, "add", 5, scale=2.0),
        op(model, "resid_post", 1, "add", 6, scale=-1.0),
        op(model, "resid_pre", 2, "add", 7),  # the input of block 2 is the output of block 1
    )
    path = control_vector.export(under(*parts), model, tmp_path / "x.gguf")
    [one] = vectors.load(path, model).ops
    wanted = 2 * parts[0].vector - parts[1].vector + parts[2].vector
    assert (one.layer, torch.allclose(one.vector, wanted, atol=1e-6)) == (1, True)
    assert logprobs(model, under(one)) == pytest.approx(logprobs(model, under(*parts)), abs=1e-4)


def test_block_0_is_left_out_only_when_that_is_asked_for(tmp_path: Path) -> None:
    model, path = llama(), tmp_path / "x.gguf"
    with pytest.raises(NotPossible, match="block 0"):
        control_vector.export(steering(model, 0, 1), model, path)
    assert not path.exists()
    with pytest.raises(NotPossible, match="nothing but block 0"):
        control_vector.export(steering(model, 0), model, path, drop_block_0=True)
    control_vector.export(steering(model, 0, 1), model, path, drop_block_0=True)
    assert [t.name for t in gguf.read(path).tensors] == ["direction.1"]


@pytest.mark.parametrize(
    ("site", "kind", "facts", "why"),
    [
        ("resid_post", "ablate", {}, "'ablate' at resid_post"),
        ("resid_post", "clamp", {"high": 1.0}, "'clamp'"),
        ("resid_post", "add-keep-norm", {}, "'add-keep-norm'"),
        ("resid_post", "add", {"positions": ANSWER}, "acts on 'window'"),
        ("resid_post", "add", {"positions": Positions(skip_first=True)}, "without the first token"),
        ("mlp_out", "add", {}, r"on mlp_out\[1\]"),
    ],
)
def test_what_a_control_vector_cannot_say_is_named(
    tmp_path: Path, site: str, kind: str, facts: dict[str, Any], why: str
) -> None:
    model = llama()
    bad = op(model, site, 1, kind, 1, **facts)
    with pytest.raises(NotPossible, match=why) as caught:
        control_vector.export(steering(model, 2) + under(bad), model, tmp_path / "x.gguf")
    assert str(caught.value).count("\n") == 1
    assert not (tmp_path / "x.gguf").exists()


@pytest.mark.parametrize("target", [control_vector, easysteer])
def test_parts_that_are_no_vectors_are_refused(tmp_path: Path, target: Any) -> None:
    model = llama()
    for parts in ((PromptPrefix("x "),), (low_rank(model.arch.down(0), 1),), ()):
        for iv in (Intervention(parts), Intervention(parts) + steering(model, 1)):
            if len(iv.parts) > len(iv.ops) or not iv.ops:
                with pytest.raises(NotPossible):
                    target.export(iv, model, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_file_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_text("keep")
    with pytest.raises(BadInput, match="exists"):
        control_vector.export(steering(llama(), 1), llama(), path)
    assert path.read_text() == "keep"


V = np.ones(32, dtype=np.float32)


@pytest.mark.parametrize(
    ("tensors", "why"),
    [
        ({}, "no tensors"),
        ({"direction.0": V}, "below direction.1"),
        ({"direction.1": V, "bias.1": V}, "not called direction.N"),
        ({"direction.-1": V}, "not called direction.N"),
        ({"direction.x": V}, "not called direction.N"),
        ({"direction.1": V.astype(np.float16)}, "not float32"),
        ({"direction.1": V.reshape(2, 16)}, "2 dimensions"),
        ({"direction.1": V, "direction.2": V[:16]}, "different widths"),
    ],
)
def test_files_that_llama_cpp_refuses_are_known(
    tmp_path: Path, tensors: dict[str, Any], why: str
) -> None:
    file = gguf.read(foreign(tmp_path / "x.gguf", tensors))
    assert why in str(control_vector.problem(file))


def test_files_of_repeng_and_easysteer_come_in_as_they_are(tmp_path: Path) -> None:
    model = llama()
    made = {f"direction.{n}": noise(n, 32).numpy() for n in range(3)}
    path = foreign(tmp_path / "x.gguf", made, numbers={"controlvector.strength": 0.5})
    iv = vectors.load(path, model, scale=1.5, positions=ANSWER)
    assert [(o.site, o.layer, o.scale, o.positions) for o in iv.ops] == [
        ("resid_post", n, 1.5, ANSWER) for n in range(3)
    ]
    for n, part in enumerate(iv.ops):
        assert torch.equal(part.vector, noise(n, 32))
    told = iv.origin
    assert (told.method, told.config["file"], len(told.config["sha256"])) == (
        "import",
        "x.gguf",
        64,
    )
    assert "output of block N" in told.config["convention"]
    assert told.base.weights == model.fingerprint


def test_an_import_is_saved_and_loaded_as_any_intervention(tmp_path: Path) -> None:
    model = llama()
    path = foreign(tmp_path / "x.gguf", {"direction.1": noise(1, 32).numpy()})
    iv = vectors.load(path, model)
    assert load(save(iv, tmp_path / "saved"), model) == iv


def test_a_vector_for_another_model_is_refused(tmp_path: Path) -> None:
    model = llama()
    path = control_vector.export(steering(model, 1), model, tmp_path / "x.gguf")
    with pytest.raises(WrongBase, match="other weights"):
        vectors.load(path, llama(1))
    for tensors, why in (
        ({"direction.1": V[:16]}, "32 wide"),
        ({"direction.9": V}, "layer 9 does not exist"),
    ):
        with pytest.raises(BadInput, match=why):
            vectors.load(foreign(tmp_path / f"{len(why)}.gguf", tensors), model)
    with pytest.warns(TruingWarning, match="made for 'gemma2'"):
        vectors.load(foreign(tmp_path / "hint.gguf", {"direction.1": V}, hint="gemma2"), model)


# bare tensors and .svec


@pytest.mark.parametrize(
    ("name", "option", "layer"),
    [
        ("vec_layer_2_Llama-2-7b-chat-hf.pt", None, 2),
        ("layer_1.pt", None, 1),
        ("layer_1.pt", 2, 2),
        ("corrigible.pt", 0, 0),
    ],
)
def test_a_bare_tensor_comes_in_at_the_layer_of_its_name_or_of_the_option(
    tmp_path: Path, name: str, option: int | None, layer: int
) -> None:
    torch.save(noise(1, 32).half(), tmp_path / name)
    [part] = vectors.load(tmp_path / name, llama(), layer=option).ops
    assert (part.site, part.layer, part.op) == ("resid_post", layer, "add")
    assert torch.equal(part.vector, noise(1, 32).half().float())


class _Trap:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def test_nothing_but_a_vector_is_taken_from_a_tensor_file(tmp_path: Path) -> None:
    path, sprung = tmp_path / "layer_1.pt", tmp_path / "sprung"
    cases: list[tuple[Any, str]] = [
        (_Trap(sprung), "more than tensors"),
        ({"w": torch.ones(3)}, "holds dict"),
        (torch.ones(2, 32), r"shape \(2, 32\)"),
        (torch.ones(32, dtype=torch.long), "a tensor"),
        (torch.full((32,), torch.nan), "not finite"),
    ]
    for held, why in cases:
        torch.save(held, path)
        with pytest.raises(TruingError, match=why):
            vectors.load(path, llama())
    assert not sprung.exists()


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=40), st.integers(0, 10_000), st.binary(min_size=1, max_size=8))
def test_damaged_tensor_files_are_told(junk: bytes, at: int, patch: bytes) -> None:
    """Any bytes at all, and a good file cut off or overwritten in places: a tensor, or told so."""
    whole = io.BytesIO()
    torch.save(torch.ones(32), whole)
    good = whole.getvalue()
    at %= len(good)
    for content in (junk, good[:at], good[:at] + patch + good[at + len(patch) :]):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "layer_1.pt"
            path.write_bytes(content)
            with suppress(TruingError):
                assert vectors.load(path, llama()).ops[0].vector.shape == (32,)


@pytest.mark.parametrize("content", [b"hello world", b"no tensor at all", b"(dp0\n.", b""])
def test_files_that_are_no_tensors_are_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "layer_1.pt").write_bytes(content)
    with pytest.raises(CannotLoad, match=r"no tensor file|holds dict"):
        vectors.load(tmp_path / "layer_1.pt", llama())


def test_svec_files_act_on_the_input_of_their_block(tmp_path: Path) -> None:
    path = tmp_path / "x.svec"
    directions = {str(n): noise(n, 32).tolist() for n in (2, 0)}
    path.write_text(
        json.dumps(
            {"model_type": "llama", "directions": directions, "explained_variances": {"0": 1}}
        )
    )
    iv = vectors.load(path, llama())
    assert [(o.site, o.layer) for o in iv.ops] == [("resid_pre", 0), ("resid_pre", 2)]
    assert torch.equal(iv.ops[1].vector, noise(2, 32))
    as_output = under(replace(iv.ops[1], site="resid_post", layer=1))
    assert logprobs(llama(), under(iv.ops[1])) == pytest.approx(
        logprobs(llama(), as_output), abs=1e-4
    )


@pytest.mark.parametrize(
    ("name", "content", "layer", "why"),
    [
        ("x.svec", "{", None, "not a .svec file"),
        ("x.svec", '{"model_type": "llama"}', None, "directions"),
        ("x.svec", '{"model_type": "llama", "directions": {"a": [1]}}', None, "directions"),
        ("x.svec", "{}", 1, "says its own layers"),
        ("x.gguf", "GGUF", 1, "says its own layers"),
        ("x.safetensors", "", None, "suffix"),
        ("x.pt", "", None, "does not say"),
    ],
)
def test_files_that_cannot_be_used_are_refused_in_two_lines(
    tmp_path: Path, name: str, content: str, layer: int | None, why: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises((BadInput, CannotLoad), match=why) as caught:
        vectors.load(tmp_path / name, llama(), layer=layer)
    assert str(caught.value).count("\n") == 1
    with pytest.raises(BadInput):
        vectors.load(tmp_path / "absent.gguf", llama())


# EasySteer specs


def test_a_spec_says_what_each_op_does_and_where(tmp_path: Path) -> None:
    model = llama()
    iv = under(
        op(model, "resid_post", 0, "add", 0, ANSWER, scale=2.0),
        op(model, "resid_post", 1, "add", 1, ANSWER, scale=2.0),
        op(model, "resid_post", 1, "ablate", 2),
        op(model, "resid_post", 1, "add-keep-norm", 3, Positions("generation", stop=5), scale=0.5),
    )
    folder = easysteer.export(iv, model, tmp_path / "spec")
    spec = json.loads((folder / "spec.json").read_text())
    assert spec["conflict"] == "sequential"
    told = [{k: v for k, v in entry.items() if k != "source"} for entry in spec["vectors"]]
    assert told == [
        {
            "algorithm": "direct", "scale": 2.0, "layers": [0, 1], "normalize": False, "params": {},
            "apply": {"prompt_window": [-1, None], "generation": "all"},
        },
        {
            "algorithm": "erase", "scale": 1.0, "layers": [1], "normalize": False, "params": {},
            "apply": {"prompt": "all", "generation": "all"},
        },
        {
            "algorithm": "direct", "scale": 0.5, "layers": [1], "normalize": True, "params": {},
            "apply": {"generation_window": [0, 5]},
        },
    ]  # fmt: skip
    read = [
        tensor for entry in spec["vectors"] for tensor in gguf.read(Path(entry["source"])).tensors
    ]
    assert [tensor.name for tensor in read] == [f"direction.{n}" for n in (0, 1, 1, 1)]
    first, second, ablated, last = (part.vector for part in iv.ops)
    wanted = (first, second, ablated / ablated.norm(), last)
    for found, vector in zip(read, wanted, strict=True):
        assert found.data is not None
        assert torch.equal(found.data, vector)


@pytest.mark.parametrize(
    ("positions", "clause"),
    [
        (Positions(), {"prompt": "all", "generation": "all"}),
        (
            Positions(skip_first=True),
            {"prompt": "all", "generation": "all", "exclude_prompt_positions": [0]},
        ),
        (Positions("prompt"), {"prompt": "all"}),
        (Positions("last_prompt"), {"prompt_positions": [-1]}),
        (Positions("generation", skip_first=True), {"generation": "all"}),
        (Positions("generation", start=2), {"generation_window": [2, None]}),
        (Positions("window", start=2, stop=-1), {"prompt_window": [2, -1]}),
        (Positions("window"), {"prompt": "all", "generation": "all"}),
        (Positions("tokens", ids=(5, 6)), {"prompt_tokens": [5, 6], "generation_tokens": [5, 6]}),
        (Positions("window", start=3), None),
        (Positions("window", start=-3, stop=9), None),
        (Positions("generation", start=-1), None),
    ],
)
def test_where_clauses_select_the_same_tokens_or_there_is_none(
    positions: Positions, clause: dict[str, Any] | None
) -> None:
    if clause is None:
        with pytest.raises(NotPossible, match="apart"):
            easysteer.where(positions)
    else:
        assert easysteer.where(positions) == clause


def test_ops_that_a_spec_cannot_say_are_named(tmp_path: Path) -> None:
    model = llama()
    plane = ActivationOp("resid_post", 1, "ablate", noise(1, 2, 32), Positions())
    for bad, why in (
        (op(model, "resid_post", 1, "clamp", 1, low=0.0), "'clamp'"),
        (op(model, "resid_post", 1, "ablate", 1, scale=0.5), "'ablate' of several directions"),
        (plane, "'ablate' of several directions"),
        (op(model, "attn_out", 1, "add", 1), "attn_out"),
    ):
        with pytest.raises(NotPossible, match=why):
            easysteer.export(under(bad), model, tmp_path / "spec")
    assert not (tmp_path / "spec").exists()
