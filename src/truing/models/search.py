"""Sites of an architecture that is not in the table, guessed from its structure.

Names tell attention from MLP and query from key; which projection comes last is read from a
forward pass. :mod:`truing.models.verify` then decides whether a guess is right.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from truing.errors import UnknownFamily
from truing.models.families import Family
from truing.models.sites import is_linear, slot

NEEDED = "blocks, attn, attn_in, attn_out, mlp, mlp_in, down, final_norm"
ATTN = re.compile(r"attn|attention", re.IGNORECASE)
MLP = re.compile(r"mlp|ffn|feed_?forward|moe", re.IGNORECASE)
GATE = re.compile(r"gate|(^|\.)w1$", re.IGNORECASE)
NORM = re.compile(r"norm|(^|_)ln(_|$)", re.IGNORECASE)
QKV = tuple(
    re.compile(rf"(^|_|w){first}(_|$|{rest})")
    for first, rest in (("q", "uery"), ("k", "ey"), ("v", "alue"))
)


def guesses(hf: Any) -> list[Family]:
    """Families that may fit ``hf``, likeliest first. Raises ``UnknownFamily`` naming what is missing."""
    blocks = _blocks(hf)
    stack = hf.get_submodule(blocks)
    calls = _calls(hf, stack)
    first, dense = stack[0], _dense(stack)
    attn = _child(first, ATTN)
    inside = [path for path in calls[0] if attn and path.startswith(f"{attn}.")]
    if attn is None or len(inside) < 2:
        raise unknown(hf, "no attention with projections in its blocks")
    mlp = _child(first, MLP)
    experts = _experts(stack, mlp)
    ordered: list[str] = []
    if dense is not None:
        ordered = calls[dense]
        if mlp is not None:
            ordered = [path for path in ordered if path.startswith(f"{mlp}.")]
        else:  # the block holds the projections itself
            ordered = [path for path in ordered if "." not in path]
    if experts is None and len(ordered) < 2:
        raise unknown(hf, "no MLP with projections in its blocks")
    down = ordered[-1] if ordered else ""
    found = Family(
        name=str(hf.config.model_type),
        blocks=(blocks,),
        attn=attn,
        attn_in=_qkv(inside[:-1]),
        attn_out=inside[-1],
        packing="separate" if len(_qkv(inside[:-1])) == 3 else "interleaved",
        mlp=mlp or "",
        mlp_in=_readers(stack[dense or 0], ordered[:-1], down),
        down=down,
        final_norm=_final_norm(hf, blocks),
        experts=experts,
        flat_mlp=True,  # harmless where the MLP sees (rows, tokens, width)
        adds_in_place=True,
    )
    # in bloom and mpt the modules add the residual stream themselves
    adding = replace(found, attn=found.attn_out, mlp=down or found.mlp)
    return [
        replace(family, parallel=parallel)
        for family in (found, adding)
        for parallel in (_never, _always)
    ]


def _never(config: Any) -> bool:
    return False


def _always(config: Any) -> bool:
    return True


def unknown(hf: Any, what: str) -> UnknownFamily:
    """The error for a model without usable sites."""
    return UnknownFamily(
        f"model_type '{hf.config.model_type}' ({type(hf).__name__}): {what}",
        f"Add a Family to truing.models.families.FAMILIES that names: {NEEDED}.",
    )


def _blocks(hf: Any) -> str:
    wanted = getattr(hf.config.get_text_config(), "num_hidden_layers", None)
    stacks = [
        (len(module) == wanted, sum(p.numel() for p in module.parameters()), path)
        for path, module in hf.named_modules()
        if isinstance(module, nn.ModuleList) and len({type(block) for block in module}) == 1
    ]
    if not stacks or not max(stacks)[0]:
        raise unknown(hf, f"no stack of {wanted} equal blocks")
    path: str = max(stacks)[2]
    return path


def _calls(hf: Any, stack: nn.ModuleList) -> list[list[str]]:
    """Per block, the paths of its linear modules in the order in which they are called."""
    calls: list[list[str]] = [[] for _ in stack]
    handles = []

    def listen(to: list[str], path: str) -> Any:
        return lambda module, args, output: to.append(path)

    training = bool(hf.training)
    hf.eval()
    try:
        for at, block in enumerate(stack):
            for path, module in block.named_modules():
                if path and is_linear(module):
                    handles.append(module.register_forward_hook(listen(calls[at], path)))
        home = hf.get_input_embeddings().weight.device
        ids = torch.arange(4, device="cpu" if home.type == "meta" else home)[None]
        with torch.no_grad():
            hf(input_ids=ids, use_cache=False)
    except (RuntimeError, ValueError, TypeError, IndexError, KeyError, AttributeError) as error:
        text = (str(error).splitlines() or [""])[0]
        raise unknown(hf, f"a short forward pass failed ({type(error).__name__}: {text})") from None
    finally:
        hf.train(training)
        for handle in handles:
            handle.remove()
    return calls


def _child(block: nn.Module, pattern: re.Pattern[str]) -> str | None:
    """The innermost lone child that the pattern names and that holds projections."""
    found = [
        name
        for name, child in block.named_children()
        if pattern.search(name) and not NORM.search(type(child).__name__) and _projects(child)
    ]
    return found[0] if len(found) == 1 else None


def _projects(module: nn.Module) -> bool:
    return any(is_linear(part) or _has_stack(part) for part in module.modules())


def _has_stack(module: nn.Module) -> bool:
    return any(p.ndim == 3 and p.is_floating_point() for p in module.parameters(recurse=False))


def _experts(stack: Iterable[nn.Module], mlp: str | None) -> str | None:
    """The path of the experts, where any block is a mixture."""
    if mlp is None:
        return None
    for block in stack:
        inside: Iterable[tuple[str, nn.Module]] = block.get_submodule(mlp).named_modules(prefix=mlp)
        for path, module in inside:
            if _has_stack(module) or path.endswith(".experts"):
                return path
    return None


def _dense(stack: nn.ModuleList) -> int | None:
    """The first block that is no mixture of experts."""
    for at, block in enumerate(stack):
        mlp = _child(block, MLP)
        if _experts([block], mlp) is None:
            return at
    return None


def _qkv(paths: list[str]) -> tuple[str, ...]:
    """Query, key and value, where there are three and their names say so."""
    found = []
    for pattern in QKV:
        named = [path for path in paths if pattern.search(path.rpartition(".")[2])]
        if len(named) != 1 or len(paths) != 3:
            return tuple(paths)
        found += named
    return tuple(found)


def _readers(block: nn.Module, paths: list[str], down: str) -> tuple[str, ...]:
    """The projections whose outputs are as wide as ``down`` reads, a gate first; none where they
    are fused."""
    if not down:
        return ()
    width = slot(block.get_submodule(down), down).d_in
    found = [path for path in paths if slot(block.get_submodule(path), path).d_out == width]
    return tuple(sorted(found, key=lambda path: GATE.search(path) is None))


def _final_norm(hf: Any, blocks: str) -> tuple[str, ...]:
    """The last norm beside the blocks."""
    parent = blocks.rpartition(".")[0]
    beside = hf.get_submodule(parent) if parent else hf
    names = [
        name
        for name, child in beside.named_children()
        if NORM.search(name) or NORM.search(type(child).__name__)
    ]
    return (f"{parent}.{names[-1]}".lstrip("."),) if names else ()
