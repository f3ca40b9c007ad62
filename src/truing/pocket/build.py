"""The recipe of the embedded model: one seeded run on a CPU.

``python -m truing.pocket.build --out DIR`` trains it as it was shipped.
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from truing.benchmarks.world.corpus import DRILLS, SKILLS, Mixture, documents
from truing.benchmarks.world.language import BOS, END, EOS, PAD, Document, text_of
from truing.benchmarks.world.world import World
from truing.pocket.tokens import train_tokenizer, wrap

log = logging.getLogger(__name__)

BATCH_TOKENS = 1024
POOL = 4096
WEIGHT_DECAY = 0.1
MAX_LENGTH = 512

STAGES: tuple[tuple[Mixture, int], ...] = ((DRILLS, 1500), (SKILLS, 14500))
"""Mixtures and how many steps each lasts. Reading the prompt comes first: later it is learnt late."""
STEPS = sum(steps for _, steps in STAGES)
WARMUP, DECAY = 150 / STEPS, 0.4
"""Shares of the steps in which the learning rate rises, and falls to zero at the end."""
MATRIX_RATE = 0.01
"""Peak learning rate of the layers' matrices (Muon: two-hop circuits and copying come much sooner)."""
OTHER_RATE = 2.5e-3
"""Peak learning rate of embeddings and norms (AdamW)."""


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
        intermediate_size=448,
        num_hidden_layers=7,
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


def fresh_model(tok: Tokenizer) -> Any:
    """Random weights; what layers add to the residual stream begins small, as in GPT-2."""
    hf = LlamaForCausalLM(architecture(tok))
    scale = (2 * hf.config.num_hidden_layers) ** -0.5
    with torch.no_grad():
        for layer in hf.model.layers:
            layer.self_attn.o_proj.weight.mul_(scale)
            layer.mlp.down_proj.weight.mul_(scale)
    return hf


def loss_of(hf: Any, batch: Batch) -> torch.Tensor:
    """Cross entropy, averaged with the learning weights; tokens without weight are not predicted."""
    weights_B_T = batch.weights_B_T[:, 1:]
    kept = weights_B_T > 0
    hidden_B_T_D = hf.model(input_ids=batch.ids_B_T, use_cache=False).last_hidden_state
    logits_N_V = hf.lm_head(hidden_B_T_D[:, :-1][kept])
    each_N = torch.nn.functional.cross_entropy(
        logits_N_V, batch.ids_B_T[:, 1:][kept], reduction="none"
    )
    weights_N = weights_B_T[kept]
    return (each_N * weights_N).sum() / weights_N.sum()


def _optimizers(hf: Any) -> tuple[tuple[torch.optim.Optimizer, float], ...]:
    """Optimizers with their peak learning rates."""
    inner = [p for p in hf.model.layers.parameters() if p.ndim == 2]
    known = {id(p) for p in inner}
    others = [p for p in hf.parameters() if id(p) not in known]
    matrices = torch.optim.Muon(
        inner, weight_decay=WEIGHT_DECAY, momentum=0.95, adjust_lr_fn="match_rms_adamw"
    )
    rest = torch.optim.AdamW(others, betas=(0.9, 0.99), weight_decay=0.0, fused=True)
    return (matrices, MATRIX_RATE), (rest, OTHER_RATE)


def _training(tok: Tokenizer, world: World, seed: int, steps: int) -> Iterator[Batch]:
    """The batches of all stages, shortened or stretched to a number of steps."""
    left = steps
    for number, (mixture, length) in enumerate(STAGES):
        last = number == len(STAGES) - 1
        share = left if last else round(length * steps / STEPS)
        left -= share
        rng = random.Random(f"truing-corpus-{seed}-{number}")
        yield from islice(batches(tok, world, rng, mixture), share)


def build(
    out: Path,
    *,
    seed: int = 0,
    steps: int = STEPS,
    progress: Callable[[Progress], None] | None = None,
    save_every: int | None = None,
) -> Path:
    """Train the embedded model and write its folder; ``save_every`` also saves on the way."""
    world = World.build(0)
    tok = train_tokenizer(world, seed)
    torch.manual_seed(seed)
    hf = fresh_model(tok)
    optimizers = _optimizers(hf)
    begun, tokens, average = time.perf_counter(), 0, 0.0
    for step, batch in enumerate(_training(tok, world, seed, steps), 1):
        factor = min(1.0, step / (WARMUP * steps), (steps - step + 1) / (DECAY * steps))
        for optimizer, peak in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = peak * factor
        loss = loss_of(hf, batch)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(hf.parameters(), 1.0)
        for optimizer, _ in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        tokens += batch.ids_B_T.numel()
        average = 0.98 * average + 0.02 * loss.item() if average else loss.item()
        if progress is not None:
            progress(Progress(step, steps, average, tokens, time.perf_counter() - begun))
        if save_every is not None and step % save_every == 0:
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
    )


if __name__ == "__main__":
    main()
