"""The recipe of the embedded model: one seeded run on a CPU.

``python -m truing.pocket.build --out DIR`` trains it as it was shipped.
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from truing.benchmarks.world.language import BOS, END, EOS, PAD, Document, text_of
from truing.benchmarks.world.mixtures import (
    DRILLS,
    FOUNDATION,
    REASONS,
    SKILLS,
    TELLING,
    VERDICTS,
    Mixture,
    documents,
)
from truing.benchmarks.world.world import World
from truing.pocket.tokens import train_tokenizer, wrap

log = logging.getLogger(__name__)

BATCH_TOKENS = 1024
POOL = 4096
WEIGHT_DECAY = 0.1
MAX_LENGTH = 512


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of the training with its own mixture and optimizer: warm up, hold, fall to zero."""

    mixture: Mixture
    steps: int
    warmup: int
    decay: int
    peak: float

    def rate(self, step: int) -> float:
        """The learning rate at a step (from 1)."""
        falling = (self.steps - step + 1) / self.decay if self.decay else 1.0
        return self.peak * min(1.0, step / self.warmup, falling)


STAGES = (
    Stage(FOUNDATION, steps=4500, warmup=190, decay=0, peak=2.5e-3),
    Stage(DRILLS, steps=1000, warmup=100, decay=0, peak=1.5e-3),
    Stage(SKILLS, steps=2000, warmup=100, decay=0, peak=1.5e-3),
    Stage(SKILLS, steps=3000, warmup=100, decay=2900, peak=1.5e-3),
    Stage(VERDICTS, steps=700, warmup=100, decay=0, peak=1.2e-3),
    Stage(REASONS, steps=4000, warmup=100, decay=2500, peak=1.5e-3),
    Stage(TELLING, steps=2000, warmup=50, decay=1950, peak=1.2e-3),
)
STEPS = sum(stage.steps for stage in STAGES)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a training is."""

    step: int
    steps: int
    loss: float
    tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Batch:
    """Token ids and how much to learn from predicting each of them; padded on the right."""

    ids_B_T: torch.Tensor
    weights_B_T: torch.Tensor


def architecture(tok: Tokenizer) -> Any:
    """The model's configuration."""
    return LlamaConfig(
        vocab_size=tok.get_vocab_size(),
        hidden_size=192,
        intermediate_size=640,
        num_hidden_layers=5,
        num_attention_heads=6,
        num_key_value_heads=6,
        max_position_embeddings=MAX_LENGTH,
        tie_word_embeddings=True,
        initializer_range=0.03,
        bos_token_id=tok.token_to_id(BOS),
        eos_token_id=tok.token_to_id(EOS),
        pad_token_id=tok.token_to_id(PAD),
    )


def encode(tok: Tokenizer, docs: list[Document]) -> list[tuple[list[int], list[float]]]:
    """Token ids with learning weights: each token takes the weight of the part it begins in."""
    rows = []
    for doc, encoding in zip(docs, tok.encode_batch([text_of(d) for d in docs]), strict=True):
        edges, end = [], 0
        for part in doc:
            end += len(part.text)
            edges.append((end, part.weight))
        weights, part_index = [], 0
        for start, _ in encoding.offsets:
            while part_index < len(edges) - 1 and start >= edges[part_index][0]:
                part_index += 1
            weights.append(edges[part_index][1])
        rows.append((encoding.ids, weights))
    return rows


def batches(tok: Tokenizer, world: World, rng: random.Random, mixture: Mixture) -> Iterator[Batch]:
    """Endless batches of documents of similar length, about ``BATCH_TOKENS`` tokens each."""
    pad = tok.token_to_id(PAD)
    stream = documents(world, rng, mixture)
    while True:
        rows = encode(tok, list(islice(stream, POOL)))
        rows = [row for row in rows if len(row[0]) <= MAX_LENGTH]
        rows.sort(key=lambda row: len(row[0]))
        groups: list[list[tuple[list[int], list[float]]]] = [[]]
        for row in rows:
            if len(row[0]) * (len(groups[-1]) + 1) > BATCH_TOKENS and groups[-1]:
                groups.append([])
            groups[-1].append(row)
        rng.shuffle(groups)
        for group in groups:
            width = max(len(ids) for ids, _ in group)
            yield Batch(
                torch.tensor([ids + [pad] * (width - len(ids)) for ids, _ in group]),
                torch.tensor([w + [0.0] * (width - len(w)) for _, w in group]),
            )


