"""Two small things that point into a live model: a weight (Slot) and an activation (Hook)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from truing.errors import NotPossible

Site = Literal[
    "resid_pre", "resid_post", "heads", "attn_out", "mlp_out", "mlp_hidden", "head_in", "logits"
]
"""``heads``: what the attention heads put out, side by side: the input of attention's output
projection, heads times head width wide. ``head_in`` is another head: the input of the LM head."""
SITES: tuple[str, ...] = get_args(Site)
Act = Callable[[Tensor], Tensor | None]


@dataclass(frozen=True, eq=False)
class Slot:
    """A weight matrix of a model, or a range of its output features.

    ``param`` is the full parameter name. In math orientation the weight is ``W: (d_out, d_in)``
    with ``y = W x``; a ``transposed`` module (``Conv1D``) stores ``W.T``. ``rows`` limits the slot
    to a part of a fused projection, counted in output features.
    """

    module: nn.Module
    param: str
    rows: slice | None = None
    transposed: bool = False

    @property
    def d_in(self) -> int:
        return _features(self.module)[0]

    @property
    def d_out(self) -> int:
        whole = _features(self.module)[1]
        return whole if self.rows is None else len(range(*self.rows.indices(whole)))

    @property
    def bounds(self) -> tuple[int, int] | None:
        """``rows`` as (start, stop), the form that a weight delta takes."""
        return None if self.rows is None else (int(self.rows.start), int(self.rows.stop))

    @property
    def stored(self) -> Tensor:
        """The parameter as it is stored, whole. Raises ``NotPossible`` where it is not numbers."""
        weight = self.module.weight
        assert isinstance(weight, Tensor)
        if not weight.is_floating_point() or weight.itemsize < 2:
            raise NotPossible(
                f"'{self.param}' is stored as {weight.dtype}: a quantised weight has no matrix to "
                "compute with",
                "Load the model unquantised.",
            )
        if weight.is_meta:
            raise NotPossible(
                f"'{self.param}' is offloaded and not in memory",
                "Load the model without offloading.",
            )
        return weight

    @property
    def bias(self) -> Tensor | None:
        """The bias of these output features, ``(d_out,)``."""
        bias = getattr(self.module, "bias", None)
        return bias if bias is None or self.rows is None else bias[self.rows]

    def weight(self) -> Tensor:
        """Float32 (or wider) ``(d_out, d_in)``; shares memory where the parameter is float32."""
        stored = self.stored
        math = stored.T if self.transposed else stored
        math = math if self.rows is None else math[self.rows]
        return math.detach().to(torch.promote_types(math.dtype, torch.float32))

    def to_stored(self, delta: Tensor) -> Tensor:
        """``delta`` (d_out, d_in) as the whole parameter is stored; zeros outside ``rows``."""
        if self.rows is not None:
            whole = delta.new_zeros(_features(self.module)[1], self.d_in)
            whole[self.rows] = delta
            delta = whole
        return delta.T.contiguous() if self.transposed else delta


def slot(module: nn.Module, path: str, rows: slice | None = None) -> Slot:
    """The weight of the linear ``module`` at ``path``."""
    return Slot(module, f"{path}.weight", rows, type(module).__name__ == "Conv1D")


def is_linear(module: nn.Module) -> bool:
    """Whether the module is a matrix (of any quantisation), ``Conv1D`` included."""
    return type(module).__name__ == "Conv1D" or (
        hasattr(module, "in_features") and hasattr(module, "out_features")
    )


def _features(module: nn.Module) -> tuple[int, int]:
    """(d_in, d_out)."""
    if type(module).__name__ == "Conv1D":
        weight = module.weight
        assert isinstance(weight, Tensor)
        return weight.shape[0], weight.shape[1]
    return int(getattr(module, "in_features")), int(getattr(module, "out_features"))  # noqa: B009


class Handles:
    """Hooks that are removed together. A context manager."""

    def __init__(self, handles: Sequence[Any]) -> None:
        self._handles = list(handles)

    def remove(self) -> None:
        while self._handles:
            self._handles.pop().remove()

    def __enter__(self) -> Handles:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


@dataclass(frozen=True, eq=False)
class Hook:
    """An activation: the first input of a module, or its output.

    ``block`` is set where the module sees (rows x tokens, width); the block's input then gives the
    shape back. ``copied``: the module's caller adds into its output in place, so that readers get
    a copy. ``logits`` of the whole model are a field of its output.
    """

    module: nn.Module
    side: Literal["input", "output"]
    block: nn.Module | None = None
    copied: bool = False

    def register(self, act: Act) -> Handles:
        """Call ``act`` with the activation ``(B, T, D)`` of every forward pass until removed.

        What it returns replaces the activation; ``None`` leaves it. Nothing is edited in place.
        """
        shapes: list[torch.Size] = []

        def run(tensor: Tensor) -> Tensor | None:
            flat = tensor.ndim == 2 and bool(shapes)
            seen = tensor.reshape(*shapes[-1][:2], -1) if flat else tensor
            new = act(seen.clone() if self.copied else seen)
            return new.flatten(0, 1) if flat and new is not None else new

        def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            name = None if args else _first_tensor(kwargs)
            new = run(args[0] if name is None else kwargs[name])
            if new is None:
                return None
            return ((new, *args[1:]), kwargs) if name is None else (args, {**kwargs, name: new})

        def after(module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
            new = run(_main(output))
            return None if new is None else _with_main(output, new)

        def look(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            shapes[:] = [(args[0] if args else kwargs[_first_tensor(kwargs)]).shape]

        handles: list[Any] = []
        if self.block is not None:
            handles.append(self.block.register_forward_pre_hook(look, with_kwargs=True))
        if self.side == "input":
            handles.append(self.module.register_forward_pre_hook(before, with_kwargs=True))
        else:
            handles.append(self.module.register_forward_hook(after))
        return Handles(handles)


def _first_tensor(kwargs: dict[str, Any]) -> str:
    if isinstance(kwargs.get("hidden_states"), Tensor):
        return "hidden_states"
    return next(name for name, value in kwargs.items() if isinstance(value, Tensor))


def _main(output: Any) -> Tensor:
    if isinstance(output, Tensor):
        return output
    found = output["logits"] if hasattr(output, "keys") else output[0]
    assert isinstance(found, Tensor)
    return found


def _with_main(output: Any, new: Tensor) -> Any:
    if isinstance(output, Tensor):
        return new
    if hasattr(output, "keys"):
        return type(output)(**{**output, "logits": new})
    return type(output)((new, *output[1:]))
