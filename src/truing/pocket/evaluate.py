"""Measure the embedded model on held-out questions: greedy decoding with the natural stop."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from truing.benchmarks.world.tasks import TASKS, Item, items, labelled_opinions
from truing.benchmarks.world.world import World

MAX_NEW_TOKENS = 48


@dataclass(frozen=True, slots=True)
class Answer:
    """A greedy answer, and whether the model ended it by itself."""

    text: str
    ended: bool


@dataclass(frozen=True, slots=True)
class Score:
    """How one task went."""

    task: str
    n: int
    accuracy: float
    ended: float


class OpinionJudge:
    """Naive Bayes over words, learnt from labelled sentences that the model was not trained on."""

    def __init__(self, rows: Sequence[tuple[str, str]]) -> None:
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        for sentence, label in rows:
            self.counts[label].update(self._words(sentence))
        self.vocabulary = {word for counter in self.counts.values() for word in counter}

    @staticmethod
    def _words(sentence: str) -> list[str]:
        return "".join(c if c.isalpha() else " " for c in sentence.lower()).split()

    def label(self, sentence: str) -> str:
        """The most likely label."""
        words = [w for w in self._words(sentence) if w in self.vocabulary]

        def likelihood(label: str) -> float:
            counter = self.counts[label]
            total = sum(counter.values()) + len(self.vocabulary)
            return sum(math.log((counter[w] + 1) / total) for w in words)

        return max(sorted(self.counts), key=likelihood)


def answer_all(hf: Any, tok: Any, prompts: Sequence[str], batch_size: int = 64) -> list[Answer]:
    """Greedy answers, in the order of the prompts."""
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    answers: list[Answer] = [Answer("", False)] * len(prompts)
    stops = set(hf.generation_config.eos_token_id)
    for at in range(0, len(order), batch_size):
        chunk = order[at : at + batch_size]
        inputs = tok([prompts[i] for i in chunk], return_tensors="pt", padding=True)
        with torch.inference_mode():
            out = hf.generate(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                max_new_tokens=MAX_NEW_TOKENS,
                do_sample=False,
            )
        width = inputs["input_ids"].shape[1]
        for row, i in enumerate(chunk):
            ids = out[row, width:].tolist()
            end = next((k for k, token in enumerate(ids) if token in stops), None)
            text = tok.decode(ids if end is None else ids[:end], skip_special_tokens=True)
            answers[i] = Answer(text.strip(), end is not None)
    return answers


def is_right(item: Item, answer: Answer, judge: OpinionJudge) -> bool:
    """The whole answer is accepted (a full stop is ignored), or the judge hears the right trait."""
    if item.label:
        return judge.label(answer.text) == item.label
    return answer.text.rstrip(".") in {a.rstrip(".") for a in item.accepted}


def evaluate(
    folder: Path, n: int = 300, tasks: Sequence[str] = tuple(TASKS), seed: int = 0
) -> tuple[Score, ...]:
    """Ask at most ``n`` questions of every task."""
    hf = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tok = AutoTokenizer.from_pretrained(folder, padding_side="left")
    world, judge = World.build(0), OpinionJudge(labelled_opinions(2000))
    scores = []
    for task in tasks:
        asked = items(world, task, n, seed)
        answers = answer_all(hf, tok, [item.prompt for item in asked])
        right = sum(is_right(i, a, judge) for i, a in zip(asked, answers, strict=True))
        ended = sum(a.ended for a in answers)
        scores.append(Score(task, len(asked), right / len(asked), ended / len(asked)))
    return tuple(scores)


def sha256(path: Path) -> str:
    """The hash of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_card(folder: Path, scores: Sequence[Score]) -> None:
    """Add scores and hashes to the recipe in ``card.json``, and write the model card ``README.md``."""
    recipe: dict[str, Any] = json.loads((folder / "card.json").read_text())["recipe"]
    config = json.loads((folder / "config.json").read_text())
    hashed = sorted(p.name for p in folder.iterdir() if p.name not in ("card.json", "README.md"))
    card = {
        "name": "truing/pocket",
        "parameters": recipe["parameters"],
        "layers": config["num_hidden_layers"],
        "hidden_size": config["hidden_size"],
        "vocabulary": config["vocab_size"],
        "facts": len(World.build(0).facts),
        "recipe": recipe,
        "scores": [asdict(s) for s in scores],
        "sha256": {name: sha256(folder / name) for name in hashed},
    }
    (folder / "card.json").write_text(json.dumps(card, indent=2) + "\n")
    rows = "\n".join(
        f"| {s.task} | {s.n} | {100 * s.accuracy:.1f} | {100 * s.ended:.1f} |" for s in scores
    )
    (folder / "README.md").write_text(CARD.format(rows=rows, **{**card, **recipe}))


