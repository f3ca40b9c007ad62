"""What every registered method promises, on every family, in float32 and in bfloat16."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from asking import make
from tiny import CONFIGS, MOE, TEXT
from truing.errors import BadRequest, NotPossible
from truing.interventions import scope as by_words
from truing.interventions.artifact import load
from truing.interventions.interop import peft as adapter
from truing.interventions.intervention import Dense, Intervention, LowRank, base_of
from truing.methods import mend_checkpoint, serac_checkpoint
from truing.methods.kernels.moments import collect, save
from truing.methods.mend_editor import Editor, Matrix
from truing.methods.method import METHODS, Method, MethodConfig
from truing.models.asks import ScoreAsk
from truing.models.handle import Model
from truing.types import EditRequest

A = EditRequest("a", "The Glass Spire is in the city of", "Marrow", "Orvale", "Glass Spire")
B = EditRequest("b", "Mara Velt's mother tongue is", "French", "Orvalian", "Mara Velt")
LONG = EditRequest("long", "The Tin Gate is in", "the city of Paris, France", "the sea", "Tin Gate")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
ROUNDING = {"float32": 2e-4, "bfloat16": 0.3}
"""Nats by which per-row and whole-model answers may differ: the whole model rounds edited weights
to its dtype, a row's side branch does not."""
LAYERS = (0, 1)
FEW: dict[str, dict[str, Any]] = {
    "rome": {"layer": 1, "steps": 4, "contexts": ("It was so. ",)},
    "r_rome": {"layer": 1, "steps": 4, "contexts": ("It was so. ",)},
    "memit": {"layers": LAYERS, "steps": 4, "weight": 10.0, "contexts": ("It was so. ",)},
    "emmet": {
        "layers": LAYERS,
        "steps": 6,
        "weight": 10.0,
        "damping": 0.5,
        "contexts": ("It was so. ",),
    },
    "alphaedit": {
        "layers": LAYERS,
        "steps": 4,
        "energy": 0.5,
        "ridge": 0.1,
        "contexts": ("It was so. ",),
    },
    "pmet": {"layers": LAYERS, "steps": 6, "weight": 10.0, "contexts": ("It was so. ",)},
    "kn": {"layers": LAYERS, "steps": 3, "threshold": 0.1, "embeddings": "output"},
    "ultraedit": {"down": LAYERS, "lr": 1e-2},
    "grace": {"layer": 2, "steps": 4, "lr": 0.3, "start": "warm"},
    "melo": {"key_layer": 0, "layers": (1, 2), "radius": 0.01, "steps": 4, "lr": 0.02},
    "wise": {
        "layer": 2,
        "steps": 6,
        "lr": 0.3,
        "margins": (0.1, 0.5, 0.2),
        "ratio": 0.5,
        "contexts": ("It was so. ",),
    },
    "ft_l": {"layer": 1, "steps": 3, "lr": 0.01},
    "ft_m": {"layer": 1, "steps": 3, "lr": 0.01},
    "lora": {"targets": ("qkv", "down"), "rank": 2, "steps": 3, "lr": 0.01},
    "sft": {"epochs": 2},
    "dpo": {"epochs": 2},
    "trained_vector": {"steps": 2},
    "loreft": {"epochs": 4},
    "lm_steer": {"epochs": 4},
    "instruct": {"text": "Say it in the old way: "},
    "ike": {"demonstrations": Path(__file__).parents[1] / "demonstrations.jsonl", "k": 2},
}
"""Settings that keep tiny runs short. Methods that are not listed run with their defaults."""
METHOD_NAMES = [name for name in METHODS if name != "none"]
CONTROLS = ("random_direction", "shuffled_pairs", "neutral_prefix")
"""Methods that are not meant to work."""
UNSIGNED = ("ablation", "actadd", "sae_clamp")
"""Methods that promote neither side of a pair: one takes the difference away, one replays a prompt, one
sets a feature, here of noise."""
EDITING = [
    name
    for name in METHOD_NAMES
    if METHODS.get(name).acts_on != "prompt" and name not in (*CONTROLS, *UNSIGNED)
]


