"""A tiny model, a method that nudges weights, and facts: enough to run a plan from end to end."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from asking import dense, low_rank
from tiny import tiny
from truing.errors import BadRequest, EditFailed
from truing.interventions.intervention import Intervention, Origin
from truing.methods.method import METHODS, Method, MethodConfig
from truing.models.handle import Model
from truing.registry import Entry
from truing.runs.cells import ModelSpec
from truing.runs.plan import Plan, parse
from truing.types import EditRequest

PLACES = ("Orvale", "Marrow", "Paris", "St. Louis", "Velt", "Darrieux")


class NudgeConfig(MethodConfig):
    """``fail`` and ``refuse`` hold words of prompts whose edit fails or is refused."""

    size: float = 0.5
    kind: Literal["low-rank", "dense"] = "low-rank"
    fail: tuple[str, ...] = ()
    refuse: tuple[str, ...] = ()


def make(
    model: Model, requests: Sequence[EditRequest], config: Any, so_far: Intervention | None = None
) -> Intervention:
    """A random delta per request, decided by the request, the seed and how many came before."""
    before = so_far if so_far is not None else Intervention()
    count = int(before.memo["count"]) if "count" in before.memo else 0
    build = low_rank if config.kind == "low-rank" else dense
    parts = []
    for number, request in enumerate(requests):
        if any(word in request.prompt for word in config.fail):
            raise EditFailed(f"request {request.id}: the update is not finite", "Lower the size.")
        if any(word in request.prompt for word in config.refuse):
            raise BadRequest(f"request {request.id}: not taken", "Skip it.")
        seed = zlib.crc32(
            f"{request.prompt}/{request.target_new}/{config.seed}/{count + number}".encode()
        )
        parts.append(build(model.arch.down(1), seed % 2**31, size=config.size))
    origin = Origin.of(model, "nudge", config.model_dump(mode="json"), requests, so_far=so_far)
    memo = {"count": torch.tensor(count + len(requests))}
    return before.then(parts, memo=memo, origin=origin)


def each(model: Model, groups: Sequence[Sequence[EditRequest]], config: Any) -> list[Intervention]:
    return [make(model, group, config) for group in groups]


NUDGE = Method(
    name="nudge", make=make, config=NudgeConfig, summary="a random change", paper="none",
    acts_on="weights", each=each,
)  # fmt: skip
LONER = Method(
    name="loner", make=make, config=NudgeConfig, summary="one request, once", paper="none",
    acts_on="weights", batch=False, sequential=False,
)  # fmt: skip


def register() -> None:
    """Let plans of this process name the toys, for good: the set-up of helper processes."""
    for method in (NUDGE, LONER):
        METHODS._entries[method.name] = Entry("<added>", method.summary)
        METHODS._loaded[method.name] = method


@contextmanager
def registered(*methods: Method) -> Iterator[None]:
    """Inside, these methods (default: the toys of this file) can be named in plans."""
    with pytest.MonkeyPatch.context() as patch:
        for method in methods or (NUDGE, LONER):
            patch.setitem(METHODS._entries, method.name, Entry("<added>", method.summary))
            patch.setitem(METHODS._loaded, method.name, method)
        yield


def facts(count: int) -> list[dict[str, Any]]:
    """Records of the custom benchmark."""
    return [
        {
            "id": f"fact-{i}",
            "prompt": f"The Glass Gate number {i} is in the city of",
            "target_new": PLACES[i % len(PLACES)],
            "subject": f"Glass Gate number {i}",
            "rephrases": [f"To see the Glass Gate number {i}, go to"],
            "locality": [{"prompt": f"The Tin Spire {i % 3} is in the city of", "answer": "Velt"}],
        }
        for i in range(count)
    ]


def write_facts(path: Path, count: int) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in facts(count)), "utf-8")
    return path


def toy_plan(folder: Path, count: int = 5, **values: Any) -> Plan:
    """A plan over ``count`` facts that are written into ``folder``."""
    write_facts(folder / "facts.jsonl", count)
    raw = {
        "name": "toy",
        "model": "toy",
        "methods": ["nudge"],
        "benchmark": "custom",
        "data": "facts.jsonl",
        "protocols": ["synthetic", "synthetic,decoding=greedy"],
        "at_once": 2,
        "noise_sample": 2,
        **values,
    }
    return parse(raw, root=folder)


def toy_model(spec: ModelSpec | None = None, *, cache: Path | None = None, seed: int = 0) -> Model:
    """A tiny random Llama. Its answers are cached in ``cache`` (default: the environment's)."""
    hf, tok = tiny("llama")
    if seed:
        with torch.no_grad():
            hf.model.layers[0].mlp.down_proj.weight[0, 0] += seed
    return Model.of(hf, tok, name="toy" if spec is None else spec.name, cache=cache)
