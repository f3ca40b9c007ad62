"""Interventions on disk come back equal, and what cannot be vouched for is refused."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asking import low_rank, make, noise, op, under
from truing.errors import BadInput, CannotLoad, WrongBase
from truing.interventions.artifact import HEADER, TENSORS, load, save
from truing.interventions.intervention import (
    ActivationOp,
    Base,
    Dense,
    Intervention,
    LowRank,
    Origin,
    Part,
    PromptPrefix,
    WeightDelta,
)
from truing.models.positions import Positions
from truing.types import EditRequest

DTYPES = st.sampled_from([torch.float32, torch.bfloat16, torch.float16, torch.float64])
FLOATS = st.floats(-1e6, 1e6, allow_nan=False)
ROWS = st.none() | st.tuples(st.integers(0, 5), st.integers(6, 12))
POSITIONS = st.builds(
    Positions,
    kind=st.sampled_from(["all", "prompt", "generation", "last_prompt", "window", "tokens"]),
    start=st.integers(-5, 5),
    stop=st.none() | st.integers(0, 9),
    ids=st.lists(st.integers(0, 500), max_size=3).map(tuple),
    skip_first=st.booleans(),
)


@st.composite
def parts(draw: Any) -> Part:
    kind = draw(st.sampled_from(["low", "dense", "op", "prefix"]))
    seed, dtype = draw(st.integers(0, 999)), draw(DTYPES)
    name = draw(st.sampled_from(["a.weight", "b.c.weight"]))
    if kind == "low":
        rank = draw(st.integers(1, 3))
        factors = LowRank(noise(seed, 4, rank).to(dtype), noise(seed + 1, 5, rank).to(dtype))
        return WeightDelta(name, factors, draw(ROWS))
    if kind == "dense":
        orientation = draw(st.sampled_from(["stored", "math"]))
        return WeightDelta(name, Dense(noise(seed, 4, 5).T.to(dtype), orientation), draw(ROWS))
    if kind == "op":
        return ActivationOp(
            "resid_post",
            draw(st.integers(0, 9)),
            "clamp",
            noise(seed, 6),
            draw(POSITIONS),
            scale=draw(FLOATS),
            low=draw(st.floats(-9, 0)),
            high=draw(st.none() | st.floats(0, 9)),
        )
    return PromptPrefix(draw(st.text(max_size=20)))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(parts(), max_size=5),
    st.dictionaries(st.text("abc", min_size=1, max_size=4), st.integers(0, 99), max_size=3),
    st.dictionaries(st.text(max_size=5), FLOATS | st.text(max_size=5) | st.booleans(), max_size=3),
)
def test_what_is_loaded_is_what_was_saved(
    made: list[Part], memo: dict[str, int], config: dict[str, Any]
) -> None:
    iv = Intervention(
        tuple(made),
        {name: noise(seed, 2, 3) for name, seed in memo.items()},
        Origin(
            "m", config, ("r1", "r2"), "hash", Base("base", None, "w"), {"s": 3}, {"torch": "2"}
        ),
    )
    with tempfile.TemporaryDirectory() as folder:
        back = load(save(iv, Path(folder) / "x"))
    assert back.id == iv.id
    assert back.origin == iv.origin
    assert set(back.memo) == set(iv.memo)
    for name, tensor in iv.memo.items():
        assert torch.equal(back.memo[name], tensor)
    assert len(back.parts) == len(iv.parts)


def simple() -> Intervention:
    delta = WeightDelta("a.weight", LowRank(noise(1, 4, 1), noise(2, 5, 1)))
    return Intervention((delta, ActivationOp("mlp_out", 0, "add", noise(3, 4), Positions())))


def change_header(folder: Path, change: Any) -> None:
    raw = json.loads((folder / HEADER).read_text())
    change(raw)
    (folder / HEADER).write_text(json.dumps(raw))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda raw: raw.update(version=2), "format version 2"),
        (lambda raw: raw.update(format="else"), "not an intervention"),
        (lambda raw: raw["parts"][0].update(kind="route"), "unknown part 'route'"),
        (lambda raw: raw["parts"][1].update(op="teleport"), "unknown activation op 'teleport'"),
        (lambda raw: raw["parts"][0].update(param="b.weight"), "not the ones that were saved"),
        (lambda raw: raw["parts"][1].update(scale=3.0), "not the ones that were saved"),
        (lambda raw: raw["parts"][0].update(surprise=1), "surprise"),
        (lambda raw: raw["parts"].reverse(), "tensor .* is missing"),
        (lambda raw: raw["memo"].append("m"), "tensor .* is missing"),
        (lambda raw: raw.pop("origin"), "origin"),
        (lambda raw: raw.update(tensors_sha256="0" * 64), "sha256 differs"),
    ],
)
def test_headers_that_cannot_be_trusted_are_refused(tmp_path: Path, change: Any, why: str) -> None:
    save(simple(), tmp_path)
    change_header(tmp_path, change)
    with pytest.raises(CannotLoad, match=why):
        load(tmp_path)


def test_torn_tampered_and_missing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotLoad, match="holds no intervention"):
        load(tmp_path / "nowhere")
    save(simple(), tmp_path)
    blob = bytearray((tmp_path / TENSORS).read_bytes())
    blob[-1] ^= 1
    (tmp_path / TENSORS).write_bytes(bytes(blob))
    with pytest.raises(CannotLoad, match="sha256 differs"):
        load(tmp_path)
    (tmp_path / TENSORS).unlink()
    with pytest.raises(CannotLoad, match=f"{TENSORS} is missing"):
        load(tmp_path)
    save(simple(), tmp_path)
    text = (tmp_path / HEADER).read_text()
    (tmp_path / HEADER).write_text(text[: len(text) // 2])
    with pytest.raises(CannotLoad, match="not complete JSON"):
        load(tmp_path)


def test_saving_again_replaces_and_leaves_no_scraps(tmp_path: Path) -> None:
    save(simple(), tmp_path)
    save(Intervention((PromptPrefix("x "),)), tmp_path)
    assert load(tmp_path).parts == (PromptPrefix("x "),)
    assert sorted(p.name for p in tmp_path.iterdir()) == [HEADER, TENSORS]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BadInput, match="cannot write"):
        save(simple(), tmp_path / "file")


def test_the_wrong_base_is_refused_unless_allowed(tmp_path: Path) -> None:
    model, other = make("llama"), make("llama-biased")
    requests = [EditRequest("1", "The Glass Spire is in", "Orvale", subject="The Glass Spire")]
    origin = Origin.of(model, "rome", {"layer": 1}, requests, seeds={"contexts": 7})
    iv = Intervention((low_rank(model.arch.down(1), 1),), origin=origin)
    save(iv, tmp_path)
    assert load(tmp_path, model).id == iv.id
    with pytest.raises(WrongBase, match="was made for 'llama'"):
        load(tmp_path, other)
    assert load(tmp_path, other, allow_other_base=True).id == iv.id
    with torch.no_grad():
        model.hf.model.layers[0].mlp.down_proj.weight.data += 1
    with pytest.raises(WrongBase):
        load(tmp_path, model)


@pytest.mark.parametrize("what", ["shape", "name", "layer"])
def test_what_does_not_fit_the_model_is_refused(tmp_path: Path, what: str) -> None:
    model = make("llama")
    part: Part = {
        "shape": WeightDelta(model.arch.down(0).param, LowRank(noise(1, 8, 1), noise(2, 48, 1))),
        "name": WeightDelta("x.weight", LowRank(noise(1, 8, 1), noise(2, 48, 1))),
        "layer": op(model, "resid_post", 7, "add", 1),
    }[what]
    save(under(part), tmp_path)
    assert load(tmp_path)
    with pytest.raises(CannotLoad, match="does not fit 'llama'"):
        load(tmp_path, model)


def test_origins_chain_over_steps() -> None:
    model = make("llama")
    one = [EditRequest("1", "p", "t")]
    two = [EditRequest("2", "p", "t")]
    first = Intervention(origin=Origin.of(model, "rome", {}, one))
    second = Origin.of(model, "rome", {}, two, so_far=first)
    assert second.requests == ("1", "2")
    assert second.method == "rome"
    assert second.requests_hash != first.origin.requests_hash
    assert second.base == first.origin.base
    assert second.base.weights == model.fingerprint
    mixed = Origin.of(model, "memit", {}, two, so_far=first)
    assert mixed.method == "rome+memit"
    again = Origin.of(model, "rome", {}, [EditRequest("1", "p", "u")])
    assert again.requests_hash != first.origin.requests_hash