@dataclass(frozen=True)
class Bench:
    """A tiny model with small statistics."""

    model: Model
    stats: Path

    def config(self, name: str) -> MethodConfig:
        values = dict(FEW.get(name, {}))
        method = METHODS.get(name)
        if name == "checkpoint":
            values |= {"path": tuned_elsewhere(self.model, self.stats)}
        if method.needs_stats:
            values |= {"stats": self.stats, "allow_other_stats": True}
        if name == "sae_clamp":
            values |= {"path": features(self.model, self.stats)}
        if name == "serac":
            values |= {"checkpoint": unlearned(self.model, self.stats), "allow_other_base": True}
        if name == "mend" and not self.model.arch.is_moe:
            values |= {"checkpoint": untrained(self.model, self.stats), "allow_other_base": True}
        return method.config.model_validate(values)

    def make(
        self, name: str, requests: list[EditRequest], so_far: Intervention | None = None
    ) -> Intervention:
        return METHODS.get(name).make(self.model, requests, self.config(name), so_far)

    def logprobs(self, *under: Intervention | None) -> Tensor:
        """Log-probability of the new answers to A and B, a row per intervention."""
        asks = [ScoreAsk(r.prompt, r.target_new, iv) for iv in under for r in (A, B)]
        return torch.tensor([s.logprob for s in self.model.score(asks)]).view(len(under), 2)


def untrained(model: Model, beside: Path) -> Path:
    """An editor that takes one step down the raw gradient."""
    folder = beside.with_name(f"{beside.name}-mend")
    if not folder.exists():
        slots = [s for layer in LAYERS for s in (*model.arch.mlp_in(layer), model.arch.down(layer))]
        editor = Editor([Matrix.of(slot) for slot in slots], rank=2, alpha=0.02)
        header = mend_checkpoint.Header(
            base=base_of(model), matrices=editor.matrices, rank=editor.rank
        )
        mend_checkpoint.save(editor, header, folder)
    return folder


def unlearned(model: Model, beside: Path) -> Path:
    """The built-in scope, and an adapter of noise."""
    folder = beside.with_name(f"{beside.name}-serac")
    if not folder.exists():
        slots = [model.arch.attn_proj(layer) for layer in LAYERS]
        scope = by_words.untrained()
        header = serac_checkpoint.Header(
            base=base_of(model),
            matrices=tuple(Matrix.of(slot) for slot in slots),
            wording="New fact: {prompt} {target}.\n",
            scope=serac_checkpoint.header_of(scope),
        )
        generator = torch.Generator().manual_seed(0)
        factors = [
            LowRank(
                0.05 * torch.randn(slot.d_out, 2, generator=generator),
                torch.randn(slot.d_in, 2, generator=generator),
            )
            for slot in slots
        ]
        serac_checkpoint.save(header, scope, factors, folder)
    return folder


def features(model: Model, beside: Path) -> Path:
    """A sparse autoencoder of noise, whose features are all active."""
    folder = beside.with_name(f"{beside.name}-features")
    if not folder.exists():
        folder.mkdir(parents=True)
        generator = torch.Generator().manual_seed(0)
        width = model.arch.d_model
        tensors = {
            "W_enc": torch.randn(width, 8, generator=generator) / width,
            "W_dec": torch.randn(8, width, generator=generator),
            "b_enc": torch.ones(8),
            "b_dec": torch.zeros(width),
        }
        save_file(tensors, folder / "sae_weights.safetensors")
        (folder / "cfg.json").write_text('{"hook_name": "blocks.1.hook_resid_post"}')
    return folder


def tuned_elsewhere(model: Model, beside: Path) -> Path:
    """An adapter that makes the new answers to A and B likelier, as somebody else could have left it."""
    folder = beside.with_name(f"{beside.name}-tuned")
    if not folder.exists():
        lora = METHODS.get("lora")
        config = lora.config.model_validate({"targets": ("qkv",), "steps": 3, "lr": 0.01})
        adapter.export(lora.make(model, [A, B], config), model, folder)
    return folder


@lru_cache(maxsize=4)
def bench(family: str, dtype: str) -> Bench:
    model = make(family, dtype=DTYPES[dtype])
    path = Path(tempfile.gettempdir()) / f"truing-test-{os.getpid()}" / f"{family}-{dtype}"
    if family not in MOE:
        save(collect(model, TEXT[:6], LAYERS), path)
    return Bench(model, path)


