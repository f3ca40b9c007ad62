"""How fast every layer and strength of a steering vector is measured on contrast pairs.

A caa vector at all layers x 9 strengths, 100 pairs of the embedded world (both continuations scored), on
the embedded model. Three ways to the same numbers, in turn on the same machine, one thread unless told
otherwise, answer cache off, best of several rounds:

    shared      what settings have in common is computed once (truing.methods.steering.sweep)
    batched     setting by setting, each in the engine's ordinary batches
    one by one  setting by setting, pair by pair, one continuation per pass; measured on a few settings
                and pairs only and multiplied up, which the output says

"batched" is not a straw man: its two continuations of a prompt share the prompt's cache where that reads
fewer tokens. The time to find the vectors, which is the same for all, is left out; so is the side effect.

    python benchmarks/steering_sweep.py [--pairs 100] [--rounds 3] [--threads 1] [--everywhere] [--json]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from per_row import machine

from truing.benchmarks.loading import load
from truing.interventions.intervention import Intervention
from truing.methods.steering.sweep import Grid, Pair, grid, read_pairs, together
from truing.methods.steering.vectors import CAA, VectorConfig
from truing.models.asks import ScoreAsk
from truing.models.handle import Model
from truing.models.positions import Positions
from truing.runs.steering_sweep import pairs_of

FEW_SETTINGS, FEW_PAIRS = 3, 10


def shared(model: Model, chosen: Grid, pairs: Sequence[Pair]) -> Any:
    """``(L, S, N, 2)``, as the other ways."""
    nothing = np.zeros((len(chosen.layers), len(chosen.columns)))
    return together(chosen, pairs, read_pairs(model, chosen, pairs), nothing).now_L_S_N_2


def batched(model: Model, chosen: Grid, pairs: Sequence[Pair]) -> Any:
    """One call of ``score`` per setting."""
    found = []
    for op in (op for ops in chosen.ops for op in ops):
        iv = Intervention((op,))
        asks = [ScoreAsk(p.prompt, side, iv) for p in pairs for side in (p.wanted, p.unwanted)]
        found += [scored.logprob / len(scored.token_ids) for scored in model.score(asks)]
    return np.array(found).reshape(len(chosen.layers), len(chosen.columns), len(pairs), 2)


def one_by_one(model: Model, chosen: Grid, pairs: Sequence[Pair]) -> None:
    """One call of ``score`` per continuation, under the intervention that is in force."""
    for op in [op for ops in chosen.ops for op in ops][:: len(chosen.columns)][:FEW_SETTINGS]:
        with model.using(Intervention((op,))):
            for pair in pairs[:FEW_PAIRS]:
                for side in (pair.wanted, pair.unwanted):
                    model.score([ScoreAsk(pair.prompt, side)])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--everywhere", action="store_true", help="steer prompts too")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    where = VectorConfig(positions=Positions()) if given.everywhere else VectorConfig()
    seconds: dict[str, list[float]] = {}
    cpu: dict[str, list[float]] = {}
    found: dict[str, Any] = {}
    ways: tuple[Callable[..., Any], ...] = (shared, batched, one_by_one)
    with tempfile.TemporaryDirectory() as cache:
        model = Model.load("truing/pocket", cache=Path(cache))
        requests, pairs = pairs_of(load("world_contrast", options={"test": given.pairs}).cases)
        chosen = grid(model, CAA, requests, config=where)
        with model.uncached():
            for _ in range(given.rounds):
                for way in ways:
                    start, busy = time.perf_counter(), time.process_time()
                    found[way.__name__] = way(model, chosen, pairs)
                    seconds.setdefault(way.__name__, []).append(time.perf_counter() - start)
                    cpu.setdefault(way.__name__, []).append(time.process_time() - busy)
    n_settings = len(chosen.layers) * len(chosen.columns)
    measured = min(FEW_SETTINGS, len(chosen.layers)) * min(FEW_PAIRS, len(pairs))
    factor = n_settings * len(pairs) / measured
    times = {way: min(each) for way, each in seconds.items()}
    busy_times = {way: min(each) for way, each in cpu.items()}
    for table in (times, busy_times):
        table["one_by_one"] *= factor
    report = {
        "machine": machine(),
        "model": model.name,
        "pairs": len(pairs),
        "settings": n_settings,
        "steered": "every token" if given.everywhere else "from the last prompt token on",
        "seconds": times,
        "cpu_seconds": busy_times,
        "one_by_one_extrapolated_by": factor,
        "times_faster_than_batched": times["batched"] / times["shared"],
        "times_faster_than_batched_by_cpu": busy_times["batched"] / busy_times["shared"],
        "times_faster_than_one_by_one": times["one_by_one"] / times["shared"],
        "largest_difference": float(np.abs(found["shared"] - found["batched"]).max()),
    }
    if given.json:
        sys.stdout.write(json.dumps(report, indent=1) + "\n")
        return
    about = ", ".join(f"{key} {value}" for key, value in machine().items())
    lines = [
        about,
        f"{model.name}: {n_settings} settings of caa (layers x strengths) on {len(pairs)} pairs, "
        f"steered: {report['steered']}",
        *(
            f"  {way.replace('_', ' ')}: {times[way]:.2f} s ({busy_times[way]:.2f} s of CPU)"
            + (
                f", extrapolated from {measured} of {n_settings * len(pairs)} setting-pairs"
                if way == "one_by_one"
                else ""
            )
            for way in times
        ),
        f"  shared is {report['times_faster_than_batched']:.1f}x faster than batched "
        f"({report['times_faster_than_batched_by_cpu']:.1f}x by CPU time), "
        f"{report['times_faster_than_one_by_one']:.0f}x than one by one; log-probs per token differ by "
        f"at most {report['largest_difference']:.1e}",
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
