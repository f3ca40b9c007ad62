"""How fast many single edits are made and measured: one at a time, and as rows of shared batches.

First the whole job on the embedded model: 64 ROME edits of facts of the world and the first ten
questions of each, once edit by edit (make, apply, ask one after the other, restore) and once as
rows (all made together, all asked in mixed batches). The settings are the same, prefixes included.

Then asking alone: 64 different rank-1 edits, 10 questions each. Three ways to the same answers,
timed in turn on the same machine, threads and model, caches off, best of several rounds:

    one by one    apply an edit, ask its questions one after the other, restore
    edit by edit  apply an edit, ask its questions in one batch, restore
    per row       all questions under all edits in mixed batches

Three kinds of question: the likelihood of one continuation, the likelihoods of four continuations
of each prompt (multiple choice), and a generated answer of ten tokens.

Run: python benchmarks/per_row.py [--edits N] [--rounds N] [--threads N] [--json]
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import transformers

from truing.benchmarks.loading import load
from truing.interventions.intervention import Intervention, LowRank, WeightDelta
from truing.methods.kernels import contexts
from truing.methods.rome import ROME, RomeConfig
from truing.models.asks import Decoding, GenerateAsk, Generated, ScoreAsk, Scored
from truing.models.handle import Model
from truing.seeds import Seeds
from truing.types import EditRequest

QUESTIONS = 10
CHOICES = 4
NEW_TOKENS = 10


def synthetic(cache: Path) -> Model:
    """A random Llama of about 4 million parameters (6 layers, width 224, vocabulary 2048)."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    config = transformers.LlamaConfig(
        vocab_size=2048,
        hidden_size=224,
        intermediate_size=608,
        num_hidden_layers=6,
        num_attention_heads=7,
        num_key_value_heads=7,
        max_position_embeddings=512,
        bos_token_id=0,
        eos_token_id=1,
    )
    torch.manual_seed(0)
    hf = transformers.LlamaForCausalLM(config).eval()
    words = {"<bos>": 0, "<eos>": 1, "<unk>": 2} | {f"w{i}": i for i in range(3, 2048)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tok = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<bos>", eos_token="<eos>", unk_token="<unk>"
    )
    return Model.of(hf, tok, name="random-llama-4M", cache=cache)


