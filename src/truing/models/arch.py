"""A live model seen through its family's site table, and numeric proof that the table fits.

Hook points, layer ``l`` = block ``l``, 0-based: ``resid_pre`` (input of the block), ``attn_out``,
``mlp_hidden`` (input of the down projection), ``mlp_out``, ``resid_post`` (output of the block);
and, whatever the layer, ``head_in`` (input of the LM head) and ``logits``.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from truing.errors import BadInput, NotPossible, UnknownFamily, UnknownName
from truing.models.families import FAMILIES, Family, Part
from truing.models.hooks import Hook

Site = Literal["resid_pre", "attn_out", "mlp_hidden", "mlp_out", "resid_post", "head_in", "logits"]
SITES: tuple[str, ...] = get_args(Site)
PER_LAYER = SITES[:5]


class GuessedFamily(UserWarning):
    """The architecture is not in the table; its sites were found by structure and verified."""


@dataclass(frozen=True)
class Slot:
    """One weight matrix in math orientation ``W: (d_out, d_in)``, ``y = W x``.

    ``rows`` limits it to a share of a fused projection's output; ``transposed`` says that the
    parameter stores ``W^T`` (Conv1D).
    """

    module: nn.Module
    param: str
    d_out: int
    d_in: int
    rows: slice | None
    transposed: bool

    def math(self) -> Tensor:
        """A float32 copy of the weight, ``(d_out, d_in)``."""
        weight = self.module.weight
        assert isinstance(weight, Tensor)
        full = (weight.T if self.transposed else weight).detach()
        return (full if self.rows is None else full[self.rows]).float().clone()

    def stored(self, delta: Tensor) -> Tensor:
        """A math-orientation delta as the parameter stores it (whole parameters only)."""
        if self.rows is not None:
            raise NotPossible(f"'{self.param}' is fused", "Give a delta with rows.")
        return delta.T if self.transposed else delta


@dataclass(frozen=True, eq=False)
class Arch:
    """The sites of a live model. ``known`` is false where they were guessed and verified."""

    hf: Any
    family: Family
    known: bool
    n_layers: int
    d_model: int

    @property
    def is_moe(self) -> bool:
        return self.family.down is None

    @property
    def head(self) -> nn.Module:
        module: nn.Module = self.hf.get_submodule(self.family.head)
        return module

    @property
    def embed(self) -> nn.Module:
        module: nn.Module = self.hf.get_submodule(self.family.embed)
        return module

    @property
    def final_norm(self) -> nn.Module | None:
        path = self.family.final_norm
        if path is None:
            return None
        try:
            module: nn.Module | None = self.hf.get_submodule(path)
        except AttributeError:
            return None
        return module

    def block(self, layer: int) -> nn.Module:
        """Block ``layer``. Raises ``BadInput`` outside 0..n_layers-1."""
        if not 0 <= layer < self.n_layers:
            raise BadInput(
                f"layer {layer} does not exist; the model has layers 0 to {self.n_layers - 1}",
                "Layers are counted from 0.",
            )
        blocks: nn.Module = self.hf.get_submodule(self.family.blocks)
        return blocks.get_submodule(str(layer))

    def attn(self, layer: int) -> nn.Module:
        return self.block(layer).get_submodule(self.family.attn)

    def mlp(self, layer: int) -> nn.Module:
        return self.block(layer).get_submodule(self.family.mlp)

    def mlp_in(self, layer: int) -> tuple[Slot, ...]:
        """The projections into the MLP (gate and up, or the one there is)."""
        self._refuse_experts()
        return tuple(self._slot(layer, part) for part in self.family.up)

    def down(self, layer: int) -> Slot:
        """The MLP's second matrix: keys come in, values go out. Refuses mixtures of experts."""
        self._refuse_experts()
        assert self.family.down is not None
        return self._slot(layer, Part(self.family.down))

    def site(self, name: Site, layer: int = 0) -> Hook:
        """The hook point ``name`` of ``layer``."""
        if name == "head_in":
            return Hook(self.head, "input")
        if name == "logits":
            return Hook(self.head, "output")
        if name == "resid_pre":
            return Hook(self.block(layer), "input")
        if name == "resid_post":
            return Hook(self.block(layer), "output")
        if name == "attn_out":
            return Hook(self.attn(layer), "output")
        if name == "mlp_out":
            return Hook(self.mlp(layer), "output")
        if name == "mlp_hidden":
            return Hook(self.down(layer).module, "input")
        raise UnknownName("site", name, SITES)

    def parameter(self, name: str) -> nn.Parameter:
        """The parameter called ``name``. Raises ``UnknownName`` with the near misses."""
        known = dict(self.hf.named_parameters(remove_duplicate=False))
        if name not in known:
            raise UnknownName("parameter", name, known)
        parameter: nn.Parameter = known[name]
        return parameter

    def _slot(self, layer: int, part: Part) -> Slot:
        module = self.block(layer).get_submodule(part.path)
        weight = module.weight
        assert isinstance(weight, Tensor)
        transposed = type(module).__name__ == "Conv1D"
        if weight.ndim != 2 or not (transposed or isinstance(module, nn.Linear)):
            raise NotPossible(
                f"{part.path} of layer {layer} is a {type(module).__name__} with weight "
                f"{tuple(weight.shape)}; weight methods need a plain linear layer",
                "Load the model without quantisation, or use an activation or prompt method.",
            )
        d_out, d_in = reversed(weight.shape) if transposed else weight.shape
        rows = None
        if part.pieces > 1:
            d_out = d_out // part.pieces
            rows = slice(part.piece * d_out, (part.piece + 1) * d_out)
        name = f"{self.family.blocks}.{layer}.{part.path}.weight"
        return Slot(module, name, d_out, d_in, rows, transposed)

    def _refuse_experts(self) -> None:
        if self.is_moe:
            raise NotPossible(
                f"'{self.hf.config.model_type}' is a mixture of experts: its MLP weights are "
                "three-dimensional and no single matrix is the MLP",
                "Use a method that acts on activations or prompts, such as ice or prompt.",
            )


