"""Log-probabilities of answers as the released code of PersonalityEdit gathers them, for comparison only.

Two defects of that code (EasyEdit, March 2024) are kept. Nothing is shifted: the distribution that
follows a token is asked for that same token, so that repeating scores, not answering. And all rows of a
batch share one mask: of every row, padded on the left, as many last tokens count as the shortest answer
has. Not kept are the separator before the answer, which counts there, and the confusion of padding with it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from truing.models.asks import ScoreAsk
from truing.models.engine import job_of
from truing.models.handle import Model
from truing.models.passes import PAD, evaluating, forward, stacked
from truing.models.positions import pack


def unshifted(logits_B_T_V: Tensor, ids_B_T: Tensor, kept: int) -> Tensor:
    """Float32 (B,), nats: each row's mean log-probability of the token *at* a position given everything
    up to and with it, over the last ``kept`` positions of rows that are padded on the left."""
    logprobs_B_K_V = logits_B_T_V[:, -kept:].float().log_softmax(-1)
    return logprobs_B_K_V.gather(-1, ids_B_T[:, -kept:, None])[..., 0].mean(1)


def unshifted_means(model: Model, prompt: str, answers: Sequence[str]) -> list[float]:
    """:func:`unshifted` of each answer to ``prompt``, in one batch, under what is in force.

    Raises ``BadInput`` where an answer needs more positions than the model has.
    """
    jobs = [job_of(model, ScoreAsk(prompt, answer)) for answer in answers]
    kept = min(len(job.span.continuation) for job in jobs)
    layout = pack([job.span for job in jobs], side="left", pad_id=PAD)
    rows, width = len(jobs), layout.ids_B_T.shape[1]
    rows_N = torch.arange(rows).repeat_interleave(kept)
    columns_N = torch.arange(width - kept, width).repeat(rows)
    with evaluating(model.hf), stacked(model, [job.change for job in jobs]) as hooks:
        logits_N_V, _ = forward(model, layout, hooks, rows_N, columns_N)
    logits_B_K_V = logits_N_V.view(rows, kept, -1)
    found: list[float] = unshifted(
        logits_B_K_V, layout.ids_B_T.to(logits_B_K_V.device), kept
    ).tolist()
    return found