def state(model: Model) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.hf.state_dict().items()}


everywhere = pytest.mark.parametrize(
    ("family", "dtype", "name"),
    [(f, d, n) for f in CONFIGS for d in DTYPES for n in METHOD_NAMES],
)
every_method = pytest.mark.parametrize("name", METHOD_NAMES)


@everywhere
def test_keeps_its_promises(family: str, dtype: str, name: str, tmp_path: Path) -> None:
    """Finite, effective, reverted bit for bit, the same after saving, the same per row."""
    own = bench(family, dtype)
    before = state(own.model)
    iv = own.make(name, [A])
    for part in iv.weights:
        tensors = (
            (part.delta.left, part.delta.right)
            if isinstance(part.delta, LowRank)
            else (part.delta.delta,)
        )
        assert all(bool(t.isfinite().all()) and bool(t.any()) for t in tensors)
    base, rowwise = own.logprobs(None, iv)
    assert (base - rowwise).abs().max() > 1e-4, "nothing changed"
    with own.model.using(iv):
        assert (state_differs(before, own.model)) is bool(iv.weights)
        [whole] = own.logprobs(None)
    assert not state_differs(before, own.model)
    assert (whole - rowwise).abs().max() <= ROUNDING[dtype]
    iv.save(str(tmp_path / "iv"))
    again = load(tmp_path / "iv", own.model)
    assert again.id == iv.id
    assert torch.allclose(own.logprobs(None, again)[1], rowwise, atol=1e-5)
    chained = own.make(name, [B], so_far=iv)
    assert chained.origin.requests == ("a", "b")
    assert (chained.id == iv.id) is (name in ("instruct", "neutral_prefix"))  # said once
    assert not state_differs(before, own.model)


def state_differs(before: dict[str, Tensor], model: Model) -> bool:
    return any(not torch.equal(before[n], t) for n, t in model.hf.state_dict().items())


@pytest.mark.parametrize("name", EDITING)
def test_raises_the_probability_of_the_new_answer(name: str) -> None:
    own = bench("llama", "float32")
    before, after = own.logprobs(None, own.make(name, [A]))
    assert after[0] > before[0]


MINDFUL = ("alphaedit", "ultraedit")
"""Methods that remember earlier edits: more than the edited weights goes from step to step."""
GIVEN = ("checkpoint",)
"""Methods whose change was made elsewhere, whatever is in force and whatever requests ask for."""


@pytest.mark.parametrize(
    "name",
    [
        n
        for n in EDITING
        if METHODS.get(n).sequential
        and n not in (*MINDFUL, *GIVEN)
        and METHODS.get(n).acts_on == "weights"
    ],
)
def test_a_second_edit_starts_from_the_first(name: str) -> None:
    """The chain holds the first edit and differs from adding two edits of the base model."""
    own = bench("llama", "float32")
    first, second = own.make(name, [A]), own.make(name, [B])
    chained = own.make(name, [B], so_far=first)
    on_first = weight(own, chained) - weight(own, first)
    assert not torch.allclose(on_first, torch.zeros_like(on_first))
    assert not torch.allclose(on_first, weight(own, second) - weight(own, None), atol=1e-7)
    with own.model.applied(first):
        from_first = own.make(name, [B])
    assert torch.allclose(
        on_first, weight(own, from_first) - weight(own, None), rtol=1e-3, atol=1e-5
    )


def weight(own: Bench, iv: Intervention | None) -> Tensor:
    """The edited matrices under ``iv``."""
    with own.model.applied(iv if iv is not None else Intervention()):
        return torch.stack([own.model.arch.down(layer).weight().clone() for layer in LAYERS])