def describe(hf: Any) -> Arch:
    """The sites of ``hf``: from the table, else by structure; both verified numerically.

    Warns with ``GuessedFamily`` where the architecture is not in the table, and raises
    ``UnknownFamily`` where no verified guess is found.
    """
    model_type = str(getattr(hf.config, "model_type", "?"))
    family = FAMILIES.get(model_type)
    known = family is not None
    if family is None:
        from truing.models.guess import guess

        family = guess(hf)
    if family is None:
        raise UnknownFamily(
            f"no site table for model_type '{model_type}' and its structure was not recognised",
            "Add an entry to truing.models.families.FAMILIES: " + ", ".join(Family.__slots__) + ".",
        )
    arch = _arch(hf, family, known)
    wrong = verify(arch)
    if wrong:
        raise UnknownFamily(
            f"the sites of '{model_type}' do not behave as they should: {'; '.join(wrong)}",
            "Add or mend its entry in truing.models.families.FAMILIES.",
        )
    if not known:
        warnings.warn(
            f"model_type '{model_type}' is not in the family table; its sites were found by "
            f"structure and verified ({family.blocks}, {family.down or 'experts'})",
            GuessedFamily,
            stacklevel=3,
        )
    return arch


def _arch(hf: Any, family: Family, known: bool) -> Arch:
    try:
        n_layers = len(hf.get_submodule(family.blocks))
    except AttributeError:
        raise UnknownFamily(
            f"'{hf.config.model_type}' has no module '{family.blocks}'",
            "This version of transformers may lay it out differently; mend its family entry.",
        ) from None
    config = hf.config.get_text_config() if hasattr(hf.config, "get_text_config") else hf.config
    return Arch(hf, family, known, n_layers, int(config.hidden_size))


AT, N_TOKENS = 2, 5


def verify(arch: Arch) -> list[str]:
    """What is wrong with the sites; empty when every one moves the logits where it should.

    A perturbation at one token must move the logits there, and must not move those of earlier
    tokens; a hook that changes nothing must change nothing.
    """
    home = next(arch.hf.parameters()).device
    vocabulary = int(arch.hf.get_input_embeddings().weight.shape[0])
    ids = (torch.arange(N_TOKENS, device=home) * 7 + 1)[None] % vocabulary
    if ids.device.type == "meta":
        return []
    training = arch.hf.training
    arch.hf.eval()
    try:
        with torch.no_grad():
            base = _logits(arch.hf, ids)
            if not torch.isfinite(base).all():
                return []
            wrong = []
            for layer in sorted({0, arch.n_layers - 1}):
                for name in PER_LAYER:
                    if name == "mlp_hidden" and arch.is_moe:
                        continue
                    wrong += _check(arch, name, layer, ids, base)
            wrong += _check(arch, "head_in", 0, ids, base)
            return wrong
    finally:
        arch.hf.train(training)


def _check(arch: Arch, name: Any, layer: int, ids: Tensor, base: Tensor) -> list[str]:
    label = name if name == "head_in" else f"{name} of layer {layer}"

    def push(acts: Tensor) -> Tensor:
        new = acts.clone()
        row = new[AT] if new.ndim == 2 else new[0, AT]
        kick = torch.linspace(-1, 1, row.shape[-1], device=row.device).to(row.dtype)
        row += kick * (row.float().norm() + 1).to(row.dtype)
        return new

    try:
        handle = arch.site(name, layer).register(push)
    except AttributeError as error:
        return [f"{label}: {error}"]
    try:
        moved = _logits(arch.hf, ids)
    finally:
        handle.remove()
    change = (moved - base).abs().amax(-1)[0]
    scale = base.abs().max().clamp(min=1e-6)
    if change[:AT].max() > 1e-3 * scale:
        return [f"{label} moves the logits of earlier tokens"]
    if change[AT] <= 1e-6 * scale:
        return [f"{label} does not move the logits"]
    return []


def _logits(hf: Any, ids: Tensor) -> Tensor:
    out: Tensor = hf(input_ids=ids, use_cache=False).logits
    return out.float()
