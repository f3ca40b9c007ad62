"""Sparse autoencoders: files that are read and refused, and a feature set in a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import normalize

from asking import make, noise
from truing.errors import BadInput, BadRequest, CannotLoad, EditFailed, NotPossible, TruingError
from truing.interventions.intervention import Intervention, Latents
from truing.interventions.latents import read
from truing.methods.kernels.capture import Place
from truing.methods.steering.sae import SAE_CLAMP, Active, activity, best
from truing.methods.steering.sae_files import load
from truing.models.handle import Model
from truing.types import EditRequest

PAIRS = [
    EditRequest("a", "The Glass Spire is in the city of", "Marrow", "Orvale"),
    EditRequest("b", "Mara Velt's mother tongue is", "French", "Orvalian of the old kind"),
    EditRequest("c", "It was so that", "nobody came", "everybody came to see it"),
]
D, F = 32, 40
METADATA = {"hook_name": "blocks.1.hook_resid_post"}


def tensors(seed: int = 0, d: int = D, threshold: bool = False) -> dict[str, Tensor]:
    found = {
        "W_enc": noise(seed, d, F),
        "W_dec": normalize(noise(seed + 1, F, d), dim=1),
        "b_enc": noise(seed + 2, F) + 20,
        "b_dec": noise(seed + 3, d),
    }
    return found | ({"threshold": noise(seed + 4, F).abs()} if threshold else {})


def saelens(folder: Path, found: dict[str, Tensor] | None = None, **config: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    save_file(found or tensors(), folder / "sae_weights.safetensors")
    facts = {"architecture": "standard", "apply_b_dec_to_input": True, "metadata": METADATA}
    (folder / "cfg.json").write_text(json.dumps(facts | config))
    return folder


def gemma_scope(folder: Path, **more: Any) -> Path:
    named = {name: t.numpy() for name, t in tensors(threshold=True).items()}
    np.savez(folder / "params.npz", **(named | more))
    return folder / "params.npz"


def clamp(model: Model, path: Path, **config: Any) -> Intervention:
    config = SAE_CLAMP.config.model_validate({"path": path, **config})
    return SAE_CLAMP.make(model, PAIRS, config)


def features(dictionary: Any, acts: Tensor) -> Tensor:
    return read(acts, *dictionary.latents.tensors.values())


def test_features_of_a_saelens_folder_are_those_of_its_formula(tmp_path: Path) -> None:
    w, h = tensors(), noise(9, 3, D)
    folder = saelens(tmp_path / "a")
    wanted = torch.relu((h - w["b_dec"]) @ w["W_enc"] + w["b_enc"])
    torch.testing.assert_close(features(load(folder), h), wanted, atol=1e-4, rtol=1e-4)
    assert load(folder).place == Place("resid_post", 1)
    plain = load(saelens(tmp_path / "b", apply_b_dec_to_input=False))
    wanted = torch.relu(h @ w["W_enc"] + w["b_enc"])
    torch.testing.assert_close(features(plain, h), wanted, atol=1e-4, rtol=1e-4)


def test_the_older_layout_names_its_hook_at_the_top(tmp_path: Path) -> None:
    folder = saelens(
        tmp_path, metadata=None, hook_name="blocks.2.hook_mlp_out", activation_fn_str="relu"
    )
    assert load(folder).place == Place("mlp_out", 2)


def test_features_of_gemma_scope_jump(tmp_path: Path) -> None:
    w, h = tensors(threshold=True), noise(9, 3, D)
    dictionary = load(gemma_scope(tmp_path))
    before = h @ w["W_enc"] + w["b_enc"]
    wanted = torch.where(before > w["threshold"], before.relu(), 0.0)
    torch.testing.assert_close(features(dictionary, h), wanted, atol=1e-4, rtol=1e-4)
    assert dictionary.place is None
    assert load(tmp_path).latents.weight.shape == (F, D)
    latents, written = dictionary.feature(7)
    assert torch.equal(written, w["W_dec"][7])
    torch.testing.assert_close(read(h, *latents.tensors.values())[:, 0], wanted[:, 7])


def broken(tmp_path: Path, what: str) -> Path:
    w = tensors()
    if what == "missing key":
        return saelens(tmp_path, {k: t for k, t in w.items() if k != "b_enc"})
    if what == "NaN":
        w["W_dec"][3, 3] = torch.nan
        return saelens(tmp_path, w)
    if what == "shapes":
        return saelens(tmp_path, w | {"W_dec": w["W_dec"].T.contiguous()})
    if what == "pickled":
        return gemma_scope(tmp_path, W_dec=np.array([{"a": 1}], dtype=object))
    if what == "torch file":
        torch.save(w, tmp_path / "sae.pt")
        return tmp_path / "sae.pt"
    if what == "cut":
        path = gemma_scope(tmp_path)
        path.write_bytes(path.read_bytes()[:500])
        return path
    if what == "not tensors":
        (tmp_path / "a.safetensors").write_bytes(b"no")
        return tmp_path / "a.safetensors"
    if what == "pickle named npz":
        (tmp_path / "a.npz").write_bytes(b"\x80\x04N.")
        return tmp_path / "a.npz"
    if what == "bare array":
        with (tmp_path / "a.npz").open("wb") as file:
            np.save(file, np.zeros(3))
        return tmp_path / "a.npz"
    if what == "bad config":
        folder = saelens(tmp_path)
        (folder / "cfg.json").write_text("[1")
        return folder
    return tmp_path / "nothing"


@pytest.mark.parametrize(
    ("what", "kind", "told"),
    [
        ("missing key", CannotLoad, "no b_enc"),
        ("NaN", BadInput, "not finite"),
        ("shapes", BadInput, "do not belong together"),
        ("pickled", CannotLoad, "as plain numbers"),
        ("torch file", CannotLoad, r"neither \.safetensors nor \.npz"),
        ("cut", CannotLoad, "cannot read"),
        ("not tensors", CannotLoad, "cannot read"),
        ("pickle named npz", CannotLoad, "cannot read"),
        ("bare array", CannotLoad, "cannot read"),
        ("bad config", CannotLoad, "no JSON object"),
        ("nothing", CannotLoad, "no file"),
    ],
)
def test_bad_files_are_told(tmp_path: Path, what: str, kind: type[TruingError], told: str) -> None:
    with pytest.raises(kind, match=told) as caught:
        load(broken(tmp_path, what))
    assert caught.value.next
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    "config",
    [
        {"architecture": "gated"},
        {"activation_fn": "topk"},
        {"normalize_activations": "expected_average_only_in"},
        {"finetuning_scaling_factor": True},
        {"metadata": {"hook_name": "blocks.1.attn.hook_z"}},
    ],
)
def test_autoencoders_of_other_kinds_are_refused(tmp_path: Path, config: dict[str, Any]) -> None:
    with pytest.raises(NotPossible):
        load(saelens(tmp_path, **config))


def test_a_set_feature_has_the_value_of_its_formula(tmp_path: Path) -> None:
    model, w = make(), tensors()
    iv = clamp(model, saelens(tmp_path), feature=5, value=2.0, positions={"kind": "all"})
    value, prompt = 2.0 * iv.origin.config["largest"], PAIRS[0].prompt
    [plain] = model.hidden([prompt], "resid_post", 1, "all")
    with model.using(iv):
        [steered] = model.hidden([prompt], "resid_post", 1, "all")
    z = torch.relu((plain - w["b_dec"]) @ w["W_enc"][:, 5] + w["b_enc"][5])
    wanted = plain + (value - z)[:, None] * w["W_dec"][5]
    torch.testing.assert_close(steered, wanted, atol=1e-4, rtol=1e-4)


def test_the_ways_differ_as_they_say(tmp_path: Path) -> None:
    model, path = make(), saelens(tmp_path)
    [put], [raised], [added] = (
        clamp(model, path, feature=5, way=way, value=2.0).ops for way in ("set", "at-least", "add")
    )
    assert (put.op, raised.op, added.op) == ("feature-clamp", "feature-clamp", "add")
    assert put.low == put.high == raised.low == added.scale
    assert raised.high is None


def test_the_largest_activation_is_that_of_both_sides_answers(tmp_path: Path) -> None:
    model, w, largest = make(), tensors(), 0.0
    iv = clamp(model, saelens(tmp_path), feature=5)
    for r in PAIRS:
        for side in (r.target_new, r.target_old):
            start = model.speller.join(r.prompt, str(side)).start
            [acts] = model.hidden([f"{r.prompt} {side}"], "resid_post", 1, "all")
            z = torch.relu((acts[start:] - w["b_dec"]) @ w["W_enc"][:, 5] + w["b_enc"][5])
            largest = max(largest, float(z.max()))
    assert iv.origin.config["largest"] == pytest.approx(largest, rel=1e-4)


def test_auto_takes_the_feature_that_was_planted(tmp_path: Path) -> None:
    """Its encoder is the difference of the sides, so it ranks every new side above every old one."""
    model, w = make(), tensors()
    place = Place("resid_post", 1)
    every = activity(model, PAIRS, place, Latents.linear(torch.eye(D)))
    w["W_enc"] *= 0.01
    w["b_enc"] = w["b_enc"].abs() * 0.01
    w["W_enc"][:, 17] = (
        5
        * torch.linalg.pinv(torch.cat([every.new_N_F, every.old_N_F]))
        @ (torch.tensor([1.0, 1.0, 1.0, -1.0, -1.0, -1.0]))
    )
    w["b_dec"] *= 0
    iv = clamp(model, saelens(tmp_path, w))
    told = iv.origin.config
    assert (told["feature"], told["chosen"], told["auroc"]) == (17, "auto", 1.0)
    assert told["gap"] > 0


def test_auroc_counts_pairs_of_sides_and_ties_half() -> None:
    new = torch.tensor([[1.0, 0.0, 2.0], [3.0, 0.0, 0.0]])
    old = torch.tensor([[0.0, 0.0, 1.0], [2.0, 0.0, 0.0]])
    active = Active(new, old, torch.ones(3))
    assert active.auroc_F.tolist() == [0.75, 0.5, 0.625]
    assert best(active) == 0
    equal = Active(torch.tensor([[1.0, 9.0]]), torch.tensor([[0.0, 0.0]]), torch.ones(2))
    assert best(equal) == 1  # of equals the wider gap


def test_settings_that_do_not_fit_are_told(tmp_path: Path) -> None:
    model, path = make(), saelens(tmp_path / "a")
    for wrong, told in (
        ({"feature": F}, f"no feature {F}"),
        ({"layer": 0}, "was trained at resid_post of layer 1"),
        ({"site": "mlp_out"}, "was trained at resid_post of layer 1"),
    ):
        with pytest.raises(BadInput, match=told):
            clamp(model, path, **wrong)
    with pytest.raises(BadInput, match="Set layer"):
        clamp(model, gemma_scope(tmp_path))
    assert clamp(model, gemma_scope(tmp_path), layer=2, feature=1).ops[0].layer == 2
    wide = saelens(tmp_path / "b", tensors(d=D + 1))
    with pytest.raises(BadInput, match="another model"):
        clamp(model, wide)
    deep = saelens(tmp_path / "c", metadata={"hook_name": "blocks.9.hook_resid_pre"})
    with pytest.raises(BadInput):
        clamp(model, deep)
    with pytest.raises(NotPossible, match="needs a sparse autoencoder"):
        SAE_CLAMP.make(model, PAIRS, SAE_CLAMP.config())
    with pytest.raises(BadRequest, match="no target_old"):
        SAE_CLAMP.make(
            model,
            [EditRequest("x", "It is", "so")],
            SAE_CLAMP.config.model_validate({"path": path}),
        )


def test_a_feature_that_is_silent_on_the_pairs_has_no_unit(tmp_path: Path) -> None:
    w = tensors()
    w["b_enc"][5] = -1e6
    with pytest.raises(EditFailed, match="feature 5 is silent"):
        clamp(make(), saelens(tmp_path, w), feature=5)


def test_hook_points_behind_a_norm_are_refused(tmp_path: Path) -> None:
    """Gemma 2 normalises what its MLP puts out before adding it; autoencoders read it after that."""
    path = saelens(tmp_path, metadata={"hook_name": "blocks.1.hook_mlp_out"})
    with pytest.raises(NotPossible, match="normalises"):
        clamp(make("gemma2"), path, feature=1)
    assert clamp(make(), path, feature=1).ops[0].site == "mlp_out"
