"""Activation addition: the difference of two prompts, token by token, added to the first tokens.

Turner et al. 2023, "Activation Addition: Steering Language Models Without Optimization", algorithm 1.
Two short prompts ("Love" and "Hate") are read side by side, the shorter one padded with spaces; what
token i of the one has more than token i of the other is added to token i of whatever is asked.
Nothing is averaged. Shape letters: T tokens, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field
from torch import Tensor

from truing.errors import BadRequest
from truing.interventions.intervention import ActivationOp, Intervention, Origin
from truing.methods.kernels.capture import Place, capture
from truing.methods.kernels.lines import Line
from truing.methods.method import Method, MethodConfig
from truing.methods.requests import check
from truing.methods.settings import at_depth, given, look_up
from truing.models.handle import Model
from truing.models.positions import Positions
from truing.models.spans import Speller
from truing.types import EditRequest


class ActAddConfig(MethodConfig):
    """Which two prompts are compared, where, and how strongly their difference is added."""

    layer: int | None = Field(None, description="block whose input is read and steered")
    promote: str | None = Field(
        None, min_length=1, description="prompt to steer towards; the first pair's new target"
    )
    suppress: str | None = Field(
        None, min_length=1, description="prompt to steer away from; the first pair's old target"
    )
    strength: float = Field(5.0, description="what the differences are multiplied by")


@dataclass(frozen=True, slots=True)
class Tuned:
    """A row of the table."""

    layer: int


TABLE = {"gpt2-xl": Tuned(layer=6)}


def guess(n_layers: int) -> Tuned:
    """For models that nobody tuned: the depth at which GPT-2 XL is steered from Hate to Love."""
    return Tuned(at_depth(n_layers, 6 / 48))


def make(
    model: Model,
    requests: Sequence[EditRequest],
    config: ActAddConfig,
    so_far: Intervention | None = None,
) -> Intervention:
    """One pair of prompts, read with ``so_far`` in force: that of ``config``, else the two targets
    of the first request."""
    check(model, requests, "actadd", needs_subject=False, needs_old=True)
    before = so_far or Intervention()
    tuned, source = look_up(model, TABLE, guess)
    place = Place("resid_pre", given(config.layer, tuned.layer))
    promote = config.promote or requests[0].target_new
    suppress = config.suppress or (requests[0].target_old or "").strip()
    new, old = padded(model.speller, promote, suppress)
    with model.using(before):
        differences_T_D = _differences(model, new, old, place)
    parts = [
        ActivationOp(
            place.site,
            place.layer,
            "add",
            difference_D.cpu(),
            Positions("window", start=at, stop=at + 1),
            config.strength,
        )
        for at, difference_D in enumerate(differences_T_D)
        if bool(difference_D.any())
    ]
    if not parts:
        raise BadRequest(
            f"actadd: the prompts {promote!r} and {suppress!r} are the same tokens",
            "Give two prompts that differ.",
        )
    record = {
        **config.model_dump(mode="json"),
        "layer": place.layer,
        "promote": promote,
        "suppress": suppress,
        "lengths": [float(difference_D.norm()) for difference_D in differences_T_D],
        "settings": source,
    }
    return before.then(parts, origin=Origin.of(model, "actadd", record, requests, so_far=before))


def padded(speller: Speller, one: str, other: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The ids of two prompts, the shorter one followed by spaces up to the length of the longer.

    Raises ``BadRequest`` where they differ in length and the tokenizer has no token for a space.
    """
    first, second = speller.prompt_ids(one), speller.prompt_ids(other)
    missing = len(second) - len(first)
    if missing:
        space = list(speller.tok(" ", add_special_tokens=False)["input_ids"])[-1:]
        if not space:
            raise BadRequest(
                f"actadd: {one!r} and {other!r} differ in length, and this tokenizer has no space",
                "Give prompts of as many tokens as each other.",
            )
        first, second = first + space * missing, second + space * -missing
    return tuple(first), tuple(second)


def _differences(model: Model, new: tuple[int, ...], old: tuple[int, ...], place: Place) -> Tensor:
    """``h(new) - h(old)`` of every token, float32 ``(T, D)``; exactly zero where both read the same."""
    lines = [Line(ids, at) for ids in (new, old) for at in range(len(ids))]
    acts = capture(model, lines, [place])[place]
    differences_T_D = acts[: len(new)] - acts[len(new) :]
    same = next((at for at in range(len(new)) if new[at] != old[at]), len(new))
    differences_T_D[:same] = 0
    return differences_T_D


ACTADD = Method(
    name="actadd",
    make=make,
    config=ActAddConfig,
    summary="the difference of two prompts, token by token, added to the first tokens",
    paper="Turner et al. 2023",
    acts_on="activations",
    needs_old=True,
    tunes=("strength",),
)
