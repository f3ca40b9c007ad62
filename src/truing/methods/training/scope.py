"""A scope that learns from pairs of texts whether one is about the other.

Mitchell et al. 2022, section 3.1, with words in place of a sentence encoder: what a word weighs, its
vector and the two slopes of :class:`~truing.interventions.scope.WordScope` minimise the balanced binary
cross-entropy: the mean over pairs in scope plus the mean over pairs out of it. Weights start at smoothed
idf. Words of few subjects are not listed: they are names, and names that nobody saw weigh as they do.

Shape letters: P pairs, W listed words, D width of a word's vector, T words of all pairs.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, softplus

from truing.interventions.scope import WordScope, words

FEW_SUBJECTS = 2
"""A word in the texts of at most this many subjects is a name."""
MOST_WORDS = 20_000


@dataclass(frozen=True, slots=True)
class Pair:
    """An edit's prompt, what is asked, and whether it is about the edit."""

    edit: str
    asked: str
    about: bool


def vocabulary(texts: Iterable[tuple[str, str]]) -> dict[str, float]:
    """Listed words and their idf over subjects, from (subject, text), in a fixed order."""
    subjects: dict[str, set[str]] = {}
    for subject, text in texts:
        subjects.setdefault(subject, set()).update(words(text))
    spread = Counter(word for found in subjects.values() for word in found)
    listed = [(word, n) for word, n in spread.items() if n > FEW_SUBJECTS]
    listed = sorted(listed, key=lambda item: (-item[1], item[0]))[:MOST_WORDS]
    return {word: math.log((1 + len(subjects)) / (1 + n)) + 1 for word, n in listed}


class ScopeLearner(nn.Module):
    """The numbers of a :class:`WordScope`, trainable. Positive ones are softplus of what is stored.

    Vectors start small and at random, from ``seed``.
    """

    def __init__(self, listed: dict[str, float], width: int, seed: int) -> None:
        super().__init__()
        self._words = tuple(listed)
        self._place = {word: at for at, word in enumerate(listed)}
        top = max([*listed.values(), 1.0])
        start_W = torch.tensor([*listed.values(), top]) + 1e-3
        generator = torch.Generator().manual_seed(seed)
        self.weights = nn.Parameter(_raw(start_W))  # the last is that of unlisted words
        self.vectors = nn.Parameter(0.1 * torch.randn(len(listed), width, generator=generator))
        self.capital = nn.Parameter(_raw(torch.tensor(1.0)))
        self.slopes = nn.Parameter(_raw(torch.tensor([10.0, 1.0])))
        self.bias = nn.Parameter(torch.tensor(-6.0))
        self._bag = lru_cache(maxsize=100_000)(self._bagged)

    def scope(self, threshold: float = 0.5) -> WordScope:
        """What has been learned, as it answers."""
        weights = softplus(self.weights.detach()).cpu()
        first, second = softplus(self.slopes.detach()).tolist()
        return WordScope(
            self._words,
            weights[:-1].clone(),
            self.vectors.detach().cpu().clone(),
            unlisted=float(weights[-1]),
            capital=1 + float(softplus(self.capital.detach())),
            slopes=(first, second),
            bias=float(self.bias.detach()),
            threshold=threshold,
        )

    def forward(self, pairs: Sequence[Pair]) -> Tensor:
        """Logits ``(P,)`` that each pair is in scope."""
        place: list[int] = []
        pair: list[int] = []
        capital: list[bool] = []
        there: list[bool] = []
        for number, each in enumerate(pairs):
            asked = self._bag(each.asked)
            for word, (at, big) in self._bag(each.edit).items():
                place.append(at)
                pair.append(number)
                capital.append(big)
                there.append(word in asked)
        home, n = self.weights.device, len(pairs)
        pair_T = torch.tensor(pair, device=home, dtype=torch.long)
        weight_T = softplus(self.weights)[torch.tensor(place, device=home, dtype=torch.long)]
        weight_T = weight_T * (1 + softplus(self.capital) * torch.tensor(capital, device=home))
        total_P = weight_T.new_zeros(n).index_add(0, pair_T, weight_T)
        held_P = weight_T.new_zeros(n).index_add(
            0, pair_T, weight_T * torch.tensor(there, device=home)
        )
        edits_P_D = self._sums([each.edit for each in pairs])
        asked_P_D = self._sums([each.asked for each in pairs])
        kinship_P = (edits_P_D * asked_P_D).sum(-1)
        slopes = softplus(self.slopes)
        coverage_P = held_P / total_P.clamp(min=1e-12)
        return slopes[0] * coverage_P + slopes[1] * kinship_P + self.bias

    def _sums(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors ``(P, D)`` of texts; zero where no word is listed."""
        last = len(self._words)
        bags = [[at for at, _ in self._bag(text).values() if at < last] for text in texts]
        row = [number for number, bag in enumerate(bags) for _ in bag]
        place = [at for bag in bags for at in bag]
        home = self.vectors.device
        found = self.vectors[torch.tensor(place, device=home, dtype=torch.long)]
        sums = found.new_zeros(len(texts), found.shape[1])
        sums = sums.index_add(0, torch.tensor(row, device=home, dtype=torch.long), found)
        return normalize(sums, dim=-1, eps=1e-9)

    def _bagged(self, text: str) -> dict[str, tuple[int, bool]]:
        last = len(self._words)
        return {word: (self._place.get(word, last), big) for word, big in words(text).items()}


def balanced(logits_P: Tensor, pairs: Sequence[Pair]) -> Tensor:
    """Mean of ``-log p`` over pairs in scope plus the mean of ``-log(1 - p)`` over the others."""
    about_P = torch.tensor([pair.about for pair in pairs], device=logits_P.device)
    loss = logits_P.new_zeros(())
    if bool(about_P.any()):
        loss = loss + softplus(-logits_P[about_P]).mean()
    if bool((~about_P).any()):
        loss = loss + softplus(logits_P[~about_P]).mean()
    return loss


def threshold(inside: Sequence[float], outside: Sequence[float]) -> float:
    """The probability that parts the two best by mean share, in the middle of its gap; 0.5 where
    one of them is empty. Never 0 or 1."""
    if not inside or not outside:
        return 0.5
    marks = np.unique([0.0, 1.0, *inside, *outside])
    cuts = (marks[:-1] + marks[1:]) / 2
    missed = np.searchsorted(np.sort(inside), cuts) / len(inside)
    spared = np.searchsorted(np.sort(outside), cuts) / len(outside)
    worth = spared - missed
    best = cuts[worth >= worth.max() - 1e-12]
    found = float(best[np.abs(best - 0.5).argmin()])
    return min(max(found, 1e-6), 1 - 1e-6)


def _raw(value: Tensor) -> Tensor:
    """What softplus turns into ``value`` (positive)."""
    return value + torch.log(-torch.expm1(-value))
