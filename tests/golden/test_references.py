"""Our methods against published implementations, on tiny trained models.

Every case of the golden folder whose method is in the registry runs with the case's settings. What
is compared: the optimised vectors, keys, weight deltas and the logits of the edited model.
Tolerances are ten times the reference's own float32 noise, at least 1e-4 and at most 1e-3 relative
(Frobenius), so that a wrong KL direction (8e-4 in v*) or a skipped step still fails.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from truing.interventions.intervention import Dense, Intervention, LowRank
from truing.methods import alphaedit, ft, grace, layered, memit, rome
from truing.methods.kernels.moments import Header, Moments, save
from truing.methods.method import METHODS, Method
from truing.models.handle import Model
from truing.models.positions import Positions
from truing.types import EditRequest

ROOT = Path(__file__).resolve().parents[2]
GOLDENS = Path(os.environ.get("TRUING_GOLDENS", ROOT.parent / "shared" / "goldens"))
NAMES = {
    "ROME": "rome",
    "ROME-nomom2": "rome",
    "R-ROME": "r_rome",
    "MEMIT": "memit",
    "MEMIT-batch3": "memit",
    "FT-L": "ft_l",
    "FT-M": "ft_m",
    "AlphaEdit-seq3": "alphaedit",
    "CAA-mean": "caa",
    "CAA-pca": "pca",
    "GRACE": "grace",
}


@dataclass(frozen=True)
class Golden:
    """One case: what the reference was given and what it gave."""

    facts: dict[str, Any]
    tensors: dict[str, Tensor]
    model: Model
    base_logits: dict[str, Tensor]

    @property
    def requests(self) -> list[EditRequest]:
        return [
            EditRequest(
                str(r["case_id"]), r["prompt"], r["target_new"], r["ground_truth"], r["subject"]
            )
            for r in self.facts["records"]
        ]

    @property
    def settings(self) -> dict[str, Any]:
        found: dict[str, Any] = self.facts["hyperparameters"]
        return found

    @property
    def prefixes(self) -> tuple[str, ...]:
        """Templates without the slot and without the bare prompt."""
        listed = self.facts["context_templates"]
        flat = [t for group in listed for t in (group if isinstance(group, list) else [group])]
        return tuple(t.removesuffix("{}") for t in flat if t != "{}")

    def close(self, name: str, got: Tensor, noise: str | None = None) -> None:
        want = self.tensors[name]
        bound = tolerance(self.facts, noise or name)
        off = float((got.float() - want).norm() / want.norm())
        assert off <= bound, f"{name}: relative difference {off:.2e}, bound {bound:.0e}"


def tolerance(facts: dict[str, Any], name: str) -> float:
    noise = facts["float32_vs_float64_noise"].get(name, {}).get("rel_fro", 0.0)
    return min(max(10 * noise, 1e-4), 1e-3)


def cases() -> list[Any]:
    found = sorted(GOLDENS.glob("cases/*/case.json"))
    if not found:
        reason = f"no golden cases at {GOLDENS}; set TRUING_GOLDENS"
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason))]
    return [pytest.param(path, id=path.parent.name) for path in found]


@lru_cache
def loaded(folder: Path) -> Model:
    hf = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return Model.of(hf, AutoTokenizer.from_pretrained(folder), name=folder.name)


def golden(path: Path) -> Golden:
    facts = json.loads(path.read_text())
    model = loaded((path.parent / facts["model"]).resolve())
    return Golden(
        facts,
        load_file(path.parent / "tensors.safetensors"),
        model,
        load_file(GOLDENS / "logits_unedited.safetensors"),
    )


@pytest.mark.parametrize("path", cases())
def test_agrees_with_the_reference(path: Path, tmp_path: Path) -> None:
    name = path.parent.name.split("__")[1]
    ours = NAMES.get(name)
    if ours is None or ours not in METHODS:
        pytest.skip(f"method {name} is not in the registry yet")
    if ours not in CHECKS and ours not in VECTORS:
        pytest.fail(f"method {ours} is in the registry: compare it with its golden cases here")
    case = golden(path)
    assert_same_base(case)
    if ours in VECTORS:
        check_vectors(case, ours)
        return
    iv = CHECKS[ours](case, ours, tmp_path)
    assert_deltas(case, iv)
    edited_weights = case.facts["edited_weights"]
    bound = tolerance(case.facts, f"delta.{edited_weights[-1]}" if edited_weights else "value")
    edited = logits(case.model, case.facts["logit_prompts"], iv)
    want = case.tensors["logits_post_last"]
    assert float((edited - want).norm() / want.norm()) <= bound
    assert_same_base(case)


def assert_same_base(case: Golden) -> None:
    """The tokenizer gives the reference's ids, and the model its unedited logits."""
    prompts, ids = case.facts["logit_prompts"], case.facts["logit_prompt_input_ids"]
    assert [case.model.speller.prompt_ids(p) for p in prompts] == ids
    got = logits(case.model, prompts, None)
    for row, prompt_ids in zip(got, ids, strict=True):
        key = "/".join((case.model.name, "_".join(str(i) for i in prompt_ids)))
        assert torch.allclose(row, case.base_logits[key], rtol=1e-4, atol=1e-4)


