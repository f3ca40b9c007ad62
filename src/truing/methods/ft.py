"""FT-L and FT-M: fine-tuning the down projection of one layer on the new answers.

FT-M trains on the target as the model will be asked for it: teacher-forced, the loss masked to the
target (Zhang et al. 2024, "A Comprehensive Study of Knowledge Editing for Large Language Models").
FT-L is the baseline of Meng et al. 2022 as it is widely run: every target token is read at the last
prompt position, without the tokens before it, and changes are bounded entry by entry.

The published code differs in two ways that can be asked for: it tokenises FT-L's target with special
tokens, so that for tokenizers that add one the beginning-of-text token becomes a trained answer
(``target_ids="reference"``); and for GPT-2 it also trains the projection's bias (``bias=True``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from truing.errors import EditFailed
from truing.interventions.intervention import Dense, Intervention, Origin, WeightDelta
from truing.methods.kernels.lines import Line, answer_line
from truing.methods.kernels.train import Learned, Lesson, Schedule, train
from truing.methods.method import Method, MethodConfig
from truing.methods.requests import check
from truing.methods.settings import at_depth, given, look_up
from truing.models.handle import Model
from truing.models.spans import spaced
from truing.types import EditRequest


class FtConfig(MethodConfig):
    """Hyper-parameters; None means: the model's tuned value, or a guess by depth."""

    layer: int | None = Field(None, ge=0, description="the layer whose down projection is trained")
    steps: int | None = Field(None, ge=1, description="epochs over the requests")
    lr: float | None = Field(None, gt=0, description="Adam's step size")
    limit: float | Literal["none"] | None = Field(
        None, description="largest change of any entry (L-infinity), or none"
    )
    batch_size: int = Field(1, ge=1, description="requests per update")
    bias: bool = Field(False, description="train the projection's bias as well")


class FtLConfig(FtConfig):
    """As :class:`FtConfig`; ``target_ids="reference"`` trains special tokens as the published code
    does."""

    target_ids: Literal["joint", "reference"] = Field(
        "joint",
        description="joint: the ids the model meets in text; reference: with special tokens",
    )


@dataclass(frozen=True, slots=True)
class Tuned:
    """A row of the table: published settings, or measured ones for the embedded model."""

    layer: int
    steps: int
    lr: float
    limit: float


TABLE = {
    "pocket": Tuned(layer=4, steps=25, lr=5e-3, limit=math.inf),
    "gpt2-xl": Tuned(layer=0, steps=25, lr=5e-4, limit=5e-4),
    "gpt-j-6b": Tuned(layer=21, steps=25, lr=5e-4, limit=math.inf),
    "llama-2-7b": Tuned(layer=21, steps=25, lr=5e-4, limit=math.inf),
    "llama-3-8b": Tuned(layer=21, steps=25, lr=5e-4, limit=math.inf),
    "mistral-7b": Tuned(layer=21, steps=25, lr=5e-4, limit=5e-5),
    "qwen2.5-7b": Tuned(layer=27, steps=25, lr=5e-4, limit=math.inf),
}


def guess(n_layers: int) -> Tuned:
    """For models that nobody tuned: two thirds of the depth, the settings of the 7B models."""
    return Tuned(at_depth(n_layers, 0.66), steps=25, lr=5e-4, limit=math.inf)


def _settings(model: Model, config: FtConfig) -> tuple[int, Schedule, dict[str, Any]]:
    tuned, source = look_up(model, TABLE, guess)
    limit = tuned.limit if config.limit is None else config.limit
    schedule = Schedule(
        epochs=given(config.steps, tuned.steps),
        lr=given(config.lr, tuned.lr),
        limit=math.inf if limit == "none" else limit,
        bias=config.bias,
    )
    layer = given(config.layer, tuned.layer)
    record = {
        **config.model_dump(mode="json"),
        "layer": layer,
        "steps": schedule.epochs,
        "lr": schedule.lr,
        "limit": "none" if schedule.limit == math.inf else schedule.limit,
        "settings": source,
    }
    return layer, schedule, record


def forced_line(model: Model, request: EditRequest, config: FtConfig) -> Line:
    """FT-M: every target token read after those before it."""
    return answer_line(model.speller, request)


