"""A vector that steers only prompts of a certain kind.

``cast``: Lee et al. 2024, "Programming Refusal with Conditional Activation Steering". The behaviour is
the vector of ``caa``. The condition is the mean difference between the prompts to steer and those to
leave (the paper: the first principal component of the same two sets); its block, threshold and side are
those that tell the two sets apart with the best F1, but for those that the configuration states. It is
found on the texts that the direction comes from, so measure it on others.

Published code decides for one row at a time, keeps the decision in global state, and finds the prompt by
assuming left padding; here every row of a batch decides for itself, once, when its prompt is read.

Shape letters: N texts, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from truing.errors import BadInput, EditFailed, NotPossible
from truing.interventions.conditional import (
    PROMPT,
    Condition,
    Conditional,
    Meets,
    Similarity,
    similarities,
)
from truing.interventions.fit import check_conditional
from truing.interventions.intervention import Intervention, Origin
from truing.methods.kernels.capture import Place, capture
from truing.methods.kernels.lines import Line
from truing.methods.method import Method
from truing.methods.neutral import NEUTRAL
from truing.methods.requests import check
from truing.methods.steering.directions import checked
from truing.methods.steering.vectors import CAA, VectorConfig
from truing.models.handle import Model
from truing.models.positions import Positions
from truing.types import EditRequest

MEETS: tuple[Meets, ...] = get_args(Meets)


class Examples(BaseModel):
    """Prompts that show what to steer and what to leave, exactly as the model will meet them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steer: tuple[str, ...] = Field(min_length=1)
    leave: tuple[str, ...] = Field(min_length=1)


class CastConfig(VectorConfig):
    """As :class:`VectorConfig`, and when the vector acts."""

    condition: Examples | Path | None = Field(
        None,
        description="texts to `steer` and to `leave`, or a JSON file with these two lists; without: "
        "the pairs' own prompts, and neutral text",
    )
    condition_layers: tuple[int, ...] | None = Field(
        None,
        min_length=1,
        description="blocks whose output may decide; without: all up to the first that is steered",
    )
    threshold: float | None = Field(
        None,
        ge=-1,
        le=1,
        description="similarity that decides; without: the one that tells the texts apart best",
    )
    meets: Meets | None = Field(
        None,
        description="above: prompts whose similarity is above the threshold are steered; below: the "
        "others; without: whichever tells the texts apart better",
    )
    condition_at: Positions = Field(
        PROMPT, description="tokens of the prompt whose mean activation decides"
    )
    similarity: Similarity = Field(
        "cosine", description="cosine: to the direction; projected: as published, without its sign"
    )


@dataclass(frozen=True, slots=True)
class Cut:
    """Similarities on the side that ``meets`` names of ``threshold`` are taken for texts to steer.
    ``f1`` of that class; ``margin``: the gap between the similarities next to the threshold."""

    threshold: float
    meets: Meets
    f1: float
    margin: float


def best_cut(
    steer_N: Tensor, leave_N: Tensor, threshold: float | None = None, meets: Meets | None = None
) -> Cut:
    """The cut between the similarities of texts to steer and to leave with the best F1 and, among
    equals, the widest margin; ``threshold`` and ``meets`` are as given, where they are. Raises
    ``EditFailed`` where all are the same."""
    steer_N, leave_N = steer_N.double(), leave_N.double()
    found = sorted({*steer_N.tolist(), *leave_N.tolist()})
    if len(found) < 2:
        raise EditFailed(
            "the texts to steer and to leave are all alike where the condition reads them",
            "Give texts that differ, or read other tokens (condition_at).",
        )
    gaps = [((low + high) / 2, high - low) for low, high in pairwise(found)]
    if threshold is not None:
        below = max((s for s in found if s <= threshold), default=threshold)
        gaps = [(threshold, min((s for s in found if s > threshold), default=below) - below)]
    cuts: list[Cut] = []
    for at, margin in gaps:
        for side in MEETS if meets is None else (meets,):
            right, wrong = (_met(side, like_N, at) for like_N in (steer_N, leave_N))
            cuts.append(Cut(at, side, _f1(right, wrong, len(steer_N)), margin))
    return max(cuts, key=lambda cut: (cut.f1, cut.margin))


def _met(meets: Meets, like_N: Tensor, threshold: float) -> int:
    """How many similarities meet the condition: strictly above, or strictly below."""
    return int((like_N > threshold if meets == "above" else like_N < threshold).sum())


def _f1(right: int, wrong: int, n: int) -> float:
    """``right`` of ``n`` positives found, with ``wrong`` others."""
    return 2 * right / (right + wrong + n)