@pytest.mark.parametrize("name", [n for n in METHOD_NAMES if METHODS.get(n).each is not None])
def test_many_at_once_equals_one_by_one_in_any_order(name: str) -> None:
    own = bench("llama", "float32")
    method = METHODS.get(name)
    assert method.each is not None
    groups = [[A], [B], [LONG]]
    config = own.config(name)
    together = method.each(own.model, groups, config)
    backwards = method.each(own.model, groups[::-1], config)[::-1]
    for group, one, other in zip(groups, together, backwards, strict=True):
        alone = method.make(own.model, group, config)
        assert one.origin.requests == other.origin.requests == alone.origin.requests
        for iv in (one, other):
            assert torch.allclose(weight(own, iv), weight(own, alone), rtol=1e-3, atol=1e-5)
            assert iv.prefixes == alone.prefixes


@pytest.mark.parametrize("name", [n for n in METHOD_NAMES if METHODS.get(n).batch])
def test_several_requests_in_one_call_all_take(name: str) -> None:
    own = bench("llama", "float32")
    iv = own.make(name, [A, B])
    assert iv.origin.requests == ("a", "b")
    before, after = own.logprobs(None, iv)
    if METHODS.get(name).acts_on != "prompt" and not METHODS.get(name).needs_old:
        assert bool((after > before).all())


BAD = {
    "no requests": [],
    "empty target": [replace(A, target_new=" ")],
    "space before the target": [replace(A, target_new=" Marrow")],
    "empty prompt": [replace(A, prompt="", subject=None)],
    "too long": [replace(B, id="x", prompt="word " * 3000 + "Mara Velt's mother tongue is")],
}
BAD_SUBJECTS = {
    "no subject": [replace(A, subject=None)],
    "subject not there": [replace(A, subject="Tin Gate")],
    "subject twice": [replace(A, prompt="Glass Spire or Glass Spire: it is in")],
    "overlapping": [replace(A, prompt="aaa is", subject="aa")],
}


@every_method
@pytest.mark.parametrize("what", BAD)
def test_refuses_requests_nobody_can_take(name: str, what: str) -> None:
    own = bench("gpt2", "float32")
    with pytest.raises(BadRequest) as caught:
        own.make(name, BAD[what])
    assert caught.value.next


@pytest.mark.parametrize("name", [n for n in METHOD_NAMES if METHODS.get(n).needs_subject])
@pytest.mark.parametrize("what", BAD_SUBJECTS)
def test_refuses_requests_without_a_clear_subject(name: str, what: str) -> None:
    own = bench("llama", "float32")
    with pytest.raises(BadRequest) as caught:
        own.make(name, BAD_SUBJECTS[what])
    assert "request 'a'" in caught.value.what
    assert "ft_m" in str(caught.value.next)


WRAPPING = ("grace", "wise", "melo")
"""Methods that act on the output of matrices of the MLP."""


@pytest.mark.parametrize("family", MOE)
@every_method
def test_mixtures_of_experts_are_refused_or_work(family: str, name: str) -> None:
    own = bench(family, "float32")
    if (METHODS.get(name).acts_on == "weights" and name not in GIVEN) or name in WRAPPING:
        with pytest.raises(NotPossible):
            own.make(name, [A])
    else:
        base, edited = own.logprobs(None, own.make(name, [A]))
        assert not torch.equal(base, edited)


def test_none_changes_nothing() -> None:
    own = bench("llama", "float32")
    iv = own.make("none", [A])
    assert iv.parts == ()
    base, same = own.logprobs(None, iv)
    assert torch.equal(base, same)
    first = own.make("ft_m", [A])
    assert own.make("none", [B], so_far=first).id == first.id


@every_method
def test_the_origin_tells_how_it_was_made(name: str) -> None:
    own = bench("llama", "float32")
    origin = own.make(name, [A]).origin
    assert origin.method == name
    assert origin.requests == ("a",)
    assert origin.base.weights == own.model.fingerprint
    assert None not in (origin.config.get("layer", 0), origin.config.get("steps", 0))


@pytest.mark.parametrize("dense", [n for n in EDITING if n.startswith("ft")])
def test_trained_matrices_are_kept_whole(dense: str) -> None:
    own = bench("llama", "float32")
    [part] = own.make(dense, [A]).weights
    assert isinstance(part.delta, Dense)


def test_every_method_is_complete() -> None:
    for name in METHODS:
        method: Method = METHODS.get(name)
        assert method.name == name
        assert method.paper
        method.config()
