"""Reading and changing activations at one place of a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

Edit = Callable[[Tensor], Tensor | None]


@dataclass(frozen=True)
class Hook:
    """The input or the output of a module, seen as one tensor ``(B, T, D)``.

    Blocks return bare tensors in newer and tuples in older versions of transformers, and take their
    input as a positional or a keyword argument; both are handled here and nowhere else.
    """

    module: nn.Module
    side: Literal["input", "output"]

    def register(self, fn: Edit) -> RemovableHandle:
        """Call ``fn`` with the activations of every pass; what it returns takes their place.

        ``fn`` returns a new tensor (never an in-place change) or ``None`` to leave them.
        """
        if self.side == "output":
            return self.module.register_forward_hook(_on_output(fn))
        return self.module.register_forward_pre_hook(_on_input(fn), with_kwargs=True)


def _on_output(fn: Edit) -> Callable[[nn.Module, Any, Any], Any]:
    def hook(module: nn.Module, args: Any, output: Any) -> Any:
        acts = output if isinstance(output, Tensor) else output[0]
        new = fn(acts)
        if new is None:
            return None
        return new if isinstance(output, Tensor) else (new, *output[1:])

    return hook


def _on_input(fn: Edit) -> Callable[[nn.Module, Any, dict[str, Any]], Any]:
    def hook(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> Any:
        if args:
            new = fn(args[0])
            return None if new is None else ((new, *args[1:]), kwargs)
        name = "hidden_states" if "hidden_states" in kwargs else next(iter(kwargs))
        new = fn(kwargs[name])
        return None if new is None else (args, {**kwargs, name: new})

    return hook
