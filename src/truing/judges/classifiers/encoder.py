"""A fine-tuned encoder: any sequence classifier of the transformers library.

A plain loop: AdamW with weight decay on matrices, the learning rate rising over the first part of
the updates and falling linearly to 0, gradients clipped to norm 1, the best epoch by dev loss.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from truing.errors import BadInput, CannotLoad, EditFailed
from truing.judges.classifiers.examples import Example, labels_of
from truing.judges.classifiers.measures import Floats, log_loss
from truing.models.loading import device_of
from truing.models.sources import Source, find, one_line
from truing.seeds import Seeds

ENCODER = "encoder"
CLIP = 1.0
PREDICT_BATCH = 32
Watch = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class EncoderSettings:
    """``model``: folder or hub id. ``max_tokens``: longer texts are cut. ``warmup``: the share of
    updates over which the learning rate rises. ``device``: cpu, cuda, cuda:N, auto."""

    model: str
    epochs: int = 3
    lr: float = 2e-5
    batch: int = 16
    max_tokens: int = 128
    weight_decay: float = 0.01
    warmup: float = 0.06
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name in ("epochs", "lr", "batch", "max_tokens"):
            if getattr(self, name) <= 0:
                raise BadInput(f"{name} is {getattr(self, name)}", "It must be above 0.")


@dataclass(frozen=True)
class EncoderBackend:
    """``hf``: the model, in evaluation mode; its column of each label is found by name."""

    labels: tuple[str, ...]
    hf: Any
    tokenizer: Any
    max_tokens: int

    def predict(self, texts: Sequence[str]) -> Floats:
        """Probabilities (texts, labels), not calibrated."""
        found = [np.zeros((0, len(self.labels)))]
        columns = [self.hf.config.label2id[label] for label in self.labels]
        for start in range(0, len(texts), PREDICT_BATCH):
            with torch.inference_mode():
                logits_B_K = self.hf(**self._batch(texts[start : start + PREDICT_BATCH])).logits
            found.append(logits_B_K[:, columns].double().softmax(-1).cpu().numpy())
        return np.concatenate(found)

    def save(self, folder: Path) -> None:
        """Write weights as safetensors, configuration and tokenizer."""
        self.hf.save_pretrained(folder / ENCODER)
        self.tokenizer.save_pretrained(folder / ENCODER)

    @classmethod
    def load(cls, folder: Path, labels: tuple[str, ...], max_tokens: int) -> EncoderBackend:
        """Raises ``CannotLoad``."""
        hf, tokenizer = _pretrained(find(str(folder / ENCODER), None), {})
        if set(hf.config.label2id) != set(labels):
            raise CannotLoad(
                f"the classifier '{folder}' is damaged: its encoder has other labels",
                "Copy all of its files again, or train it again.",
            )
        return cls(labels, hf.eval(), tokenizer, max_tokens)

    def _batch(self, texts: Sequence[str]) -> dict[str, Tensor]:
        encoded = self.tokenizer(
            list(texts),
            truncation=True,
            max_length=self.max_tokens,
            padding=True,
            return_tensors="pt",
        )
        return {name: tensor.to(self.hf.device) for name, tensor in encoded.items()}


def fit(
    train: Sequence[Example],
    dev: Sequence[Example],
    settings: EncoderSettings,
    watch: Watch = lambda done, total: None,
) -> EncoderBackend:
    """Learn from ``train`` and keep the epoch that is best on ``dev``. The same weights for the same
    seed on the same machine; ``watch(updates done, of)``. Raises ``CannotLoad``, ``EditFailed``."""
    labels = labels_of(train)
    names = {
        "num_labels": len(labels),
        "id2label": dict(enumerate(labels)),
        "label2id": {label: i for i, label in enumerate(labels)},
    }
    seeds = Seeds(settings.seed)
    with _seeded(seeds.child("encoder").number):
        hf, tokenizer = _pretrained(find(settings.model, None), names)
        backend = EncoderBackend(
            labels, hf.to(device_of(settings.device)), tokenizer, settings.max_tokens
        )
        _train(backend, train, dev, settings, seeds, watch)
    return backend


def _train(
    backend: EncoderBackend,
    train: Sequence[Example],
    dev: Sequence[Example],
    settings: EncoderSettings,
    seeds: Seeds,
    watch: Watch,
) -> None:
    hf, where = backend.hf, {label: i for i, label in enumerate(backend.labels)}
    dev_texts = [e.text for e in dev]
    dev_true = np.array([where[e.label] for e in dev])
    per_epoch = math.ceil(len(train) / settings.batch)
    total, done = settings.epochs * per_epoch, 0
    adam = torch.optim.AdamW(_groups(hf, settings.weight_decay), lr=settings.lr)
    pace = torch.optim.lr_scheduler.LambdaLR(adam, _rate(total, settings.warmup))
    best, best_loss = None, math.inf
    for epoch in range(settings.epochs):
        order = list(range(len(train)))
        seeds.child(f"epoch-{epoch}").random().shuffle(order)
        hf.train()
        for start in range(0, len(order), settings.batch):
            batch = [train[i] for i in order[start : start + settings.batch]]
            true_B = torch.tensor([where[e.label] for e in batch], device=hf.device)
            logits_B_K = hf(**backend._batch([e.text for e in batch])).logits
            loss = torch.nn.functional.cross_entropy(logits_B_K.float(), true_B)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(hf.parameters(), CLIP)
            adam.step()
            pace.step()
            adam.zero_grad(set_to_none=True)
            done += 1
            watch(done, total)
        hf.eval()
        dev_loss = log_loss(backend.predict(dev_texts), dev_true)
        if dev_loss < best_loss:
            best, best_loss = copy.deepcopy(hf.state_dict()), dev_loss
    if best is None:
        raise EditFailed("the training ended in numbers that are not finite", "Lower lr.")
    hf.load_state_dict(best)


def _groups(hf: Any, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices decay, biases and norms do not."""
    parameters = [p for p in hf.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _rate(total: int, warmup: float) -> Callable[[int], float]:
    rising = max(1, round(total * warmup))

    def rate(step: int) -> float:
        if step < rising:
            return (step + 1) / rising
        return max(0.0, (total - step) / max(1, total - rising))

    return rate


def _pretrained(source: Source, names: dict[str, Any]) -> tuple[Any, Any]:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(source.place, local_files_only=source.local)
        hf = AutoModelForSequenceClassification.from_pretrained(
            source.place, dtype=torch.float32, use_safetensors=True, local_files_only=source.local,
            ignore_mismatched_sizes=bool(names), **names,
        )  # fmt: skip
    except Exception as error:  # that library raises many kinds here
        raise CannotLoad(
            f"{source} cannot be read as a classifier: {one_line(error)}",
            "Give a folder or hub id of an encoder with safetensors weights and a tokenizer.",
        ) from None
    return hf, tokenizer


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """New weights and dropout draw from ``seed``; the process's own stream goes on untouched."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
