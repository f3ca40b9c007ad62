"""Numbers of texts that are compared by likelihood."""

from __future__ import annotations

from truing.scoring.glossary.metric import NOT_SCORED, ROME, Metric

_NO_SHIFT = "Rows without two scored choices, now or under the base model, are left out."
_PRES = (
    "Pres et al. 2024, Towards Reliable Evaluation of Behavior Steering Interventions in LLMs, there "
    "rescaled by each model's own extreme items"
)

CHOICES = (
    Metric(
        "likelihood-margin",
        "Likelihood margin",
        "By how much the wanted choice is more likely than the likeliest other.",
        "log P(first choice) - max log P(other choice), whole texts",
        "probes with two choices or more",
        "Rows without two scored choices are left out.",
        f"{ROME}, there as a difference of probabilities",
        "nats",
        "higher",
    ),
    Metric(
        "preference",
        "Preference",
        "Of a contrast pair, does the side to promote win: is it the likelier one, or, under free "
        "protocols, what the model says?",
        "mean of the scorer's score on test pairs, for the side to promote",
        "scored test pairs",
        NOT_SCORED,
        "Pres et al. 2024, there without a rate; Rimsky et al. 2024 for choices between letters",
        "share",
        "higher",
    ),
    Metric(
        "promotion",
        "Promotion",
        "How much likelier did the wanted choice become? Read it beside suppression: an intervention "
        "that makes every text less likely lowers this number and raises the other.",
        "mean of (log P(wanted) now - log P(wanted) of the base model) / tokens",
        "probes with two choices, scored now and by the base model",
        _NO_SHIFT,
        _PRES,
        "nats per token",
        "higher",
    ),
    Metric(
        "suppression",
        "Suppression",
        "How much less likely did the other choice become? High suppression with negative promotion "
        "is a model that became worse at both.",
        "mean of (log P(other) of the base model - log P(other) now) / tokens",
        "probes with two choices, scored now and by the base model",
        _NO_SHIFT,
        _PRES,
        "nats per token",
        "higher",
    ),
    Metric(
        "margin-shift",
        "Margin shift",
        "How much further ahead of the other choice is the wanted one?",
        "mean of promotion + suppression",
        "probes with two choices, scored now and by the base model",
        _NO_SHIFT,
        "Truing; the sum of the two",
        "nats per token",
        "higher",
    ),
    Metric(
        "anti-steered-rate",
        "Anti-steered rate",
        "How often did an intervention move a probe the wrong way?",
        "probes whose margin shift is below -0.001 nats per token / probes",
        "probes with two choices, scored now and by the base model",
        _NO_SHIFT,
        "Tan et al. 2024, Analysing the Generalisation and Reliability of Steering Vectors",
        "share",
        "lower",
    ),
)
