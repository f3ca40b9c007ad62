"""A control vector says what is done with it, where, and to which model; what is not applied is refused."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asking import make, noise, op, under
from truing.errors import BadInput, CannotLoad, TruingWarning
from truing.interventions.interop import control_vector, easysteer, gguf, glp, vectors
from truing.interventions.intervention import ActivationOp, Intervention, Origin
from truing.models.asks import ScoreAsk
from truing.models.handle import Model
from truing.models.positions import Positions
from truing.types import EditRequest

HOOK = "residual_stream_post_layer"
PAIRS = [EditRequest(str(n), "How do I feel?", "Glad", "Sad") for n in range(3)]


def model(name: str = "llama", revision: str | None = None) -> Model:
    made = make("llama")
    made.name, made.revision = name, revision
    return made


def written(path: Path, width: int = 32, **keys: gguf.Value) -> Path:
    """A control vector for blocks 1 and 2 with ``keys`` (``__`` is a dot)."""
    metadata = {
        "general.architecture": "controlvector",
        **{name.replace("__", "."): value for name, value in keys.items()},
    }
    gguf.write(path, metadata, [(f"direction.{n}", noise(n, width)) for n in (1, 2)])
    return path


def logprobs(of: Model, iv: Any) -> tuple[float, ...]:
    return of.score([ScoreAsk("The Glass Spire is in the city of", "Orvale", iv)])[0].logprobs


def test_an_export_tells_what_it_is(tmp_path: Path) -> None:
    base = model("owner/tiny", "abc")
    iv = under(op(base, "resid_post", 1, "add", 1, scale=2.0), op(base, "resid_post", 2, "add", 2))
    origin = Origin.of(base, "caa", {}, PAIRS)
    iv = Intervention(iv.parts, origin=origin)
    told = gguf.read(control_vector.export(iv, base, tmp_path / "x.gguf")).metadata
    raw = b"".join((o.scale * o.vector).numpy().astype("<f4").tobytes() for o in iv.ops)
    expected = {
        "glp.mode": "add",
        "glp.spec_version": 1,
        "glp.alpha_default": 1.0,
        "glp.rank": 1,
        "glp.hook_point": HOOK,
        "glp.derived_at": HOOK,
        "glp.layer_ids_zero_based": "1,2",
        "glp.content_sha256": hashlib.sha256(raw).hexdigest(),
        "glp.method": "caa",
        "glp.contrast": f"3 requests {origin.requests_hash[:16]}",
        "general.base_model.count": 1,
        "general.base_model.0.name": "tiny",
        "general.base_model.0.organization": "owner",
        "general.base_model.0.version": "abc",
    }
    assert {key: told.get(key) for key in expected} == expected
    assert "glp.created" not in told
    again = control_vector.export(iv, base, tmp_path / "y.gguf")
    assert again.read_bytes() == (tmp_path / "x.gguf").read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        back = vectors.load(again, base)
    assert back.origin.config["glp"]["method"] == "caa"


def test_the_reference_package_reads_the_keys(tmp_path: Path) -> None:
    other = pytest.importorskip("gguf")
    base = model()
    iv = under(op(base, "resid_post", 1, "add", 1))
    reader = other.GGUFReader(control_vector.export(iv, base, tmp_path / "x.gguf"))
    assert reader.get_field("glp.mode").contents() == "add"
    assert reader.get_field("glp.alpha_default").contents() == 1.0
    assert reader.get_field("glp.alpha_default").types == [other.GGUFValueType.FLOAT32]
    for key in ("glp.spec_version", "glp.rank", "general.base_model.count"):
        assert reader.get_field(key).types == [other.GGUFValueType.UINT32]


@pytest.mark.parametrize("start", ["glp", "dspark"])
def test_the_mode_project_is_an_ablation_of_that_strength(tmp_path: Path, start: str) -> None:
    base = model()
    keys: dict[str, gguf.Value] = {f"{start}__mode": "project", f"{start}__alpha_default": 0.5}
    iv = vectors.load(written(tmp_path / "x.gguf", **keys), base, scale=2.0)
    assert [(o.site, o.layer, o.op, o.scale) for o in iv.ops] == [
        ("resid_post", 1, "ablate", 1.0),
        ("resid_post", 2, "ablate", 1.0),
    ]
    assert "projected out" in iv.origin.config["convention"]
    by_hand = under(
        *(ActivationOp("resid_post", n, "ablate", noise(n, 32), Positions()) for n in (1, 2))
    )
    assert logprobs(base, iv) == pytest.approx(logprobs(base, by_hand), abs=1e-5)
    assert logprobs(base, iv) != pytest.approx(logprobs(base, None), abs=1e-2)


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"glp__mode": "clamp"}, "the mode 'clamp'"),
        ({"glp__mode": ""}, "the mode ''"),
        ({"glp__mode": "add", "glp__hook_point": "ffn_out_pre_residual"}, "hook point 'ffn_out"),
        ({"dspark__hook_point": "elsewhere"}, "hook point 'elsewhere'"),
        ({"glp__spec_version": 2}, "spec_version 2"),
        ({"glp__rank": 2}, "rank 2"),
        ({"glp__layer_ids_zero_based": "2,3"}, "lists the layers 2,3, holds 1,2"),
        ({"glp__content_sha256": "0" * 64}, "its hash"),
        ({"glp__alpha_default": "much"}, "no number"),
    ],
)
def test_what_is_not_applied_here_is_refused_in_two_lines(
    tmp_path: Path, keys: dict[str, gguf.Value], why: str
) -> None:
    with pytest.raises(CannotLoad, match=why) as caught:
        vectors.load(written(tmp_path / "x.gguf", **keys), model())
    assert str(caught.value).count("\n") == 1


def test_another_width_and_a_strength_that_is_no_number_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="32 wide"):
        vectors.load(written(tmp_path / "w.gguf", width=16, glp__mode="project"), model())
    keys: dict[str, gguf.Value] = {"glp__mode": "project", "glp__alpha_default": float("nan")}
    with pytest.raises(BadInput, match="the scale is nan"):
        vectors.load(written(tmp_path / "n.gguf", **keys), model())


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"glp__derived_at": "attn_out_pre_residual"}, "found at 'attn_out_pre_residual'"),
        ({"glp__mode": "add", "glp__alpha_default": 4.0}, "strength 4 is not multiplied in"),
        ({"general__base_model__0__name": "other"}, "made for 'other'"),
        (
            {
                "general__base_model__0__name": "tiny",
                "general__base_model__0__organization": "somebody",
            },
            "made for 'somebody/tiny'",
        ),
        (
            {"general__base_model__0__name": "Tiny", "general__base_model__0__version": "def"},
            "at revision 'def'; this is 'owner/tiny' at revision 'abc'",
        ),
    ],
)
def test_what_needs_care_is_told_and_applied(
    tmp_path: Path, keys: dict[str, gguf.Value], why: str
) -> None:
    with pytest.warns(TruingWarning, match=why):
        iv = vectors.load(written(tmp_path / "x.gguf", **keys), model("owner/tiny", "abc"))
    assert [o.op for o in iv.ops] == ["add", "add"]


@pytest.mark.parametrize("name", ["owner/tiny", "/models/tiny", "./tiny", "tiny"])
def test_the_same_model_in_a_folder_is_no_other_model(name: str) -> None:
    told = glp.Told(base="Owner/Tiny", revision="abc")
    assert glp.other_base(told, model(name)) is None
    assert glp.other_base(glp.Told(), model(name)) is None


def test_vectors_of_an_easysteer_spec_say_what_is_done_with_them(tmp_path: Path) -> None:
    base = model()
    kinds = ("add", "ablate", "add-keep-norm")
    iv = under(*(op(base, "resid_post", n, kind, n) for n, kind in enumerate(kinds)))
    folder = easysteer.export(iv, base, tmp_path / "spec")
    assert vectors.load(folder / "vector-0.gguf", base).ops[0].op == "add"
    [ablated] = vectors.load(folder / "vector-1.gguf", base).ops
    assert ablated.op == "ablate"
    assert torch.allclose(ablated.vector, iv.ops[1].vector / iv.ops[1].vector.norm())
    with pytest.raises(CannotLoad, match="mode 'add-keep-norm'"):
        vectors.load(folder / "vector-2.gguf", base)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=4), max_size=3))
def test_the_hash_is_of_the_bytes_alone(rows: list[list[float]]) -> None:
    tensors = [torch.tensor(row) for row in rows]
    raw = b"".join(np.asarray(row, dtype="<f4").tobytes() for row in rows)
    assert glp.content(tensors) == hashlib.sha256(raw).hexdigest()
