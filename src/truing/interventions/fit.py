"""Whether weight deltas, codebooks, routed changes and conditions fit a model: names, shapes, ties, order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor, nn
from transformers.activations import ACT2FN

from truing.errors import BadInput, NotPossible
from truing.interventions.conditional import Condition, Conditional
from truing.interventions.parts import ActivationOp, Codebook, Dense, LowRank, WeightDelta
from truing.interventions.routed import ByDistance, Routed
from truing.models.sites import is_linear

if TYPE_CHECKING:
    from truing.models.arch import Arch


class Fit:
    """Checks deltas against one model. Reading the model's names once serves many checks."""

    def __init__(self, arch: Arch) -> None:
        self.arch = arch
        self._names: dict[int, list[str]] = {}
        for name, parameter in arch.hf.named_parameters(remove_duplicate=False):
            self._names.setdefault(id(parameter), []).append(name)

    def targets(
        self, weights: Sequence[WeightDelta]
    ) -> list[tuple[nn.Parameter, list[WeightDelta]]]:
        """Each parameter that is changed, once, with its deltas; raises where they do not fit.

        A parameter that the model uses under several names (tied embeddings) is changed only when
        the same deltas are given for all of them.
        """
        by_name: dict[str, list[WeightDelta]] = {}
        for part in weights:
            by_name.setdefault(part.param, []).append(part)
        plan: dict[int, tuple[nn.Parameter, list[WeightDelta]]] = {}
        for name, deltas in by_name.items():
            parameter = parameter_of(self.arch, name)
            for part in deltas:
                check_shape(self.arch, parameter, part)
            tied = self._names[id(parameter)]
            if len(tied) > 1:
                _check_tied(name, tied, by_name)
            plan.setdefault(id(parameter), (parameter, deltas))
        return list(plan.values())


def parameter_of(arch: Arch, name: str) -> nn.Parameter:
    """The parameter called ``name``; raises BadInput where the model has none."""
    try:
        found = arch.hf.get_parameter(name)
    except AttributeError:
        raise BadInput(
            f"the model ({arch.hf.config.model_type}) has no parameter '{name}'",
            "Was the intervention made for another model?",
        ) from None
    assert isinstance(found, nn.Parameter)
    return found


def module_of(arch: Arch, param: str, rows: tuple[int, int] | None) -> nn.Module:
    """The module whose output ``param`` decides linearly."""
    path, _, leaf = param.rpartition(".")
    module = arch.hf.get_submodule(path)
    assert isinstance(module, nn.Module)
    table = isinstance(module, nn.Embedding) and rows is None
    if leaf != "weight" or not (table or is_linear(module)):
        raise NotPossible(
            f"'{param}' of a {type(module).__name__} cannot be one row of a batch",
            "Give a Dense delta, or use model.using(...).",
        )
    return module


def transposed(arch: Arch, param: str) -> bool:
    """Whether the parameter is stored (d_in, d_out): the weight of a ``Conv1D``."""
    module, _, leaf = param.rpartition(".")
    return leaf == "weight" and type(arch.hf.get_submodule(module)).__name__ == "Conv1D"


def check_shape(arch: Arch, parameter: Tensor, part: WeightDelta) -> None:
    """Raise BadInput where the delta does not fit the parameter (its range of rows)."""
    flip = transposed(arch, part.param)
    shape = _shape(arch, parameter, part.param)
    axis = 1 if flip else 0
    if part.rows is not None:
        low, high = part.rows
        if not 0 <= low < high <= shape[axis]:
            raise BadInput(
                f"'{part.param}': rows {low}..{high} are outside 0..{shape[axis]}",
                "Was the intervention made for another model?",
            )
        shape[axis] = high - low
    delta = part.delta
    if isinstance(delta, LowRank):
        got = [delta.left.shape[0], delta.right.shape[0]]
    else:
        got = list(delta.delta.shape)
    stored = isinstance(delta, Dense) and delta.orientation == "stored"
    want = shape[::-1] if flip and not stored else shape
    if got != want:
        raise BadInput(
            f"'{part.param}': the delta is {tuple(got)}, the weight needs {tuple(want)}",
            "Was the intervention made for another model?",
        )


def check_codebook(arch: Arch, book: Codebook) -> None:
    """Raise BadInput where the model has no such matrix, or one of another shape."""
    shape = _shape(arch, parameter_of(arch, book.param), book.param)
    want = shape[::-1] if transposed(arch, book.param) else shape
    got = [book.values.shape[1], book.keys.shape[1]]
    if got != want:
        raise BadInput(
            f"'{book.param}': the codebook maps {got[1]} to {got[0]} features, the weight "
            f"{want[-1]} to {want[0]}",
            "Was the intervention made for another model?",
        )