def last_line(model: Model, request: EditRequest, config: FtLConfig) -> Line:
    """FT-L: all target tokens read at the last prompt position."""
    span = model.speller.join(request.prompt, request.target_new)
    labels = span.continuation
    if config.target_ids == "reference":
        labels = tuple(model.speller.prompt_ids(spaced(request.prompt, request.target_new)))
    return Line(span.prompt, 0, (span.start - 1,) * len(labels), labels)


Read = Callable[[Model, EditRequest, Any], Line]


def _lesson(
    model: Model, name: str, requests: Sequence[EditRequest], config: FtConfig, read: Read
) -> Lesson:
    check(model, requests, name, needs_subject=False)
    lines = [read(model, request, config) for request in requests]
    size = config.batch_size
    return Lesson(
        ", ".join(request.id for request in requests[:3]),
        tuple(tuple(lines[at : at + size]) for at in range(0, len(lines), size)),
    )


def _make(
    name: str,
    read: Read,
    model: Model,
    requests: Sequence[EditRequest],
    config: FtConfig,
    so_far: Intervention | None,
) -> Intervention:
    lesson = _lesson(model, name, requests, config, read)
    layer, schedule, record = _settings(model, config)
    before = so_far if so_far is not None else Intervention()
    with model.applied(before):
        [learned] = train(model, layer, [lesson], schedule)
    return _finished(model, name, requests, config, record, layer, learned, before)


def _each(
    name: str,
    read: Read,
    model: Model,
    groups: Sequence[Sequence[EditRequest]],
    config: FtConfig,
) -> list[Intervention]:
    lessons = [_lesson(model, name, group, config, read) for group in groups]
    layer, schedule, record = _settings(model, config)
    return [
        _finished(model, name, group, config, record, layer, learned, Intervention())
        for group, learned in zip(groups, train(model, layer, lessons, schedule), strict=True)
    ]


def _finished(
    model: Model,
    name: str,
    requests: Sequence[EditRequest],
    config: FtConfig,
    record: dict[str, Any],
    layer: int,
    learned: Learned,
    so_far: Intervention,
) -> Intervention:
    if not bool(learned.weight_D_F.isfinite().all()):
        raise EditFailed(
            f"the weights trained for request '{requests[0].id}' are not finite", "Lower lr."
        )
    slot = model.arch.down(layer)
    parts = [WeightDelta(slot.param, Dense(slot.to_stored(learned.weight_D_F)))]
    if learned.bias_D is not None:
        parts.append(WeightDelta(slot.param.removesuffix("weight") + "bias", Dense(learned.bias_D)))
    record = {**record, "nll": [learned.losses[0], learned.losses[-1]]}
    origin = Origin.of(model, name, record, requests, seeds={"seed": config.seed}, so_far=so_far)
    return so_far.then(parts, origin=origin)


def make_ft_m(
    model: Model,
    requests: Sequence[EditRequest],
    config: FtConfig,
    so_far: Intervention | None = None,
) -> Intervention:
    """FT-M: ``steps`` times over all requests, ``batch_size`` of them per update."""
    return _make("ft_m", forced_line, model, requests, config, so_far)


def make_ft_l(
    model: Model,
    requests: Sequence[EditRequest],
    config: FtLConfig,
    so_far: Intervention | None = None,
) -> Intervention:
    """FT-L: ``steps`` times over all requests, ``batch_size`` of them per update."""
    return _make("ft_l", last_line, model, requests, config, so_far)


def each_ft_m(
    model: Model, groups: Sequence[Sequence[EditRequest]], config: FtConfig
) -> list[Intervention]:
    """Every group on a copy of the matrix of its own; copies are trained side by side."""
    return _each("ft_m", forced_line, model, groups, config)


def each_ft_l(
    model: Model, groups: Sequence[Sequence[EditRequest]], config: FtLConfig
) -> list[Intervention]:
    """Every group on a copy of the matrix of its own; copies are trained side by side."""
    return _each("ft_l", last_line, model, groups, config)


FT_M = Method(
    name="ft_m",
    make=make_ft_m,
    config=FtConfig,
    summary="fine-tune one layer on the teacher-forced target",
    paper="Zhang et al. 2024 (FT-M)",
    acts_on="weights",
    tunes=("lr", "steps"),
    each=each_ft_m,
)

FT_L = Method(
    name="ft_l",
    make=make_ft_l,
    config=FtLConfig,
    summary="fine-tune one layer on the target read at the last prompt token",
    paper="Meng et al. 2022 (FT-L)",
    acts_on="weights",
    tunes=("lr", "steps"),
    each=each_ft_l,
)
