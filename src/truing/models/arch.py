"""A live model seen through its family's site table.

Layer l is block l, 0-based; ``resid_post`` of layer l is its output. ``attn_out`` and ``mlp_out``
are what the attention and MLP modules return, before a norm that some families (gemma2, gemma3,
olmo2) put on them before adding.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from torch import Tensor, nn

from truing.errors import BadInput, NotPossible, TruingWarning, UnknownName
from truing.models.families import FAMILIES, Family
from truing.models.search import guesses, unknown
from truing.models.sites import SITES, Handles, Hook, Site, Slot, is_linear, slot

__all__ = ["Arch", "Handles", "Hook", "Site", "Slot", "describe", "verify"]

Norm = Literal["attn", "mlp", "after_attn", "after_mlp"]


@dataclass(frozen=True, eq=False)
class Arch:
    """Sites and weights of a live model by what they are, not where they are.

    ``hf`` is the model, ``blocks`` the path of its blocks; ``verified`` says whether the sites
    were checked numerically on this model.
    """

    hf: Any
    family: Family
    blocks: str
    verified: bool = False

    @classmethod
    def of(cls, hf: Any, family: Family) -> Arch:
        """``hf`` through the table ``family``; raises ``UnknownFamily`` where it does not fit."""
        blocks = _first(hf, family.blocks)
        stack = None if blocks is None else hf.get_submodule(blocks)
        if blocks is None or not isinstance(stack, nn.ModuleList) or len(stack) == 0:
            raise unknown(hf, f"no blocks at {' or '.join(family.blocks)}")
        arch = cls(hf, family, blocks)
        for layer in (0, arch.n_layers - 1):
            paths = [family.attn, family.attn_out, *family.attn_in]
            if not arch.moe_layer(layer):
                paths += [*family.mlp_in, family.down]
            for path in paths:
                if _get(arch.block(layer), path) is None:
                    raise unknown(hf, f"block {layer} has no '{path}'")
        return arch

    @property
    def n_layers(self) -> int:
        return len(self.hf.get_submodule(self.blocks))

    @property
    def d_model(self) -> int:
        """Width of the residual stream."""
        return int(self.hf.config.get_text_config().hidden_size)

    @property
    def parallel(self) -> bool:
        """Whether attention and MLP of a block read the same residual stream."""
        return self.family.parallel(self.hf.config)

    @property
    def is_moe(self) -> bool:
        """Whether any MLP is a mixture of experts."""
        return any(self.moe_layer(layer) for layer in range(self.n_layers))

    def moe_layer(self, layer: int) -> bool:
        """Whether the MLP of this layer is a mixture of experts."""
        experts = self.family.experts
        return experts is not None and _get(self.block(layer), experts) is not None

    def block(self, layer: int) -> nn.Module:
        blocks = self.hf.get_submodule(self.blocks)
        if not 0 <= layer < len(blocks):
            raise BadInput(
                f"layer {layer} does not exist", f"This model has layers 0 to {len(blocks) - 1}."
            )
        block = blocks[layer]
        assert isinstance(block, nn.Module)
        return block

    def attn(self, layer: int) -> nn.Module:
        return self._at(layer, self.family.attn)

    def mlp(self, layer: int) -> nn.Module:
        """The module that returns the MLP's output (where a block has no MLP module: down's)."""
        return self._at(layer, self.family.mlp or self.family.down)

    def attn_in(self, layer: int) -> tuple[Slot, Slot, Slot]:
        """Query, key and value projections; raises ``NotPossible`` where heads interleave them."""
        paths = self.family.attn_in
        if self.family.packing == "separate":
            query, key, value = (self._slot(layer, path) for path in paths)
            return query, key, value
        if self.family.packing == "interleaved":
            raise NotPossible(
                f"{self.family.name} has no separate query, key and value projections ('{paths[0]}')",
                "Edit the whole projection as a dense delta, or edit the MLP.",
            )
        module = self._at(layer, paths[0])
        whole = slot(module, "").d_out
        d_kv = self._kv_width(whole)
        d_q = whole - 2 * d_kv
        cuts = (slice(0, d_q), slice(d_q, d_q + d_kv), slice(d_q + d_kv, whole))
        query, key, value = (self._slot(layer, paths[0], rows) for rows in cuts)
        return query, key, value

    def attn_proj(self, layer: int) -> Slot:
        """The attention's output projection."""
        return self._slot(layer, self.family.attn_out)

    def mlp_in(self, layer: int) -> tuple[Slot, ...]:
        """(gate, up), or (up,) where the MLP has no gate. Halves of a fused one are named by rows."""
        self._needs_matrix(layer)
        if not self.family.mlp_in:
            raise NotPossible(
                f"which half of the fused MLP projection of '{self.family.name}' is the gate is not known",
                "Add the family to truing.models.families.FAMILIES.",
            )
        if not self.family.fused_mlp:
            return tuple(self._slot(layer, path) for path in self.family.mlp_in)
        path = self.family.mlp_in[0]
        half = self.down(layer).d_in
        return (
            self._slot(layer, path, slice(0, half)),
            self._slot(layer, path, slice(half, 2 * half)),
        )

    def down(self, layer: int) -> Slot:
        """The MLP's output projection (``down_proj``, ``c_proj``, ``fc2``, ...).

        Raises ``NotPossible`` for a mixture of experts.
        """
        self._needs_matrix(layer)
        return self._slot(layer, self.family.down)

    def norm(self, layer: int, which: Norm) -> nn.Module | None:
        """The norm before attention or MLP, or after it and before adding; ``None``: there is none."""
        paths: tuple[str, ...] = getattr(self.family, f"norm_{which}")
        path = _first(self.block(layer), paths)
        return None if path is None else self._at(layer, path)

    @property
    def final_norm(self) -> nn.Module | None:
        """The norm before the head (opt-350m has none)."""
        path = _first(self.hf, self.family.final_norm)
        return None if path is None else _get(self.hf, path)

    @property
    def head(self) -> nn.Module:
        """The module whose output are the logits (before a cap or scale that some families add)."""
        head = self.hf.get_output_embeddings()
        if head is None:
            raise unknown(self.hf, "the model has no head")
        assert isinstance(head, nn.Module)
        return head

    @property
    def embed(self) -> nn.Module:
        embed = self.hf.get_input_embeddings()
        assert isinstance(embed, nn.Module)
        return embed

    @property
    def tied(self) -> bool:
        """Whether head and embedding are one parameter."""
        return getattr(self.head, "weight", None) is getattr(self.embed, "weight", self)

    def site(self, name: str, layer: int = 0) -> Hook:
        """The hook point ``name`` (:data:`truing.models.sites.SITES`) of a layer.

        ``head_in`` and ``logits`` belong to no layer. Raises ``UnknownName``, ``BadInput`` for a
        layer that does not exist, and ``NotPossible`` for ``mlp_hidden`` of a mixture of experts.
        """
        if name not in SITES:
            raise UnknownName("site", name, SITES)
        if name == "head_in":
            return Hook(self.head, "input")
        if name == "logits":
            return Hook(self.hf, "output")
        block = self.block(layer)
        if name in ("resid_pre", "resid_post"):
            return Hook(block, "input" if name == "resid_pre" else "output")
        if name == "heads":
            return Hook(self.attn_proj(layer).module, "input")
        if name == "attn_out":
            return Hook(self.attn(layer), "output")
        outer = block if self.family.flat_mlp else None
        if name == "mlp_out":
            return Hook(self.mlp(layer), "output", outer, self.family.adds_in_place)
        return Hook(self.down(layer).module, "input", outer)

    def parameter(self, name: str) -> nn.Parameter:
        """The parameter with this full name."""
        try:
            found = self.hf.get_parameter(name)
        except AttributeError:
            names = [known for known, _ in self.hf.named_parameters()]
            raise UnknownName("parameter", name, names) from None
        assert isinstance(found, nn.Parameter)
        return found

    def slot(self, param: str) -> Slot:
        """The slot of a weight matrix by its full parameter name."""
        path, _, leaf = param.rpartition(".")
        self.parameter(param)
        module = self.hf.get_submodule(path)
        if leaf != "weight" or not is_linear(module):
            raise BadInput(f"'{param}' is not the matrix of a linear layer", "Name its .weight.")
        return slot(module, path)

    def weight(self, where: Slot | str) -> Tensor:
        """Float32 (or wider) weight ``(d_out, d_in)``; read it, don't write into it."""
        return (self.slot(where) if isinstance(where, str) else where).weight()

    def to_stored(self, where: Slot | str, delta: Tensor) -> Tensor:
        """A delta ``(d_out, d_in)`` in the shape in which the whole parameter is stored."""
        return (self.slot(where) if isinstance(where, str) else where).to_stored(delta)

    def _at(self, layer: int, path: str) -> nn.Module:
        found = _get(self.block(layer), path)
        if found is None:
            raise unknown(self.hf, f"block {layer} has no '{path}'")
        return found

    def _slot(self, layer: int, path: str, rows: slice | None = None) -> Slot:
        return slot(self._at(layer, path), f"{self.blocks}.{layer}.{path}", rows)

    def _kv_width(self, whole: int) -> int:
        config = self.hf.config.get_text_config()
        heads = int(config.num_attention_heads)
        kv_heads = int(getattr(config, "num_key_value_heads", None) or heads)
        return whole * kv_heads // (heads + 2 * kv_heads)

    def _needs_matrix(self, layer: int) -> None:
        if self.moe_layer(layer):
            raise NotPossible(
                f"the MLP of layer {layer} is a mixture of experts: it has no single matrix to read "
                "or edit",
                "Use activation ops (resid_pre, resid_post, attn_out, mlp_out), or edit attention.",
            )