def check_routed(fit: Fit, part: Routed) -> None:
    """Raise BadInput or NotPossible where alternatives or router do not fit the model."""
    arch = fit.arch
    for deltas in part.alternatives:
        fit.targets(deltas)
        for delta in deltas:
            path = delta.param.rpartition(".")[0]
            if not delta.param.endswith(".weight") or not is_linear(arch.hf.get_submodule(path)):
                raise NotPossible(
                    f"'{delta.param}' is not the matrix of a linear module: it cannot be routed",
                    "Route changes of attention or MLP projections.",
                )
    router = part.router
    if isinstance(router, ByDistance):
        if router.act not in ACT2FN:
            raise BadInput(
                f"no activation is called '{router.act}'", "Name one of transformers' ACT2FN."
            )
        return
    width = _width(arch, router.site, router.layer)
    if router.keys.shape[1] != width:
        raise BadInput(
            f"the router's keys have {router.keys.shape[1]} features, '{router.site}' of layer "
            f"{router.layer} has {width}",
            "Was the intervention made for another model?",
        )
    lowest = router.layer + (router.site != "resid_pre")
    for deltas in part.alternatives:
        for delta in deltas:
            layer = delta.param.removeprefix(f"{arch.blocks}.").partition(".")[0]
            if router.site in ("head_in", "logits") or not (
                layer.isdigit() and int(layer) >= lowest
            ):
                raise BadInput(
                    f"'{delta.param}' is computed before '{router.site}' of layer {router.layer} "
                    "can choose",
                    "Route from a hook point below every matrix that is changed.",
                )


def check_vector(arch: Arch, part: Condition | ActivationOp) -> None:
    """Raise ``UnknownName``, ``BadInput`` or ``NotPossible`` where the model has no such hook point, or
    one of another width."""
    width = _width(arch, part.site, part.layer)
    if part.vector.shape[-1] != width:
        raise BadInput(
            f"a vector at '{part.site}' of layer {part.layer} has {part.vector.shape[-1]} features, "
            f"the model has {width} there",
            "Was the intervention made for another model?",
        )


def check_conditional(arch: Arch, part: Conditional) -> None:
    """Raise BadInput or NotPossible where a condition or an op does not fit the model, or where an op
    would act before a condition is known."""
    vectors: tuple[Condition | ActivationOp, ...] = (*part.conditions, *part.ops)
    for each in vectors:
        check_vector(arch, each)
    for condition in part.conditions:
        for op in part.ops:
            asked, acts = (condition.site, condition.layer), (op.site, op.layer)
            if asked != acts and _rank(*asked) >= _rank(*acts):
                raise BadInput(
                    f"an op at '{op.site}' of layer {op.layer} acts before its condition at "
                    f"'{condition.site}' of layer {condition.layer} is known",
                    "Ask at the op's own hook point, or at a block below it.",
                )


def _rank(site: str, layer: int) -> tuple[float, int]:
    """Lower ranks are computed before higher ones in every model."""
    if site in ("head_in", "logits"):
        return math.inf, int(site == "logits")
    return layer, {"resid_pre": 0, "resid_post": 2}.get(site, 1)


def _width(arch: Arch, site: str, layer: int) -> int:
    """Features at a hook point; raises where the model has no such point."""
    arch.site(site, layer)
    if site == "logits":
        return int(arch.hf.config.vocab_size)
    if site == "heads":
        return arch.attn_proj(layer).d_in
    return arch.down(layer).d_in if site == "mlp_hidden" else arch.d_model


def _shape(arch: Arch, parameter: Tensor, name: str) -> list[int]:
    if not parameter.is_floating_point():  # packed by a quantiser
        module = arch.hf.get_submodule(name.rpartition(".")[0])
        if hasattr(module, "in_features") and hasattr(module, "out_features"):
            return [int(module.out_features), int(module.in_features)]
    return list(parameter.shape)


def _check_tied(name: str, tied: Sequence[str], by_name: dict[str, list[WeightDelta]]) -> None:
    wanted = [delta.content for delta in by_name[name]]
    if all([d.content for d in by_name.get(other, [])] == wanted for other in tied):
        return
    others = ", ".join(f"'{other}'" for other in tied if other != name)
    raise NotPossible(
        f"'{name}' is tied to {others}: this edit would change every one of them",
        "Give the same delta for all of these names if that is meant, or untie the model first.",
    )