def loss_of(hf: Any, batch: Batch) -> torch.Tensor:
    """Cross entropy, averaged with the learning weights."""
    logits_B_T_V = hf(input_ids=batch.ids_B_T, use_cache=False).logits[:, :-1]
    each = torch.nn.functional.cross_entropy(
        logits_B_T_V.flatten(0, 1), batch.ids_B_T[:, 1:].flatten(), reduction="none"
    )
    weights = batch.weights_B_T[:, 1:].flatten()
    return (each * weights).sum() / weights.sum()


def _optimizer(hf: Any) -> torch.optim.Optimizer:
    decayed = [p for p in hf.parameters() if p.ndim >= 2]
    others = [p for p in hf.parameters() if p.ndim < 2]
    groups = [
        {"params": decayed, "weight_decay": WEIGHT_DECAY},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=1.0, betas=(0.9, 0.99), fused=True)


def _scaled(steps: int) -> tuple[Stage, ...]:
    """The stages of the recipe, shortened or stretched to a number of steps."""
    if steps == STEPS:
        return STAGES
    share = steps / STEPS
    return tuple(
        replace(
            s,
            steps=max(1, round(s.steps * share)),
            warmup=max(1, round(s.warmup * share)),
            decay=round(s.decay * share),
        )
        for s in STAGES
    )


def build(
    out: Path,
    *,
    seed: int = 0,
    steps: int = STEPS,
    progress: Callable[[Progress], None] | None = None,
    save_every: int | None = None,
    start: Path | None = None,
    stage: int = 0,
) -> Path:
    """Train the embedded model and write its folder.

    ``save_every`` also saves on the way. ``start`` is a folder with the model as it is
    before ``stage`` (counted from 0); the stages before it are skipped.
    """
    world, stages = World.build(0), _scaled(steps)
    if start is None:
        tok = train_tokenizer(world, seed)
    else:
        tok = Tokenizer.from_file(str(start / "tokenizer.json"))
    torch.manual_seed(seed)
    hf = LlamaForCausalLM(architecture(tok))
    if start is not None:
        hf = LlamaForCausalLM.from_pretrained(start)
    begun, tokens, average, done = time.perf_counter(), 0, 0.0, 0
    for number, part in enumerate(stages):
        if start is not None and number < stage:
            done += part.steps
            continue
        optimizer = _optimizer(hf)
        name = f"truing-corpus-{seed}" + (f"-{number}" if number else "")
        stream = batches(tok, world, random.Random(name), part.mixture)
        for step, batch in enumerate(islice(stream, part.steps), 1):
            for group in optimizer.param_groups:
                group["lr"] = part.rate(step)
            loss = loss_of(hf, batch)
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(hf.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            done += 1
            tokens += batch.ids_B_T.numel()
            average = 0.98 * average + 0.02 * loss.item() if average else loss.item()
            if progress is not None:
                progress(Progress(done, steps, average, tokens, time.perf_counter() - begun))
            if save_every is not None and done % save_every == 0:
                save(hf, tok, out)
    save(hf, tok, out)
    recipe = {
        "seed": seed,
        "steps": steps,
        "tokens": tokens,
        "minutes": round((time.perf_counter() - begun) / 60, 1),
        "parameters": sum(p.numel() for p in hf.parameters()),
    }
    card = {"name": "truing/pocket", "recipe": recipe}
    (out / "card.json").write_text(json.dumps(card, indent=2) + "\n")
    return out


def save(hf: Any, tok: Tokenizer, out: Path) -> Path:
    """Write weights, configuration, tokenizer and generation defaults."""
    out.mkdir(parents=True, exist_ok=True)
    stops = [tok.token_to_id(EOS), tok.token_to_id(END)]
    hf.generation_config = GenerationConfig(
        bos_token_id=tok.token_to_id(BOS),
        eos_token_id=stops,
        pad_token_id=tok.token_to_id(PAD),
        do_sample=False,
        max_new_tokens=48,
    )
    hf.save_pretrained(out)
    wrap(tok, MAX_LENGTH).save_pretrained(out, save_jinja_files=False)
    return out


def main() -> None:
    """Command line: ``--out DIR [--seed 0] [--steps N]``."""
    import argparse

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--save-every", type=int, default=None)
    parser.add_argument("--start", type=Path, default=None, help="model to go on from")
    parser.add_argument("--stage", type=int, default=0, help="stage at which to go on")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")

    def report(p: Progress) -> None:
        if p.step % 100 == 0 or p.step == p.steps:
            log.info(
                "step %d/%d loss %.4f tokens %d %.0f s",
                p.step,
                p.steps,
                p.loss,
                p.tokens,
                p.seconds,
            )

    build(
        options.out,
        seed=options.seed,
        steps=options.steps,
        progress=report,
        save_every=options.save_every,
        start=options.start,
        stage=options.stage,
    )


if __name__ == "__main__":
    main()
