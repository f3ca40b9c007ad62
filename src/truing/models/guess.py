"""Finding the sites of an architecture that is not in the table, by its structure."""

from __future__ import annotations

from typing import Any

from torch import nn

from truing.models.families import Family, Part

ATTENTION = ("self_attn", "attn", "attention", "self_attention")
MLP = ("mlp", "feed_forward", "ffn", "ff", "block_sparse_moe", "moe")


def guess(hf: Any) -> Family | None:
    """A family entry for ``hf``, or ``None`` where the structure is not that of a decoder."""
    blocks = _blocks(hf)
    if blocks is None:
        return None
    path, modules = blocks
    block = modules[0]
    children = dict(block.named_children())
    attn = next((n for n in ATTENTION if n in children), None)
    mlp = next((n for n in MLP if n in children), None)
    head, embed = _name_of(hf, hf.get_output_embeddings()), _name_of(hf, hf.get_input_embeddings())
    if attn is None or mlp is None or head is None or embed is None:
        return None
    d_model = int(hf.get_input_embeddings().weight.shape[1])
    inside = [(n, m) for n, m in children[mlp].named_modules() if _linear(m)]
    downs = [n for n, m in inside if _out(m) == d_model and _in(m) != d_model]
    ups = [n for n, m in inside if _in(m) == d_model and _out(m) != d_model]
    plain = len(downs) == 1 and bool(ups)
    parent, _, _ = path.rpartition(".")
    return Family(
        blocks=path,
        attn=attn,
        mlp=mlp,
        up=tuple(Part(f"{mlp}.{n}") for n in ups) if plain else (),
        down=f"{mlp}.{downs[0]}" if plain else None,
        final_norm=_final_norm(hf, parent),
        embed=embed,
        head=head,
    )


def _blocks(hf: Any) -> tuple[str, nn.ModuleList] | None:
    """The longest list of equal modules that holds most parameters."""
    found = [
        (name, module)
        for name, module in hf.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) and len({type(m) for m in module}) == 1
    ]
    if not found:
        return None
    return max(found, key=lambda pair: sum(p.numel() for p in pair[1].parameters()))


def _final_norm(hf: Any, parent: str) -> str | None:
    for name, module in hf.get_submodule(parent).named_children():
        if "norm" in type(module).__name__.lower() and any(True for _ in module.parameters()):
            return f"{parent}.{name}" if parent else str(name)
    return None


def _name_of(hf: Any, wanted: Any) -> str | None:
    return next((name for name, module in hf.named_modules() if module is wanted), None)


def _linear(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D"


def _out(module: Any) -> int:
    return int(module.weight.shape[1 if type(module).__name__ == "Conv1D" else 0])


def _in(module: Any) -> int:
    return int(module.weight.shape[0 if type(module).__name__ == "Conv1D" else 1])
