"""Are the sites where the table says? Asked of the live model in one short forward pass.

A batch holds the same few tokens in every row; in each row but the first one site is moved at one
position. Logits must move there and must not move before it. In the unmoved row, blocks must hand
on what they return, and weight slots must be the matrices between the activations around them.

Shape letters: R rows (row 0 unmoved), T tokens, D width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from truing.errors import NotPossible
from truing.models.arch import Arch
from truing.models.sites import Handles, Slot

TOKENS, AT = 6, 2
FEATURES = 8
"""Output features of a projection that are recomputed."""


def problems(arch: Arch) -> tuple[str, ...]:
    """What does not check out, in words; empty when all is well. Leaves the model as it was."""
    hf = arch.hf
    training = bool(hf.training)
    hf.eval()
    try:
        with torch.no_grad():
            return tuple(_check(arch))
    except (RuntimeError, ValueError, TypeError, IndexError, KeyError, AttributeError) as error:
        text = (str(error).splitlines() or [""])[0]
        return (f"a short forward pass failed ({type(error).__name__}: {text})",)
    finally:
        hf.train(training)


def _check(arch: Arch) -> list[str]:
    layers = sorted({0, arch.n_layers - 1})
    moved = [
        (site, layer)
        for layer in layers
        for site in ("resid_pre", "attn_out", "mlp_hidden", "mlp_out", "resid_post")
        if not (site == "mlp_hidden" and arch.moe_layer(layer))
    ]
    moved.append(("head_in", 0))
    seen: dict[tuple[str, int], Tensor] = {}
    read = {**dict.fromkeys(moved)}
    if arch.n_layers > 1:
        read[("resid_pre", 1)] = None
    hooks = []
    try:
        for site, layer in read:
            row = moved.index((site, layer)) + 1 if (site, layer) in moved else None
            act = _mover((site, layer), row, seen)
            hooks.append(arch.site(site, layer).register(act))
        slots, inputs, outputs = _listen(arch, layers, hooks)
        logits = _logits(arch.hf, len(moved) + 1)
    finally:
        for hook in hooks:
            hook.remove()
    return [
        *_moves(logits, moved),
        *_chains(arch, seen),
        *_mixes(arch, seen, moved, layers),
        *_returns(arch, seen, outputs, layers),
        *_multiplies(slots, inputs, outputs),
    ]


def _logits(hf: Any, n_rows: int) -> Tensor:
    home = hf.get_input_embeddings().weight.device
    vocabulary = int(hf.config.get_text_config().vocab_size)
    ids_T = (torch.arange(TOKENS) * 37 + 11) % vocabulary
    ids_R_T = ids_T.repeat(n_rows, 1).to("cpu" if home.type == "meta" else home)
    out = hf(input_ids=ids_R_T, attention_mask=torch.ones_like(ids_R_T), use_cache=False)
    logits: Tensor = out.logits
    return logits.float().cpu()


def _mover(
    place: tuple[str, int], row: int | None, seen: dict[tuple[str, int], Tensor]
) -> Callable[[Tensor], Tensor | None]:
    """Record the activation (``R, T, D``), then move it in one row at one position."""

    def act(acts_R_T_D: Tensor) -> Tensor | None:
        seen[place] = acts_R_T_D.detach().float().cpu()
        if row is None:
            return None
        here = seen[place][0, AT]
        size = max(here.square().mean().sqrt().item(), 1e-3)
        stream = seen.get(("resid_pre", place[1]))
        if stream is not None:  # large enough to matter to what it is added to
            size = max(size, stream[0, AT].square().mean().sqrt().item())
        step = torch.randn(here.shape, generator=torch.Generator().manual_seed(0))
        new = acts_R_T_D.clone()
        new[row, AT] = (here + 4 * size * step).to(new)
        return new

    return act


def _listen(
    arch: Arch, layers: list[int], hooks: list[Any]
) -> tuple[list[Slot], dict[str, Tensor], dict[str, Tensor]]:
    """Record the first row's input and output of every projection that can be read."""
    slots: list[Slot] = []
    inputs: dict[str, Tensor] = {}
    outputs: dict[str, Tensor] = {}
    for layer in layers:
        found = [arch.attn_proj(layer)]
        if arch.family.packing != "interleaved":
            found += arch.attn_in(layer)
        if not arch.moe_layer(layer):
            found += [arch.down(layer), *_optional(arch, layer)]
        slots += [each for each in found if _readable(each)]
    for each in slots:

        def listen(module: Any, args: Any, output: Tensor, name: str = each.param) -> None:
            inputs[name] = args[0].reshape(-1, args[0].shape[-1])[:TOKENS].float()
            outputs[name] = output.reshape(-1, output.shape[-1])[:TOKENS].float().clone()

        if each.param not in [s.param for s in slots[: slots.index(each)]]:
            hooks.append(Handles([each.module.register_forward_hook(listen)]))
    return slots, inputs, outputs


def _optional(arch: Arch, layer: int) -> tuple[Slot, ...]:
    return arch.mlp_in(layer) if arch.family.mlp_in else ()