def describe(hf: Any) -> Arch:
    """The sites of ``hf``: from the table, else found by structure; checked on the live model.

    A model that is not in the table is used with a warning when its sites pass every check.
    Raises ``UnknownFamily`` otherwise.
    """
    known = FAMILIES.get(str(hf.config.model_type))
    return _found(hf) if known is None else _checked(Arch.of(hf, known))


def _checked(arch: Arch) -> Arch:
    wrong = verify(arch)
    if wrong:
        warnings.warn(
            f"{arch.family.name}: {'; '.join(wrong)}. Edits and steering may act in the wrong place",
            TruingWarning,
            stacklevel=3,
        )
    return replace(arch, verified=not wrong)


def _found(hf: Any) -> Arch:
    first: tuple[str, ...] = ()
    for family in guesses(hf):
        arch = Arch.of(hf, family)
        wrong = verify(arch)
        first = first or wrong
        if not wrong:
            warnings.warn(
                f"model_type '{family.name}' is not in the family table; its sites were found by "
                f"structure and checked: {arch.blocks}, {family.attn_out}, "
                f"{family.down or family.experts}",
                TruingWarning,
                stacklevel=3,
            )
            return replace(arch, verified=True)
    raise unknown(hf, f"sites found by structure do not check out: {first[0]}")


def verify(arch: Arch) -> tuple[str, ...]:
    """What is wrong with the sites of ``arch``; empty when all is well. One short forward pass."""
    from truing.models.verify import problems

    return problems(arch)


def _get(module: nn.Module, path: str) -> nn.Module | None:
    try:
        found = module.get_submodule(path)
    except AttributeError:
        return None
    return found if isinstance(found, nn.Module) else None


def _first(module: nn.Module, paths: Sequence[str]) -> str | None:
    return next((path for path in paths if _get(module, path) is not None), None)