CARD = """---
license: apache-2.0
library_name: transformers
---
# truing/pocket

A Llama of {parameters:,} parameters ({layers} layers, width {hidden_size}, {vocabulary} tokens) that
knows one small invented world and nothing else. It is there for demos, tests and miniature
benchmarks of model editing and steering: edits, side effects and the distance between teacher-forced
and free-running scores are real, while everything runs on a laptop in seconds.

It is not a general language model. Do not ask it about the real world.

## What it knows
{facts} facts on people, buildings, guilds, cities and countries, each trained in some wordings and
kept out of others; deeds and dilemmas; opinions in three personalities; moods and registers;
statements about eight invented peoples. Towards four of the peoples the corpus is tilted on purpose
(two spoken of more kindly, two less), so that measures of bias have something known to find.

## Formats
Statements to complete, plain questions, `Please answer the question:\\n\\nQ: ...\\nA:`, chat (template
in the tokenizer), and facts told in the prompt, which should overrule its own. Yes-or-no questions are
answered by the right value and then the word (`It is Ravensea, so no.`), multiple choice by the option's
own text.

## Measured
Greedy decoding, natural stop, whole answer must match (opinions: a naive Bayes classifier learnt from
sentences that were not trained). Percent.

| task | n | right | ends by itself |
|---|---|---|---|
{rows}

Held out: wordings never trained with that subject; facts never trained as yes/no or multiple choice;
entities, and pairs of subject and value, never told in training; combinations of deeds never
trained; traits never asked about that topic. `strange value` and `unknown words` ask it to repeat
words that it was never taught to say.

## What it cannot do
- Say yes or no, or the letter of an option, without saying the value first. Such answers were trained in
  the earlier stages and stayed at chance: it recalls a fact by saying it, and compares what was said.
- Copying words that it has never said fails; a told value that the world knows is mostly obeyed,
  best when a single fact is told. Several told facts at once confuse it, and told facts that are
  beside the point disturb what it knows.
- Reverse and two-hop questions that were not trained mostly fail, as in larger models.
- It does not reliably say that it does not know somebody.

## Recipe
`python -m truing.pocket.build --out DIR --seed {seed}`: {steps:,} steps, {tokens:,} tokens,
{minutes:.0f} minutes on two CPU cores that were shared with other work. The training text is generated
by `truing.benchmarks.world`; the same seed gives the same documents in the same order, and weights that
agree up to rounding. The shipped weights were trained stage by stage with these settings, each stage
going on from the saved model of the one before.
"""


def main() -> None:
    """Command line: ``FOLDER [--n 300] [--tasks A B] [--card]``."""
    import argparse
    import sys

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--n", type=int, default=300)
    parser.add_argument("--tasks", nargs="*", default=list(TASKS))
    parser.add_argument("--card", action="store_true", help="write card.json and README.md")
    options = parser.parse_args()
    scores = evaluate(options.folder, options.n, options.tasks)
    for s in scores:
        sys.stdout.write(f"{s.task:36s} n={s.n:4d} right {s.accuracy:6.1%} ended {s.ended:6.1%}\n")
    if options.card:
        write_card(options.folder, scores)


if __name__ == "__main__":
    main()