def _readable(each: Slot) -> bool:
    """Not quantised, not offloaded."""
    try:
        return each.stored.is_floating_point()
    except NotPossible:
        return False


def _moves(logits_R_T_V: Tensor, moved: list[tuple[str, int]]) -> list[str]:
    if not bool(torch.isfinite(logits_R_T_V[0]).all()):
        return ["the logits of a short text are not finite"]
    found = []
    diff_R_T = (logits_R_T_V - logits_R_T_V[0]).abs().amax(2)
    scale = float(logits_R_T_V[0].abs().max())
    for row, (site, layer) in enumerate(moved, start=1):
        early = float(diff_R_T[row, :AT].max())
        there = float(diff_R_T[row, AT])
        if early > max(0.02 * scale, 0.25 * there):
            found.append(f"moving {site} of layer {layer} moves earlier positions")
        elif not there > max(4 * early, 1e-4 * scale):
            found.append(f"moving {site} of layer {layer} does not move the logits")
    return found


def _chains(arch: Arch, seen: dict[tuple[str, int], Tensor]) -> list[str]:
    if arch.n_layers < 2:
        return []
    given, taken = seen["resid_post", 0][0], seen["resid_pre", 1][0]
    if given.shape == taken.shape and torch.equal(given, taken):
        return []
    return ["layer 1 does not read what layer 0 returns"]


def _mixes(
    arch: Arch, seen: dict[tuple[str, int], Tensor], moved: list[tuple[str, int]], layers: list[int]
) -> list[str]:
    """Attention carries a change to later positions; the MLP does not, and sees attention's
    output of the same layer unless the block is parallel."""
    found = []
    for layer in layers:
        attn, mlp = arch.attn(layer), arch.mlp(layer)
        if attn in mlp.modules() or mlp in attn.modules():
            found.append(f"attention and MLP of layer {layer} are the same module")
        under_stream = moved.index(("resid_pre", layer)) + 1
        under_attn = moved.index(("attn_out", layer)) + 1
        carried = _change(seen["attn_out", layer], under_stream)
        if not carried[AT + 1 :].max() > 1e-5:
            found.append(f"attn_out of layer {layer} does not depend on earlier positions")
        source = under_stream if arch.parallel else under_attn
        after = _change(seen["mlp_out", layer], source)
        if after[AT + 1 :].max() > 0.25 * max(float(after[AT]), 0.02):
            found.append(f"mlp_out of layer {layer} depends on earlier positions")
        sees = float(_change(seen["mlp_out", layer], under_attn)[AT]) > 0.02
        if sees == arch.parallel:
            how = "sees" if sees else "does not see"
            found.append(f"the MLP of layer {layer} {how} the output of its attention")
    return found


def _returns(
    arch: Arch,
    seen: dict[tuple[str, int], Tensor],
    outputs: dict[str, Tensor],
    layers: list[int],
) -> list[str]:
    """``attn_out`` and ``mlp_out`` are what the output projections return."""
    found = []
    for layer in layers:
        pairs = [("attn_out", arch.attn_proj(layer))]
        if not arch.moe_layer(layer):
            pairs.append(("mlp_out", arch.down(layer)))
        for site, last in pairs:
            if last.param not in outputs:
                continue
            given, made = seen[site, layer][0], outputs[last.param].cpu()
            if given.shape != made.shape or not torch.allclose(given, made, rtol=1e-2, atol=1e-5):
                found.append(f"{site} of layer {layer} is not what '{last.param}' returns")
    return found


def _change(acts_R_T_D: Tensor, row: int) -> Tensor:
    """Per position, how far a row is from the unmoved one, in units of the unmoved one. ``(T,)``"""
    scale = float(acts_R_T_D[0].square().sum(1).sqrt().mean())
    return (acts_R_T_D[row] - acts_R_T_D[0]).square().sum(1).sqrt() / max(scale, 1e-12)


def _multiplies(
    slots: list[Slot], inputs: dict[str, Tensor], outputs: dict[str, Tensor]
) -> list[str]:
    """``y = W x + b`` with the slot's own orientation and rows."""
    found = []
    for each in slots:
        if each.param not in inputs:
            found.append(f"'{each.param}' is not called")
            continue
        weight = each.stored.T if each.transposed else each.stored
        rows = range(*(each.rows or slice(None)).indices(weight.shape[0]))[:FEATURES]
        part = slice(rows.start, rows.stop)
        x, y = inputs[each.param], outputs[each.param][:, part]
        if x.shape[1] != weight.shape[1]:
            found.append(f"'{each.param}' reads {x.shape[1]} features, not {weight.shape[1]}")
            continue
        bias = getattr(each.module, "bias", None)
        made = x @ weight[part].to(x).T + (0 if bias is None else bias[part].to(x))
        precision = torch.finfo(each.stored.dtype).eps
        if not (made - y).abs().max() <= 16 * precision * (1 + made.abs().max()):
            found.append(f"'{each.param}' is not the matrix that is applied there")
    return found