def logits(model: Model, prompts: Sequence[str], iv: Intervention | None) -> Tensor:
    rows = []
    with torch.no_grad(), model.using(iv if iv is not None else Intervention()):
        for prompt in prompts:
            ids = torch.tensor([model.speller.prompt_ids(prompt)])
            rows.append(model.hf(input_ids=ids).logits[0, -1])
    return torch.stack(rows)


def assert_deltas(case: Golden, iv: Intervention) -> None:
    """The change of every weight, in the orientation in which it is stored."""
    deltas = {part.param: part.delta for part in iv.weights}
    assert sorted(deltas) == sorted(case.facts["edited_weights"])
    for param, delta in deltas.items():
        slot_name = f"delta.{param}"
        want = case.tensors.get(slot_name)
        if want is None:
            want = from_factors(case, param)
        if isinstance(delta, LowRank):
            transposed = case.model.arch.slot(param).transposed
            got = delta.math().T if transposed else delta.math()
        else:
            assert isinstance(delta, Dense)
            got = delta.delta
        off = float((got - want).norm() / want.norm())
        bound = tolerance(case.facts, slot_name)
        assert off <= bound, f"{slot_name}: relative difference {off:.2e}, bound {bound:.0e}"


def from_factors(case: Golden, param: str) -> Tensor:
    """The whole change where the case stores its factors, or its steps."""
    steps = [t for n, t in case.tensors.items() if n.endswith(f".delta.{param}")]
    if steps:
        return torch.stack(steps).sum(0)
    if "left_vector" in case.tensors:
        want = torch.outer(case.tensors["left_vector"], case.tensors["right_vector"])
    else:
        want = case.tensors[f"adj_k.{param}"] @ case.tensors[f"resid.{param}"].T
    return want if case.model.arch.slot(param).transposed else want.T


def statistics(case: Golden, folder: Path) -> Path | str:
    """The case's second moments in our own file format."""
    if not case.facts["mom2"]["used"]:
        return "none"
    stored = load_file(GOLDENS / "moments" / f"{case.model.name}.safetensors")
    layers = case.settings["layers"]
    path = folder / "moments.safetensors"
    second = {layer: stored[f"layer.{layer}.mom2"] for layer in layers}
    save(Moments(second, Header(tokens=int(case.settings["mom2_n_samples"]))), path)
    return path


def objective(case: Golden) -> dict[str, Any]:
    return {
        "steps": case.settings["v_num_grad_steps"],
        "lr": case.settings["v_lr"],
        "weight_decay": case.settings["v_weight_decay"],
        "clamp": case.settings["clamp_norm_factor"],
        "kl": case.settings["kl_factor"],
        "contexts": case.prefixes,
    }


def assert_losses(case: Golden, losses: Sequence[float], trace: Sequence[dict[str, float]]) -> None:
    """Same number of passes, and every loss to the three decimals that were kept."""
    assert len(losses) == len(trace)
    for ours, theirs in zip(losses, trace, strict=True):
        assert ours == pytest.approx(theirs["total"], abs=2e-3)


def check_rome(case: Golden, name: str, folder: Path) -> Intervention:
    config = rome.RomeConfig(
        layer=case.settings["layers"][0], stats=statistics(case, folder), **objective(case)
    )
    plan = rome._plan(case.model, config)
    [edit] = rome.rank_ones(case.model, case.requests, plan, "mean" if name == "r_rome" else "bare")
    case.close("key_prompt", edit.keys_C_F[0])
    case.close("key_mean", edit.keys_C_F.mean(0))
    case.close("mlp_out_prompt", edit.outs_C_D[0])
    case.close("v_delta", edit.wanted.delta_D)
    case.close("v_star", edit.wanted.value_D)
    case.close("left_vector", edit.right[:, 0])
    case.close("right_vector", edit.left[:, 0])
    assert_losses(case, edit.wanted.losses, case.facts["loss_trace"])
    return METHODS.get(name).make(case.model, case.requests, config)


def check_memit(case: Golden, name: str, folder: Path) -> Intervention:
    config = memit.MemitConfig(
        layers=tuple(case.settings["layers"]),
        weight=case.settings["mom2_update_weight"],
        stats=statistics(case, folder),
        **objective(case),
    )
    solver = memit.solver(case.model, config)
    plan = solver.plan
    wanted = layered.targets(case.model, case.requests, plan)
    case.close("z_star", torch.stack([w.value_D for w in wanted]))
    assert_losses(case, [x for w in wanted for x in w.losses], case.facts["loss_trace"])
    values = [[w.value_D for w in wanted]]
    [updates] = layered.spread(case.model, [case.requests], values, plan, solver.close)
    for each in updates:
        param = case.model.arch.down(each.layer).param
        case.close(f"keys.{param}", each.keys_F_N.T)
        case.close(f"adj_k.{param}", each.factors.right)
        case.close(f"resid.{param}", each.factors.left)
    return METHODS.get(name).make(case.model, case.requests, config)