def random_edits(model: Model, n: int) -> list[Intervention]:
    """Random rank-1 changes of one MLP, of about a tenth of its norm."""
    slot = model.arch.down(model.arch.n_layers // 2)
    weight = slot.weight()
    generator = torch.Generator().manual_seed(1)
    edits = []
    for _ in range(n):
        left = torch.randn(weight.shape[0], 1, generator=generator)
        right = torch.randn(weight.shape[1], 1, generator=generator)
        size = 0.1 * float(weight.norm() / (left.norm() * right.norm()))
        edits.append(Intervention((WeightDelta(slot.param, LowRank(left * size, right)),)))
    return edits


@dataclass(frozen=True)
class Question:
    prompt: str
    choices: tuple[str, ...]
    under: Intervention


def questions(model: Model, edits: Sequence[Intervention]) -> list[Question]:
    """Prompts of 6 to 18 words and choices of 1 to 4, different for every edit."""
    generator = torch.Generator().manual_seed(2)
    vocabulary = [
        word
        for word in (model.tok.decode([i]).strip() for i in range(3, len(model.tok)))
        if word.isalnum()
    ]

    def text(low: int, high: int) -> str:
        n = int(torch.randint(low, high + 1, (1,), generator=generator))
        picks = torch.randint(0, len(vocabulary), (n,), generator=generator)
        return " ".join(vocabulary[i] for i in picks)

    return [
        Question(text(6, 18), tuple(text(1, 4) for _ in range(CHOICES)), iv)
        for iv in edits
        for _ in range(QUESTIONS)
    ]


@dataclass(frozen=True)
class Task:
    """One fact to edit in and what is then asked: a likelihood and a generated answer each."""

    request: EditRequest
    prompts: tuple[str, ...]

    def asks(self, under: Intervention | None) -> list[ScoreAsk | GenerateAsk]:
        decoding = Decoding(max_new_tokens=NEW_TOKENS)
        found: list[ScoreAsk | GenerateAsk] = []
        for prompt in self.prompts:
            found.append(ScoreAsk(prompt, self.request.target_new, under))
            found.append(GenerateAsk(prompt, decoding, under))
        return found


def tasks(n: int) -> list[Task]:
    """Facts of the embedded world with their first questions, half of which are scored."""
    found = []
    for case in load("world", limit=n).cases:
        prompts = [p.prompt for p in case.probes if isinstance(p.prompt, str)]
        found.append(Task(case.requests[0], tuple(prompts[: QUESTIONS // 2])))
    return found


def ask(model: Model, asks: Sequence[ScoreAsk | GenerateAsk]) -> list[Scored | Generated]:
    """All likelihoods in one call, all generations in another; answers in the order of ``asks``."""
    scored = iter(model.score([a for a in asks if isinstance(a, ScoreAsk)]))
    written = iter(model.generate([a for a in asks if isinstance(a, GenerateAsk)]))
    return [next(scored) if isinstance(a, ScoreAsk) else next(written) for a in asks]


def whole_job(model: Model, todo: Sequence[Task], config: RomeConfig) -> dict[str, Any]:
    """Edit and ask, one by one and as rows."""
    assert ROME.each is not None
    clock = time.perf_counter
    with model.uncached():
        begun, editing, slow = clock(), 0.0, []
        for task in todo:
            at = clock()
            iv = ROME.make(model, [task.request], config)
            editing += clock() - at
            with model.using(iv):
                for each in task.asks(None):
                    slow += ask(model, [each])
        one_by_one = {"whole": clock() - begun, "editing": editing}
        begun = clock()
        edits = ROME.each(model, [[task.request] for task in todo], config)
        editing = clock() - begun
        rows = [a for task, iv in zip(todo, edits, strict=True) for a in task.asks(iv)]
        fast = ask(model, rows)
        per_row = {"whole": clock() - begun, "editing": editing}
    differing, worst = differences(slow, fast)
    return {
        "edits": len(todo),
        "asks": len(fast),
        "one_by_one": one_by_one,
        "per_row": per_row,
        "times_faster": one_by_one["whole"] / per_row["whole"],
        "answers_that_differ": differing,
        "largest_logprob_difference": worst,
    }


def by_edit(asks: Sequence[Any]) -> list[list[Any]]:
    """The asks of each edit; they follow each other."""
    return [list(group) for _, group in itertools.groupby(asks, key=lambda ask: ask.under.id)]


def one_by_one(model: Model, verb: Callable[..., list[Any]], asks: Sequence[Any]) -> list[Any]:
    answers = []
    for group in by_edit(asks):
        with model.using(group[0].under):
            for ask in group:
                answers += verb([replace(ask, under=None)])
    return answers


def edit_by_edit(model: Model, verb: Callable[..., list[Any]], asks: Sequence[Any]) -> list[Any]:
    answers = []
    for group in by_edit(asks):
        with model.using(group[0].under):
            answers += verb([replace(ask, under=None) for ask in group])
    return answers


def per_row(model: Model, verb: Callable[..., list[Any]], asks: Sequence[Any]) -> list[Any]:
    return verb(asks)


def differences(
    a: Sequence[Scored | Generated], b: Sequence[Scored | Generated]
) -> tuple[int, float]:
    """How many answers differ, and the largest difference of log-probs where they do not."""
    other, worst = 0, 0.0
    for x, y in zip(a, b, strict=True):
        same = x.token_ids == y.token_ids
        if isinstance(x, Scored) and isinstance(y, Scored):
            same = same and x.predicted == y.predicted
        other += not same
        if same:
            worst = max(worst, *(abs(p - q) for p, q in zip(x.logprobs, y.logprobs, strict=True)))
    return other, worst


def measure(model: Model, asked: Sequence[Question], rounds: int) -> list[dict[str, Any]]:
    decoding = Decoding(max_new_tokens=NEW_TOKENS)
    kinds: list[tuple[str, Callable[..., list[Any]], list[Any]]] = [
        ("score", model.score, [ScoreAsk(q.prompt, q.choices[0], q.under) for q in asked]),
        (
            "choose",
            model.score,
            [ScoreAsk(q.prompt, choice, q.under) for q in asked for choice in q.choices],
        ),
        ("generate", model.generate, [GenerateAsk(q.prompt, decoding, q.under) for q in asked]),
    ]
    found = []
    with model.uncached():
        for kind, verb, asks in kinds:
            seconds: dict[str, list[float]] = {}
            cpu: dict[str, list[float]] = {}
            answers: dict[str, list[Any]] = {}
            for _ in range(rounds):
                for way in (one_by_one, edit_by_edit, per_row):
                    start, busy = time.perf_counter(), time.process_time()
                    answers[way.__name__] = way(model, verb, asks)
                    seconds.setdefault(way.__name__, []).append(time.perf_counter() - start)
                    cpu.setdefault(way.__name__, []).append(time.process_time() - busy)
            differing, worst = differences(answers["one_by_one"], answers["per_row"])
            best = {way: min(times) for way, times in seconds.items()}
            found.append(
                {
                    "kind": kind,
                    "asks": len(asks),
                    "seconds": best,
                    "cpu_seconds": {way: min(times) for way, times in cpu.items()},
                    "times_faster_than_one_by_one": best["one_by_one"] / best["per_row"],
                    "times_faster_than_edit_by_edit": best["edit_by_edit"] / best["per_row"],
                    "answers_that_differ": differing,
                    "largest_logprob_difference": worst,
                }
            )
    return found


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [x for x in info.read_text().splitlines() if x.startswith("model name")]
        cpu = names[0].partition(":")[2].strip() if names else cpu
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "load": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--edits", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as cache:
        pocket = Model.load("truing/pocket", cache=Path(cache))
        prefixes = contexts.sample(pocket, ((6, 1),), Seeds(0).child("contexts"))
        whole = whole_job(pocket, tasks(given.edits), RomeConfig(contexts=prefixes))
        model = synthetic(Path(cache))
        asked = questions(model, random_edits(model, given.edits))
        size = sum(parameter.numel() for parameter in model.hf.parameters())
        results = measure(model, asked, given.rounds)
    report = {
        "machine": machine(),
        "model": model.name,
        "parameters": size,
        "edits": given.edits,
        "whole_job": whole,
        "results": results,
    }
    if given.json:
        sys.stdout.write(json.dumps(report, indent=1) + "\n")
        return
    about = ", ".join(f"{k} {v}" for k, v in report["machine"].items())
    slow, fast = whole["one_by_one"], whole["per_row"]
    lines = [
        about,
        f"{pocket.name}: {whole['edits']} ROME edits made and asked, {whole['asks']} asks: one by one "
        f"{slow['whole']:.2f} s ({slow['editing']:.2f} s of it editing), per row {fast['whole']:.2f} s "
        f"({fast['editing']:.2f} s)",
        f"  per row is {whole['times_faster']:.1f}x faster; {whole['answers_that_differ']} answers "
        f"differ, log-probs by at most {whole['largest_logprob_difference']:.1e}",
        f"{model.name}: {size / 1e6:.1f}M parameters, {len(by_edit(asked))} rank-1 edits",
    ]
    for r in results:
        times = ", ".join(
            f"{way.replace('_', ' ')} {s:.2f} s ({r['cpu_seconds'][way]:.2f} s of CPU)"
            for way, s in r["seconds"].items()
        )
        lines += [
            f"{r['kind']}, {r['asks']} asks: {times}",
            f"  per row is {r['times_faster_than_one_by_one']:.1f}x faster than one by one, "
            f"{r['times_faster_than_edit_by_edit']:.1f}x than edit by edit; "
            f"{r['answers_that_differ']} answers differ, log-probs by at most "
            f"{r['largest_logprob_difference']:.1e}",
        ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