def find_condition(
    model: Model,
    examples: Examples,
    layers: Sequence[int],
    positions: Positions = PROMPT,
    similarity: Similarity = "cosine",
    threshold: float | None = None,
    meets: Meets | None = None,
) -> tuple[Condition, Cut]:
    """The condition at the output of one of ``layers`` that tells the examples apart best, read with
    what is in force; ``threshold`` and ``meets`` as given, where they are. Of equals the lowest block
    decides. Raises ``EditFailed`` where no example to steer would be steered."""
    n = len(examples.steer)
    places = [Place("resid_post", layer) for layer in layers]
    lines = [
        Line(tuple(model.speller.prompt_ids(text))) for text in (*examples.steer, *examples.leave)
    ]
    caught = capture(model, lines, places, tokens=[_asked(line, positions) for line in lines])
    found: list[tuple[Condition, Cut]] = []
    for place, acts_N_D in caught.items():
        acts_N_D = acts_N_D.cpu()
        direction_D = acts_N_D[:n].double().mean(0) - acts_N_D[n:].double().mean(0)
        vector = checked(direction_D, f"the condition at layer {place.layer}").float()
        like_N = similarities(similarity, acts_N_D, vector.expand_as(acts_N_D))
        cut = best_cut(like_N[:n], like_N[n:], threshold, meets)
        asked = Condition(
            place.site, place.layer, vector, cut.threshold, cut.meets, similarity, positions
        )
        found.append((asked, cut))
    best, cut = max(found, key=lambda f: (f[1].f1, f[1].margin, -f[0].layer))
    if cut.f1 == 0:
        raise EditFailed(
            f"no text to steer has a similarity {cut.meets} {cut.threshold:g} at any block that may decide",
            "Leave threshold and meets out to see what tells the texts apart.",
        )
    return best, cut


def _asked(line: Line, positions: Positions) -> range:
    """The tokens of a prompt at ``positions``."""
    n = len(line.ids)
    first = n - 1 if positions.kind == "last_prompt" else 0
    asked = range(max(first, int(positions.skip_first)), n)
    if not asked:
        raise BadInput(
            "a text of the condition is one token, which the condition leaves out",
            "Give longer texts, or set skip_first = false in condition_at.",
        )
    return asked


def _examples(config: CastConfig, requests: Sequence[EditRequest]) -> Examples:
    given = config.condition
    if isinstance(given, Examples):
        return given
    if given is None:
        if config.template is not None:
            raise NotPossible(
                "neutral text is not in the template, so it says nothing about prompts that are",
                "Give the condition's texts, written as the model will be asked.",
            )
        return Examples(steer=tuple(r.prompt for r in requests), leave=NEUTRAL)
    try:
        return Examples.model_validate_json(given.expanduser().read_bytes())
    except OSError as error:
        raise BadInput(
            f"cannot read the condition '{given}': {error.strerror}", "Name a JSON file."
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise BadInput(
            f"the condition '{given}' is not what it should be: {where}: {first['msg']}",
            'Write {"steer": [...], "leave": [...]} with texts in both.',
        ) from None


def _make(
    model: Model,
    requests: Sequence[EditRequest],
    config: CastConfig,
    so_far: Intervention | None = None,
) -> Intervention:
    """One condition for the vectors of all layers, read with ``so_far`` in force."""
    check(model, requests, "cast", needs_subject=False, needs_old=True)
    before = so_far or Intervention()
    examples = _examples(config, requests)
    always = CAA.make(model, requests, config, before)
    ops = always.ops[len(before.ops) :]
    layers = config.condition_layers or tuple(range(min(op.layer for op in ops) + 1))
    with model.using(before):
        condition, cut = find_condition(
            model,
            examples,
            layers,
            config.condition_at,
            config.similarity,
            config.threshold,
            config.meets,
        )
    part = Conditional(ops, (condition,))
    check_conditional(model.arch, part)
    found = {"layer": condition.layer, **asdict(cut)}
    counts = {"steer": len(examples.steer), "leave": len(examples.leave)}
    record = {**always.origin.config, "decided": {**found, **counts}}
    origin = Origin.of(model, "cast", record, requests, so_far=before)
    return before.then([part], origin=origin)


CAST = Method(
    name="cast",
    make=_make,
    config=CastConfig,
    summary="the vector of caa, added only where the prompt is of the kind that is to be steered",
    paper="Lee et al. 2024 (CAST)",
    acts_on="activations",
    needs_old=True,
    tunes=("strength",),
)