def check_ft(case: Golden, name: str, folder: Path) -> Intervention:
    limit = case.settings["norm_constraint"]
    values: dict[str, Any] = {
        "layer": case.settings["layers"][0],
        "steps": case.settings["num_steps"],
        "lr": case.settings["lr"],
        "limit": limit if isinstance(limit, float) else "none",
        "batch_size": case.settings["batch_size"],
        "bias": case.model.name == "tiny-gpt2",
    }
    if name == "ft_l":
        config: ft.FtConfig = ft.FtLConfig(target_ids="reference", **values)
        assert isinstance(config, ft.FtLConfig)
        line = ft.last_line(case.model, case.requests[0], config)
        assert list(line.labels) == case.facts["ftl_target_ids"]
    else:
        config = ft.FtConfig(**values)
    iv = METHODS.get(name).make(case.model, case.requests, config)
    first, last = iv.origin.config["nll"]
    assert first == pytest.approx(case.facts["loss_trace"][0], rel=1e-4)
    assert last == pytest.approx(case.facts["loss_trace"][-1], rel=1e-2)
    return iv


def check_alphaedit(case: Golden, name: str, folder: Path) -> Intervention:
    """Three requests one after the other, each total holding all before it."""
    config = alphaedit.AlphaEditConfig(
        layers=tuple(case.settings["layers"]),
        threshold=case.settings["nullspace_threshold"],
        ridge=case.settings["L2"],
        stats=statistics(case, folder),
        **objective(case),
    )
    total = Intervention()
    for number, request in enumerate(case.requests):
        after = METHODS.get(name).make(case.model, [request], config, total)
        for param in case.facts["edited_weights"]:
            slot = case.model.arch.slot(param)
            got = weight_of(case.model, after, param) - weight_of(case.model, total, param)
            stored = got.T if slot.transposed else got
            case.close(f"edit{number}.delta.{param}", stored)
        total = after
    return total


def weight_of(model: Model, iv: Intervention, param: str) -> Tensor:
    """A matrix under an intervention, in math orientation, float64."""
    found = model.arch.slot(param).weight().double()
    for part in iv.weights:
        if part.param == param and isinstance(part.delta, LowRank):
            found = found + part.delta.left.double() @ part.delta.right.double().T
    return found


def check_grace(case: Golden, name: str, folder: Path) -> Intervention:
    [param] = case.settings["inner_params"]
    param = param.replace("[", ".").replace("]", "")
    layer = next(int(step) for step in param.split(".") if step.isdigit())
    config = grace.GraceConfig(
        layer=layer,
        module="up" if "c_fc" in param else "down",
        radius=case.settings["eps"],
        steps=case.settings["n_iter"],
        lr=case.settings["edit_lr"],
        start=case.settings["val_init"],
    )
    iv = METHODS.get(name).make(case.model, case.requests, config)
    [book] = iv.codebooks
    assert book.param == param
    case.close("key", book.keys)
    case.close("value", book.values)
    case.close("epsilon", book.radii)
    return iv


VECTORS = ("caa", "pca")


def check_vectors(case: Golden, name: str) -> None:
    """Every layer's vector, and the logits with one of them added at several strengths and places."""
    method, n_layers = METHODS.get(name), case.model.arch.n_layers
    for layer in range(n_layers):
        iv = steered(case, method, layer, 1.0, Positions("all"))
        case.close(f"steering_vector.layer.{layer}", iv.ops[0].vector)
    told = [key for key in case.tensors if key.startswith("logits_post_last.")]
    assert told
    for key in told:
        _, layer, strength, *rest = key.split(".")
        where = Positions("window", int(rest[0].removeprefix("min_token_index"))) if rest else None
        iv = steered(
            case,
            method,
            int(layer.removeprefix("layer")),
            float(strength.removeprefix("x")),
            where or Positions("all"),
        )
        want = case.tensors[key]
        edited = logits(case.model, case.facts["logit_prompts"], iv)
        assert float((edited - want).norm() / want.norm()) <= 1e-4, key


def steered(
    case: Golden, method: Method, layer: int, strength: float, positions: Positions
) -> Intervention:
    config = method.config.model_validate(
        {
            "layers": (layer,),
            "read": "last",
            "unit": "absolute",
            "strength": strength,
            "positions": positions,
        }
    )
    return method.make(case.model, case.requests, config)


CHECKS = {
    "grace": check_grace,
    "alphaedit": check_alphaedit,
    "rome": check_rome,
    "r_rome": check_rome,
    "memit": check_memit,
    "ft_l": check_ft,
    "ft_m": check_ft,
}
